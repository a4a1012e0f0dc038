"""What retraining wins back, learned from a run's own trials: trials beyond it are hopeless."""

from collections.abc import Sequence


class Recovery:
    """Tells when retraining has too much to win back.

    After each epoch of a trial the metric is worse than the best seen by some loss. An accepted
    trial says how much of that the epochs after it won back. A later trial is hopeless where its
    loss, less `margin` times the most that accepted trials won back from the same epoch on, is
    still more than what may be lost. Where too few accepted trials were that long, those count
    that say what was won back from earlier epochs on, which is more.

    Args:
        margin: float, how many times the most that was won back a trial is trusted to win.
        least: int, accepted trials that have to have said something.

    Example:

    >>> recovery = Recovery(margin=1.0, least=1)
    >>> recovery.note([0.03, 0.01, 0.004])
    >>> recovery.hopeless([0.05], eps=0.005)
    True
    >>> recovery.hopeless([0.03], eps=0.005)
    False
    """

    def __init__(self, margin: float = 2.0, least: int = 3) -> None:
        self.margin = margin
        self.least = least
        self._won: list[list[float]] = []

    def note(self, losses: Sequence[float]) -> None:
        """Learns from an accepted trial.

        Args:
            losses: of the metric against the best seen, after each epoch of the trial.
        """
        for at, loss in enumerate(losses[:-1]):
            self._won += [[]] * (at == len(self._won))
            self._won[at] = [*self._won[at], loss - losses[-1]]

    def hopeless(self, losses: Sequence[float], eps: float) -> bool:
        """Tells whether a trial that is under way cannot be expected to be accepted.

        Args:
            losses: after each epoch so far, one at least.
            eps: float, what may be lost.
        """
        known: list[float] = []
        for won in reversed(self._won[: len(losses)]):
            known += won
            if len(known) >= self.least:
                return losses[-1] - self.margin * max(known) > eps
        return False
