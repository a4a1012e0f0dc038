"""Connection pruning during training beside TF-MOT: what a step costs, and what accuracy is left.

python benchmarks/connection_pruning.py --output benchmarks/results/connection_pruning.json

Needs tensorflow-model-optimization. The two networks are trained in Keras 3 with
`MagnitudePruneCallback` and in tf_keras with TF-MOT's `prune_low_magnitude`, from the same weights,
on the same batches, with the same optimizer. Times: every arm runs in a process of its own, with
one thread, and they take turns, an epoch each. Accuracy: the epochs and all else are given, so
validation data decide nothing, and the test set is told once for each run.
"""

import argparse
import importlib.metadata
import itertools
import json
import os
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import results_files
from connection_arms import BATCH_SIZE, FREQUENCY, LEARNING_RATE, NETWORKS, load

ARMS_FILE = Path(__file__).with_name("connection_arms.py")
TF_KERAS = {"name": "tf_keras"}
KERAS = {"name": "keras", "jit_compile": False}
KERAS_XLA = {"name": "keras", "jit_compile": True}
# Name of the row, the side, the arm, and the row of plain fit that it is held against.
TIMED: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "tf_keras": (TF_KERAS, "plain", None),
    "TF-MOT": (TF_KERAS, "tfmot", "tf_keras"),
    "Keras": (KERAS, "plain", None),
    "updates every epoch": (KERAS, "epoch", "Keras"),
    f"updates every {FREQUENCY} steps": (KERAS, "layer", "Keras"),
    "Keras, XLA": (KERAS_XLA, "plain", None),
    "updates every epoch, XLA": (KERAS_XLA, "epoch", "Keras, XLA"),
    f"updates every {FREQUENCY} steps, XLA": (KERAS_XLA, "layer", "Keras, XLA"),
}
# Compared by their accuracy: name of the row, the side, the arm.
COMPARED: dict[str, tuple[dict[str, Any], str]] = {
    "TF-MOT": (TF_KERAS, "tfmot"),
    'scope="layer"': (KERAS, "layer"),
    'scope="global"': (KERAS, "global"),
    'scope="erk"': (KERAS, "erk"),
    'regrowth="splicing"': (KERAS, "splicing"),
    'regrowth="rigl"': (KERAS, "rigl"),
}
PARTS = ["times", "accuracy"]
WARM_UP = 1  # The epoch that compiles.


class Worker:
    """A process of `connection_arms.py`.

    Args:
        side: which Keras, and its settings.
    """

    def __init__(self, process: subprocess.Popen, side: dict[str, Any]):
        self.process = process
        self.side = side

    def start(self, task: str, **arguments) -> None:
        """Gives it a task."""
        self.say(json.dumps({"task": task, "side": self.side, **arguments}))

    def say(self, line: str = "") -> None:
        """Writes a line to it; an empty one is its turn for an epoch."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Waits for its next answer."""
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"The process of {self.side} has failed; its error is above.")
        return json.loads(line)


