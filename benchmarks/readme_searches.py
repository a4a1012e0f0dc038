"""The sections on trials at once, trials cut short and retraining that `make_readme.py` writes."""

from typing import Any

import numpy as np

FOLDER = "benchmarks/results"
SPECULATION = """Trials of one network are made at once, each as if those before it were rejected.
"As it is": the measured searches of `thesis_snare.json`, whose trials are the same with any number
of workers, by the seconds of their epochs; the mean of the seeds, in brackets the smallest and the
greatest. Below it, ways that differ in what becomes of trials that are under way when an earlier
one is accepted: they are ended ("drop", as it is); those that were rejected meanwhile count
("keep"); those that were accepted meanwhile are cut too, in one trial more ("unite"). Verdicts are
assumed there: accepted is what leaves no layer narrower than the measured search did, after as many
epochs as a trial drawn from the accepted ones took. That layers do not depend on each other
flatters "unite". The last two were left out: what they find depends on which trial ends first."""
REJECTION = """The rule of `early_rejection` at several margins (the library's is {margin}) on the
trials of `thesis_snare.json`, all of which were trained to their end. A trial that it ends and
that was rejected costs nothing; one that was accepted would have been lost."""
RETRAINING = """`compress` with `retrain="full"` and `retrain="blocks"`, with the same settings.
Seconds of a trial: the median of all but the first. With blocks the search is followed by as many
epochs of the whole network as a trial may take; the whole search includes them. One thread."""


def speculation_lines(found: dict[str, Any]) -> list[str]:
    """What `speculation.json` says."""
    workers = [one for one in next(iter(found["replayed"].values()))[0] if one != "1"]
    lines = [*_head("Trials at once", found, "speculation"), SPECULATION, ""]
    lines += [f"| times faster with | {' | '.join(workers)} workers |"]
    lines += ["|" + "---|" * (len(workers) + 1)]
    for name, runs in found["replayed"].items():
        cells = [_spread([run[one] for run in runs]) for one in workers]
        lines.append(f"| {name}, as it is | {' | '.join(cells)} |")
    for name, ways in found.get("ways", {}).items():
        for way, times in ways.items():
            cells = [f"{times[one]:.2f}" for one in workers]
            lines.append(f"| {name}, assumed, {way} | {' | '.join(cells)} |")
    if "measured" in found:
        lines += ["", _measured(found)]
    return [*lines, "", _versions(found)]


def _measured(found: dict[str, Any]) -> str:
    one, two = found["measured"]
    same = "the same" if one["metrics"] == two["metrics"] else "**not the same**"
    return (
        f"Measured with Ray on {found['machine']['processors']} processors, LeNet-5, "
        f"{one['trials']} trials: {one['seconds']:.0f} s with one worker, {two['seconds']:.0f} s "
        f"with two, its start included; metrics and trials {same}."
    )


def rejection_lines(found: dict[str, Any]) -> list[str]:
    """What `early_rejection.json` says."""
    lines = _head("Trials that are ended early", found, "early_rejection")
    lines += [REJECTION.format(margin=found["margin"]), ""]
    heads = "network | margin | trials | of them ended early | epochs of retraining | of them saved"
    lines += [f"| {heads} | accepted | of them lost |", "|" + "---|" * 8]
    for name, margins in found["networks"].items():
        for one, runs in margins.items():
            sums = {key: sum(run[key] for run in runs) for key in runs[0]}
            share = 100 * sums["epochs_saved"] / sums["retraining_epochs"]
            cells = [name, one, sums["trials"], sums["ended_early"], sums["retraining_epochs"]]
            cells += [f"{sums['epochs_saved']} ({share:.0f} %)", sums["accepted"]]
            lines.append(f"| {' | '.join(map(str, [*cells, sums['accepted_lost']]))} |")
    return [*lines, "", _versions(found)]


def retraining_lines(found: dict[str, Any]) -> list[str]:
    """What `retraining.json` says."""
    lines = [*_head("Retraining of blocks", found, "retraining"), RETRAINING, ""]
    heads = "network | retrain | seeds | seconds of a trial | of the search | accepted | parameters"
    lines += [f"| {heads} | validation before, % | after, % | test, % |", "|" + "---|" * 10]
    for name, one in found["networks"].items():
        for way in ("full", "blocks"):
            lines.append(_retraining_row(name, way, one[way]))
    return [*lines, "", _versions(found)]


def _retraining_row(name: str, way: str, runs: list[dict[str, Any]]) -> str:
    seconds = [row["seconds"] for run in runs for row in run["rows"] if row["seconds"] is not None]
    cells = [name, way, str(len(runs)), f"{np.median(seconds):.1f}"]
    cells.append(_spread([run["seconds"] for run in runs], ".0f"))
    trials = [f"{run['accepted']} of {len(run['rows'])}" for run in runs]
    cells += ["; ".join(trials), _spread([run["after"]["params"] for run in runs], ",.0f")]
    for at, part in (("before", "validation"), ("after", "validation"), ("after", "test")):
        cells.append(_spread([100 * run[at][part] for run in runs]))
    return f"| {' | '.join(cells)} |"


def _head(title: str, found: dict[str, Any], name: str) -> list[str]:
    command = found["command"].replace("FILE", f"{FOLDER}/{name}.json")
    return ["", f"## {title}", "", f"`{command}`", ""]


def _versions(found: dict[str, Any]) -> str:
    return f"Versions: {', '.join(f'{name} {one}' for name, one in found['versions'].items())}."


def _spread(values: list[float], form: str = ".2f") -> str:
    if len(values) < 2:
        return f"{values[0]:{form}}"
    return f"{np.mean(values):{form}} ({min(values):{form}} to {max(values):{form}})"
