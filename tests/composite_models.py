"""Models with layers that are made of layers, as users write them."""

import keras
import models
import numpy as np

layers, ops = keras.layers, keras.ops


class Block(layers.Layer):
    """A transformer block: attention, a Sequential model, normalisations and sums."""

    def __init__(self, heads=3, width=6, units=5, **kwargs):
        super().__init__(**kwargs)
        self.heads, self.width, self.units = heads, width, units
        self.attention = layers.MultiHeadAttention(heads, 4, name="attention")
        up, down = layers.Dense(units, "relu", name="up"), layers.Dense(width, name="down")
        self.feed = keras.Sequential([up, down], name="feed")
        self.norms = [layers.LayerNormalization(name=f"norm{at}") for at in range(2)]
        self.drop = layers.Dropout(0.5)

    def build(self, shape):
        self.attention.build(shape, shape)
        for part in (self.feed, *self.norms):
            part.build(shape)

    def call(self, inputs, training=None):
        found = self.attention(inputs, inputs, attention_mask=self.mask(inputs))
        stream = self.norms[0](inputs + self.drop(found, training=training))
        return self.norms[1](stream + self.feed(stream))

    def mask(self, inputs):
        return None

    def get_config(self):
        sizes = {"heads": self.heads, "width": self.width, "units": self.units}
        return {**super().get_config(), **sizes}


class CausalBlock(Block):
    """Asks for the length of the sequence, which is not known before there are data."""

    def mask(self, inputs):
        batch, length, _ = ops.shape(inputs)
        positions = ops.arange(length)
        seen = positions[:, None] >= positions[None]
        return ops.broadcast_to(seen, (batch, length, length))


class Stack(layers.Layer):
    """Blocks in a block; the parts of two of them have the same names."""

    def __init__(self, causal=False, **kwargs):
        super().__init__(**kwargs)
        kind = CausalBlock if causal else Block
        self.blocks = [kind(name="block") for _ in range(2)]

    def build(self, shape):
        for block in self.blocks:
            block.build(shape)

    def call(self, inputs):
        for block in self.blocks:
            inputs = block(inputs)
        return inputs


class Scaled(layers.Layer):
    """A weight of its own beside a layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner, self.outer = layers.Dense(5, "tanh", name="inner"), layers.Dense(6)

    def build(self, shape):
        self.inner.build(shape)
        self.outer.build((*shape[:-1], 5))
        self.scale = self.add_weight(shape=(shape[-1],), name="scale")

    def call(self, inputs):
        return inputs * self.scale + self.outer(self.inner(inputs))


class Exchange(layers.Layer):
    """Two inputs by name, two outputs."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.one, self.other = (layers.Dense(5, "relu", name=name) for name in ("one", "other"))
        self.back = layers.Dense(6, name="back")

    def build(self, first_shape, second_shape):
        self.one.build(first_shape)
        self.other.build(second_shape)
        self.back.build((*first_shape[:-1], 5))

    def call(self, first, second=None):
        both = self.one(first) + self.other(second)
        return self.back(both), both


def functional(*parts, shape=(4, 6)):
    inputs = tensor = keras.Input(shape)
    for part in parts:
        tensor = part(tensor)
    return keras.Model(inputs, layers.Dense(3, name="last")(tensor))


def shared():
    block = Block(name="block")
    return functional(block, layers.Activation("tanh"), block)


def exchange():
    inputs = keras.Input((4, 6))
    hidden = layers.Dense(4, "relu", name="hidden")(inputs)
    one, other = Exchange(name="exchange")(inputs, second=hidden)
    joined = layers.Concatenate()([one, other])
    return keras.Model(inputs, layers.Dense(3, name="last")(joined))


class Around(keras.Model):
    """A subclassed model around a block."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.block, self.last = CausalBlock(name="block"), layers.Dense(3, name="last")

    def call(self, inputs):
        return self.last(self.block(inputs))


def subclassed():
    model = Around()
    model(np.zeros((1, 4, 6), "float32"))
    return model


def nested():
    inner = functional(Block(name="block"))
    inner.name = "inner"
    inputs = keras.Input((4, 6))
    return keras.Model(inputs, layers.Dense(2, name="end")(ops.tanh(inner(inputs))))


BUILDS = {
    "block": lambda: functional(Block(name="block")),
    "causal": lambda: functional(CausalBlock(name="block"), shape=(None, 6)),
    "chain": lambda: models.chain((4, 6), Block(name="block"), layers.Dense(3, name="last")),
    "exchange": exchange,
    "nested": nested,
    "scaled": lambda: functional(layers.Dense(6, name="first"), Scaled(name="scaled")),
    "shared": shared,
    "stack": lambda: functional(Stack(name="stack")),
    "stack_causal": lambda: functional(Stack(causal=True, name="stack"), shape=(None, 6)),
    "subclassed": subclassed,
}


def build(name, seed=0):
    """A model by name, with random weights; the same layer names every time."""
    keras.utils.clear_session(free_memory=False)
    return models.randomize(BUILDS[name](), seed)


def numbers(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def inputs_for(model):
    return numbers(3, 4, 6)
