"""Cuts for the tests: plans that hypothesis draws, and what a cut has to leave."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_snare
from keras_snare.graph import READER, axis_key, channel_groups
from keras_snare.records import PrunePlan


@st.composite
def plans(draw, groups):
    """Draws a plan that cuts one group or more, consistently for coupled layers."""
    prunable = groups.prunable()
    chosen = draw(st.lists(st.sampled_from(prunable), min_size=1, unique_by=lambda one: one.name))
    removed = [draw(_channels(group, groups)) for group in chosen]
    return plan_without(groups, np.concatenate(removed))


@st.composite
def _channels(draw, group, groups):
    """Channels of a group to cut, such that every layer keeps a unit."""
    stay = set()
    for layer in group.layers:
        units = groups.units(layer).tolist()
        stay.add(draw(st.sampled_from(units)))
    free = [root for root in group.roots[group.free].tolist() if root not in stay]
    some = st.lists(st.sampled_from(free), min_size=1, unique=True) if free else st.just([])
    return np.array(draw(some), dtype=int)


def check_plans(build, name, check, examples):
    """Draws plans for a model and checks it with each of them carried out.

    The model is built once and each cut is undone; that this is exact has tests of its own.

    Args:
        build: makes the model from its name.
        name: str.
        check: called as `check(name, model, reference, groups, plan)` with the cut model, an uncut
            one of the same weights, and the groups of the latter.
        examples: int, how many plans.
    """
    model, reference = build(name), build(name)
    groups, weights = channel_groups(reference), reference.get_weights()

    @given(data=st.data())
    @settings(max_examples=examples)
    def each(data):
        plan = data.draw(plans(groups))
        undo = keras_snare.shrink(model, plan)
        try:
            check(name, model, reference, groups, plan)
        finally:
            undo.restore()
            reference.set_weights(weights)

    each()


def plan_without(groups, removed):
    """The plan, in units of every layer, that removes channels."""
    keep = {}
    for group in groups:
        for layer in group.layers:
            stay = ~np.isin(groups.units(layer), removed)
            if not stay.all():
                keep[layer] = np.flatnonzero(stay).tolist()
    return PrunePlan(keep)


def halves(groups):
    """The plan that keeps every second unit of what can be cut, the first of each layer always."""
    removed = []
    for group in groups.prunable():
        kept = {groups.units(layer)[0] for layer in group.layers}
        odd = group.roots[1::2]
        free = set(group.roots[group.free].tolist())
        removed.extend(root for root in odd.tolist() if root in free and root not in kept)
    return plan_without(groups, np.array(removed, dtype=int))


def silence_readers(groups, removed, makers=False):
    """Sets the weights that read the channels `removed` to zero.

    Channels that no weight reads, since they meet others in a product of tensors, are not made;
    with `makers`, none are.
    """
    read = np.concatenate(
        [np.zeros(0, int)]
        + [groups.roots[one.labels] for one in groups.bindings if one.role == READER]
    )
    for binding in groups.bindings:
        silent = (
            makers
            or binding.role == READER
            or not np.isin(groups.roots[binding.labels], read).any()
        )
        if silent:
            value = np.moveaxis(binding.variable.numpy(), binding.axis, 0)
            value[np.isin(groups.roots[binding.labels], removed)] = 0.0
            binding.variable.assign(np.moveaxis(value, 0, binding.axis))


def kept_positions(groups, removed):
    """Variable id -> axis -> positions that stay, for the variables that a cut reaches."""
    kept = {}
    for binding in groups.bindings:
        stay = ~np.isin(groups.roots[binding.labels], removed)
        if not stay.all():
            key, axis = axis_key(binding.variable, binding.axis)
            kept.setdefault(key, {})[axis] = np.flatnonzero(stay)
    return kept


def sliced(array, axes):
    """An array cut down to the positions that stay."""
    for axis, positions in axes.items():
        array = array.take(positions, axis=axis)
    return array


def kept_weight(variable, kept):
    """What a cut leaves of a weight: the positions that stay, of queries scaled.

    Attention divides by the root of the keys' width, which narrower keys would change.
    """
    axes = kept.get(id(variable), {})
    value = sliced(variable.numpy(), axes)
    if "/query/" in variable.path and len(variable.shape) - 1 in axes:
        value = value * (value.shape[-1] / variable.shape[-1]) ** 0.5
    return value
