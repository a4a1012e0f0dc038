"""The command line of scripts that measure known networks, one after the other."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coverage
import mlperf_tiny
import pages
import results_files


def main(
    description: str,
    run: Callable[[str], dict[str, Any]],
    heading: str,
    page: Callable[[dict[str, Any]], str],
    versions: Callable[[], dict[str, str]] = results_files.versions,
) -> None:
    """Runs the models named on the command line; adds them to the results and to the page.

    Args:
        description: What is measured.
        run: Measures one of `coverage.FAMILIES` or, with `KERAS_SNARE_DATA`, `mlperf_tiny.MODELS`.
        heading: That of the part of the page of coverage.
        page: Writes this part.
        versions: Of everything that may change a result.
    """
    tiny = tuple(mlperf_tiny.MODELS) if "KERAS_SNARE_DATA" in os.environ else ()
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--models", nargs="+", default=[*coverage.FAMILIES, *tiny])
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    known = json.loads(arguments.output.read_text()) if arguments.output.is_file() else {}
    models = known.get("models", {})
    for name in arguments.models:
        models[name] = run(name)
        print(name, json.dumps(models[name]), flush=True)
        order = (*coverage.FAMILIES, *mlperf_tiny.MODELS)
        results = {
            "models": {one: models[one] for one in order if one in models},
            "command": f"python benchmarks/{Path(sys.argv[0]).name} --output FILE",
            "machine": results_files.machine(),
            "versions": versions(),
        }
        results_files.write(arguments.output, results)
        pages.write_part(coverage.PAGE, heading, page(results))
