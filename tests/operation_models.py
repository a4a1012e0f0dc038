"""Small models with functions of `keras.ops`, operators and merging layers in their graphs."""

import keras

layers, ops = keras.layers, keras.ops


def _ends(inputs, tensor):
    hidden = layers.Dense(4, "relu", name="hidden")(tensor)
    return keras.Model(inputs, layers.Dense(3, name="last")(hidden))


def _pair(shape=(4, 6), units=(5, 5)):
    inputs = keras.Input(shape)
    one = layers.Dense(units[0], "relu", name="one")(inputs)
    return inputs, one, layers.Dense(units[1], name="other")(inputs)


def merged(kind):
    inputs, one, other = _pair()
    return _ends(inputs, getattr(layers, kind)(name="merge")([one, other]))


def squeeze_and_excite():
    inputs = keras.Input((4, 4, 2))
    maps = layers.Conv2D(5, 2, activation="relu", name="maps")(inputs)
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(maps)
    narrow = layers.Dense(4, "relu", name="narrow")(pooled)
    gate = layers.Dense(5, "sigmoid", name="gate")(narrow)
    return _ends(inputs, layers.Flatten()(layers.Multiply()([maps, gate])))


def dot_layer(**options):
    inputs, one, other = _pair()
    return _ends(inputs, layers.Flatten()(layers.Dot(axes=-1, **options)([one, other])))


def dot_over_time():
    inputs, one, other = _pair(units=(5, 4))
    return _ends(inputs, layers.Flatten()(layers.Dot(axes=1)([one, other])))


def operators():
    inputs, one, other = _pair()
    mixed = (one + other) * 2.0 - ops.maximum(-one, 0.5) / (ops.exp(other) + 1.0)
    return _ends(inputs, ops.where(mixed > 0, mixed, one))


def functions():
    inputs, one, other = _pair()
    found = ops.relu(one) + ops.tanh(ops.square(other)) + ops.clip(one, -1, 1)
    return _ends(inputs, ops.cast(ops.gelu(found), "float32"))


def sliced():
    inputs, one, other = _pair(units=(6, 6))
    left, right = one[..., :2], one[:, 1:, 2:]
    joined = ops.concatenate([left[:, 1:], right], axis=-1) + other[:, :-1]
    return _ends(inputs, joined)


def split_in_parts():
    inputs, one, other = _pair(units=(6, 6))
    first, second, third = ops.split(one, 3, axis=-1)
    fourth, fifth = ops.split(other, [2], axis=-1)
    joined = ops.concatenate([first * second, ops.relu(third), fourth], axis=2)
    return _ends(inputs, layers.Concatenate()([joined, fifth]))


def turned():
    inputs, one, other = _pair()
    one = ops.transpose(ops.transpose(one, (0, 2, 1)), (0, 2, 1))
    other = ops.swapaxes(layers.Permute((2, 1))(other), 1, 2)
    other = ops.moveaxis(ops.expand_dims(other, 1), 3, 1)
    other = ops.squeeze(ops.moveaxis(other, 1, -1), 1)
    return _ends(inputs, one + other)


def stacked():
    inputs, one, other = _pair()
    stack = ops.stack([one, other], axis=2)
    return _ends(inputs, ops.max(stack, axis=2) + ops.mean(stack, axis=[2]))


def repeated():
    inputs = keras.Input((6,))
    unit = layers.Dense(5, "relu", name="unit")(inputs)
    times = layers.RepeatVector(3)(unit)
    wide = ops.repeat(times, 2, axis=-1) + ops.tile(times, [1, 1, 2])[..., ::1]
    return _ends(inputs, ops.flip(wide, axis=1))


def matrix_products():
    inputs, one, other = _pair()
    scores = ops.softmax(ops.matmul(one, ops.transpose(other, (0, 2, 1))), axis=-1)
    told = layers.Dense(5, "relu", name="told")(inputs)
    found = ops.einsum("bqk,bkd->bqd", scores, told)
    return _ends(inputs, found)


