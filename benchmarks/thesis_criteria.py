"""Chapter 4 of the thesis: how much of one layer goes before a point of accuracy is lost.

One layer at a time, of a trained network, connections (tables 4.3 and 4.4) or units (4.5 and 4.6),
without retraining and with it. Validation accuracy decides; test data are not looked at. Rankings
look at examples of the training part.

    python benchmarks/thesis_criteria.py --base DIR --output benchmarks/results/thesis_criteria.json
"""

import argparse
import json
import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import results_files
from base_training import BASE_NETWORKS, train_base
from thesis_snare import THREADS

import keras_snare
from keras_snare.criteria import get_criterion, score_groups, statistics
from keras_snare.graph import READER, ChannelGroup, channel_groups
from keras_snare.masking import ConnectionPruner, Masks, get_connection_criterion, kernels_of
from keras_snare.policy import lowest
from keras_snare.surgery.merging import merged

EPS = 0.01
NETWORKS = {"LeNet-5": "lenet_5", "LeNet-300-100": "lenet_300_100", "UCI Custom": "uci_custom"}
CONNECTIONS = ("taylor", "magnitude", "obd", "random")
UNITS = ("taylor", "similarity", "activation", "random", "l1_in", "l1_out", "l1_both")
RETRAIN_EPOCHS = 5
EXAMPLES = 2048


class Bench:
    """A trained network, and its accuracy with some of its weights set to zero.

    Args:
        name: A key of `NETWORKS`.
        seed: Seed of the base network.
        directory: Folder of trained base networks.
    """

    def __init__(self, name: str, seed: int, directory: Path):
        self.base = BASE_NETWORKS[NETWORKS[name]]
        self.path = train_base(NETWORKS[name], seed, directory)
        self.data = self.base.load()
        self.model = self.fresh()
        self.groups = channel_groups(self.model)
        random = np.random.default_rng(seed)
        some = random.choice(len(self.data.x_train), min(EXAMPLES, len(self.data.x_train)), False)
        self.scoring = (self.data.x_train[some], self.data.y_train[some])
        self.weights = self.model.get_weights()
        self.reference = self.accuracy()

    def fresh(self) -> keras.Model:
        """The base network, compiled with its optimizer."""
        return keras.models.load_model(self.path)

    def accuracy(self, model: Any = None) -> float:
        """Accuracy on the validation part."""
        found = (model or self.model).evaluate(
            self.data.x_validation,
            self.data.y_validation,
            batch_size=1000,
            verbose=0,
            return_dict=True,
        )
        return found["accuracy"]

    def put_back(self) -> None:
        """Undoes what was set to zero."""
        self.model.set_weights(self.weights)


def largest(passes: Callable[[int], bool], end: int, coarse: int) -> int:
    """Returns the largest number before the first that does not pass, by steps of two sizes.

    Args:
        passes: Whether a number passes; 0 does.
        end: The first number that is not asked for.
        coarse: The larger step; the smaller one is 1.
    """
    last = 0
    for step in dict.fromkeys((coarse, 1)):
        while last + step < end and passes(last + step):
            last += step
    return last


def connections(bench: Bench, layer: str, name: str, whole: bool) -> dict[str, Any]:
    """Prunes the connections of one layer by one ranking, without retraining."""
    bench.put_back()
    (kernel,) = kernels_of(bench.model, layer)
    criterion = get_connection_criterion(name)
    data = bench.scoring if criterion.needs != "weights" else None
    pruner = ConnectionPruner(bench.model, criterion, layers=layer, data=data)
    order = np.argsort(pruner.scores()[kernel.name].reshape(-1), kind="stable")
    values = keras.ops.convert_to_numpy(kernel.variable)

    def accuracy(share: float) -> float:
        left = values.reshape(-1).copy()
        left[order[: round(share * len(order))]] = 0
        kernel.variable.assign(left.reshape(values.shape))
        return bench.accuracy()

    found = largest(lambda mille: bench.reference - accuracy(mille / 1000) < EPS, 1000, 50)
    course = [accuracy(percent / 100) for percent in range(0, 101, 2)] if whole else []
    bench.put_back()
    return {"share": found / 1000, "course": course}


