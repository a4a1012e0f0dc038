"""Trials at once: what workers save, simulated for 1 to 256 of them, and measured for 1 and 2.

`replayed` takes the searches of `thesis_snare.json`, trial by trial, with their epochs and the
seconds that an epoch took. What `compress(engine="ray")` does with workers is exactly known from
these: it makes the same trials. `ways` compares that with two other ways to go on with trials that
are under way when an earlier one is accepted, which make other trials. There the verdicts come from
an assumption: a trial is accepted where no layer becomes narrower than the measured search left it.

    drop    they are ended, and the search is that of one process (what the library does)
    keep    those that were rejected meanwhile count as rejected
    unite   those that were accepted meanwhile are cut too, in one trial more that is retrained;
            those that were rejected count as rejected

`measured` runs LeNet-5 with Ray, with one and with two workers of a processor each.

    python benchmarks/speculation.py --base DIR --output benchmarks/results/speculation.json
"""

import argparse
import copy
import functools
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import networks
import numpy as np
import results_files
from base_training import BASE_NETWORKS, train_base

import keras_snare
from keras_snare.graph import channel_groups, group_sizes, model_cost
from keras_snare.policy import Proposal, SnarePolicy
from keras_snare.records import GroupSize

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
WAYS = ("drop", "keep", "unite")
DRAWS = 5
NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "LeNet-5": networks.lenet_5,
    "UCI Custom": networks.uci_custom,
    "LeNet-300-100, hidden units": networks.lenet_300_100,
}
SEARCH: dict[str, Any] = {"eps": 0.005, "retrain_epochs": 4, "max_trials": 10, "seed": 0}
SOURCE = Path(__file__).parent / "results" / "thesis_snare.json"


def seconds_of(run: dict[str, Any]) -> list[float]:
    """How long each trial took; one without retraining takes up the time of a tenth of an epoch."""
    epoch = run["seconds"] / run["epochs"]
    return [epoch * max(row["epochs"], 0.1) for row in run["rows"]]


def ends(seconds: list[float], workers: int) -> list[float]:
    """When each trial is made, if they are begun in order as soon as a worker is free."""
    free, found = [0.0] * workers, []
    for one in seconds:
        at = min(range(workers), key=free.__getitem__)
        free[at] += one
        found.append(free[at])
    return found


def replayed(run: dict[str, Any], workers: int) -> float:
    """The seconds of a measured search with workers: up to an accepted trial, at once."""
    total, at_once = 0.0, list[float]()
    for row, seconds in zip(run["rows"], seconds_of(run), strict=True):
        at_once.append(seconds)
        if row["accepted"]:
            total += max(ends(at_once, workers))
            at_once = []
    return total + max(ends(at_once, workers), default=0.0)


class Assumed:
    """A network of which it is assumed how narrow its layers may become.

    Args:
        name: of the network.
        run: a measured search on it.
        seed: int, of the epochs that accepted trials are drawn to take.
    """

    def __init__(self, name: str, run: dict[str, Any], seed: int):
        self.name = name
        self.limits = run["widths"]
        accepted = [row["epochs"] for row in run["rows"] if row["accepted"]]
        self.draw = lambda: draws.choice(accepted)
        self.longest = max(row["epochs"] for row in run["rows"])
        draws = random.Random(seed)
        self.widths: dict[str, int] = {}
        self.widths = {name: size.width for name, size in self.sizes()[0].items()}

    def sizes(self) -> tuple[dict[str, GroupSize], GroupSize]:
        """What a policy knows of the network as it is."""
        return sizes_of(self.name, tuple(self.widths.items()))

    def trial(self, cuts: dict[str, int]) -> tuple[bool, float]:
        """Whether cuts are accepted, and after how many epochs."""
        passed = all(self.widths[name] - cut >= self.limits[name] for name, cut in cuts.items())
        return passed, self.draw() + 0.1 if passed else self.longest

    def cut(self, cuts: dict[str, int]) -> None:
        """Makes cuts for good."""
        for name, cut in cuts.items():
            self.widths[name] -= cut


def with_widths(model: keras.Model, widths: dict[str, int]) -> keras.Model:
    """The same model with other widths."""
    config = model.get_config()
    for layer in config["layers"]:
        settings = layer["config"]
        layer.pop("build_config", None)
        if settings["name"] in widths:
            settings["filters" if "filters" in settings else "units"] = widths[settings["name"]]
    return type(model).from_config(config)


@functools.cache
def sizes_of(name: str, widths: tuple[tuple[str, int], ...]) -> Any:
    """What a policy knows of a network with these widths."""
    groups = channel_groups(with_widths(NETWORKS[name](), dict(widths)))
    cost = model_cost(groups)
    sizes = {group.name: group_sizes(groups)[group.name] for group in groups.prunable()}
    return sizes, GroupSize(sum(one.width for one in groups), cost.params, cost.flops)


