"""The section on `compensate` of the page that `make_readme.py` writes."""

from typing import Any

import numpy as np

TEXT = """Half of every layer's units is cut at once, by
`prune(model, {amount:g}, scope="{scope}", ...)`, and nothing is trained after it. Scores on data
(`taylor`) and compensation see the same {examples:,} examples of the training part, other ones for
every seed; where the table says so, {fewer}. LeNet-5 (MNIST) is trained anew for every seed;
ResNet-8 is the one of MLPerf Tiny (12,500 images of CIFAR-10 to draw from, 2,500 validate, 3,000
test), for which the seed draws the examples only; it saw the validation images in its own training.
Median of {seeds} seeds, in brackets the smallest and the greatest. Test images decided nothing. By
validation accuracy, on two other LeNet-5s and on ResNet-8, it was chosen that `least_squares`
decides by cross-validation how far it holds weights to what they were (a small fixed amount did
worse with few examples, a large one loses even what other units can stand in for), and that `mean`
goes layer by layer (the means of the uncut network mostly did worse)."""

REMARK = """A constant (`mean`, `fold_constants`) is seldom enough: units behind ReLU are far from
constant. `mean` lessens the squared error of what each reader computes, and yet LeNet-5 loses
accuracy with it for two of the three criteria, and ResNet-8 stays near chance. The seconds were
taken on a busy machine."""


def compensation_lines(found: dict[str, Any]) -> list[str]:
    """What `compensation.json` says."""
    networks = found["networks"]
    seeds = len(networks["LeNet-5"]["uncut"])
    lines = [
        "",
        "## Right after a cut, with and without `compensate`",
        "",
        f"`{found['command'].replace('FILE', 'benchmarks/results/compensation.json')}`",
        "",
        TEXT.format(
            amount=found["amount"],
            scope=found["scope"],
            examples=found["examples"],
            fewer=found["fewer_examples"],
            seeds=seeds,
        ),
        "",
        "| network | criterion | given for removed units | validation accuracy, % | test, % | PR | "
        "FR | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, network in networks.items():
        uncut = network["uncut"]
        cells = [_spread(uncut, "validation", 100), _spread(uncut, "test", 100)]
        lines.append(f"| {name} | uncut | - | {' | '.join(cells)} | 1 | 1 | - |")
        for criterion, treatments in network["cuts"].items():
            for treatment, runs in treatments.items():
                lines.append(f"| {name} | {criterion} | {treatment} | {_cells(runs)} |")
    lines += [
        "",
        REMARK,
        "",
        "Versions: " + ", ".join(f"{name} {one}" for name, one in found["versions"].items()) + ".",
    ]
    return lines


def _cells(runs: list[dict[str, Any]]) -> str:
    done = [run for run in runs if "refused" not in run]
    if not done:
        return "refused | | | | "
    cells = [_spread(done, "validation", 100), _spread(done, "test", 100)]
    for name in ("params_ratio", "flops_ratio", "seconds"):
        cells.append(f"{np.median([run[name] for run in done]):.2f}")
    return " | ".join(cells)


def _spread(runs: list[dict[str, Any]], name: str, factor: float) -> str:
    values = [factor * run[name] for run in runs]
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
