"""The section on training for few bytes of the page that `make_readme.py` writes."""

from typing import Any

PATH = "benchmarks/results/rate.json"
TEXT = """MNIST, each network trained from scratch with `RateCallback` at a price of a kilobyte, to
the weights of the last epoch. "Moved" means images that go by up to a pixel, another way in every
epoch. Learning rates and prices were set in runs of seed 0, by bytes and validation accuracy. Bytes
are those of the file that `pack` writes, and of it those of the weights; the rest is the
configuration of the model and a header. Accuracy, per cent, is that of the model that `unpack`
makes of the file."""


def rate_lines(found: dict[str, Any]) -> list[str]:
    """What `rate.json` says."""
    lines = ["", "## Training for few bytes", "", f"`{found['command'].replace('FILE', PATH)}`", ""]
    lines += [TEXT, ""]
    heads = (
        "network, as float32 | price of a kilobyte | epochs | seed | bytes of weights | of the file"
    )
    heads += " | validation | test"
    lines += [f"| {heads} |", "|" + "---|" * 8]
    for name, runs in found["networks"].items():
        lines += [
            _row(name, one) for one in sorted(runs, key=lambda one: (one["rate"], one["seed"]))
        ]
    versions = ", ".join(f"{name} {one}" for name, one in found["versions"].items())
    return [*lines, "", f"Versions: {versions}."]


def _row(name: str, run: dict[str, Any]) -> str:
    cells = [f"{name}, {run['float_bytes']:,}", run["rate"], run["epochs"], run["seed"]]
    cells += [f"{run['weight_bytes']:,}", f"{run['file_bytes']:,}"]
    cells += [f"{100 * run[part]:.2f}" for part in ("validation", "test")]
    return f"| {' | '.join(map(str, cells))} |"
