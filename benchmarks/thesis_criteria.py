"""Chapter 4 of the thesis: how much of one layer goes before a point of accuracy is lost.

One layer at a time, of a trained network, connections (tables 4.3 and 4.4) or units (4.5 and 4.6),
without retraining and with it. Validation accuracy decides; test data are not looked at. Rankings
look at examples of the training part. Results are written after every cell of a table; cells that a
file holds already are left as they are, unless `--again` is given.

    python benchmarks/thesis_criteria.py --base DIR --output benchmarks/results/thesis_criteria.json
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import results_files
from prunable_share import EPS, Bench, connections, units
from prunable_share_retrained import retrained_connections, retrained_units

from keras_snare.masking import kernels_of

NETWORKS = {"LeNet-5": "lenet_5", "LeNet-300-100": "lenet_300_100", "UCI Custom": "uci_custom"}
CONNECTIONS = ("taylor", "magnitude", "obd", "random")
UNITS = ("taylor", "similarity", "activation", "random", "l1_in", "l1_out", "l1_both")


def run(
    name: str, seed: int, arguments: argparse.Namespace, entry: dict[str, Any]
) -> Iterator[None]:
    """Measures one network, by all criteria or by some, and enters cell by cell.

    Args:
        name: of the network.
        seed: of its training.
        arguments: what the command line said.
        entry: what is known of the network, which is completed.
    """
    bench = Bench(NETWORKS[name], seed, arguments.base)
    layers = [one.layer for one in kernels_of(bench.model)]
    groups = bench.groups.prunable()
    entry |= {"data": bench.data.source, "validation": bench.reference}
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
    for table in arguments.tables:
        for layer, criterion, measure, what, *whole in jobs[table]:
            if arguments.criteria is not None and criterion not in arguments.criteria:
                continue
            known = entry.get(table, {}).get("layers", {}).get(layer, {})
            if criterion in known and not arguments.again:
                continue
            start = time.perf_counter()
            keras.utils.set_random_seed(seed)
            found = measure(bench, what, criterion, *whole)
            found["seconds"] = round(time.perf_counter() - start, 1)
            print(name, seed, table, layer, criterion, found["share"], found["seconds"], flush=True)
            _enter(entry, table, layer, criterion, found, _command(name, arguments))
            yield


def _drawn(layer: str, criterion: str) -> bool:
    return layer == "conv5" or criterion == "taylor"


def _command(name: str, arguments: argparse.Namespace) -> str:
    words = ["python", "benchmarks/thesis_criteria.py", "--base", "DIR", "--output", "FILE"]
    words += ["--networks", name, "--tables", *arguments.tables]
    if arguments.criteria is not None:
        words += ["--criteria", *arguments.criteria]
    return results_files.command(*words, "--seeds", *map(str, arguments.seeds))


def _enter(
    entry: dict[str, Any], table: str, layer: str, criterion: str, found: Any, command: str
) -> None:
    """Puts a cell into the results of a network; what another command measured, it says."""
    told = {"eps": EPS, "command": command, "versions": results_files.versions()}
    known = entry.setdefault(table, {"layers": {}, **told})
    known["layers"].setdefault(layer, {})[criterion] = found
    if any(known[key] != told[key] for key in told):
        known.setdefault("again", {})[criterion] = told


def main() -> None:
    """Measures the tables named on the command line and adds them to the results."""
    parser = argparse.ArgumentParser(description="Chapter 4 of the thesis.")
    parser.add_argument("--base", type=Path, required=True, help="folder of trained base networks")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--tables", nargs="+", default=["connections", "units"])
    parser.add_argument("--criteria", nargs="+", help="all of a table, if left out")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--again", action="store_true", help="measure what is known once more")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    for name in arguments.networks:
        for seed in arguments.seeds:
            known = json.loads(arguments.output.read_text()) if arguments.output.is_file() else {}
            entry = known.setdefault(name, {}).setdefault(str(seed), {})
            for _ in run(name, seed, arguments, entry):
                results_files.write(arguments.output, known)


if __name__ == "__main__":
    main()
