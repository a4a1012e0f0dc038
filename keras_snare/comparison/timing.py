"""Runs that take turns, so that what else a machine does meets all of them alike."""

import gc
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_snare.report import Latency

_WARM_UP = 3


def in_turn(runs: Sequence[Callable[[], Any]], repeats: int) -> list[Latency]:
    """Times runs, one of each in turn.

    Args:
        runs: functions that have computed when they return.
        repeats: int, how often each is timed, after some times that it is not.
    """
    for run in runs:
        for _ in range(_WARM_UP):
            run()
    gc.collect()
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats):
        for run, own in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            own.append(1000 * (time.perf_counter() - start))
    return [_latency(own) for own in times]


def _latency(milliseconds: list[float]) -> Latency:
    low, median, high = np.quantile(milliseconds, (0.25, 0.5, 0.75))
    return Latency(median=float(median), low=float(low), high=float(high))


def tensorflow_threads() -> int:
    """Returns how many threads TensorFlow computes one operation with."""
    import tensorflow as tf

    chosen = tf.config.threading.get_intra_op_parallelism_threads()
    return chosen or int(os.environ.get("TF_NUM_INTRAOP_THREADS") or 0) or os.cpu_count() or 1
