"""The sections on dense layers in other forms of the page that `make_readme.py` writes."""

from typing import Any

PATH = "benchmarks/results/bases.json"
TEXT = """MNIST, one hidden layer and an output layer, {epochs} epochs. For each share of the
407,050 parameters of 784-512-10, the width of the hidden layer was chosen by validation accuracy
with seed 0, among a few for which the other setting uses the share up: rank, count of frequencies
on the 28 by 28 grid, or rank of the Kronecker products of (28, 28) and the divisors of the width
(16 at most, so that it leaves a part of the larger shares unused); and then the learning rate, of
three. Test accuracy, per cent, by seed, and the median."""


DEEP_PATH = "benchmarks/results/deep_bases.json"
DEEP_TEXT = """MNIST, four hidden layers of 2,048 units, {epochs} epochs. Each form is as wide, or
of as high a rank, as the share of the parameters allows; the DCT layer is the first one, with 147
frequencies of the 28 by 28 grid, before narrower dense layers. Test accuracy, per cent."""
TIMES_PATH = "benchmarks/results/bases_times.json"
TIMES_TEXT = """One layer of 2,048 features and 2,048 units at about a tenth of the weights: how
many times as fast as `Dense` in the same process, and microseconds of one call; other work went on
beside it. Scattered Fourier
coefficients are no layer of the library: they win at no budget of the table above, and are slower
than `Dense`."""


def bases_lines(found: dict[str, Any]) -> list[str]:
    """What `bases.json` says."""
    full = found["full"]
    lines = [
        "",
        "## Dense layers in other forms",
        "",
        f"`{found['command'].replace('FILE', PATH)}`",
    ]
    lines += ["", TEXT.format(epochs=found["epochs"]), ""]
    lines += ["| share | form | width, setting | learning rate | parameters | test | median |"]
    lines.append("|" + "---|" * 7)
    lines.append(_row("1", "Dense", full))
    for share, forms in found["budgets"].items():
        lines += [_row(f"1/{share}", name, one) for name, one in forms.items() if one]
    return [*lines, "", _versions(found)]


def _row(share: str, name: str, measured: dict[str, Any]) -> str:
    runs = measured["runs"]
    first = runs[0]
    chosen = str(first["units"]) + (f", {first['setting']}" if first["setting"] else "")
    tests = ", ".join(f"{100 * one['test']:.2f}" for one in runs)
    cells = [
        share,
        name,
        chosen,
        str(first.get("learning_rate", 0.001)),
        f"{first['parameters']:,}",
        tests,
    ]
    return f"| {' | '.join(cells)} | {100 * measured['median']['test']:.2f} |"


def deep_lines(found: dict[str, Any]) -> list[str]:
    """What `deep_bases.json` says."""
    lines = ["", "### Four hidden layers", ""]
    lines += [f"`{found['command'].replace('FILE', DEEP_PATH)}`", ""]
    lines += [DEEP_TEXT.format(epochs=found["epochs"]), ""]
    lines += ["| share | form | width or rank | parameters | test |", "|" + "---|" * 5]
    for share, forms in sorted(found["budgets"].items(), key=lambda one: int(one[0])):
        for name, runs in forms.items():
            tests = ", ".join(f"{100 * one['test']:.2f}" for one in runs)
            form, first = ("Dense" if share == "1" else name), runs[0]
            shown = "1" if share == "1" else f"1/{share}"
            cells = [shown, form, str(first["setting"]), f"{first['parameters']:,}", tests]
            lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", _versions(found)]


def times_lines(found: dict[str, Any]) -> list[str]:
    """What `bases_times.json` says."""
    lines = ["", "### Time of a step", ""]
    lines += [f"`{found['command'].replace('FILE', TIMES_PATH)}`", "", TIMES_TEXT, ""]
    lines += ["| form | parameters | batch | forward | training step |", "|" + "---|" * 5]
    for size, forms in found["batches"].items():
        for name, one in forms.items():
            times = [
                f"{one[kind]['times as fast']:.2f} ({one[kind]['microseconds']:,.0f} µs)"
                for kind in ("forward", "training")
            ]
            cells = [name, f"{one['parameters']:,}", size, *times]
            lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", _versions(found)]


def _versions(found: dict[str, Any]) -> str:
    return (
        "Versions: " + ", ".join(f"{name} {one}" for name, one in found["versions"].items()) + "."
    )
