"""Prunes connections at once, in as many rounds as it takes, without any training."""

from typing import Any

import keras
import numpy as np

from keras_snare.arguments import check_count
from keras_snare.masking.arguments import (
    check_compiled,
    check_criterion_data,
    check_scope,
    final_sparsity,
)
from keras_snare.masking.criteria import ConnectionCriterion, get_connection_criterion
from keras_snare.masking.kernels import Kernel
from keras_snare.masking.masks import Masks, whole_masks
from keras_snare.masking.patterns import Pattern, get_pattern
from keras_snare.masking.scoring import score_connections
from keras_snare.masking.selection import select
from keras_snare.masking.suitable import suitable_kernels
from keras_snare.policy import check_layers
from keras_snare.schedules import Exponential

_LEAST = np.finfo(np.float64).tiny


def sparsify(
    model: keras.Model,
    sparsity: float | None = None,
    *,
    criterion: str | ConnectionCriterion = "magnitude",
    rounds: int = 1,
    data: Any = None,
    scope: str = "global",
    pattern: tuple[int, int] | None = None,
    block: tuple[int, int] | None = None,
    layers: Any = None,
    initial_masks: Masks | None = None,
) -> Masks:
    """Sets a share of a model's connections to zero at once, in place.

    Use it before training, or on a trained model. Training moves the zeros again; let
    `SynFlowCallback` or `MagnitudePruneCallback(initial_masks=...)` hold them meanwhile.

    Args:
        model: a built Keras model; compiled, if the criterion looks at data.
        sparsity: float between 0 and 1, share of the connections; None means 0.8, or what `pattern`
            asks for.
        criterion: name or `ConnectionCriterion`: `"magnitude"`, `"synflow"`, `"snip"`, `"grasp"`,
            `"obd"`, `"taylor"`, `"movement"` or `"random"`; the lowest go.
        rounds: int. In each round the same share of what is left goes, and the rest is scored anew.
        data: `(x, y)` arrays, a tf.data.Dataset or a keras.utils.PyDataset, for criteria that look
            at data.
        scope: `"global"` prunes the lowest of all layers, `"layer"` the same share of every layer,
            `"erk"` a share by the shape of each kernel.
        pattern: `(n, m)`: of every m connections along the axis that is summed over, n are kept.
        block: `(rows, columns)`: blocks of the kernels' matrices are pruned whole.
        layers: names, regular expressions, layer classes, or a predicate on layers; None for all.
        initial_masks: `Masks`, such as those of an earlier call: what they prune stays pruned.

    Returns:
        `Masks` of the kernels.

    Raises:
        ValueError, TypeError: for arguments out of range; nothing has changed then.
        UnsupportedModelError: when the model has no connections that can be pruned so, or the
            criterion cannot measure it; nothing has changed.
        InvalidPlanError: when the masks are of another network; nothing has changed.

    Example:

    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8), keras.layers.Dense(2)])
    >>> keras_snare.sparsify(model, 0.5, criterion="synflow", rounds=10).sparsity
    0.5

    Reference:
        Han et al., NeurIPS 2015, for magnitudes; for the rounds Tanaka et al., "Pruning Neural
        Networks Without Any Data by Iteratively Conserving Synaptic Flow", NeurIPS 2020.
    """
    found, stands = get_connection_criterion(criterion), get_pattern(pattern, block)
    final = final_sparsity(sparsity, stands, 0.8)
    check_count("rounds", rounds)
    check_scope(scope, stands)
    check_layers(layers)
    check_criterion_data(found, data, "data")
    if initial_masks is not None and not isinstance(initial_masks, Masks):
        raise TypeError(
            f"`initial_masks` are keras_snare.Masks, or None. Received: {initial_masks!r}"
        )
    masks = chosen_masks(
        model,
        final,
        found,
        rounds=rounds,
        data=data,
        scope=scope,
        pattern=stands,
        layers=layers,
        initial_masks=initial_masks,
    )
    masks.apply(model)
    return masks


def chosen_masks(
    model: keras.Model,
    sparsity: float,
    criterion: ConnectionCriterion,
    *,
    rounds: int,
    data: Any,
    scope: str,
    pattern: Pattern,
    layers: Any,
    initial_masks: Masks | None,
) -> Masks:
    """Returns the masks that `sparsify` applies; the model is only read."""
    kernels, axes = suitable_kernels(model, pattern, layers)
    check_compiled(model, criterion)
    masks = whole_masks(model, kernels, initial_masks)
    schedule = Exponential(min(masks.sparsity, sparsity))
    for number in range(1, rounds + 1):
        ranked = _ranked(model, kernels, criterion, masks, data)
        share = schedule.sparsity(number / rounds, sparsity)
        masks = select(kernels, ranked, share, scope, pattern, axes).both(masks)
    return masks


def _ranked(
    model: keras.Model,
    kernels: list[Kernel],
    criterion: ConnectionCriterion,
    masks: Masks,
    data: Any,
) -> dict[str, np.ndarray]:
    """Scores the connections of the model as it would be with masks; those pruned come first."""
    weights = {}
    for one in kernels:
        value = keras.ops.convert_to_numpy(one.variable.value)
        weights[one.name] = np.where(masks[one.name], value, np.zeros_like(value))
    with keras.StatelessScope([(one.variable, weights[one.name]) for one in kernels]):
        measured = criterion.measure(model, kernels, data)
    ranked = {}
    for name, scores in score_connections(criterion, kernels, weights, measured).items():
        # What a former pruning left at zero goes before what has lost its way to the outputs.
        spent = (scores == 0) & (weights[name] == 0)
        ranked[name] = np.where(masks[name], np.where(spent, -_LEAST, scores), -np.inf)
    return ranked
