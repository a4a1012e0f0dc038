"""Writes `benchmarks/README.md` from the results, so that no figure is typed by hand.

python benchmarks/make_readme.py
"""

import json
from pathlib import Path
from typing import Any

from readme_bases import bases_lines, deep_lines, times_lines
from readme_codec import codec_lines
from readme_compensation import compensation_lines
from readme_connections import connection_lines, marks_lines
from readme_distillation import distillation_lines
from readme_factorize import factorize_lines
from readme_long_run import long_run_lines
from readme_lottery import lottery_lines
from readme_quantization import four_bit_lines, quantization_lines
from readme_rate import rate_lines
from readme_resnet8 import resnet8_lines
from readme_searches import rejection_lines, retraining_lines, speculation_lines
from readme_thesis_criteria import draw, thesis_criteria_lines

HERE = Path(__file__).parent
RESULTS = HERE / "results"

# Table 5.2 of the thesis at an accepted loss of 0.5 points, "both" regularisations unless it gives
# a smaller network with one: test error in per cent, parameters, PR, FR, iterations.
THESIS = {
    "LeNet-5": ["1.21 / 3,914 / 16 / 2.42 / 15", "1.36 / 1,782 / 35 / 2.44 / 29"],
    "UCI Custom": ["9.61 / 1,847 / 151 / 6.79 / 30", "9.33 / 1,134 / 245 / 8.01 / 48"],
    "UCI Custom, unseen people validate": [],
    "LeNet-300-100, hidden units": [
        "1.80 / 2,004 / 133 / 140 / 15",
        "1.97 / 1,662 / 166 / 144 / 18",
    ],
    "LeNet-300-100, inputs too": [],
}
GOALS = {
    "LeNet-5": "PR 20, FR 3, 100 epochs",
    "UCI Custom": "PR 100, FR 5, 150 epochs",
    "UCI Custom, unseen people validate": "the same",
    "LeNet-300-100, hidden units": "PR 5",
    "LeNet-300-100, inputs too": "PR 12",
}
MET = {
    "LeNet-5": {"params_ratio": 20, "flops_ratio": 3, "retraining_epochs": 100},
    "UCI Custom": {"params_ratio": 100, "flops_ratio": 5, "retraining_epochs": 150},
    "UCI Custom, unseen people validate": {
        "params_ratio": 100,
        "flops_ratio": 5,
        "retraining_epochs": 150,
    },
    "LeNet-300-100, hidden units": {"params_ratio": 5},
    "LeNet-300-100, inputs too": {"params_ratio": 12},
}

INTRODUCTION = """# Benchmarks

This page is written by `python benchmarks/make_readme.py` from the files in `results/`, which hold
every run, every trial, the versions and the command. PR and FR are parameters and FLOPs before over
after; a multiply-add counts as two FLOPs.

## SNARE on the thesis's networks

`python benchmarks/thesis_snare.py --base DIR --output benchmarks/results/thesis_snare.json`

Clean protocol: validation data decide which epoch of the base training is kept, which units go and
which trials are accepted; the test set is evaluated once before and once after. Accepted loss 0.5
points of validation accuracy, plain labels; the callback's settings where they are not the default
ones are in the table; median of the seeds,
in brackets the smallest and the greatest. Base networks are trained at one constant learning rate,
which the retraining goes on with, and the best validation epoch is kept, as in the thesis, but with
Adam at 0.001 and, for UCI Custom, batches of 32 and weights averaged over the steps of each epoch.
MNIST: 55,000 images train, 5,000 validate. Activity windows: of each activity of each training
person, the last fifth validates and shares no sample with the rest; the test persons are others.
"Epochs" are epochs of retraining, accepted and rejected.

The thesis picks checkpoints and accepts trials on the test set, so its rows are flattered by an
amount that cannot be known. Its iterations take 5 epochs each.
"""


