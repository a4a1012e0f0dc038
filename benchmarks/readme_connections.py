"""The sections on connection pruning of the page that `make_readme.py` writes."""

import statistics
from typing import Any

GOAL = 1.03

MARKS_TEXT = """MNIST, connections pruned one by one, after which units without connections are
removed for real. Networks are trained on the labels; for each point `{build}` prunes the first of
them in one `fit`, with a `DistillationCallback` on the mean answers of all of them (temperature
{temperature:g}, share {alpha:g} of the loss). Adam, batches of {batch_size}; the learning rate
falls along half a cosine once the sparsity stands. 55,000 images train; the 5,000 that validate
chose the settings, not the epoch: the last one counts. The test set is told once per point. The
published networks saw no moved images; where ours did, the name of the case says so."""

COUNTED = """Compression is all parameters before over those that are kept: weights that are not
zero, and the biases of the units that are left, as in Dynamic Network Surgery. "Weights alone"
leaves the biases out on both sides, as sparse variational dropout does."""


def connection_lines(found: dict[str, Any]) -> list[str]:
    """What `connection_pruning.json` says."""
    versions = found["versions"]
    lines = [
        "",
        "## Connection pruning beside TF-MOT",
        "",
        f"The same networks from the same weights on the same batches of {found['batch_size']}, "
        f"Adam at {found['learning_rate']:g}, the cubic schedule on both sides: "
        "`MagnitudePruneCallback` in Keras 3, `prune_low_magnitude` with `UpdatePruningStep` in "
        "tf_keras. Without pruning, both train to the same figures. "
        + " ".join(f"{name}: {what}." for name, what in found["networks"].items()),
    ]
    for network, rows in found.get("times", {}).items():
        lines += ["", _command(found, "times", network), *_times(network, rows, found)]
    for network, course in found.get("accuracy", {}).items():
        lines += ["", _command(found, "accuracy", network), *_accuracy(network, course)]
    lines += ["", "Versions: " + ", ".join(f"{name} {one}" for name, one in versions.items()) + "."]
    return lines


def _command(found: dict[str, Any], part: str, network: str) -> str:
    path = "benchmarks/results/connection_pruning.json"
    return f"`{found['commands'][part][network].replace('FILE', path)}`"


