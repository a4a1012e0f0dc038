"""What the tests of `compensate` share: units that others can stand in for, and what readers do."""

import composite_models
import models
import numpy as np

from keras_snare.graph import PRODUCER, READER, THROUGH, channel_groups


def doubled(groups, names=""):
    """Makes every second unit that can go the double of one that stays.

    Args:
        groups: the channel groups.
        names: what the names of the groups end with.

    Returns:
        The channels (roots) that are doubles.
    """
    twins = {}
    for group in groups.prunable():
        if not group.with_role(PRODUCER) or not group.name.endswith(names):
            continue
        alike = {}
        for at in group.free.tolist():
            alike.setdefault(_places(group, at), []).append(group.roots[at])
        for roots in alike.values():
            twins.update(zip(roots[1::2], roots[::2], strict=False))
    for binding in groups.bindings:
        if binding.role in (PRODUCER, THROUGH):
            value = np.moveaxis(binding.variable.numpy(), binding.axis, 0)
            roots = groups.roots[binding.labels]
            for one, other in twins.items():
                if (roots == one).any():
                    value[roots == one] = value[roots == other]
            binding.variable.assign(np.moveaxis(value, 0, binding.axis))
    return np.array(sorted(twins), dtype=np.int64)


def _places(group, channel):
    """The variables in which a channel lies, and how often."""
    return tuple(
        (id(one.binding.variable), one.binding.axis, int((one.channels == channel).sum()))
        for one in group.members
        if (one.channels == channel).any()
    )


def examples(model, size=256, seed=3):
    """Inputs for a model, as the data that `compensate` takes."""
    if not getattr(model, "inputs", None):  # A subclassed one.
        return (composite_models.numbers(size, 4, 6, seed=seed),)
    return (models.inputs_for(model, size, seed),)


def readings(model, data, readers):
    """What layers compute before their activation, as Keras does it, by name of the layer.

    Of a layer without bias, the moving mean of the normalisation behind it is taken off.
    """
    graph = channel_groups(model).trace
    found = {}

    def read(call, key, value):
        if call.operation.name in readers:
            layer = call.operation
            activation, layer.activation = layer.activation, None
            answer = np.asarray(layer(value), dtype="float64")
            layer.activation = activation
            if layer.bias is None and f"{layer.name}_norm" in {one.name for one in model.layers}:
                answer -= model.get_layer(f"{layer.name}_norm").moving_mean.numpy()
            found.setdefault(layer.name, []).append(answer)
        return value

    graph.run(models.keras.tree.flatten(data[0]), read)
    return {name: np.concatenate(answers) for name, answers in found.items()}


def reader_names(groups, removed):
    """Names of the layers that read channels which go."""
    return {
        one.layer.name
        for one in groups.bindings
        if one.role == READER and np.isin(groups.roots[one.labels], removed).any()
    }