def units(bench: Bench, group: ChannelGroup, name: str, whole: bool) -> dict[str, Any]:
    """Removes units of one layer, the lowest first, by silencing them in their readers."""
    bench.put_back()
    criterion, found = get_criterion(name), None
    if criterion.needs != "weights":
        found = statistics(bench.model, bench.groups, [group], criterion, bench.scoring)
    scores = score_groups([group], criterion, found)[group.name]

    def accuracy(count: int) -> float:
        bench.put_back()
        removed = lowest(group, scores, count)
        twins = keras_snare.criteria.twins_of([group], criterion, removed)
        for variable, value in merged(bench.groups, twins):
            variable.assign_add(value)
        for member in group.with_role(READER):
            gone = ~bench.groups.kept(member.binding.labels, removed)
            value = np.array(keras.ops.convert_to_numpy(member.binding.variable))
            np.moveaxis(value, member.binding.axis, 0)[gone] = 0
            member.binding.variable.assign(value)
        return bench.accuracy()

    share = largest(
        lambda count: bench.reference - accuracy(count) < EPS,
        group.removable + 1,
        max(1, group.width // 20),
    )
    course = [accuracy(count) for count in range(group.removable + 1)] if whole else []
    bench.put_back()
    return {"share": share / group.width, "course": course}


def retrained(bench: Bench, cut: Callable[[Any, float], list], shares: list[float]) -> dict:
    """Prunes one layer further and further, retraining in between, as far as the accuracy returns.

    Args:
        bench: The network.
        cut: Prunes a model up to a share and returns callbacks that hold what it did.
        shares: To be tried in this order; the first that fails ends it.
    """
    model, last, epochs = bench.fresh(), 0.0, 0
    for share in shares:
        callbacks = cut(model, share)
        back = _Back(bench.reference)
        history = model.fit(
            bench.data.x_train,
            bench.data.y_train,
            batch_size=bench.base.recipe.batch_size,
            epochs=RETRAIN_EPOCHS,
            validation_data=(bench.data.x_validation, bench.data.y_validation),
            callbacks=[*callbacks, back],
            verbose=0,
        )
        epochs += len(history.epoch)
        if not back.found:
            break
        last = share
    return {"share": last, "epochs": epochs}


class _Back(keras.callbacks.Callback):
    """Ends a training when the accuracy is back within a point."""

    def __init__(self, reference: float):
        super().__init__()
        self.reference = reference
        self.found = False

    def on_epoch_end(self, epoch, logs=None):
        self.found = self.reference - (logs or {})["val_accuracy"] < EPS
        self.model.stop_training = self.found


def retrained_connections(bench: Bench, layer: str, name: str) -> dict[str, Any]:
    """Table 4.4: the share of what is left that goes grows from step to step."""
    criterion = get_connection_criterion(name)
    data = bench.scoring if criterion.needs != "weights" else None
    size = kernels_of(bench.model, layer)[0].size
    left = [0.3, 0.15, 0.07, 0.05, 0.035, 0.025, 0.018, 0.013, 0.009, 0.006, 0.004]

    def cut(model, share: float) -> list:
        before = Masks.of(model, layer)
        prune = keras_snare.MagnitudePruneCallback(
            share,
            schedule="one_shot",
            criterion=name,
            layers=layer,
            scoring_data=data,
            initial_masks=before,
        )
        return [prune]

    return retrained(bench, cut, [1 - one for one in left if one * size >= 1])


def retrained_units(bench: Bench, group: ChannelGroup, name: str) -> dict[str, Any]:
    """Table 4.6: units go for real, a sixth of what the layer has, and at least one, at a time."""
    width, counts = group.width, []
    while width > 1:
        width -= max(1, width // 6)
        counts.append(group.width - width)

    def cut(model, share: float) -> list:
        groups = channel_groups(model)
        width = groups[group.name].width
        goes = 1 - (1 - share) * group.width / width
        keras_snare.prune(
            model, goes + 1e-6, criterion=name, scope="local", layers=group.name, data=bench.scoring
        )
        return []

    return retrained(bench, cut, [count / group.width for count in counts])


def run(name: str, seed: int, directory: Path, tables: list[str]) -> dict[str, Any]:
    """Measures one network."""
    bench = Bench(name, seed, directory)
    layers = [one.layer for one in kernels_of(bench.model)]
    groups = bench.groups.prunable()
    results: dict[str, Any] = {"data": bench.data.source, "validation": bench.reference}
    jobs: dict[str, list] = {
        "connections": [
            (layer, one, connections, layer, name == "LeNet-5")
            for layer in layers
            for one in CONNECTIONS
        ],
        "units": [
            (group.name, one, units, group, name == "UCI Custom" and _drawn(group.name, one))
            for group in groups
            for one in UNITS
        ],
        "connections, retrained": [
            (layer, one, retrained_connections, layer) for layer in layers for one in CONNECTIONS
        ],
        "units, retrained": [
            (group.name, one, retrained_units, group) for group in groups for one in UNITS
        ],
    }
    for table in tables:
        for layer, criterion, measure, what, *whole in jobs[table]:
            start = time.perf_counter()
            keras.utils.set_random_seed(seed)
            found = measure(bench, what, criterion, *whole)
            found["seconds"] = round(time.perf_counter() - start, 1)
            results.setdefault(table, {}).setdefault(layer, {})[criterion] = found
            print(name, seed, table, layer, criterion, found["share"], found["seconds"], flush=True)
    return results


def _drawn(layer: str, criterion: str) -> bool:
    return layer == "conv5" or criterion == "taylor"


def _command(name: str, arguments: argparse.Namespace) -> str:
    words = ["python", "benchmarks/thesis_criteria.py", "--base", "DIR", "--output", "FILE"]
    threads = [f"{one}={os.environ[one]}" for one in THREADS if one in os.environ]
    seeds = map(str, arguments.seeds)
    return shlex.join(
        [*threads, *words, "--networks", name, "--tables", *arguments.tables, "--seeds", *seeds]
    )


def main() -> None:
    """Measures the tables named on the command line and adds them to the results."""
    parser = argparse.ArgumentParser(description="Chapter 4 of the thesis.")
    parser.add_argument("--base", type=Path, required=True, help="folder of trained base networks")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--tables", nargs="+", default=["connections", "units"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    for name in arguments.networks:
        for seed in arguments.seeds:
            found = run(name, seed, arguments.base, arguments.tables)
            known = json.loads(arguments.output.read_text()) if arguments.output.is_file() else {}
            entry = known.setdefault(name, {}).setdefault(str(seed), {})
            for table in arguments.tables:
                entry[table] = {
                    "layers": found.pop(table),
                    "eps": EPS,
                    "command": _command(name, arguments),
                    "versions": results_files.versions(),
                }
            entry.update(found)
            results_files.write(arguments.output, known)


if __name__ == "__main__":
    main()