REMARKS = """On unseen people (the test set) UCI Custom loses more than eps, which validation data
of the people it was trained on do not show. In the row "unseen people validate", whole persons (1,
8, 17, 25 and 30) validate. Validation accuracy then moves by one to two points from one epoch of
the same network to the next, a person's sitting or standing at a time. An accepted network whose
epoch was a lucky one raises the reference for all later trials, and the search waits for another
lucky epoch of a smaller network: the seeds differ by a factor of tens. The thesis's rows for hidden
units alone of LeNet-300-100 are out of reach of networks of that size trained from scratch.

How the settings came about: UCI Custom's recipe is the sixth that was tried on seed 0 with
unseen people validating; the split by time was taken when that row had turned out to depend on
luck (two runs of seed 0 that differed in the number of threads ended at PR 301 and 23), and
with it one run without averaged weights stalled above 90,000 parameters. LeNet-5's
retrain_epochs=8 follows a run on seed 0 with 5 that ended at PR 18.8, from a base network
trained with a decaying learning rate. All was chosen by validation figures and size. UCI Custom
was run with one thread (`TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1`), which makes a run
repeatable."""


def _spread(runs: list[dict[str, Any]], median: dict[str, float], key: str, form: str) -> str:
    values = [run[key] for run in runs]
    return f"{median[key]:{form}} ({min(values):{form}} to {max(values):{form}})"


