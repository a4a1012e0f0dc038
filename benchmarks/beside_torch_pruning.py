"""Graph analysis and one cut of ResNet50, beside Torch-Pruning in the same run.

python benchmarks/beside_torch_pruning.py --output benchmarks/results/torch_pruning.json

Needs torch and torch-pruning, in this interpreter or in the one that `--torch-python` names. Each
library runs in a process of its own, and the two take turns: one waits while the other measures.
"""

import argparse
import gc
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from timing import clocked, timed

REPEATS = 5
# With more, torch's threads wait for each other at every operation, and many times as long when
# another process holds a core.
THREADS = 1
NETWORK = "ResNet50, 224x224x3, 1000 classes, random weights, no optimizer"
# Per row of the table what is done, and what the seconds of each library cover.
ROWS = {
    "graph": (
        "analysis of the graph",
        "`DependencyGraph().build_dependency(model, inputs)`, with a forward pass of one image",
        "`channel_groups(model)`",
    ),
    "groups": (
        "analysis, up to the list of groups",
        "`build_dependency` and `list(get_all_groups())`",
        "`channel_groups(model)`, the same time as above",
    ),
    "cut": (
        "analysis and cut of a given half of every group",
        "`build_dependency`, `get_all_groups` and `group.prune(half)` for each group",
        "`shrink(model, plan)`: analysis, checks of the plan, snapshot for undoing, surgery",
    ),
    "step": (
        "half of every group ranked and cut, after the analysis",
        "`pruner.step()`: groups listed, scores, choice, surgery",
        "what `prune` does between its two analyses: scores, choice, snapshot, surgery",
    ),
    "scores": (
        "of this, scores",
        "`MagnitudeImportance(p=1)`: weights of producers, normalisations and readers",
        "`l1_in`: weights of producers",
    ),
    "surgery": (
        "of this, surgery",
        "`group.prune()` of what `pruner.step(interactive=True)` gives",
        "snapshot for undoing, and surgery",
    ),
    "whole": (
        "analysis, ranking and cut of half of every group",
        "`BasePruner(model, inputs, MagnitudeImportance(p=1), pruning_ratio=0.5, ...)` and "
        "`pruner.step()`",
        "`prune(model, 0.5, criterion='l1_in', scope='local')`, with a second analysis and the "
        "FLOPs before and after for its report",
    ),
}


def _repeat(network: Callable, count: Callable, parts: Iterable[Callable]) -> dict[str, Any]:
    """Runs every part on a fresh model; tells the seconds, and the parameters before and after."""
    seconds: dict[str, float] = {}
    params = []
    for part in parts:
        model = network()
        before = count(model)
        seconds |= part(model)
        params.append((before, count(model)))
    return {"seconds": seconds, "params": params}


