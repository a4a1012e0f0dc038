"""The section on layers in factors of the page that `make_readme.py` writes."""

from typing import Any

import numpy as np

PATH = "benchmarks/results/factorize.json"
TEXT = """`factorize(model, budget=share, ...)` by every method; with data, {examples} examples of
the training part. Then the last way is trained for {epochs} epochs with Adam: LeNet-5 (MNIST) on
the labels, ResNet-8 (MLPerf Tiny, 12,500 images of CIFAR-10) on what the whole network says of
flipped and shifted images. The dense layers of VGG16, for ten classes, read what ResNet-8 makes of
5,000 of these images, brought to 7 by 7 by 512 by a random layer; they are trained for as long as
their factors are afterwards. Median of the seeds, in brackets the smallest and the greatest; the
seed of ResNet-8 draws the examples only. Latency: LiteRT in float32, one thread, one example, the
files in turn, on a busy machine. Test images decided nothing."""
EXAMPLES = 512


def factorize_lines(found: dict[str, Any]) -> list[str]:
    """What `factorize.json` says."""
    networks = found["networks"]
    given = {name: networks[name] for name in ("LeNet-5", "ResNet-8", "VGG16") if name in networks}
    epochs = " and ".join(sorted({str(one["epochs"]) for one in given.values()}))
    lines = ["", "## Layers in factors", "", f"`{found['command'].replace('FILE', PATH)}`", ""]
    lines += [TEXT.format(examples=EXAMPLES, epochs=epochs), ""]
    heads = ["network", "share", "method", "parameters", "FLOPs", "validation, %", "test, %"]
    heads += ["trained: validation, %", "test, %", "latency, ms"]
    lines += [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for name, network in given.items():
        latency = network.get("latency_ms", {})
        lines.append(_row([name, "1", "whole"], network["whole"], latency.get("whole")))
        for share, ways in network["shares"].items():
            for way, runs in ways.items():
                tuned = latency.get(share) if "tuned" in runs[0] else None
                lines.append(_row([name, share, way], runs, tuned))
    if "search" in networks:
        lines += _search(networks["search"], found["search_settings"])
    versions = ", ".join(f"{name} {one}" for name, one in found["versions"].items())
    return [*lines, "", f"Versions: {versions}."]


def _row(names: list[str], runs: list[dict[str, Any]], latency: float | None) -> str:
    cells = [f"{int(np.median([one[key] for one in runs])):,}" for key in ("params", "flops")]
    tuned = [one["tuned"] for one in runs if "tuned" in one]
    for found in (runs, tuned):
        cells += [_spread(found, key) for key in ("validation", "test")]
    cells.append("-" if latency is None else f"{latency:.4f}")
    return f"| {' | '.join(names + cells)} |"


def _spread(runs: list[dict[str, Any]], name: str) -> str:
    values = [100 * run[name] for run in runs]
    if len(values) < 2:
        return f"{values[0]:.2f}" if values else "-"
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _search(runs: list[dict[str, Any]], settings: dict[str, Any]) -> list[str]:
    lines = [
        "",
        f"`RankReduceCallback` with {', '.join(f'{k}={v}' for k, v in settings.items())} of `fit`, "
        "on LeNet-5 at the highest ranks that save weights, but for its first and last layers:",
        "",
        "| seed | ranks found | parameters | FLOPs | validation, % | test, % | trials | epochs |",
        "|" + "---|" * 8,
    ]
    for one in runs:
        ranks = ", ".join(f"{name} {rank}" for name, rank in one["ranks"].items())
        cells = [str(one["seed"]), ranks, f"{one['params']:,}", f"{one['flops']:,}"]
        cells += [f"{100 * one[key]:.2f}" for key in ("validation", "test")]
        lines.append(f"| {' | '.join([*cells, str(one['trials']), str(one['epochs'])])} |")
    return lines
