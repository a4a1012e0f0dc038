"""Scores to masks: how many connections each kernel loses, and which."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_snare.masking.kernels import Kernel
from keras_snare.masking.masks import Masks
from keras_snare.masking.patterns import Pattern

CONNECTION_SCOPES = ("layer", "global", "erk")
_SAMPLE = 4096
_MARGIN = 160  # Five standard deviations of a place in the sample, in the middle.


def select(
    kernels: list[Kernel],
    scores: Mapping[str, np.ndarray],
    sparsity: float,
    scope: str = "layer",
    pattern: Pattern | None = None,
    axes: Mapping[str, int | None] | None = None,
    rates: Mapping[str, float] | None = None,
) -> Masks:
    """Chooses which connections are kept: those with the highest scores.

    Args:
        kernels: what is pruned.
        scores: by name of the kernel, one score per connection; those at minus infinity go first.
        sparsity: float, share of all connections of the kernels to prune, 0 to 1.
        scope: `"layer"` (the same share of every kernel), `"global"` (the lowest of all) or
            `"erk"` (Erdos-Renyi-kernel: small kernels keep a larger share, in proportion to the sum
            of their axes over the product).
        pattern: how connections stand together.
        axes: by name, the axis over which a kernel sums, for patterns that need it.
        rates: by name, the share to prune instead of `sparsity`, with the scope `"layer"`.

    Returns:
        `Masks`.

    Reference:
        Evci et al., "Rigging the Lottery", ICML 2020, for the scope `"erk"`.
    """
    pattern, axes, rates = pattern or Pattern(), axes or {}, rates or {}
    parts = [pattern.parts(scores[one.name], axes.get(one.name)) for one in kernels]
    if scope == "global":
        kept = _lowest_go(
            np.concatenate([score for score, _ in parts]),
            np.concatenate([size for _, size in parts]),
            sparsity * sum(one.size for one in kernels),
        )
        chosen = np.split(kept, np.cumsum([len(score) for score, _ in parts])[:-1])
    else:
        shares = [rates.get(one.name, sparsity) for one in kernels]
        if scope == "erk":
            shares = (1 - erk_densities([one.shape for one in kernels], 1 - sparsity)).tolist()
        chosen = [
            _lowest_go(*part, share * one.size)
            for part, share, one in zip(parts, shares, kernels, strict=True)
        ]
    return Masks(
        {one.name: pattern.mask(kept, one.shape) for one, kept in zip(kernels, chosen, strict=True)}
    )


def _lowest_go(scores: np.ndarray, sizes: np.ndarray, count: float) -> np.ndarray:
    """Keeps all but the lowest parts that have `count` connections, or as near as whole parts come.

    Equal scores go in the order of the connections; those at infinity never go.
    """
    count = round(count)
    kept = np.ones(len(scores), dtype=bool)
    if count <= 0:
        return kept
    if sizes.max() == 1:
        count = min(count, int((scores != np.inf).sum()))
        if count == len(scores):
            return np.zeros(len(scores), dtype=bool)
        # Those that went before are many, and equal.
        left = scores[scores != -np.inf]
        gone = len(scores) - len(left)
        limit = -np.inf if count < gone else _nth(left, count - gone)
        kept = scores >= limit
        ties = np.flatnonzero(scores == limit)
        kept[ties[: count - int((~kept).sum())]] = False
        return kept
    order = np.argsort(scores, kind="stable")
    going = np.cumsum(sizes[order])
    number = int(np.searchsorted(going, count, side="right"))
    if number < len(order) and going[number] - count < count - (going[number - 1] if number else 0):
        number += 1
    kept[order[:number]] = False
    return kept


def _nth(values: np.ndarray, n: int) -> Any:
    """Returns what stands at the place n in order; a sample says between which values to look."""
    if len(values) > _SAMPLE:
        at = np.random.default_rng(0).integers(len(values), size=_SAMPLE)
        sample = np.sort(values[at])
        place = round(n / len(values) * _SAMPLE)
        low = sample[max(place - _MARGIN, 0)]
        high = sample[min(place + _MARGIN, _SAMPLE - 1)]
        between = values[(values >= low) & (values <= high)]
        within = n - int((values < low).sum())
        if 0 <= within < len(between):
            values, n = between, within
    return np.partition(values, n)[n]


def erk_densities(shapes: list[tuple[int, ...]], density: float) -> np.ndarray:
    """Returns the share that each kernel keeps: in proportion to its axes' sum over their product.

    Args:
        shapes: of the kernels.
        density: float, share that all of them keep together.
    """
    sizes = np.array([np.prod(shape) for shape in shapes], dtype=np.float64)
    raw = np.array([sum(shape) / np.prod(shape) for shape in shapes])
    full = np.zeros(len(shapes), dtype=bool)
    # Kernels whose share would pass 1 are kept whole, and the others share what is left.
    while True:
        left = density * sizes.sum() - sizes[full].sum()
        divisor = (raw * sizes)[~full].sum()
        scale = max(left, 0.0) / divisor if divisor else 0.0
        over = ~full & (raw * scale > 1)
        if not over.any():
            return np.where(full, 1.0, raw * scale)
        full |= over