def torch_pruning_side() -> Iterator[dict[str, Any]]:
    """Gives the versions, then as many repeats as asked for."""
    import torch
    import torch_networks
    import torch_pruning as tp

    torch.set_num_threads(THREADS)
    torch.set_num_interop_threads(THREADS)
    yield {
        "python": platform.python_version(),
        "torch": torch.__version__,
        # The version that `torch_pruning` itself tells may be that of an earlier release.
        "torch_pruning": importlib.metadata.version("torch-pruning"),
    }
    # In a tuple: a bare tensor is first taken for a list of images, and that call fails.
    inputs = (torch.zeros(1, 3, 224, 224),)

    def pruner(model, importance):
        return tp.pruner.BasePruner(
            model, inputs, importance, pruning_ratio=0.5, ignored_layers=[model.fc]
        )

    def given_half(model) -> dict[str, float]:
        graph, analysis = timed(lambda: tp.DependencyGraph().build_dependency(model, inputs))
        groups, listing = timed(lambda: list(graph.get_all_groups(ignored_layers=[model.fc])))
        widths = [len(group[0].idxs) for group in groups]

        def cut() -> None:
            for group, width in zip(groups, widths, strict=True):
                group.prune(range((width + 1) // 2, width))

        listed = analysis + listing
        return {"graph": analysis, "groups": listed, "cut": listed + timed(cut)[1]}

    def ranked_half(model) -> dict[str, float]:
        own, building = timed(lambda: pruner(model, tp.importance.MagnitudeImportance(p=1)))
        _, stepping = timed(own.step)
        return {"step": stepping, "whole": building + stepping}

    def parts(model) -> dict[str, float]:
        magnitude = tp.importance.MagnitudeImportance(p=1)
        seconds = {"scores": 0.0, "surgery": 0.0}

        def importance(group):
            scores, scoring = clocked(lambda: magnitude(group))
            seconds["scores"] += scoring
            return scores

        own = pruner(model, importance)
        gc.collect()
        for group in own.step(interactive=True):
            seconds["surgery"] += clocked(group.prune)[1]
        return seconds

    while True:
        yield _repeat(
            torch_networks.resnet50, torch_networks.count_params, (given_half, ranked_half, parts)
        )


def keras_snare_side() -> Iterator[dict[str, Any]]:
    """Gives the version, then as many repeats as asked for."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    import keras

    import keras_snare
    from keras_snare.criteria import get_criterion, score_groups
    from keras_snare.policy import one_shot
    from keras_snare.surgery import remove

    yield {"keras_snare": keras_snare.__version__}

    def resnet50():
        return keras.applications.ResNet50(weights=None)

    chosen = keras_snare.channel_groups(resnet50()).prunable()
    half = {group.name: range((group.width + 1) // 2) for group in chosen}

    def given_half(model) -> dict[str, float]:
        return {"cut": timed(lambda: keras_snare.shrink(model, half))[1]}

    def ranked_half(model) -> dict[str, float]:
        arguments = {"criterion": "l1_in", "scope": "local"}
        return {"whole": timed(lambda: keras_snare.prune(model, 0.5, **arguments))[1]}

    def parts(model) -> dict[str, float]:
        groups, analysis = timed(lambda: keras_snare.channel_groups(model))
        chosen = groups.prunable()
        scores, scoring = timed(lambda: score_groups(chosen, get_criterion("l1_in")))
        removed, choice = timed(lambda: one_shot(chosen, scores, 0.5, "local"))
        _, surgery = timed(lambda: remove(model, groups, removed))
        seconds = {"graph": analysis, "groups": analysis, "scores": scoring, "surgery": surgery}
        return {**seconds, "step": scoring + choice + surgery}

    while True:
        yield _repeat(resnet50, keras.Model.count_params, (given_half, ranked_half, parts))


SIDES = {"torch_pruning": torch_pruning_side, "keras_snare": keras_snare_side}

_INSTALL = {
    "torch_pruning": "Torch-Pruning's side needs torch and torch-pruning. Run `pip install torch "
    "torch-pruning`, or name an interpreter that has them with --torch-python.",
    "keras_snare": "keras_snare's side needs the package. Run `pip install -e .` in the root.",
}


def work(side: str) -> None:
    """Says its versions, then answers each line on standard input with one repeat."""
    answers = SIDES[side]()
    try:
        print(json.dumps(next(answers)), flush=True)
    except ImportError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    for _ in sys.stdin:
        print(json.dumps(next(answers)), flush=True)


@contextmanager
def _worker(side: str, python: str) -> Iterator[tuple[dict, Callable[[], dict]]]:
    """A library's process: its versions, and a function that has it measure once."""
    command = [python, __file__, "--side", side]
    environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "TF_CPP_MIN_LOG_LEVEL": "3"}
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
    except OSError as error:
        raise SystemExit(
            f"--torch-python takes the path of a Python interpreter. Received: {python} ({error})."
        ) from None

    def answer() -> dict:
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"The process that measures {side} has failed; its error is above.")
        return json.loads(line)

    def measure() -> dict:
        process.stdin.write("\n")
        process.stdin.flush()
        return answer()

    with process:
        versions = answer()
        if "error" in versions:
            raise SystemExit(f"{_INSTALL[side]} Received: {versions['error']}.")
        yield versions, measure


def compare(torch_python: str) -> dict[str, Any]:
    """Both libraries in turn, a round to warm up first."""
    pythons = {"torch_pruning": torch_python, "keras_snare": sys.executable}
    rounds: dict[str, list[dict]] = {side: [] for side in pythons}
    with ExitStack() as stack:
        workers = {
            side: stack.enter_context(_worker(side, python)) for side, python in pythons.items()
        }
        for _ in range(REPEATS + 1):
            for side, (_, measure) in workers.items():
                rounds[side].append(measure())
    params = {tuple(pair) for found in rounds.values() for one in found for pair in one["params"]}
    if len(params) > 1:
        raise SystemExit(f"Not all cuts are the same. Parameters before and after: {params}.")
    before, after = params.pop()
    return {
        "network": NETWORK,
        "params_before": before,
        "params_after": after,
        "threads": THREADS,
        "rows": {key: _row(key, rounds) for key in ROWS},
        "versions_torch_pruning": workers["torch_pruning"][0],
    }


def _row(key: str, rounds: dict[str, list[dict]]) -> dict[str, Any]:
    what, *covers = ROWS[key]
    row: dict[str, Any] = {"what": what}
    for (side, found), covered in zip(rounds.items(), covers, strict=True):
        seconds = [one["seconds"][key] for one in found[1:]]
        row[side] = {"covers": covered, "median": statistics.median(seconds), "seconds": seconds}
    return row


def main() -> None:
    """Measures both sides and writes the result down."""
    parser = argparse.ArgumentParser(description="ResNet50 beside Torch-Pruning.")
    parser.add_argument("--torch-python", default=sys.executable, metavar="PATH")
    aim = parser.add_mutually_exclusive_group(required=True)
    aim.add_argument("--output", type=Path)
    aim.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side is not None:
        work(arguments.side)
        return
    results = compare(arguments.torch_python)
    import results_files  # It imports Keras, which the interpreter for torch need not have.

    results |= {
        "command": "python benchmarks/beside_torch_pruning.py --output FILE",
        "machine": results_files.machine(),
        "versions": results_files.versions(),
    }
    results_files.write(arguments.output, results)
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
