"""The section on 8-bit integers of the page that `make_readme.py` writes."""

from typing import Any

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
    versions = next(iter(found.values()))["versions"]
    told = ", ".join(f"{name} {one}" for name, one in versions.items())
    return [*lines, "", f"Versions: {told}."]


FOUR_BITS = """The same with kernels of convolutions and dense layers in 4 bits, by TF-MOT's
quantizers. "After training" is the network trained in float, wrapped and calibrated. LiteRT's
converter makes 8 bits of these 4, so that the networks are evaluated as TF-MOT has them. Test
accuracy, per cent, seed by seed, its median, and the mean difference from float in points."""


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


def _from_float(name: str, case: dict[str, Any]) -> str:
    """Points of test accuracy above the network in float, the mean over the seeds."""
    gaps = [run["rows"][name]["test"] - run["rows"]["float"]["test"] for run in case["runs"]]
    return "" if name == "float" else f"{100 * sum(gaps) / len(gaps):+.2f}"


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
