"""What `early_rejection` saves and loses, by the searches of `thesis_snare.json`.

A trial that the rule ends early and that was rejected in the end would have left the search as it
is: its epochs are saved. One that was accepted in the end would have been lost; what comes after it
in that run is not what the search would have done, and is looked at all the same.

    python benchmarks/early_rejection.py --output benchmarks/results/early_rejection.json
"""

import argparse
import json
from pathlib import Path
from typing import Any

import results_files

from keras_snare.policy import Recovery

SOURCE = Path(__file__).parent / "results" / "thesis_snare.json"
MARGINS = (1.0, 1.5, 2.0, 3.0)


def replayed(run: dict[str, Any], eps: float, margin: float) -> dict[str, int]:
    """Goes through the trials of a search, and ends those early that the rule calls hopeless."""
    recovery, saved, lost, ended = Recovery(margin), 0, 0, 0
    for row in run["rows"]:
        losses = [row["best"] - metric for metric in row["metrics"]]
        reached = range(1, len(losses))
        first = next((at for at in reached if recovery.hopeless(losses[:at], eps)), None)
        if first is not None:
            ended += 1
            saved += len(losses) - first
            lost += row["accepted"]
        if row["accepted"] and first is None:
            recovery.note(losses)
    return {
        "trials": len(run["rows"]),
        "accepted": run["accepted"],
        "retraining_epochs": run["retraining_epochs"],
        "ended_early": ended,
        "epochs_saved": saved,
        "accepted_lost": lost,
    }


def main() -> None:
    """Replays every search with every margin."""
    parser = argparse.ArgumentParser(description="Trials that are ended early.")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    for name, case in json.loads(SOURCE.read_text()).items():
        if all("metrics" in row for run in case["runs"] for row in run["rows"]):
            found[name] = {
                str(margin): [replayed(run, case["eps"], margin) for run in case["runs"]]
                for margin in MARGINS
            }
            print(name, found[name])
    results = {
        "command": results_files.command(
            "python", "benchmarks/early_rejection.py", "--output", "FILE"
        ),
        "versions": results_files.versions(),
        "margin": Recovery().margin,
        "networks": found,
    }
    results_files.write(arguments.output, results)


if __name__ == "__main__":
    main()
