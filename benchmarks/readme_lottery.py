"""The part of the README on lottery tickets."""

from typing import Any

import numpy as np

MNIST = """LeNet-300-100 with ReLU and Glorot normal, Adam at {learning_rate}, {batch_size} images a
step, {iterations:,} steps a training, as Frankle and Carbin train it but for the steps (they take
50,000); 55,000 images train, 5,000 validate after every 100 steps.
`LotteryTicketCallback(18, {fraction}, scope="layer")` prunes a fifth of what is left of every
layer, a tenth of the output layer, and rewinds to the initial values, all in one `fit`. "Fresh
values": `ticket.reinitialized(model)`, the same masks, trained with `HoldMasksCallback`. "Early" is
the step of the lowest validation loss, at most {iterations:,}. Mean of {seeds} seeds, in brackets
the smallest and the greatest."""

FASHION = """784-300-150-10 with ReLU, SGD at {learning_rate}, {batch_size} images a step, {epochs}
epochs a training; 55,000 images train, 5,000 validate. As in the walk-through that the network is
taken from, only the two hidden layers are pruned. It deletes the hidden neurons whose bias is below
a threshold and reports 0.8594 before and 0.8554 after, at about half of the parameters, on the data
that it validates with; "neurons deleted by bias" does the same here, with the threshold at which at
most half of the parameters stay, the initial values of what stays, and another training.
Tickets: `LotteryTicketCallback({rounds}, {fraction}, layers=["hidden1", "hidden2"])`. "Half" is the
first ticket with at most half of the parameters; "smallest" the smallest one that validates no
worse than the whole network, both at the end of their training. Validation decides that, the test
set is told for these networks only. Parameters are kept connections, biases and the output
layer. Mean of {seeds} seeds, in brackets the smallest and the greatest."""


def lottery_lines(found: dict[str, Any]) -> list[str]:
    """What `lottery.json` says."""
    lines = ["", "## Lottery tickets"]
    for name, text, table in (("mnist", MNIST, _mnist), ("fashion_mnist", FASHION, _fashion)):
        if name in found:
            case = found[name]
            runs, versions = case["runs"], case["versions"]
            command = case["command"].replace("FILE", "benchmarks/results/lottery.json")
            about = text.format(**case["settings"], seeds=len(runs))
            lines += ["", f"`{command}`", "", about, "", *table(runs), ""]
            lines += [
                "Versions: " + ", ".join(f"{k} {one}" for k, one in versions.items()) + ".",
            ]
    return lines


def _mnist(runs: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| connections left, % | values | early, step | validation loss then | test accuracy then, "
        "% | test accuracy at the end, % |",
        "|---|---|---|---|---|---|",
    ]
    for rows in zip(*(run["rows"] for run in runs), strict=True):
        kind = {"ticket": "rewound", "reinitialized": "fresh"}[rows[0]["kind"]]
        cells = [
            f"{100 * rows[0]['left']:.1f}",
            kind if rows[0]["round"] else "whole network",
            _span([row["early_iteration"] for row in rows], ",.0f"),
            _span([row["early_validation_loss"] for row in rows], ".3f"),
            _span([100 * row["early_test"] for row in rows], ".2f"),
            _span([100 * row["test"] for row in rows], ".2f"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _fashion(runs: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| network | parameters | of the whole, % | validation accuracy, % | test accuracy, % |",
        "|---|---|---|---|---|",
    ]
    for rows in zip(*(run["rows"] for run in runs), strict=True):
        shares = [
            100 * row["parameters"] / run["rows"][0]["parameters"]
            for row, run in zip(rows, runs, strict=True)
        ]
        cells = [
            rows[0]["network"],
            _span([row["parameters"] for row in rows], ",.0f"),
            _span(shares, ".1f"),
            _span([100 * row["validation"] for row in rows], ".2f"),
            _span([100 * row["test"] for row in rows], ".2f"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _span(values: list[float], form: str) -> str:
    least, mean, most = (f"{one(values):{form}}" for one in (min, np.mean, max))
    return mean if least == most else f"{mean} ({least} to {most})"
