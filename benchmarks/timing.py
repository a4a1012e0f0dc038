"""Seconds that a piece of work takes, once."""

import gc
import time
from collections.abc import Callable
from typing import Any


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Returns what the work returns, and its seconds, with no garbage left to collect before."""
    gc.collect()
    return clocked(work)


def clocked(work: Callable[[], Any]) -> tuple[Any, float]:
    """The same, for work so short that collecting garbage would disturb what is around it."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start
