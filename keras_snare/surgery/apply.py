"""Carries out a plan on a live model: all of it, or nothing."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_snare.arguments import check_flag
from keras_snare.errors import InvalidPlanError
from keras_snare.graph import READER, ChannelGroups, Sized, axis_key, channel_groups
from keras_snare.graph.trace import recorded_tensors
from keras_snare.records import PrunePlan, WidthChange
from keras_snare.surgery import optimizers, variables
from keras_snare.surgery.attributes import Resized, new_arguments, new_attributes, scaled_variables
from keras_snare.surgery.constants import constants
from keras_snare.surgery.merging import merged
from keras_snare.surgery.snapshot import Snapshot, take_snapshot


def removed_channels(groups: ChannelGroups, plan: PrunePlan) -> np.ndarray:
    """Translates a plan into the channels (roots) that go.

    Raises:
        InvalidPlanError: when the plan names an unknown layer or unit, keeps nothing of a layer,
            contradicts itself, or asks for what cannot be cut.
    """
    removed: list[int] = []
    kept: dict[int, str] = {}
    for layer, keep in plan.keep.items():
        units = _unit_roots(groups, layer, keep)
        stay = np.zeros(len(units), dtype=bool)
        stay[list(keep)] = True
        kept.update(dict.fromkeys(units[stay].tolist(), layer))
        removed.extend(units[~stay].tolist())
    contradicted = sorted(set(removed) & kept.keys())
    if contradicted:
        raise InvalidPlanError(
            f"The plan keeps units of layer {kept[contradicted[0]]!r} that are coupled to units "
            "which it removes. Give coupled layers the same units to keep; "
            "print(keras_snare.channel_groups(model)) shows what is coupled."
        )
    _check_frozen(groups, set(removed))
    _check_emptied(groups, removed)
    return np.array(sorted(set(removed)), dtype=np.int64)


def _unit_roots(groups: ChannelGroups, layer: str, keep: tuple[int, ...]) -> np.ndarray:
    if layer not in groups:
        known = ", ".join(name for group in groups.prunable() for name in group.layers)
        raise InvalidPlanError(
            f"The plan names layer {layer!r}, which has no units to cut. Layers that have: "
            f"{known or 'none'}."
        )
    units = groups.units(layer)
    if not keep:
        raise InvalidPlanError(
            f"The plan keeps none of the {len(units)} units of layer {layer!r}. Keep at least one."
        )
    if keep[0] < 0 or keep[-1] >= len(units):
        raise InvalidPlanError(
            f"Layer {layer!r} has units 0 to {len(units) - 1}. Received the indices "
            f"{keep[0]} to {keep[-1]}."
        )
    return units


def _check_frozen(groups: ChannelGroups, removed: set[int]) -> None:
    for group in groups:
        hit = [at for at, root in enumerate(group.roots.tolist()) if root in removed]
        frozen = [at for at in hit if at in group.reasons]
        if frozen:
            raise InvalidPlanError(
                f"Unit {frozen[0]} of layer {group.name!r} cannot be cut: "
                f"{group.reasons[frozen[0]]}. Leave it out of the plan."
            )


def _check_emptied(groups: ChannelGroups, removed: list[int]) -> None:
    for group in groups:
        emptied = [name for name in group.layers if np.isin(groups.units(name), removed).all()]
        emptied += [
            one.binding.name
            for one in group.with_role(READER)
            if np.isin(groups.roots[one.binding.labels], removed).all()
        ]
        if emptied:
            raise InvalidPlanError(
                f"The plan keeps none of the units of layer {emptied[0]!r}, which are coupled to "
                f"those of layer {group.name!r}. Keep at least one of them."
            )


def shrink(model, plan: PrunePlan | Mapping[str, Any], *, fold_constants: bool = False) -> Snapshot:
    """Cuts units out of a model, in place; everything that is coupled to them follows.

    Weights, batch normalisations, the weights that read the units, the optimizer's slots, the
    layers' attributes and the shapes in `model.summary()` all become smaller; the model object, its
    layers and its variables stay the objects that they are. Training goes on with the next step.

    Args:
        model: a built Keras model, as `channel_groups` takes it.
        plan: `PrunePlan`, or a mapping from layer names to the indices of the units that stay.
        fold_constants: bool, whether readers keep, in their biases, what the removed units gave
            them with no input at all, such as the 0.5 of a sigmoid.

    Returns:
        `Snapshot`, whose `restore()` undoes the cut and any training since, to the bit.

    Raises:
        InvalidPlanError: when the plan does not fit; nothing has changed then.
        ValueError: when `fold_constants` is neither True nor False; nothing has changed.
        UnsupportedModelError: when the model or its optimizer cannot be cut; nothing has changed.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, name="hidden"),
    ...                           keras.layers.Dense(2)])
    >>> undo = keras_snare.shrink(model, {"hidden": [0, 3, 5]})
    >>> model.get_layer("hidden").units
    3
    >>> undo.restore()
    >>> model.get_layer("hidden").units
    8
    """
    check_flag("fold_constants", fold_constants)
    groups = channel_groups(model)
    plan = plan if isinstance(plan, PrunePlan) else PrunePlan(plan)
    return remove(model, groups, removed_channels(groups, plan), fold_constants)


def remove(
    model,
    groups: ChannelGroups,
    removed: np.ndarray,
    fold_constants: bool = False,
    twins: Mapping[int, int] | None = None,
) -> Snapshot:
    """Cuts the channels `removed` (roots) of groups that were just found.

    Args:
        model: the model.
        groups: its channel groups.
        removed: the channels.
        fold_constants: bool, whether readers keep the constants that the channels gave them.
        twins: channels that go to those that take over their outgoing weights.
    """
    twins = twins or {}
    added = merged(groups, twins)
    if fold_constants:
        added += constants(groups, removed[~np.isin(removed, list(twins))])
    optimizer = optimizers.built_optimizer(model)
    keep = _positions(groups, removed)
    followers = []
    for slot in optimizers.slots(optimizer):
        axes = keep.get(id(slot.variable), (None, {}))[1]
        own = {at: axes[axis] for at, axis in enumerate(slot.axes) if axis in axes}
        if own:
            followers.append((slot.value, own))
    keys = optimizers.variable_keys(optimizer, [variable for variable, _ in keep.values()])
    replaced = {*keep, *(id(value) for value, _ in followers)}
    snapshot = take_snapshot(model, groups.trace, frozenset(replaced))
    if not removed.size:
        return snapshot
    try:
        for variable, axes in (*followers, *keep.values()):
            variables.resize(variable, axes)
        for variable, value in added:
            for axis, positions in keep.get(id(variable), (None, {}))[1].items():
                value = value.take(positions, axis=axis)
            variable.assign_add(value)
        optimizers.rename_keys(optimizer, keys)
        _resize_symbols(groups, removed)
        _drop_functions(model)
    except BaseException:
        snapshot.restore()
        raise
    return snapshot


def _positions(groups: ChannelGroups, removed: np.ndarray) -> dict[int, tuple[Any, dict]]:
    """Per variable that is cut: the variable, and axis to positions that stay."""
    keep: dict[int, tuple[Any, dict]] = {}
    for binding in groups.bindings:
        stay = groups.kept(binding.labels, removed)
        if not stay.all():
            key, axis = axis_key(binding.variable, binding.axis)
            keep.setdefault(key, (binding.variable, {}))[1][axis] = np.flatnonzero(stay)
    return keep


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


def _drop_functions(model) -> None:
    """Drops the compiled steps; they refer to the old variables."""
    trained = model.train_function is not None
    model.train_function = model.test_function = model.predict_function = None
    if trained:
        model.make_train_function()


def width_changes(groups: ChannelGroups, removed: np.ndarray) -> tuple[WidthChange, ...]:
    """Returns the groups that become narrower, and by how much."""
    changes = []
    for group in groups:
        after = int((~np.isin(group.roots, removed)).sum())
        if after < group.width:
            changes.append(WidthChange(group.name, group.width, after))
    return tuple(changes)


def plan_for(groups: ChannelGroups, removed: np.ndarray) -> PrunePlan:
    """Returns the plan that removes the given channels; it names every layer that loses units."""
    stays = {
        layer: ~np.isin(groups.units(layer), removed) for group in groups for layer in group.layers
    }
    return PrunePlan(
        {
            layer: tuple(np.flatnonzero(stay).tolist())
            for layer, stay in stays.items()
            if not stay.all()
        }
    )
