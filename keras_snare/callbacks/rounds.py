"""The trainings that the epochs of one `fit` are shared out among."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rounds:
    """A first training, and later ones that each begin at a point of it.

    Args:
        count: int, how many there are after the first.
        epochs: int, epochs of the first.
        skipped: int, epochs of it that the later ones leave out, since they begin behind them.
        first: int, number of the first epoch of `fit`.
    """

    count: int
    epochs: int
    skipped: int = 0
    first: int = 0

    @property
    def total(self) -> int:
        """Epochs of all of them together."""
        return self.epochs + self.count * (self.epochs - self.skipped)

    def start(self, number: int) -> int:
        """Returns the epoch of `fit` in which a round begins; the first is number 0."""
        return self.first + number * (self.epochs - self.skipped) + self.skipped * (number > 0)

    def number(self, epoch: int) -> int:
        """Returns the round that an epoch of `fit` belongs to."""
        later = epoch - self.first - self.skipped
        return min(max(later // (self.epochs - self.skipped), 0), self.count)

    def position(self, epoch: int) -> int:
        """Returns the epoch of the training that the round repeats, as `fit` would number it."""
        number = self.number(epoch)
        return epoch - self.start(number) + self.first + self.skipped * (number > 0)
