"""How much the loss of a model rises for what each of its layers loses in factors."""

from bisect import bisect_left
from typing import Any

import keras
import numpy as np

from keras_snare.criteria.batches import batches, check_labels, flat_inputs
from keras_snare.criteria.losses import mean_loss
from keras_snare.factorize.factors import Factors, Ranks
from keras_snare.graph import Trace

# Shares of a layer's energy that are lost for a try, as near as its ranks allow.
_TRIED = (0.5, 0.1)
# Of the greatest sensitivity: what others have at least, so that energy decides between them.
_LEAST = 1e-6


def sensitivities(
    model: keras.Model, graph: Trace, ways: dict[str, list[Factors]], data: Any, batch_size: int
) -> dict[str, float]:
    """Measures how much the loss rises per share of its energy that each layer alone loses.

    Args:
        model: a compiled model, whose weights are the same afterwards.
        graph: of the model.
        ways: by name of the layer, how it can be factorised; the first one is tried.
        data: with targets.
        batch_size: int, for arrays.

    Raises:
        ValueError: when the loss is not finite, or a batch has no targets.
    """
    before = _loss(model, graph, data, batch_size)
    if not np.isfinite(before):
        raise ValueError(
            f"sensitivity='loss' needs a finite loss. Received: {before} on `data`. Look for NaN "
            "in the targets and in the weights, or take sensitivity='energy'."
        )
    found = {}
    for name, (way, *_) in ways.items():
        lost, rises = [], []
        for ranks in dict.fromkeys(_losing(way, share) for share in _TRIED):
            lost.append(way.lost(ranks))
            rises.append(_loss_with(model, graph, data, batch_size, way, ranks) - before)
        found[name] = float(np.dot(rises, lost) / max(np.dot(lost, lost), 1e-300))
    most = max(found.values())
    if not 0 < most < np.inf:  # No layer counts more than another.
        return dict.fromkeys(found, 1.0)
    return {name: max(one, _LEAST * most) for name, one in found.items()}


def _losing(way: Factors, share: float) -> Ranks:
    """The lowest ranks that lose no more than a share, of those that lose anything."""
    path = way.path()[:-1] or way.path()
    at = bisect_left(path, True, key=lambda one: way.lost(one) <= share)
    return path[min(at, len(path) - 1)]


def _loss_with(
    model: keras.Model, graph: Trace, data: Any, size: int, way: Factors, ranks: Ranks
) -> float:
    """The loss with one layer as it is in factors."""
    held = way.layer.get_weights()
    try:
        way.layer.kernel.assign(way.rebuilt(ranks))
        if way.layer.use_bias:
            way.layer.bias.assign_add(way.bias(ranks))
        return _loss(model, graph, data, size)
    finally:
        way.layer.set_weights(held)


def _loss(model: keras.Model, graph: Trace, data: Any, batch_size: int) -> float:
    """The mean loss over all examples."""
    total, count = 0.0, 0
    for x, y in batches(data, batch_size):
        check_labels(y, True)
        inputs = flat_inputs(graph, x)
        outputs = keras.tree.pack_sequence_as(
            graph.structure, graph.run(inputs, lambda call, key, value: value)
        )
        size = int(inputs[0].shape[0])
        total += size * float(keras.ops.convert_to_numpy(mean_loss(model, y, outputs, x=x)))
        count += size
    return total / count