@contextmanager
def worker(side: dict[str, Any]) -> Iterator[Worker]:
    """Runs a process with one thread for computing."""
    threads = dict.fromkeys(
        ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"
    )
    environment = {**os.environ, **threads, "TF_CPP_MIN_LOG_LEVEL": "3"}
    pipe = subprocess.PIPE
    command = [sys.executable, str(ARMS_FILE)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        yield Worker(process, side)


def time_round(network: str, epochs: int, first: int) -> dict[str, list[dict[str, float]]]:
    """Seconds of every epoch of every arm, the arms in turn and in another order every time."""
    names = list(TIMED)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with ExitStack() as stack:
        workers = {name: stack.enter_context(worker(TIMED[name][0])) for name in names}
        for name, one in workers.items():
            one.start("time", network=network, arm=TIMED[name][1], epochs=WARM_UP + epochs)
        for epoch in range(WARM_UP + epochs):
            at = (first + epoch) % len(names)
            for name in names[at:] + names[:at]:
                workers[name].say()
                found[name].append(workers[name].answer())
        for one in workers.values():
            one.say()
    return {name: seconds[WARM_UP:] for name, seconds in found.items()}


def time_steps(network: str, steps: int, rounds: int, epochs: int) -> dict[str, Any]:
    """Milliseconds of a step, and what each arm takes over plain fit of the same Keras."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in TIMED}
    for turn in range(rounds):
        for name, seconds in time_round(network, epochs, turn).items():
            found[name] += seconds
        print(network, "round", turn + 1, flush=True)
    rows = {}
    for name, (_, _, plain) in TIMED.items():
        row: dict[str, Any] = {"against": plain}
        for clock in ("cpu", "wall"):
            seconds = [one[clock] for one in found[name]]
            row[f"{clock}_ms"] = [round(1000 * one / steps, 4) for one in seconds]
            row[f"{clock}_ms_median"] = 1000 * statistics.median(seconds) / steps
            if plain is not None:
                pairs = zip(seconds, (one[clock] for one in found[plain]), strict=True)
                row[f"{clock}_over_plain"] = _quartiles([own / other for own, other in pairs])
        rows[name] = row
    return rows


def _quartiles(values: list[float]) -> list[float]:
    return statistics.quantiles(values, n=4, method="inclusive")


def compare(
    network: str, sparsities: list[float], seeds: list[int], epochs: int, end: int, keep: Callable
) -> None:
    """Accuracy of every arm at every sparsity."""
    for name, (side, arm) in {
        "tf_keras": (TF_KERAS, "plain"),
        "Keras": (KERAS, "plain"),
        **COMPARED,
    }.items():
        with worker(side) as one:
            for sparsity in (0.0,) if arm == "plain" else sparsities:
                for seed in seeds:
                    run = {"network": network, "arm": arm, "sparsity": sparsity, "seed": seed}
                    one.start("test", **run, epochs=epochs, end=end)
                    keep({**run, "arm": name, "asked": sparsity, **one.answer()})


def _versions_of_peers() -> dict[str, str]:
    names = ("tf_keras", "tensorflow-model-optimization")
    return {name: importlib.metadata.version(name) for name in names}


def _note(results: dict[str, Any], part: str, network: str) -> None:
    """Notes the command by which a part was measured."""
    words = [
        "FILE" if before == "--output" else word for before, word in itertools.pairwise(sys.argv)
    ]
    command = shlex.join(["python", "benchmarks/connection_pruning.py", *words])
    results.setdefault("commands", {}).setdefault(part, {})[network] = command


def main() -> None:
    """Measures, and writes the results down as they come."""
    parser = argparse.ArgumentParser(description="Connection pruning beside TF-MOT.")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs-timed", type=int, default=8)
    parser.add_argument("--sparsities", nargs="+", type=float, default=[0.8, 0.9, 0.95, 0.98])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--end", type=int, default=6)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    path = arguments.output
    results: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    results |= {
        "networks": NETWORKS,
        "batch_size": BATCH_SIZE,
        "learning_rate": LEARNING_RATE,
        "frequency": FREQUENCY,
        "machine": results_files.machine(),
        "versions": {**results_files.versions(), **_versions_of_peers()},
    }
    for network in arguments.networks:
        steps = len(load(network).x_train) // BATCH_SIZE
        if "times" in arguments.parts:
            times = time_steps(network, steps, arguments.rounds, arguments.epochs_timed)
            results.setdefault("times", {})[network] = times
            _note(results, "times", network)
            results_files.write(path, results)
        if "accuracy" in arguments.parts:
            runs: list[dict[str, Any]] = []
            course = {"epochs": arguments.epochs, "end": arguments.end, "frequency": FREQUENCY}
            course["runs"] = runs
            results.setdefault("accuracy", {})[network] = course
            _note(results, "accuracy", network)

            def keep(run: dict[str, Any], runs: list = runs) -> None:
                runs.append(run)
                results_files.write(path, results)

            course_of_each = (arguments.seeds, arguments.epochs, arguments.end)
            compare(network, arguments.sparsities, *course_of_each, keep)


if __name__ == "__main__":
    main()
