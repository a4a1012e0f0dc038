"""A search as TensorBoard shows it."""

import io
import math
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_snare._optional import require
from keras_snare.records import TrialRow
from keras_snare.report import CompressionReport

METRIC, PARAMS, FLOPS = "snare/metric", "snare/params", "snare/flops"


class EventFiles:
    """Writes trials as scalars, widths as histograms, the figures, and the hyperparameters.

    Args:
        path: the folder that TensorBoard reads.
        course: what decides the search, as plain data.

    Raises:
        ImportError: when TensorBoard is missing.
    """

    def __init__(self, path: str | os.PathLike[str], course: dict[str, Any]) -> None:
        self._api = require("tensorboard.plugins.hparams.api", "tensorboard", "Event files")
        self._loader = require(
            "tensorboard.backend.event_processing.event_file_loader", "tensorboard", "Event files"
        )
        self._path = Path(path)
        self._course = {name: _plain(value) for name, value in course.items()}
        self._writer: Any = None

    def begin(self, report: CompressionReport) -> None:
        """Opens a file; of a run that goes on, trials that no file holds yet are written."""
        written = self._written() if report.rows else set()
        self._writer = tf.summary.create_file_writer(str(self._path))
        if not written:
            with self._writer.as_default():
                self._api.hparams(self._course)
        for row in report.rows:
            if row.trial not in written:
                self.trial(row)

    def trial(self, row: TrialRow) -> None:
        """Writes what a trial came to."""
        with self._writer.as_default(step=row.trial):
            if math.isfinite(row.metric):
                tf.summary.scalar(METRIC, row.metric)
            tf.summary.scalar(PARAMS, row.params)
            tf.summary.scalar(FLOPS, row.flops)
            tf.summary.scalar("snare/accepted", int(row.accepted))
        self._writer.flush()

    def close(self, report: CompressionReport) -> None:
        """Writes what the search left, and closes the file."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        with writer.as_default(step=len(report.rows)):
            for name in ("before", "after"):
                widths = [getattr(one, f"width_{name}") for one in report.layers]
                known = [one for one in widths if one is not None]
                if known:
                    tf.summary.histogram(f"snare/widths_{name}", known)
            if find_spec("matplotlib") is not None:
                file = io.BytesIO()
                report.plot().savefig(file, format="png")
                picture = tf.io.decode_png(file.getvalue(), channels=3)
                tf.summary.image("snare/search", picture[tf.newaxis])
        writer.close()

    def _written(self) -> set[int]:
        found = set()
        for file in sorted(self._path.glob("events.out.tfevents.*")):
            for event in self._loader.EventFileLoader(str(file)).Load():
                if any(value.tag == PARAMS for value in event.summary.value):
                    found.add(event.step)
        return found


def _plain(value: Any) -> bool | int | float | str:
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, (bool, int, float, str)) else str(value)
