"""The section on 8-bit integers of the page that `make_readme.py` writes."""

from typing import Any

AFTER, AWARE = "int8 after training", "int8 in training, "
LIMIT = 0.3
# Accuracies are whole numbers of images, and their differences lie on the limit at times.
ROUNDING = 1e-9

TEXT = """Each network is trained in float, then for {epochs} epochs more from the same weights, on
the same batches and with the same falling learning rate: in float, with TF-MOT's quantization in
the same `fit` (`QuantizeAwareCallback`), and with that of Keras alone (`engine="keras"`). What went
on in float is written by `to_litert`, as it is and in integers, with ranges from 256 validation
images. Accuracy is that of the files in LiteRT's interpreter, per cent, seed by seed; nothing was
chosen by it. "From float" is the mean over the seeds of the difference from the float file of the
same seed, in points. Seconds are those of the last epochs, of whatever makes the file ready, and of
trying it beforehand."""


def quantization_lines(found: dict[str, Any]) -> list[str]:
    """What `quantization.json` says."""
    lines = ["", "## 8-bit integers", ""]
    epochs = sorted({case["epochs"] for case in found.values()})
    lines += [TEXT.format(epochs=" or ".join(map(str, epochs)))]
    for name, case in found.items():
        command = case["command"].replace("FILE", "benchmarks/results/quantization.json")
        parameters = case["runs"][0]["parameters"]
        lines += [
            "",
            f"{name}, {parameters:,} parameters, {case['epochs']} epochs: `{command}`",
            "",
            "| file | test | median | from float | validation | bytes | seconds |",
            "|" + "---|" * 7,
        ]
        lines += [_row(row, case) for row in case["median"]]
    lines += ["", _conclusion(found)]
    versions = next(iter(found.values()))["versions"]
    told = ", ".join(f"{name} {one}" for name, one in versions.items())
    return [*lines, "", f"Versions: {told}."]


def _conclusion(found: dict[str, Any]) -> str:
    """How far training for integers is from float, and what it wins over rounding afterwards."""
    gaps = {
        (name, row): _gaps(row, case)
        for name, case in found.items()
        for row in case["median"]
        if row != "float"
    }
    aware = {key: ones for key, ones in gaps.items() if key[1].startswith(AWARE)}
    means = {key: sum(ones) / len(ones) for key, ones in gaps.items()}
    medians = {
        (name, row): 100
        * (found[name]["median"][row]["test"] - found[name]["median"]["float"]["test"])
        for name, row in aware
    }
    seeds = [
        f"{name}, {row.removeprefix(AWARE)}, seed {run['seed']} ({gap:+.2f})"
        for (name, row), ones in aware.items()
        for run, gap in zip(found[name]["runs"], ones, strict=True)
        if gap < -LIMIT - ROUNDING
    ]
    return " ".join(
        [
            f"Trained for integers, networks are to be within {LIMIT} points of float.",
            f"By the mean over the seeds, {_beyond({key: means[key] for key in aware})}.",
            f"By the medians, {_beyond(medians)}.",
            f"Single seeds beyond: {'; '.join(seeds) or 'none'}.",
            _after_training(means),
        ]
    )


def _beyond(gaps: dict[tuple[str, str], float]) -> str:
    """Which networks lie further below float than the limit."""
    ones = [
        f"{name}, {row.removeprefix(AWARE)} ({gap:+.2f})"
        for (name, row), gap in gaps.items()
        if gap < -LIMIT - ROUNDING
    ]
    count = f"{len(gaps) - len(ones)} of {len(gaps)} are"
    return f"{count}, and not {'; '.join(ones)}" if ones else count


def _after_training(means: dict[tuple[str, str], float]) -> str:
    """Where rounding after training loses most, and whether training for it loses less there."""
    name, gap = min(
        ((name, gap) for (name, row), gap in means.items() if row == AFTER), key=lambda one: one[1]
    )
    there = {row: one for (other, row), one in means.items() if other == name and row != AFTER}
    told = ", ".join(f"{row.removeprefix(AWARE)} {one:+.2f}" for row, one in there.items())
    wins = [row.removeprefix(AWARE) for row, one in there.items() if one > gap + ROUNDING]
    verdict = f"it wins there by {' and '.join(wins)}" if wins else "it wins nothing there"
    return (
        f"The greatest mean loss by rounding after training is that of {name} ({gap:+.2f}); "
        f"training for integers has {told} for it: {verdict}."
    )


FOUR_BITS = """The same with kernels of convolutions and dense layers in 4 bits, by TF-MOT's
quantizers. "After training" is the network trained in float, wrapped and calibrated. LiteRT's
converter makes 8 bits of these 4, so that the networks are evaluated as TF-MOT has them. Kernels of
depthwise convolutions stay in 8 bits. Test accuracy, per cent, seed by seed, its median, and the
mean difference from float in points."""


def four_bit_lines(found: dict[str, Any]) -> list[str]:
    """What `four_bits.json` says."""
    lines = ["", "### Kernels in 4 bits", "", FOUR_BITS]
    for name, case in found.items():
        command = case["command"].replace("FILE", "benchmarks/results/four_bits.json")
        head = "| network | test | median | from float | validation |"
        lines += ["", f"{name}: `{command}`", "", head, "|" + "---|" * 5]
        for row, median in case["median"].items():
            tests = ", ".join(f"{100 * run['rows'][row]['test']:.2f}" for run in case["runs"])
            figures = [f"{100 * median['test']:.2f}", _from_float(row, case)]
            figures += [f"{100 * median['validation']:.2f}"]
            lines.append(f"| {row} | {tests} | {' | '.join(figures)} |")
    return lines


def _gaps(name: str, case: dict[str, Any]) -> list[float]:
    """Points of test accuracy above the network in float, seed by seed."""
    rows = [run["rows"] for run in case["runs"]]
    return [100 * (one[name]["test"] - one["float"]["test"]) for one in rows]


def _from_float(name: str, case: dict[str, Any]) -> str:
    """The mean of them."""
    gaps = _gaps(name, case)
    return "" if name == "float" else f"{sum(gaps) / len(gaps):+.2f}"


def _row(name: str, case: dict[str, Any]) -> str:
    rows, median = [run["rows"][name] for run in case["runs"]], case["median"][name]
    cells = [
        name,
        ", ".join(f"{100 * one['test']:.2f}" for one in rows),
        f"{100 * median['test']:.2f}",
        _from_float(name, case),
        f"{100 * median['validation']:.2f}",
        f"{median['bytes']:,.0f}",
        f"{median['seconds']:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"
