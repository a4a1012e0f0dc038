"""What every file of results tells beside its figures, and how it is written."""

import json
import os
import platform
import shlex
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import keras_snare

# What the environment says of threads is a part of the command. Sums over several threads come out
# in another order every time; with one, a run can be repeated. With oneDNN they come out otherwise,
# and TensorFlow keeps more memory.
_ENVIRONMENT = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_ENABLE_ONEDNN_OPTS",
)


def command(*words: str) -> str:
    """Returns a command as one types it, with what the environment sets."""
    settings = [f"{one}={os.environ[one]}" for one in _ENVIRONMENT if one in os.environ]
    return shlex.join([*settings, *words])


def versions() -> dict[str, str]:
    """Returns the version of everything that may change a figure."""
    return {
        "python": platform.python_version(),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
        "keras_snare": keras_snare.__version__,
    }


def machine() -> dict[str, Any]:
    """Returns what may change a time."""
    return {"processors": os.cpu_count(), "platform": platform.platform()}


def write(path: Path, results: dict[str, Any]) -> None:
    """Writes results as JSON, into a folder that may not be there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
