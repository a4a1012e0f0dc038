"""Models and layers that are built with the old widths, and cut to the new ones by their shapes."""

from typing import Any

import keras
import numpy as np

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import ChannelGroup, axis_key, find_groups
from keras_snare.graph.trace import leaving_nothing
from keras_snare.surgery.apply import remove

Shapes = list[tuple[int, ...]]


def shapes_of(layer: keras.layers.Layer) -> Shapes:
    """The shapes of a layer's weights, in their order."""
    return [tuple(weight.shape) for weight in layer.weights]


@keras.saving.register_keras_serializable("keras_snare")
class CutObject:
    """Stands in a file for a model or layer that its configuration builds with the old widths.

    What is loaded of it is the model or layer itself: built as its configuration says, then cut.
    """

    def get_config(self) -> dict[str, Any]:
        """Keras asks every class for it; only `entry` writes what `from_config` reads."""
        return {}

    @classmethod
    def entry(cls, stated: dict[str, Any], nodes: Any, shapes: Shapes) -> dict[str, Any]:
        """What a file says of a model or layer.

        Args:
            stated: what Keras would say of it.
            nodes: the calls of it that a functional model states, or None.
            shapes: of its weights.
        """
        called = nodes[0] if nodes else None
        config = {"object": stated, "called": called, "shapes": [list(one) for one in shapes]}
        return {**keras.saving.serialize_keras_object(cls()), "config": config}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Returns the model or layer, cut to its shapes."""
        stated, called = config["object"], config["called"]
        found: Any = keras.saving.deserialize_keras_object(stated)
        shapes = [tuple(shape) for shape in config["shapes"]]
        if isinstance(found, keras.Model):
            cut_to_shapes(found, shapes)
            return found
        with leaving_nothing(found):
            if called is None:  # In a Sequential model.
                args, kwargs = [keras.Input(batch_shape=_input_shape(stated))], {}
            else:
                given: Any = keras.saving.deserialize_keras_object(called)
                args, kwargs = keras.tree.map_structure(_input, (given["args"], given["kwargs"]))
            inputs = [one for one in keras.tree.flatten((args, kwargs)) if _is_symbolic(one)]
            around = keras.Model(inputs, found(*args, **kwargs))
            cut_to_shapes(around, shapes)
        return found


def _is_symbolic(value) -> bool:
    return isinstance(value, keras.KerasTensor)


def _input(value):
    if not _is_symbolic(value):
        return value
    return keras.Input(batch_shape=tuple(value.shape), dtype=value.dtype)


def _input_shape(stated: dict[str, Any]) -> tuple:
    build = stated["build_config"]
    return tuple(build.get("input_shape") or next(iter(build["shapes_dict"].values())))


def cut_to_shapes(model: keras.Model, shapes: Shapes) -> None:
    """Cuts a model, in place, until its weights have the given shapes; which units go is open.

    Its outputs may become narrower, since the model may be a part of another.

    Raises:
        UnsupportedModelError: when no cut gives them; nothing has changed then.
    """
    now = shapes_of(model)
    if now == shapes:
        return
    surplus = {}
    if [len(shape) for shape in now] == [len(shape) for shape in shapes]:
        for weight, shape in zip(model.weights, shapes, strict=True):
            for axis, (before, after) in enumerate(zip(weight.shape, shape, strict=True)):
                surplus[axis_key(weight, axis)] = before - after
    groups = find_groups(model, keep_outputs=False)
    # Which frequencies a layer has left, its shapes do not say.
    alike = [group for group in groups if group.kind != "frequency"]
    removed = [root for group in alike for root in _superfluous(group, surplus)]
    if not surplus or any(surplus.values()):
        raise UnsupportedModelError(
            f"{model.name!r} ({type(model).__name__}) cannot be cut to the widths that are stated; "
            "its configuration builds something else than what was saved."
        )
    remove(model, groups, np.array(sorted(removed), dtype=np.int64))


def _superfluous(group: ChannelGroup, surplus: dict[tuple[int, int], int]) -> list[int]:
    """Picks channels, the last first, while every axis that they lie along has too many."""
    counts = {}
    for member in group.members:
        key = axis_key(member.binding.variable, member.binding.axis)
        counts[key] = np.bincount(member.channels[member.channels >= 0], minlength=group.width)
    found = []
    for channel in group.free[::-1].tolist():
        lost = {key: int(count[channel]) for key, count in counts.items() if count[channel]}
        if lost and all(surplus.get(key, 0) >= count for key, count in lost.items()):
            found.append(int(group.roots[channel]))
            surplus.update({key: surplus[key] - count for key, count in lost.items()})
    return found
