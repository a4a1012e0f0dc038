"""One cut, whole: graph, scores, choice, surgery, report."""

from typing import Any

import keras

from keras_snare.arguments import check_count, check_flag, is_number
from keras_snare.criteria import (
    Criterion,
    Normalization,
    check_data,
    get_criterion,
    get_normalization,
    twins_of,
)
from keras_snare.graph import channel_groups, model_cost
from keras_snare.policy import SCOPES, check_layers, in_rounds, select_groups
from keras_snare.records import PruneReport
from keras_snare.surgery import check_compensation, plan_for, remove, width_changes


def prune(
    model: keras.Model,
    amount: float,
    *,
    criterion: str | Criterion = "l1_in",
    scope: str = "global",
    normalize: str | Normalization | None = None,
    data: Any = None,
    layers: Any = None,
    rounds: int = 1,
    round_to: int | None = None,
    fold_constants: bool = False,
    compensate: str | None = None,
) -> PruneReport:
    """Removes a share of a model's units at once, in place.

    Use it on a trained model, and fine-tune afterwards; `SnareCallback` finds the share by itself.

    Args:
        model: a built Keras model, as `channel_groups` takes it; compiled, if the criterion needs
            gradients.
        amount: float, share of the units to remove, 0 < amount < 1. At least one unit of each layer
            stays.
        criterion: name or `Criterion`; units with the lowest scores go.
        scope: `"global"` compares units of all layers, `"local"` takes the share of each layer.
        normalize: how the scores of a layer are made comparable with those of others, in the global
            scope. None and `"rms"` divide them by the root of their mean square, `"mean"`, `"max"`
            and `"sum"` by that of their absolute values; `"gaussian"` shifts them to mean 0 and
            standard deviation 1, `"range"` to 0 to 1; `"rank"` takes the share of lower scores in
            the layer; `"none"` leaves them. A function from a layer's scores to as many figures
            will do as well.
        data: `(x, y)` arrays, a tf.data.Dataset or a keras.utils.PyDataset, for criteria that look
            at data, and for `compensate`; without labels `(x,)`, where gradients are not needed.
            Sample weights in them are not looked at.
        layers: names, regular expressions, layer classes or a predicate; None for all.
        rounds: int. In each round the same share of what is left is chosen, and the rest is scored
            anew, with zeros in the place of what is to go; in the end all is removed at once.
        round_to: int or None, widths stay multiples of it.
        fold_constants: bool, whether readers keep, in their biases, what the removed units gave
            them with no input at all, such as the 0.5 of a sigmoid.
        compensate: None, `"least_squares"` or `"mean"`: what readers are given for the removed
            units, without training, as in `shrink`. All of `data` is held in memory for it.

    Returns:
        `PruneReport`.

    Raises:
        ValueError, TypeError: for arguments out of range; nothing has changed then.
        UnsupportedModelError: when the model cannot be cut; nothing has changed.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(2)])
    >>> keras_snare.prune(model, 0.5).params_after
    30

    Reference:
        Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017; for the global scope
        Molchanov et al., ICLR 2017; for `compensate` Luo et al., "ThiNet", ICCV 2017.
    """
    criterion = get_criterion(criterion)
    _check(amount, scope, round_to, criterion, data, layers)
    check_count("rounds", rounds)
    check_flag("fold_constants", fold_constants)
    _check_normalize(normalize, scope)
    compensation = check_compensation(compensate, data, fold_constants)
    groups = channel_groups(model)
    chosen = select_groups(groups, layers)
    if criterion.needs_labels and not getattr(model, "compiled", False):
        raise ValueError(
            f"{criterion!r} needs gradients of the loss. Call model.compile(..., loss=...) first."
        )
    removed = in_rounds(
        model,
        groups,
        chosen,
        amount,
        criterion,
        rounds=rounds,
        scope=scope,
        normalize=normalize or "rms",
        data=data,
        round_to=round_to,
    )
    before = model_cost(groups)
    changes, plan = width_changes(groups, removed), plan_for(groups, removed)
    twins = twins_of(chosen, criterion, removed)
    remove(model, groups, removed, fold_constants, twins, compensation)
    after = model_cost(channel_groups(model))
    return PruneReport(changes, before.params, after.params, before.flops, after.flops, plan)


def _check(amount, scope, round_to, criterion, data, layers) -> None:
    if not is_number(amount) or not 0 < amount < 1:
        raise ValueError(
            "`amount` is the share of units to remove, between 0 and 1. Received: "
            f"amount={amount!r}"
        )
    if not isinstance(scope, str) or scope not in SCOPES:
        raise ValueError(f"`scope` is one of {', '.join(SCOPES)}. Received: scope={scope!r}")
    check_count("round_to", round_to, optional=True)
    if criterion.needs_data and data is None:
        raise ValueError(
            f"{criterion!r} looks at data. Received: data=None. Give `data=(x, y)`, or choose a "
            "criterion on weights: 'l1_in', 'l1_out', 'l1_both'."
        )
    if data is not None:
        check_data(data, "data", criterion.needs_labels)
    check_layers(layers)


def _check_normalize(normalize, scope: str) -> None:
    if normalize is None:
        return
    get_normalization(normalize)
    if scope == "local":
        raise ValueError(
            "The local scope compares no layers, so there is nothing to normalize. Received: "
            f"normalize={normalize!r}, scope='local'. Leave `normalize` out, or give "
            "scope='global'."
        )