def _times(network: str, rows: dict[str, Any], found: dict[str, Any]) -> list[str]:
    count = len(next(iter(rows.values()))["cpu_ms"])
    lines = [
        "",
        f"Milliseconds of a step, {network}, one thread, {found['machine']['processors']} "
        "processors with other work on them; whole epochs, updates of the masks and ends of "
        "epochs included, every arm in a process of its own and all in turn; median of "
        f"{count} epochs. Over plain fit of the same Keras: median of the {count} ratios, in "
        "brackets the quartiles.",
        "",
        "| arm | processor ms | over plain | wall-clock ms | over plain | at most 3 % |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        cells = [name]
        for clock in ("cpu", "wall"):
            cells.append(f"{row[f'{clock}_ms_median']:.2f}")
            over = row.get(f"{clock}_over_plain")
            cells.append("-" if over is None else f"{over[1]:.3f} ({over[0]:.3f} to {over[2]:.3f})")
        over = row.get("cpu_over_plain")
        if over is None or row["against"] == "tf_keras":
            cells.append("-")
        else:
            cells.append(_verdict(over[1] <= GOAL, row["wall_over_plain"][1] <= GOAL))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _verdict(processor: bool, wall: bool) -> str:
    if processor == wall:
        return "yes" if processor else "**no**"
    return f"{'processor' if processor else 'wall clock'} only"


def _beside(course: dict[str, Any]) -> str:
    """How the arm that prunes as TF-MOT does, each layer by the same share, compares with it."""
    found = []
    for asked in sorted({run["asked"] for run in course["runs"]} - {0.0}):
        means = {
            arm: statistics.mean(
                100 * run["test"]
                for run in course["runs"]
                if run["arm"] == arm and run["asked"] == asked
            )
            for arm in ('scope="layer"', "TF-MOT")
        }
        ours, theirs = means.values()
        found.append(f"{ours - theirs:+.2f} points at {100 * asked:g} %")
    return (
        'TF-MOT prunes each layer by the same share, as `scope="layer"` does, which is '
        f"{', '.join(found)} beside it, by the means."
    )


def _accuracy(network: str, course: dict[str, Any]) -> list[str]:
    runs = course["runs"]
    arms = list(dict.fromkeys(run["arm"] for run in runs))
    sparsities = sorted({run["asked"] for run in runs} - {0.0})
    seeds = len({run["seed"] for run in runs})
    lines = [
        "",
        f"Test accuracy in per cent, {network}, after {course['epochs']} epochs of which the first "
        f"{course['end']} prune, every {course['frequency']} steps; mean of {seeds} seeds, in "
        "brackets the smallest and the greatest. Nothing is chosen by validation data.",
        "",
        "| arm | " + " | ".join(f"{100 * one:g} % pruned" for one in sparsities) + " |",
        "|---" * (1 + len(sparsities)) + "|",
    ]
    for arm in arms:
        of_arm = [run for run in runs if run["arm"] == arm]
        if of_arm[0]["asked"] == 0.0:
            lines.append(f"| {arm}, not pruned | {_spread(of_arm)}" + " | " * len(sparsities))
            continue
        cells = [[run for run in of_arm if run["asked"] == one] for one in sparsities]
        lines.append(f"| {arm} | " + " | ".join(map(_spread, cells)) + " |")
    return [*lines, "", _beside(course)]


def _spread(runs: list[dict[str, Any]]) -> str:
    values = [100 * run["test"] for run in runs]
    if not values:
        return "-"
    return f"{statistics.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def marks_lines(found: dict[str, Any]) -> list[str]:
    """What `published_marks.json` says."""
    first, path = next(iter(found.values())), "benchmarks/results/published_marks.json"
    build = 'MagnitudePruneCallback(scope="global", per="step", remove_dead=True)'
    lines = [
        "",
        "## Published marks",
        "",
        *(f"`{case['command'].replace('FILE', path)}`\n" for case in found.values()),
        MARKS_TEXT.format(build=build, **first["recipe"]),
        "",
        COUNTED,
    ]
    for name, case in found.items():
        lines += _curve(name, case)
    versions = ", ".join(f"{name} {one}" for name, one in first["versions"].items())
    return [*lines, "", f"Versions: {versions}."]


def _curve(name: str, case: dict[str, Any]) -> list[str]:
    recipe, (least, most) = case["recipe"], case["goal"]
    seeds = len({point["seed"] for point in case["points"]})
    published = "; ".join("{}: {:g} at {:g} %".format(*mark) for mark in case["published"])
    met = [
        one for one in case["median"] if one["compression"] >= least and one["test_error"] <= most
    ]
    verdict = "reached" if met else "**not reached**"
    few = ", **but too few seeds**" if met and seeds < 3 else ""
    lines = [
        "",
        f"{name}, {seeds} seed{'s' * (seeds > 1)}, median; {recipe['teachers']} dense for "
        f"{recipe['dense_epochs']} epochs, then {recipe['epochs']} per point, of which "
        f"{recipe['prune_epochs']} prune; learning rate {recipe['learning_rate']:g}. "
        f"Published: {published}. Goal: at least "
        f"{least:g} times fewer at {most:g} % or less: {verdict}{few}.",
        "",
        "| compression | weights alone | parameters kept | validation error, % | test error, % | "
        "seed by seed |",
        "|---|---|---|---|---|---|",
    ]
    for one in case["median"]:
        points = [point for point in case["points"] if point["asked"] == one["asked"]]
        each = "; ".join(
            f"{point['compression']:.1f} at {point['test_error']:.2f}" for point in points
        )
        lines.append(
            f"| {one['compression']:.1f} | {one['compression_of_weights']:.1f} | "
            f"{one['params']:,.0f} | {one['validation_error']:.2f} | {one['test_error']:.2f} | "
            f"{each} |"
        )
    return lines
