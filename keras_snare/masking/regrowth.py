"""How pruned connections come back."""

from abc import ABC, abstractmethod
from math import cos, pi
from typing import Any

import numpy as np

from keras_snare.masking.masks import Masks
from keras_snare.registry import Registry


class Regrowth(ABC):
    """Lets pruned connections come back when the masks are updated.

    Attributes:
        dormant: bool, whether pruned connections train on out of sight.
        by_gradient: bool, whether `grow` needs the gradients of all connections.
    """

    dormant = False
    by_gradient = False

    @abstractmethod
    def scores(self, scores: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Returns the scores by which connections are chosen.

        Args:
            scores: by the criterion, of the weights with those that are dormant.
            kept: the mask so far.
        """

    def grow(self, masks: Masks, scores: dict, slopes: dict, progress: float) -> Masks:
        """Returns the masks that were chosen, with connections exchanged.

        Args:
            masks: as chosen by `scores`.
            scores: by name of the kernel, of its connections.
            slopes: by name, the mean gradient of every connection since the last update.
            progress: float, 0 at the first update and 1 at the last.
        """
        return masks

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({options})"


class Splicing(Regrowth):
    """Pruned connections go on training out of sight, and come back when they score high enough.

    The paper trains with stochastic gradient descent. Steps of Adam are of one size however small
    the gradients are, and take hidden weights far between two updates: then many come back at once
    that the network was not trained with, and in our measurements accuracy was less than without.

    Args:
        hysteresis: float, 0 or more and below 1: a pruned connection comes back only if its score
            exceeds that of a kept one by this share, so that connections do not flicker.

    Reference:
        Guo et al., "Dynamic Network Surgery for Efficient DNNs", NeurIPS 2016.
    """

    dormant = True

    def __init__(self, hysteresis: float = 0.1) -> None:
        if not isinstance(hysteresis, (int, float)) or not 0 <= hysteresis < 1:
            raise ValueError(
                "`hysteresis` is a share, 0 or more and below 1. Received: "
                f"hysteresis={hysteresis!r}"
            )
        self.hysteresis = hysteresis

    def scores(self, scores: np.ndarray, kept: np.ndarray) -> np.ndarray:
        return np.where(kept, scores, scores - self.hysteresis * np.abs(scores))


class RigL(Regrowth):
    """At every update, the lowest connections change places with pruned ones of high gradient.

    Those that come back begin at zero. The share that changes falls to zero along a cosine.

    Args:
        share: float between 0 and 1, share of the kept connections that change at the first update.

    Reference:
        Evci et al., "Rigging the Lottery: Making All Tickets Winners", ICML 2020.
    """

    by_gradient = True

    def __init__(self, share: float = 0.3) -> None:
        if not isinstance(share, (int, float)) or not 0 < share < 1:
            raise ValueError(f"`share` lies between 0 and 1. Received: share={share!r}")
        self.share = share

    def scores(self, scores: np.ndarray, kept: np.ndarray) -> np.ndarray:
        return np.where(kept, scores, -np.inf)

    def grow(self, masks: Masks, scores: dict, slopes: dict, progress: float) -> Masks:
        share = self.share * (1 + cos(pi * min(progress, 1.0))) / 2
        exchanged = {
            name: _exchanged(kept, scores[name], np.abs(slopes[name]), share)
            for name, kept in masks.items()
        }
        return Masks(exchanged)


def _exchanged(
    kept: np.ndarray, scores: np.ndarray, slopes: np.ndarray, share: float
) -> np.ndarray:
    """Gives up the lowest kept connections for the pruned ones of the steepest slope."""
    kept = kept.copy().reshape(-1)
    count = min(round(share * kept.sum()), int((~kept).sum()))
    pruned = np.flatnonzero(~kept)
    steepest = pruned[np.argsort(-slopes.reshape(-1)[pruned], kind="stable")[:count]]
    left = np.flatnonzero(kept)
    lowest = left[np.argsort(scores.reshape(-1)[left], kind="stable")[:count]]
    kept[lowest], kept[steepest] = False, True
    return kept.reshape(scores.shape)


REGROWTHS: Registry[type[Regrowth]] = Registry("regrowth")
for _name, _regrowth in {"rigl": RigL, "splicing": Splicing}.items():
    REGROWTHS.register(_name, _regrowth)


def get_regrowth(regrowth: Any) -> Regrowth | None:
    """Returns a regrowth by name, the object itself, or None.

    Raises:
        ValueError: when none has the name.
        TypeError: when `regrowth` is neither a name nor a `Regrowth`.
    """
    if regrowth is None:
        return None
    other = "None, or an object such as keras_snare.masking.Splicing()"
    return REGROWTHS.make(regrowth, Regrowth, "regrowth", other)
