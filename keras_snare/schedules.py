"""How the sparsity grows while a network trains: from `initial` to what is asked for.

Reference:
    Zhu and Gupta, "To Prune, or Not to Prune: Exploring the Efficacy of Pruning for Model
    Compression", 2017, for the polynomial.
"""

from abc import ABC, abstractmethod
from math import cos, pi
from typing import Any

from keras_snare.registry import Registry


class Schedule(ABC):
    """Sparsity by progress, where 0 is the first update and 1 the last.

    Args:
        initial: float, sparsity at the first update, 0 <= initial < 1.

    Attributes:
        once: bool, whether what was pruned at the first update stays so, with no update after it.
    """

    once = False

    def __init__(self, initial: float = 0.0) -> None:
        if not isinstance(initial, (int, float)) or not 0 <= initial < 1:
            raise ValueError(
                "`initial` is the sparsity that a schedule begins with, 0 or more and below 1. "
                f"Received: initial={initial!r}"
            )
        self.initial = initial

    def sparsity(self, progress: float, final: float) -> float:
        """Returns the sparsity at a time.

        Args:
            progress: float, 0 to 1.
            final: float, sparsity at the end.

        Raises:
            ValueError: when the schedule begins above `final`.
        """
        if self.initial > final:
            raise ValueError(
                "A schedule grows to the final sparsity. Received: "
                f"initial={self.initial!r} above sparsity={final!r}"
            )
        return self.between(min(max(progress, 0.0), 1.0), final)

    @abstractmethod
    def between(self, progress: float, final: float) -> float:
        """Returns the same for `progress` in 0..1 and `final` from `initial` on."""

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({options})"


class OneShot(Schedule):
    """All at the first update, and never again."""

    once = True

    def __init__(self) -> None:
        super().__init__()

    def between(self, progress: float, final: float) -> float:
        return final


class Constant(Schedule):
    """All at the first update; at the later ones it is chosen anew what is pruned."""

    def __init__(self) -> None:
        super().__init__()

    def between(self, progress: float, final: float) -> float:
        return final


class Linear(Schedule):
    """The same amount at every update.

    Args:
        initial: float, sparsity at the first update.
    """

    def between(self, progress: float, final: float) -> float:
        return self.initial + (final - self.initial) * progress


class Polynomial(Schedule):
    """Much at first, when there is much to spare, and less and less towards the end.

    Args:
        initial: float, sparsity at the first update.
        power: float, 1 or more; 3 is the cubic schedule of Zhu and Gupta.
    """

    def __init__(self, initial: float = 0.0, power: float = 3.0) -> None:
        super().__init__(initial)
        if not isinstance(power, (int, float)) or power < 1:
            raise ValueError(f"`power` is a number, 1 or more. Received: power={power!r}")
        self.power = power

    def between(self, progress: float, final: float) -> float:
        return final + (self.initial - final) * (1 - progress) ** self.power


class Cosine(Schedule):
    """Slowly at both ends, by half a wave of the cosine.

    Args:
        initial: float, sparsity at the first update.
    """

    def between(self, progress: float, final: float) -> float:
        return final + (self.initial - final) * (1 + cos(pi * progress)) / 2


class Exponential(Schedule):
    """The same share of what is left at every update, as in SynFlow and in lottery tickets.

    Args:
        initial: float, sparsity at the first update.
    """

    def between(self, progress: float, final: float) -> float:
        return 1 - (1 - self.initial) ** (1 - progress) * (1 - final) ** progress


SCHEDULES: Registry[type[Schedule]] = Registry("schedule")
for _name, _schedule in {
    "constant": Constant,
    "cosine": Cosine,
    "exponential": Exponential,
    "linear": Linear,
    "one_shot": OneShot,
    "polynomial": Polynomial,
}.items():
    SCHEDULES.register(_name, _schedule)


def get_schedule(schedule: Any) -> Schedule:
    """Returns a schedule by name, or the object itself.

    Raises:
        ValueError: when no schedule has the name.
        TypeError: when `schedule` is neither a name nor a `Schedule`.
    """
    return SCHEDULES.make(schedule, Schedule, "schedule", "a keras_snare.schedules.Schedule")
