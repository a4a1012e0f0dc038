"""The monitored metric: which way is better, and what is still good enough."""

import math
from dataclasses import dataclass

from keras_snare.arguments import is_number

_HIGHER = "acc auc precision recall f1 fbeta iou dice r2 cosine_similarity hit ndcg map".split()
_LOWER = (
    "loss error err mse mae mape msle rmse entropy perplexity poisson divergence hinge logcosh"
).split()
MODES = ("auto", "max", "min")


@dataclass(frozen=True)
class Objective:
    """What the search must not lose.

    Args:
        monitor: str, name of the metric in `logs`.
        higher: bool, whether a higher value is better.
        eps: float, accepted loss against the best seen.
    """

    monitor: str
    higher: bool
    eps: float

    def better(self, value: float, than: float) -> float:
        """Returns the better of two values."""
        return max(value, than) if self.higher else min(value, than)

    def loss(self, value: float, best: float) -> float:
        """Returns by how much a value is worse than the best; negative if it is better."""
        return best - value if self.higher else value - best

    def passes(self, value: float, best: float) -> bool:
        """Tells whether a value is worse than the best by less than eps, or not worse at all."""
        if not math.isfinite(value):
            return False
        loss = self.loss(value, best)
        return loss < self.eps or loss <= 0


def objective(monitor: str, mode: str, eps: float) -> Objective:
    """Makes the objective from a callback's arguments.

    Raises:
        ValueError: when `eps` is no number of 0 or more, or it is not clear which way is better.
    """
    if not is_number(eps) or not 0 <= eps < math.inf:
        raise ValueError(
            "`eps` is the accepted loss of the metric, a number of 0 or more, such as 0.005 for "
            f"half a point of accuracy. Received: eps={eps!r}"
        )
    if not isinstance(monitor, str) or not monitor:
        raise ValueError(f"`monitor` is the name of a metric. Received: monitor={monitor!r}")
    if not isinstance(mode, str) or mode not in MODES:
        raise ValueError(f"`mode` is one of {', '.join(MODES)}. Received: mode={mode!r}")
    if mode != "auto":
        return Objective(monitor, mode == "max", float(eps))
    name = monitor.lower().removeprefix("val_")
    for words, higher in ((_LOWER, False), (_HIGHER, True)):
        if any(word in name for word in words):
            return Objective(monitor, higher, float(eps))
    raise ValueError(
        f"It is not clear whether a higher {monitor!r} is better. Give mode='max' or mode='min'."
    )