def thesis_table() -> list[str]:
    """The table of `thesis_snare.json`, the thesis's rows beside."""
    results = json.loads((RESULTS / "thesis_snare.json").read_text())
    lines = [
        "| network | settings | test accuracy before, % | after, % | parameters | PR | FR | "
        "epochs | goal | thesis: error / parameters / PR / FR / iterations |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, case in results.items():
        runs, median = case["runs"], case["median"]
        before, after = (100 * median[key] for key in ("test_before", "test"))
        goal = f"{GOALS[name]}: {_verdict(name, case)}"
        lines.append(
            f"| {name}, {len(runs)} seed{'s' * (len(runs) > 1)} | {_settings(case)} | "
            f"{before:.2f} | {after:.2f} | "
            f"{_spread(runs, median, 'params', ',.0f')} | "
            f"{_spread(runs, median, 'params_ratio', '.1f')} | "
            f"{_spread(runs, median, 'flops_ratio', '.2f')} | "
            f"{_spread(runs, median, 'retraining_epochs', '.0f')} | {goal} | "
            f"{'; '.join(THESIS[name]) or 'no such row'} |"
        )
    lines += ["", REMARKS]
    lines += ["", "Widths at the end, seed by seed:", ""]
    for name, case in results.items():
        widths = ["-".join(str(width) for width in run["widths"].values()) for run in case["runs"]]
        lines.append(f"- {name}: {'; '.join(widths)}")
    versions = next(iter(results.values()))["versions"]
    lines += ["", "Versions: " + ", ".join(f"{name} {one}" for name, one in versions.items()) + "."]
    return lines


def _settings(case: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in case["settings"].items()) or "default"


def _verdict(name: str, case: dict[str, Any]) -> str:
    if not _met(name, case["median"]):
        return "**not reached**"
    return "reached" if len(case["runs"]) >= 3 else "reached, **but too few seeds**"


def _met(name: str, median: dict[str, float]) -> bool:
    return all(
        median[key] <= goal if key == "retraining_epochs" else median[key] >= goal
        for key, goal in MET[name].items()
    )


def overhead_lines(found: dict[str, Any]) -> list[str]:
    """What `overhead.json` says."""
    lenet, resnet = found["surgery_lenet_5_seconds"], found["surgery_resnet50_seconds"]
    memory = found["memory"]
    ratios = found["epoch"]["ratios"]
    return [
        "",
        "## What the callback costs",
        "",
        "`python benchmarks/overhead.py --output benchmarks/results/overhead.json`",
        "",
        f"On {found['machine']['processors']} processors, Adam.",
        "",
        "| what | goal | measured |",
        "|---|---|---|",
        "| epoch of fit with the callback not trialling, over plain fit; "
        f"{found['epoch']['network']}; two fastest epochs of a fit, median of {len(ratios)} "
        "pairs of fits in turn | 1.03 | "
        f"{found['epoch']['ratio_median']:.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f}) |",
        f"| half of LeNet-5's units cut, without re-tracing | 0.1 s | {lenet['cut']:.3f} s |",
        f"| the same of ResNet50 | 1 s | {resnet['cut']:.3f} s |",
        f"| undoing it: LeNet-5, ResNet50 | - | {lenet['undo']:.4f} s, {resnet['undo']:.3f} s |",
        f"| analysis of the graph: LeNet-5, ResNet50 | - | {lenet['analysis']:.4f} s, "
        f"{resnet['analysis']:.3f} s |",
        f"| greatest resident size after trials 5 to {memory['trials']}, over that after trial 5 | "
        f"1.10 | {memory['ratio']:.3f} |",
    ]


def torch_pruning_lines(found: dict[str, Any]) -> list[str]:
    """What `torch_pruning.json` says."""
    versions = {**found["versions_torch_pruning"], **found["versions"]}
    lines = [
        "",
        "## Beside Torch-Pruning",
        "",
        "`python benchmarks/beside_torch_pruning.py --output "
        "benchmarks/results/torch_pruning.json`",
        "",
        f"{found['network']}; {found['params_before']:,} parameters before every cut and "
        f"{found['params_after']:,} after, on both sides. Seconds: median of "
        f"{len(found['rows']['graph']['keras_snare']['seconds'])} after one to warm up (smallest "
        "to greatest), each on a fresh model, the two libraries in turn, each in its own process "
        f"with {found['threads']} thread{'s' * (found['threads'] > 1)}; "
        f"{found['machine']['processors']} processors. Torch-Pruning {versions['torch_pruning']} "
        f"with torch {versions['torch']}; keras_snare {versions['keras_snare']} with Keras "
        f"{versions['keras']} and TensorFlow {versions['tensorflow']}.",
        "",
        "| what | Torch-Pruning | keras_snare |",
        "|---|---|---|",
    ]
    rows = found["rows"].values()
    sides = ("torch_pruning", "keras_snare")
    lines += [
        f"| {row['what']} | " + " | ".join(_seconds(row[side]) for side in sides) + " |"
        for row in rows
    ]
    lines += ["", "What the seconds cover:", "", "| what | Torch-Pruning | keras_snare |"]
    lines.append("|---|---|---|")
    lines += [
        f"| {row['what']} | " + " | ".join(row[side]["covers"] for side in sides) + " |"
        for row in rows
    ]
    return lines


def _seconds(measured: dict[str, Any]) -> str:
    times = measured["seconds"]
    return f"{measured['median']:.3f} ({min(times):.3f} to {max(times):.3f})"


# By the name of the file of results, in the order of the page.
SECTIONS = {
    "thesis_criteria": thesis_criteria_lines,
    "resnet8": resnet8_lines,
    "compensation": compensation_lines,
    "connection_pruning": connection_lines,
    "published_marks": marks_lines,
    "lottery": lottery_lines,
    "distillation": distillation_lines,
    "quantization": quantization_lines,
    "four_bits": four_bit_lines,
    "bases": bases_lines,
    "deep_bases": deep_lines,
    "bases_times": times_lines,
    "codec": codec_lines,
    "rate": rate_lines,
    "factorize": factorize_lines,
    "speculation": speculation_lines,
    "early_rejection": rejection_lines,
    "retraining": retraining_lines,
    "overhead": overhead_lines,
    "long_run": long_run_lines,
    "torch_pruning": torch_pruning_lines,
}


def main() -> None:
    """Writes the page, and draws its figures."""
    lines = [INTRODUCTION, *thesis_table()]
    for name, section in SECTIONS.items():
        path = RESULTS / f"{name}.json"
        if path.is_file():
            found = json.loads(path.read_text())
            lines += section(found)
            if section is thesis_criteria_lines:
                draw(found, HERE / "figures")
    (HERE / "README.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
