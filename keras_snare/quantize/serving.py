"""A Keras 3 model as a function of flat inputs, set up for inference in float32."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import keras

from keras_snare.graph.trace import functional_form, input_structure_of, parts_of

_MIXED = ("mixed_float16", "mixed_bfloat16")


class Served:
    """What a file computes, and the names by which its inputs and outputs are known there.

    Args:
        model: a built model.
        batch_size: int, how many examples it takes at a time where the model leaves that open.

    Attributes:
        model: the same model.
        form: its functional form, whose `inputs` are the symbolic inputs in order.
        inputs: names of the inputs, in that order.
        outputs: names of the outputs, in the order of `keras.tree.flatten`.
        batch_size: how many examples it takes at a time, which the model may say itself.

    Raises:
        UnsupportedModelError: when it is not built, or its `call` does not run on symbolic inputs.
    """

    def __init__(self, model, batch_size: int = 1):
        self.model = model
        self.form = functional_form(model)
        self.inputs = _distinct([one.name for one in self.form.inputs], "input")
        given = getattr(self.form, "output_names", None) or ["output"] * len(self.form.outputs)
        self.outputs = _distinct(given, "output")
        self.batch_size: int = self.form.inputs[0].shape[0] or batch_size
        self._layers = {layer.name for layer in parts_of(model)}

    @cached_property
    def traced(self) -> Any:
        """The same as a tf.function, of the model as it is set up when this is first asked for."""
        import tensorflow as tf

        signature = [
            tf.TensorSpec((one.shape[0] or self.batch_size, *one.shape[1:]), one.dtype, name=name)
            for name, one in zip(self.inputs, self.form.inputs, strict=True)
        ]
        function = tf.function(self._computed, input_signature=signature, autograph=False)
        function.get_concrete_function()
        return function

    def _computed(self, *flat: Any) -> dict[str, Any]:
        inputs = keras.tree.pack_sequence_as(input_structure_of(self.form), list(flat))
        # A graph that was read of a subclassed model's code was read of its inference.
        inference = {"training": False} if isinstance(self.form, keras.Model) else {}
        outputs = self.form(inputs, **inference)
        return dict(zip(self.outputs, keras.tree.flatten(outputs), strict=True))

    def layers_named(self, paths: list[str]) -> list[str]:
        """Names of the layers that made tensors, by the names that TensorFlow gave to these."""
        # TensorFlow numbers the scope of every layer once more.
        parts = {part for path in paths for part in re.split(r"[/;]", path)}
        return sorted({re.sub(r"_\d+$", "", part) for part in parts} & self._layers)


@contextmanager
def set_up(model, *, unroll: bool) -> Iterator[None]:
    """Has a model compute in float32, and its recurrent layers without loops if that is asked.

    LiteRT has no convolutions in half precision, and its converter dies (with the process) on loops
    of integers. Weights of mixed precision are float32 anyway. Everything is put back at the end.

    Args:
        model: the model.
        unroll: whether recurrent layers are unrolled.
    """
    every = [model, *parts_of(model)]
    mixed = [(one, one.dtype_policy) for one in every if one.dtype_policy.name in _MIXED]
    looping = [one for one in recurrent(model) if unroll and not one.unroll]
    try:
        for layer, _ in mixed:
            layer.dtype_policy = "float32"
        for layer in looping:
            layer.unroll = True
        yield
    finally:
        for layer, policy in mixed:
            layer.dtype_policy = policy
        for layer in looping:
            layer.unroll = False


def recurrent(layer) -> list[Any]:
    """The layers of a model, or of a layer with itself, that compute step by step."""
    return [one for one in (layer, *parts_of(layer)) if isinstance(one, keras.layers.RNN)]


def _distinct(names: Sequence[str], otherwise: str) -> tuple[str, ...]:
    """Names that a signature takes, and no two alike; Keras's own counting is left out."""
    found: list[str] = []
    for name in names:
        name = otherwise if name.startswith("keras_tensor") else re.sub(r"\W", "_", name)
        others = [one for one in found if re.fullmatch(rf"{name}(_\d+)?", one)]
        found.append(f"{name}_{len(others)}" if others else name)
    return tuple(found)
