"""When, in the course of a `fit`, masks are updated."""

import warnings
from math import ceil


class Calendar:
    """The updates between two epochs: how far each is on the way.

    Args:
        begin: int, epoch (counted from 0) at whose beginning the first update is made.
        end: int, epoch at whose beginning the last one is made.
        frequency: int, epochs or steps between two updates.
        steps: int, steps of an epoch, to count the frequency in steps; None to count epochs.
        once: bool, whether the first update is the only one.
    """

    def __init__(
        self, begin: int, end: int, frequency: int = 1, steps: int | None = None, once: bool = False
    ) -> None:
        self.begin = begin
        self.end = max(begin, end)
        self.frequency = frequency
        self.steps = steps
        self.once = once
        self.begun = False
        self.done = False
        self._periods = 0

    def at_epoch(self, epoch: int) -> float | None:
        """Returns the progress, 0 to 1, of an update at the beginning of an epoch, or None."""
        if self.done or epoch < self.begin:
            return None
        last = self.once or epoch >= self.end
        counts = self.steps is None and (epoch - self.begin) % self.frequency == 0
        if not (last or counts or not self.begun):
            return None
        self.begun, self.done = True, last
        return 1.0 if last else self._progress(epoch)

    def after_step(self, epoch: int, step: int) -> float | None:
        """Returns the same after a number of steps of an epoch.

        The update that is due at the end of an epoch waits for the beginning of the next if that is
        the last one.
        """
        if self.steps is None or not self.begun or self.done:
            return None
        periods = ((epoch - self.begin) * self.steps + step) // self.frequency
        progress = self._progress(epoch + step / self.steps)
        if periods <= self._periods or progress >= 1:
            return None
        self._periods = periods
        return progress

    def again(self) -> None:
        """Leaves the last update, which could not be made, to the epoch after."""
        self.done = False

    def _progress(self, epoch: float) -> float:
        return (epoch - self.begin) / max(self.end - self.begin, 1)


def last_update(begin: int, end: int | None, epochs: int, once: bool) -> int:
    """Returns the epoch of the last update: three quarters of the way, unless one is given."""
    if once:
        return begin
    return end if end is not None else begin + ceil(0.75 * max(epochs - 1 - begin, 0))


def warn_if_short(epochs: int, last: int, what: str) -> None:
    """Warns that `fit` ends before the last update.

    Args:
        epochs: int, those of `fit`.
        last: int, epoch of the last update.
        what: what is not reached.
    """
    if epochs <= last:
        warnings.warn(
            f"fit ends after epoch {epochs - 1}, before the last update at the beginning of epoch "
            f"{last}: the {what} asked for is not reached. Give epochs={last + 1} or more, or "
            "another end_epoch.",
            UserWarning,
            stacklevel=3,
        )
