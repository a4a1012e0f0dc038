"""SNARE on LeNet-5 with and without the uncut network as the teacher, within equally many epochs.

Both start from the same base network, with the same seed and the same accepted loss.

    python benchmarks/distillation.py --base DIR --output benchmarks/results/distillation.json
"""

import argparse
import json
from pathlib import Path
from typing import Any

import results_files
from thesis_snare import EPS, Case, medians, run

import keras_snare

EPOCHS = 60
SEARCH: dict[str, Any] = {"retrain_epochs": 8}
TAUGHT: dict[str, Any] = {"temperature": 3.0, "alpha": 0.7}
CASES = {
    "labels": Case("lenet_5", EPOCHS, SEARCH),
    "labels and teacher": Case(
        "lenet_5",
        EPOCHS,
        SEARCH,
        lambda: [keras_snare.DistillationCallback("self", **TAUGHT)],
    ),
}


def _command(seeds: list[int]) -> str:
    words = ["python", "benchmarks/distillation.py", "--base", "DIR", "--output", "FILE"]
    return results_files.command(*words, "--seeds", *map(str, seeds))


def main() -> None:
    """Runs both cases, seed by seed, and writes the results after each run."""
    parser = argparse.ArgumentParser(description="SNARE taught by the uncut network.")
    parser.add_argument("--base", type=Path, required=True, help="folder of trained base networks")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--verbose", type=int, default=0)
    arguments = parser.parse_args()
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in CASES}
    for seed in arguments.seeds:
        for name, case in CASES.items():
            runs[name].append(run(case, seed, arguments.base, arguments.verbose))
            # Test figures are for the file: who goes on choosing settings shall not see them.
            told = ("seed", "params_ratio", "flops_ratio", "epochs", "validation", "seconds")
            print(name, json.dumps({key: runs[name][-1][key] for key in told}), flush=True)
            results_files.write(arguments.output, _results(runs, arguments.seeds))


def _results(runs: dict[str, list[dict[str, Any]]], seeds: list[int]) -> dict[str, Any]:
    return {
        "network": "LeNet-5",
        "eps": EPS,
        "epochs_at_most": EPOCHS,
        "search": SEARCH,
        "taught": {"teacher": "self", **TAUGHT},
        "command": _command(seeds),
        "machine": results_files.machine(),
        "versions": results_files.versions(),
        "cases": {
            name: {"median": medians(several), "runs": several}
            for name, several in runs.items()
            if several
        },
    }


if __name__ == "__main__":
    main()
