"""Small functional models: branches, shared layers, several inputs and outputs."""

import keras

import keras_snare

layers = keras.layers


def conv_block(tensor, filters, name, activation="relu"):
    """Convolution and normalisation, both without what the other one makes superfluous."""
    tensor = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name)(tensor)
    tensor = layers.BatchNormalization(name=f"{name}_norm")(tensor)
    return layers.Activation(activation, name=f"{name}_relu")(tensor)


def residual():
    inputs = keras.Input((5, 5, 2))
    stem = conv_block(inputs, 5, "stem")
    inner = conv_block(stem, 4, "inner")
    branch = conv_block(inner, 5, "branch", "linear")
    joined = layers.ReLU()(layers.Add(name="join")([stem, branch]))
    pooled = layers.GlobalAveragePooling2D()(joined)
    return keras.Model(inputs, layers.Dense(3, name="last")(pooled))


def add_broadcast():
    inputs = keras.Input((4, 4, 2))
    wide = layers.Conv2D(5, 2, activation="relu", name="wide")(inputs)
    squeezed = layers.GlobalMaxPooling2D(keepdims=True)(wide)
    gate = layers.Dense(5, name="gate")(squeezed)
    joined = layers.Add(name="join")([wide, gate])
    return keras.Model(inputs, layers.Dense(3, name="last")(layers.Flatten()(joined)))


# Keras takes a summand for a bias where it has a single axis longer than 1, which is as long as the
# second axis of the other summand, so that no length here is that of a batch.
def add_vector():
    inputs = keras.Input((7, 6))
    sequence = layers.Dense(5, name="sequence")(inputs)
    vector = layers.Dense(5, name="vector")(layers.GlobalAveragePooling1D()(inputs))
    vector = layers.Reshape((1, 5), name="as_sequence")(vector)
    joined = layers.Add(name="join")([sequence, vector])
    return keras.Model(inputs, layers.Dense(3, name="last")(layers.Flatten()(joined)))


def concatenated():
    inputs = keras.Input((5, 5, 2))
    left = layers.Conv2D(4, 3, padding="same", activation="relu", name="left")(inputs)
    right = layers.Conv2D(3, 1, name="right")(inputs)
    joined = layers.Concatenate(name="join")([left, inputs, right])
    joined = layers.BatchNormalization()(joined)
    mixed = layers.Conv2D(4, 2, activation="relu", name="mixed")(joined)
    return keras.Model(inputs, layers.Dense(3, name="last")(layers.Flatten()(mixed)))


def concatenated_in_time():
    inputs = keras.Input((4, 6))
    early = layers.Dense(5, "relu", name="early")(inputs)
    late = layers.Dense(5, "tanh", name="late")(inputs)
    joined = layers.Concatenate(axis=1, name="join")([early, late])
    return keras.Model(inputs, layers.Dense(3, name="last")(layers.Flatten()(joined)))


def partly_coupled():
    """`whole` is added to `left` and `right` side by side: three layers, two parts of a group."""
    inputs = keras.Input((6,))
    left = layers.Dense(3, "relu", name="left")(inputs)
    right = layers.Dense(4, "relu", name="right")(inputs)
    whole = layers.Dense(7, name="whole")(inputs)
    joined = layers.Add()([layers.Concatenate()([left, right]), whole])
    return keras.Model(inputs, layers.Dense(3, name="last")(joined))


def shared_dense():
    one, other = keras.Input((6,), name="one"), keras.Input((6,), name="other")
    shared = layers.Dense(5, "relu", name="shared")
    reader = layers.Dense(4, "relu", name="reader")
    ends = [reader(shared(one)), reader(shared(other))]
    return keras.Model([one, other], layers.Dense(3, name="last")(layers.Concatenate()(ends)))


def shared_activation_weights():
    """One PReLU, once behind units that can be cut and once on an input of fixed width."""
    inputs = keras.Input((5,))
    prelu = layers.PReLU("uniform", name="prelu")
    unit = layers.Dense(5, name="unit")
    free = layers.Dense(4, "relu", name="free")
    joined = layers.Concatenate()([prelu(unit(inputs)), prelu(inputs)])
    return keras.Model(inputs, layers.Dense(3, name="last")(free(joined)))


def shared_reshape():
    """One Reshape, once behind units that can be cut and once on an input of fixed width."""
    inputs = keras.Input((4, 5))
    shaped = layers.Reshape((2, 2, 5), name="shaped")
    unit = layers.Dense(5, name="unit")
    joined = layers.Concatenate()([shaped(unit(inputs)), shaped(inputs)])
    free = layers.Dense(4, "relu", name="free")(joined)
    return keras.Model(inputs, layers.Dense(3, name="last")(layers.Flatten()(free)))


def recurrent_use():
    """A layer that is applied to its own output."""
    inputs = keras.Input((5,))
    again = layers.Dense(5, "relu", name="again")
    start = layers.Dense(5, name="start")(inputs)
    return keras.Model(inputs, layers.Dense(3, name="last")(again(again(start))))


def several_ends():
    """Inputs and outputs by name, one output in the middle."""
    image, features = keras.Input((6, 6, 1), name="image"), keras.Input((4,), name="features")
    seen = layers.Conv2D(4, 3, activation="relu", name="seen")(image)
    seen = layers.Flatten()(layers.MaxPooling2D()(seen))
    known = layers.Dense(5, "relu", name="known")(features)
    middle = layers.Dense(4, "relu", name="middle")(layers.Concatenate()([seen, known]))
    hidden = layers.Dense(5, "relu", name="hidden")(middle)
    outputs = {"low": middle, "high": layers.Dense(3, name="high")(hidden)}
    return keras.Model({"image": image, "features": features}, outputs)


def selected_features():
    inputs = keras.Input((6,))
    selection = keras_snare.layers.FeatureSelection([0, 2, 3, 5], name="selection")(inputs)
    hidden = layers.Dense(5, "relu", name="hidden")(selection)
    return keras.Model(inputs, layers.Dense(3, name="last")(hidden))


def same_tensor_twice():
    inputs = keras.Input((6,))
    unit = layers.Dense(4, "relu", name="unit")(inputs)
    joined = layers.Concatenate()([unit, layers.Add()([unit, unit])])
    return keras.Model(inputs, layers.Dense(3, name="last")(layers.Reshape((2, 4))(joined)))


def behind_a_wall():
    """`Masking` looks at all units: what it reads stays, what comes later can be cut."""
    inputs = keras.Input((4, 6))
    read = layers.Masking(name="wall")(layers.Dense(5, name="read")(inputs))
    free = layers.Dense(4, "relu", name="free")(read)
    return keras.Model(inputs, layers.Dense(3, name="last")(free))


def behind_a_nested_model():
    """A model within the model is laid open."""
    inputs = keras.Input((6,))
    nested = keras.Sequential([keras.Input((6,)), layers.Dense(5, name="within")], name="nested")
    free = layers.Dense(4, "relu", name="free")(nested(inputs))
    return keras.Model(inputs, layers.Dense(3, name="last")(free))


BRANCHED = {
    build.__name__: build
    for build in (
        add_broadcast,
        add_vector,
        behind_a_nested_model,
        behind_a_wall,
        concatenated,
        concatenated_in_time,
        partly_coupled,
        recurrent_use,
        residual,
        same_tensor_twice,
        selected_features,
        several_ends,
        shared_activation_weights,
        shared_dense,
        shared_reshape,
    )
}
