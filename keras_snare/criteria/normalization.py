"""How scores of one layer are made comparable with those of another."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_snare.registry import Registry

Normalization = Callable[[np.ndarray], np.ndarray]


def _rank(scores: np.ndarray) -> np.ndarray:
    return np.searchsorted(np.sort(scores), scores) / len(scores)


def _over(scores: np.ndarray, size: Any) -> np.ndarray:
    """Divides by a size; where that is zero, so are all scores."""
    return scores / size if size > 0 else scores


# None changes the order of a layer's scores.
NORMALIZATIONS: Registry[Normalization] = Registry("normalization")
for _name, _normalize in {
    "gaussian": lambda scores: _over(scores - scores.mean(), scores.std()),
    "max": lambda scores: _over(scores, np.abs(scores).max()),
    "mean": lambda scores: _over(scores, np.abs(scores).mean()),
    "none": lambda scores: scores,
    "range": lambda scores: _over(scores - scores.min(), np.ptp(scores)),
    "rank": _rank,
    "rms": lambda scores: _over(scores, np.sqrt(np.mean(scores**2))),
    "sum": lambda scores: _over(scores, np.abs(scores).sum()),
}.items():
    NORMALIZATIONS.register(_name, _normalize)


def get_normalization(normalize: str | Normalization) -> Normalization:
    """Returns a normalisation by name, or the function itself.

    By name: scores are divided by the root of their mean square (`"rms"`), their `"mean"`, `"max"`
    or `"sum"`, of absolute values each; shifted to mean 0 and divided by their standard deviation
    (`"gaussian"`); stretched to lie between 0 and 1 (`"range"`); replaced by the share of the
    layer's scores that are lower (`"rank"`); or left as they are (`"none"`).

    Raises:
        ValueError: when no normalisation has the name.
        TypeError: when `normalize` is neither a name nor a function.
    """
    if isinstance(normalize, str):
        return NORMALIZATIONS.get(normalize)
    if not callable(normalize):
        raise TypeError(
            f"`normalize` is a name ({', '.join(NORMALIZATIONS.names())}) or a function from the "
            f"scores of a layer to as many figures. Received: {normalize!r}"
        )
    return normalize


def normalized(scores: np.ndarray, normalize: str | Normalization) -> np.ndarray:
    """Normalises the scores of one layer; infinite ones stay, and do not count.

    Args:
        scores: array, one score per unit.
        normalize: as for `get_normalization`.

    Raises:
        ValueError: when a function returns another shape, or NaN.
    """
    finite = np.isfinite(scores)
    found = np.array(scores, dtype=np.float64)
    if not finite.any():
        return found
    figures = np.asarray(get_normalization(normalize)(found[finite]), dtype=np.float64)
    if figures.shape != (finite.sum(),) or np.isnan(figures).any():
        raise ValueError(
            f"A normalisation returns one figure per score, none NaN. Expected from {normalize!r} "
            f"the shape ({finite.sum()},). Received: {figures!r}. Mend it, or give one by name."
        )
    found[finite] = figures
    return found
