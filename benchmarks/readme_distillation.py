"""The section on distillation of the page that `make_readme.py` writes."""

from typing import Any

TEXT = """LeNet-5 on MNIST, as in the first table: the same base networks, splits and protocol,
eps={eps:g}, `SnareCallback({search})`, at most {epochs_at_most} epochs after the first. In the
second row of each seed the same `fit` has `DistillationCallback({taught})` too: from the first
cut on, the loss is a mixture of the labels' and the divergence from the uncut network's softened
answers. Nothing was tuned: temperature and share are the callback's default ones."""


def distillation_lines(found: dict[str, Any]) -> list[str]:
    """What `distillation.json` says."""
    given = {name: _arguments(found[name]) for name in ("search", "taught")}
    lines = [
        "",
        "## Taught by the uncut network",
        "",
        f"`{found['command'].replace('FILE', 'benchmarks/results/distillation.json')}`",
        "",
        TEXT.format(**{**found, **given}),
        "",
        "| seed | loss | parameters | PR | FR | trials, accepted | epochs | validation before, "
        "after, % | test before, after, % | seconds |",
        "|" + "---|" * 10,
    ]
    cases = found["cases"]
    seeds = [[run["seed"] for run in case["runs"]] for case in cases.values()]
    for at, seed in enumerate(min(seeds, key=len)):
        lines += [_row(seed, name, case["runs"][at]) for name, case in cases.items()]
    count = f"median of {len(min(seeds, key=len))}"
    lines += [_row(count, name, case["median"]) for name, case in cases.items()]
    widths = ["", "Widths at the end, seed by seed:", ""]
    for name, case in cases.items():
        several = ["-".join(map(str, run["widths"].values())) for run in case["runs"]]
        widths.append(f"- {name}: {'; '.join(several)}")
    versions = ", ".join(f"{name} {one}" for name, one in found["versions"].items())
    return [*lines, *widths, "", f"Versions: {versions}."]


def _arguments(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in settings.items())


def _row(seed: Any, name: str, run: dict[str, Any]) -> str:
    cells = [
        seed,
        name,
        f"{run['params_before']:,.0f} to {run['params']:,.0f}",
        f"{run['params_ratio']:.1f}",
        f"{run['flops_ratio']:.2f}",
        f"{run['trials']:.0f}, {run['accepted']:.0f}",
        f"{run['epochs']:.0f}",
        f"{100 * run['validation_before']:.2f}, {100 * run['validation']:.2f}",
        f"{100 * run['test_before']:.2f}, {100 * run['test']:.2f}",
        f"{run['seconds']:.0f}",
    ]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