def reshaped():
    """Heads out of the width and back, as attention written by hand does."""
    inputs, one, other = _pair(units=(6, 6))
    heads = ops.reshape(one, (-1, 4, 2, 3))
    heads = ops.transpose(heads, (0, 2, 1, 3))
    back = ops.reshape(ops.transpose(heads, (0, 2, 1, 3)), (-1, 4, 6))
    return _ends(inputs, back + other)


def shuffled():
    """ShuffleNet's exchange between groups."""
    inputs = keras.Input((4, 4, 2))
    maps = layers.Conv2D(6, 2, activation="relu", name="maps")(inputs)
    rows = layers.Permute((1, 2, 4, 3))(layers.Reshape((3, 3, 2, 3))(maps))
    return _ends(inputs, layers.GlobalAveragePooling2D()(layers.Reshape((3, 3, 6))(rows)))


def einsum_dense():
    inputs = keras.Input((4, 6))
    hidden = layers.EinsumDense("abc,cde->abde", (None, 2, 5), bias_axes="e", name="up")(inputs)
    hidden = layers.Activation("relu")(hidden)
    back = layers.EinsumDense("abde,def->abf", (None, 4), bias_axes="f", name="down")(hidden)
    return keras.Model(inputs, layers.Dense(3, name="last")(back))


def einsum_dense_ellipsis():
    inputs = keras.Input((4, 6))
    hidden = layers.EinsumDense("...x,xy->...y", 5, activation="relu", name="one")(inputs)
    return _ends(inputs, hidden)


def nested():
    inner_inputs = keras.Input((6,), name="within")
    hidden = layers.Dense(5, "relu", name="unit")(inner_inputs)
    deep = keras.Sequential(
        [keras.Input((5,)), layers.Dense(4, "relu", name="deep")], name="deepest"
    )
    inner = keras.Model(inner_inputs, deep(hidden), name="inner")
    inputs = keras.Input((6,))
    before = layers.Dense(6, name="before")(inputs)
    return keras.Model(inputs, layers.Dense(3, name="last")(inner(before)))


def nested_twice():
    encoder = keras.Sequential(
        [keras.Input((5,)), layers.Dense(4, "relu", name="unit"), layers.ReLU()], name="encoder"
    )
    inputs = keras.Input((6,))
    one, other = layers.Dense(5, name="one")(inputs), layers.Dense(5, name="other")(inputs)
    joined = layers.Concatenate()([encoder(one), encoder(other)])
    return keras.Model(inputs, layers.Dense(3, name="last")(joined))


def nested_several_ends():
    one, other = keras.Input((5,), name="a"), keras.Input((4,), name="b")
    out = {
        "x": layers.Dense(4, name="inx")(one),
        "y": layers.Add()([one, layers.Dense(5, name="iny")(other)]),
    }
    inner = keras.Model({"a": one, "b": other}, out, name="inner")
    inputs = keras.Input((6,))
    first, second = layers.Dense(5, name="one")(inputs), layers.Dense(4, name="two")(inputs)
    found = inner({"a": first, "b": second})
    joined = layers.Concatenate()([found["x"], found["y"]])
    return keras.Model(inputs, layers.Dense(3, name="last")(joined))


OPERATIONS = {
    **{
        f"merge_{kind.lower()}": (lambda kind=kind: merged(kind))
        for kind in ("Average", "Maximum", "Minimum", "Multiply", "Subtract")
    },
    "dot_normalized": lambda: dot_layer(normalize=True),
    **{
        build.__name__: build
        for build in (
            dot_layer,
            dot_over_time,
            einsum_dense,
            einsum_dense_ellipsis,
            functions,
            matrix_products,
            nested,
            nested_several_ends,
            nested_twice,
            operators,
            repeated,
            reshaped,
            shuffled,
            sliced,
            split_in_parts,
            squeeze_and_excite,
            stacked,
            turned,
        )
    },
}
