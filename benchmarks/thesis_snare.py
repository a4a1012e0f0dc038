"""SNARE on the thesis's networks, with the clean protocol: validation decides, test is told once.

Every run loads a trained base network, calls `model.fit` with a `SnareCallback`, and evaluates the
result on the test set once. Results go to a JSON file, from which the table in the README is made.

    python benchmarks/thesis_snare.py --base DIR --output benchmarks/results/thesis_snare.json
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import results_files
from base_training import BASE_NETWORKS, train_base

import keras_snare


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Args:
        network: A key of `BASE_NETWORKS`.
        epochs: Epochs of retraining at the most.
        settings: Arguments of `SnareCallback` beside `eps`.
        others: Makes the callbacks of the same `fit` behind it.
    """

    network: str
    epochs: int
    settings: dict[str, Any] = field(default_factory=dict)
    others: Callable[[], list[keras.callbacks.Callback]] = list


CASES = {
    "LeNet-5": Case("lenet_5", 100, {"retrain_epochs": 8}),
    "UCI Custom": Case("uci_custom", 150),
    "UCI Custom, unseen people validate": Case("uci_custom_unseen", 150),
    "LeNet-300-100, hidden units": Case("lenet_300_100", 100),
    "LeNet-300-100, inputs too": Case("lenet_300_100", 100, {"prune_inputs": True}),
}
EPS = 0.005


def run(case: Case, seed: int, directory: Path, verbose: int) -> dict[str, Any]:
    """Compresses one base network and measures what came out."""
    base = BASE_NETWORKS[case.network]
    path = train_base(case.network, seed, directory)
    dataset = base.load()
    keras.utils.set_random_seed(seed)
    model = keras.models.load_model(path)
    before = keras_snare.cost(model)
    test_before = _accuracy(model, dataset)
    # Every trial is trained to its end, from which `early_rejection.py` tells what ending it saves.
    snare = keras_snare.SnareCallback(eps=EPS, early_rejection=False, **case.settings)
    start = time.perf_counter()
    history = model.fit(
        dataset.x_train,
        dataset.y_train,
        batch_size=base.recipe.batch_size,
        epochs=case.epochs + 1,
        validation_data=(dataset.x_validation, dataset.y_validation),
        callbacks=[snare, *case.others()],
        verbose=verbose,
    )
    seconds = time.perf_counter() - start
    after = keras_snare.cost(model)
    report = snare.report
    return {
        "seed": seed,
        "data": dataset.source,
        "params_before": before.params,
        "params": after.params,
        "flops_before": before.flops,
        "flops": after.flops,
        "params_ratio": before.params / after.params,
        "flops_ratio": before.flops / after.flops,
        "epochs": len(history.epoch),
        "retraining_epochs": report.retraining_epochs,
        "trials": len(report.rows),
        "accepted": report.accepted,
        "finished": report.finished,
        "validation_before": report.baseline,
        "validation": report.metric,
        "validation_best": report.best,
        "test_before": test_before,
        "test": _accuracy(model, dataset),
        "widths": {group.name: group.width for group in keras_snare.channel_groups(model)},
        "rows": [asdict(row) for row in report.rows],
        "seconds": round(seconds, 1),
    }


def _accuracy(model, dataset) -> float:
    figures = model.evaluate(
        dataset.x_test, dataset.y_test, batch_size=512, verbose=0, return_dict=True
    )
    return figures["accuracy"]


def _command(name: str, seeds: list[int]) -> str:
    words = ["python", "benchmarks/thesis_snare.py", "--base", "DIR", "--output", "FILE"]
    return results_files.command(*words, "--cases", name, "--seeds", *map(str, seeds))


def medians(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Returns the median over the seeds of every figure."""
    names = [name for name, value in runs[0].items() if isinstance(value, (int, float))]
    return {name: float(np.median([run[name] for run in runs])) for name in names if name != "seed"}


def main() -> None:
    """Runs the cases named on the command line and adds them to the results."""
    parser = argparse.ArgumentParser(description="SNARE on the thesis's networks.")
    parser.add_argument("--base", type=Path, required=True, help="folder of trained base networks")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--verbose", type=int, default=0)
    arguments = parser.parse_args()
    results = json.loads(arguments.output.read_text()) if arguments.output.is_file() else {}
    for name in arguments.cases:
        runs = []
        for seed in arguments.seeds:
            runs.append(run(CASES[name], seed, arguments.base, arguments.verbose))
            figures = {key: value for key, value in runs[-1].items() if key != "rows"}
            print(name, json.dumps(figures), flush=True)
        results[name] = {
            "eps": EPS,
            "settings": CASES[name].settings,
            "epochs_at_most": CASES[name].epochs,
            "command": _command(name, arguments.seeds),
            "versions": results_files.versions(),
            "median": medians(runs),
            "runs": runs,
        }
        results_files.write(arguments.output, results)


if __name__ == "__main__":
    main()
