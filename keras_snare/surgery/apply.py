"""Carries out a plan on a live model: all of it, or nothing."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_snare.arguments import check_flag
from keras_snare.graph import ChannelGroups, Sized, channel_groups
from keras_snare.graph.trace import recorded_tensors
from keras_snare.records import PrunePlan
from keras_snare.surgery import variables
from keras_snare.surgery.attributes import Resized, new_arguments, new_attributes, scaled_variables
from keras_snare.surgery.compensation import Compensation, Uncut, check_compensation
from keras_snare.surgery.constants import constants
from keras_snare.surgery.followers import cut_followers
from keras_snare.surgery.merging import merged
from keras_snare.surgery.narrow_strides import narrow_strides, warn_of_narrow_strides
from keras_snare.surgery.plans import removed_channels
from keras_snare.surgery.positions import kept_positions
from keras_snare.surgery.resizing import resized
from keras_snare.surgery.snapshot import Snapshot


def shrink(
    model: keras.Model,
    plan: PrunePlan | Mapping[str, Any],
    *,
    fold_constants: bool = False,
    compensate: str | None = None,
    data: Any = None,
) -> Snapshot:
    """Cuts units out of a model, in place; everything that is coupled to them follows.

    Weights, batch normalisations, the weights that read the units, the optimizer's slots, the
    layers' attributes and the shapes in `model.summary()` all become smaller; the model object, its
    layers and its variables stay the objects that they are. Training goes on with the next step.

    Args:
        model: a built Keras model, as `channel_groups` takes it.
        plan: `PrunePlan`, or a mapping from layer names to the indices of the units that stay.
        fold_constants: bool, whether readers keep, in their biases, what the removed units gave
            them with no input at all, such as the 0.5 of a sigmoid.
        compensate: what the layers that read removed units are given for them, without training.
            `"least_squares"`: new weights, fitted so that on `data` they compute what they did
            before the cut, as well as that can be had from the units that are left; layer by layer,
            each from what the compensated ones before it now give. `"mean"`: a constant only, so
            that they compute the same on average; seldom enough behind ReLU. None: nothing.
        data: `(x,)` arrays, a tf.data.Dataset or a keras.utils.PyDataset for `compensate`; labels
            are not looked at. A few hundred examples are enough. All are used, and held in memory
            with what the readers compute of them.

    Returns:
        `Snapshot`, whose `restore()` undoes the cut and any training since, to the bit.

    Raises:
        InvalidPlanError: when the plan does not fit; nothing has changed then.
        ValueError: when `fold_constants`, `compensate` or `data` do not suit; nothing has changed.
        UnsupportedModelError: when the model or its optimizer cannot be cut, or units that go are
            read by other layers than `compensate` covers, Dense and convolutions; nothing has
            changed.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, name="hidden"),
    ...                           keras.layers.Dense(2)])
    >>> undo = keras_snare.shrink(model, {"hidden": [0, 3, 5]})
    >>> model.get_layer("hidden").units
    3
    >>> undo.restore()
    >>> model.get_layer("hidden").units
    8
    >>> undo = keras_snare.shrink(model, {"hidden": [0, 3, 5]}, compensate="least_squares",
    ...                           data=(np.random.normal(size=(256, 4)),))

    Reference:
        Luo et al., "ThiNet: A Filter Level Pruning Method for Deep Neural Network Compression",
        ICCV 2017; He et al., "Channel Pruning for Accelerating Very Deep Neural Networks", ICCV
        2017, for `compensate="least_squares"`.
    """
    check_flag("fold_constants", fold_constants)
    given = check_compensation(compensate, data, fold_constants)
    if data is not None and given is None:
        raise ValueError(
            "`data` are for compensate='mean' or 'least_squares'. Received: compensate=None. Give "
            "one of these, or leave the data out."
        )
    groups = channel_groups(model)
    plan = plan if isinstance(plan, PrunePlan) else PrunePlan(plan)
    removed = removed_channels(groups, plan)
    return remove(model, groups, removed, fold_constants, compensation=given)


def remove(
    model: keras.Model,
    groups: ChannelGroups,
    removed: np.ndarray,
    fold_constants: bool = False,
    twins: Mapping[int, int] | None = None,
    compensation: Compensation | None = None,
) -> Snapshot:
    """Cuts the channels `removed` (roots) of groups that were just found.

    Args:
        model: the model.
        groups: its channel groups.
        removed: the channels.
        fold_constants: bool, whether readers keep the constants that the channels gave them.
        twins: channels that go to those that take over their outgoing weights.
        compensation: what readers of the channels are given for them beside.
    """
    twins = twins or {}
    added = merged(groups, twins)
    if fold_constants:
        added += constants(groups, removed[~np.isin(removed, list(twins))])
    uncut = Uncut(groups, removed, compensation) if compensation and removed.size else None
    keep = kept_positions(groups, removed)
    narrow = narrow_strides(_layers(groups))
    with resized(model, groups.trace, keep) as snapshot:
        if not removed.size:
            return snapshot
        for variable, value in added:
            for axis, positions in keep.get(id(variable), (None, {}))[1].items():
                value = value.take(positions, axis=axis)
            variable.assign_add(value)
        _resize_symbols(groups, removed)
        if uncut is not None:
            uncut.give_back(model)
        for follower in cut_followers(model):
            follower.cut(groups, removed)
    warn_of_narrow_strides(narrow, _layers(groups))
    return snapshot


def _layers(groups: ChannelGroups) -> list[keras.layers.Layer]:
    return [one.layer for one in groups.sized if isinstance(one.layer, keras.Layer)]


def _resize_symbols(groups: ChannelGroups, removed: np.ndarray) -> None:
    graph = groups.trace
    resized = {
        key: groups.resized(graph.shape(key), groups.labels[key], removed) for key in graph.tensors
    }
    before = {key: graph.shape(key) for key in resized}
    known = {id(tensor) for tensors in graph.tensors.values() for tensor in tensors}
    for call in (*graph.calls, *graph.nested):
        for tensor in recorded_tensors(call.operation):
            shapes = [resized[key] for key in call.outputs if before[key] == tuple(tensor.shape)]
            if id(tensor) not in known and shapes:
                variables.set_tensor_shape(tensor, shapes[0])
    for key, tensors in graph.tensors.items():
        for tensor in tensors:
            variables.set_tensor_shape(tensor, resized[key])
    seen: set[int] = set()
    for sized in groups.sized:
        if id(sized.layer) not in seen:
            seen.add(id(sized.layer))
            _resize_layer(groups, sized, removed)


def _resize_layer(groups: ChannelGroups, sized: Sized, removed: np.ndarray) -> None:
    inputs, outputs = (
        [groups.resized(shape, axes, removed) for shape, axes in tensors]
        for tensors in (sized.inputs, sized.outputs)
    )
    resized = Resized(sized, inputs, outputs, lambda labels: groups.kept(labels, removed))
    for name, value in new_attributes(resized).items():
        variables.set_attribute(sized.layer, name, value)
    if sized.call is not None:
        variables.state_arguments(sized.call.arguments, *new_arguments(resized))
    for variable, factor in scaled_variables(resized):
        variables.scale(variable, factor)
    if isinstance(sized.layer, keras.Layer):
        shapes = variables.rebuilt_shapes(sized.layer, inputs, sized.named_inputs())
        variables.set_build_shapes(sized.layer, shapes)
