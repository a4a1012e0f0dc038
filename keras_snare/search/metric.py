"""The monitored metric: which way is better, and what is still good enough."""

import math
from dataclasses import dataclass

import keras

from keras_snare.arguments import is_number

_HIGHER = "acc auc precision recall f1 fbeta iou dice r2 cosine_similarity hit ndcg map".split()
_LOWER = (
    "loss error err mse mae mape msle rmse entropy perplexity poisson divergence hinge logcosh"
).split()
MODES = ("auto", "max", "min")
_STEPS = ("train_step", "test_step")


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
    if eps > 1 and isinstance(monitor, str) and "acc" in monitor.lower():
        raise ValueError(
            f"`eps` of an accuracy, which is a share, lies between 0 and 1. Received: eps={eps!r}, "
            f"which any network is within. For {eps:g} percent give eps={eps / 100:g}."
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


def check_metric(model: keras.Model, monitor: str) -> None:
    """Checks that a metric is one of the model's, as far as they are known.

    Raises:
        ValueError: when it is none.
    """
    known = metric_names(model)
    if known is not None and monitor.removeprefix("val_") not in known:
        listed = [*known, *(f"val_{name}" for name in known)]
        raise ValueError(
            f"`monitor` is not a metric of the model. Received: monitor={monitor!r}. "
            f"There are: {', '.join(listed)}. Add it to model.compile(metrics=[...])."
        )


def metric_names(model: keras.Model) -> list[str] | None:
    """Returns the names under which a compiled model logs, or None where they are not yet known.

    Before its first step, a model with several outputs has not named its metrics; a model with a
    step of its own names them in there.
    """
    steps = [(getattr(type(model), name), getattr(keras.Model, name)) for name in _STEPS]
    if len(getattr(model, "outputs", ())) != 1 or any(own is not common for own, common in steps):
        return None
    names = ["loss"]
    settings = model.get_compile_config() or {}
    for group in ("metrics", "weighted_metrics"):
        given = settings.get(group) or []
        if not isinstance(given, list) or any(isinstance(one, list) for one in given):
            return None
        names.extend(_metric_name(one) for one in given)
    return names


def _metric_name(metric: str | dict) -> str:
    if isinstance(metric, str):
        return metric
    config = metric.get("config")
    if isinstance(config, str):
        return config
    return str((config or {}).get("name", metric.get("class_name")))