def chain(policy: SnarePolicy, sizes: Any, most: int) -> list[Proposal]:
    """The trials of a network, each as if those before it were rejected."""
    ahead, found = copy.deepcopy(policy), list[Proposal]()
    while len(found) < most and (proposal := ahead.propose(*sizes)) is not None:
        found.append(proposal)
        ahead.reject()
    return found


def settle(policy: SnarePolicy, sizes: Any, rejected: int, accepted: bool) -> None:
    """Tells the policy its next verdicts."""
    for _ in range(rejected):
        policy.propose(*sizes)
        policy.reject()
    if accepted:
        policy.propose(*sizes)
        policy.accept()


def simulated(network: Assumed, workers: int, way: str) -> float:
    """The epochs that a search takes from its beginning to its end."""
    policy, total = SnarePolicy(), 0.0
    while True:
        sizes = network.sizes()
        proposals = chain(policy, sizes, 4 * workers)
        if not proposals:
            return total
        trials = [network.trial({one.layer: one.remove}) for one in proposals]
        made = ends([epochs for _, epochs in trials], workers)
        first = next((at for at, (passed, _) in enumerate(trials) if passed), None)
        if first is None:
            settle(policy, sizes, len(trials), accepted=False)
            total += max(made)
            continue
        now = max(made[: first + 1])
        settle(policy, sizes, first, accepted=True)
        cuts = {proposals[first].layer: proposals[first].remove}
        later = [at for at in range(first + 1, len(trials)) if made[at] <= now]
        if way == "unite":
            for at in later:
                if trials[at][0]:
                    cuts.setdefault(proposals[at].layer, proposals[at].remove)
        if way != "drop":
            for at in later:
                one = proposals[at]
                if not trials[at][0] and one.layer not in cuts:
                    policy.steps[one.layer] = min(policy.steps[one.layer], one.share / 2)
        total += now + (network.trial(cuts)[1] if len(cuts) > 1 else 0.0)
        network.cut(cuts)


def compared(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """How many times faster each way is than one worker, by workers; the mean of all draws."""
    found: dict[str, Any] = {}
    for way in WAYS:
        epochs = {
            workers: np.mean(
                [
                    simulated(Assumed(name, run, seed), workers, way)
                    for run in runs
                    for seed in range(DRAWS)
                ]
            )
            for workers in WORKERS
        }
        found[way] = {str(workers): float(epochs[1] / one) for workers, one in epochs.items()}
        print(name, way, found[way], flush=True)
    return found


def measured(directory: Path) -> list[dict[str, Any]]:
    """LeNet-5 with Ray, whose start is told apart."""
    base, found = BASE_NETWORKS["lenet_5"], []
    data, path = base.load(), train_base("lenet_5", 0, directory)
    for workers in (1, 2):
        model = keras.models.load_model(path)
        start = time.perf_counter()
        _, report = keras_snare.compress(
            model,
            (data.x_train, data.y_train),
            (data.x_validation, data.y_validation),
            batch_size=base.recipe.batch_size,
            engine="ray",
            workers=workers,
            verbose=0,
            early_rejection=False,
            **SEARCH,
        )
        found.append(
            {
                "workers": workers,
                "seconds": round(time.perf_counter() - start, 1),
                "trials": len(report.rows),
                "accepted": report.accepted,
                "retraining_epochs": report.retraining_epochs,
                "params": report.params_after,
                "metrics": [row.metric for row in report.rows],
            }
        )
        print(found[-1], flush=True)
    return found


def main() -> None:
    """Simulates and measures, and writes the results after each step."""
    parser = argparse.ArgumentParser(description="Trials at once.")
    parser.add_argument("--base", type=Path, help="folder of trained base networks")
    parser.add_argument("--parts", nargs="+", default=["replayed", "ways", "measured"])
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    path = arguments.output
    results = json.loads(path.read_text()) if path.is_file() else {}
    words = ["python", "benchmarks/speculation.py", "--base", "DIR", "--output", "FILE"]
    results |= {
        "command": results_files.command(*words),
        "machine": results_files.machine(),
        "versions": results_files.versions(),
    }
    cases = {name: one["runs"] for name, one in json.loads(SOURCE.read_text()).items()}
    if "replayed" in arguments.parts:
        results["replayed"] = {
            name: [
                {str(workers): replayed(run, 1) / replayed(run, workers) for workers in WORKERS}
                for run in runs
            ]
            for name, runs in cases.items()
        }
        results_files.write(path, results)
    if "ways" in arguments.parts:
        results["ways"] = {name: compared(name, cases[name]) for name in NETWORKS}
        results_files.write(path, results)
    if "measured" in arguments.parts:
        results["search"] = SEARCH
        results["measured"] = measured(arguments.base)
        results_files.write(path, results)


if __name__ == "__main__":
    main()
