"""Random functional graphs: branches, shared layers, layers and functions in any order."""

import bridging
import keras
import models
from hypothesis import given, settings
from hypothesis import strategies as st

layers, ops = keras.layers, keras.ops

# All keep the shape (5, 4), so that any may follow any other.
SHARED = 2
STEPS = {
    "dense": lambda: layers.Dense(4, "relu6"),
    "conv": lambda: layers.Conv1D(4, 3, padding="same", activation="tanh"),
    "depthwise": lambda: layers.DepthwiseConv1D(2, padding="same", use_bias=False),
    "norm": lambda: layers.BatchNormalization(momentum=0.5),
    "silu": lambda: layers.Activation("silu"),
    "leaky": lambda: layers.LeakyReLU(0.1),
    "pool": lambda: layers.MaxPooling1D(2, 1, "same"),
    "drop": lambda: layers.Dropout(0.5),
    "nested": lambda: models.chain((5, 4), layers.Dense(3, "softmax"), layers.Dense(4)),
}
JOINS = {
    "add": lambda x, y: x + y,
    "maximum": lambda x, y: layers.Maximum()([x, y]),
    "concat": lambda x, y: layers.Dense(4)(layers.Concatenate()([x, y])),
    "gate": lambda x, y: x * ops.hard_sigmoid(y) - 0.5,
    "attend": lambda x, y: ops.matmul(ops.softmax(ops.matmul(x, ops.transpose(y, (0, 2, 1)))), y),
    "halves": lambda x, y: ops.concatenate([x[..., :2], ops.flip(y, 1)[..., 2:]], axis=-1),
}

step = st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 9), st.booleans())
join = st.tuples(st.sampled_from(sorted(JOINS)), st.integers(0, 9), st.integers(0, 9))


@settings(max_examples=15)
@given(
    st.lists(st.one_of(step, join), min_size=1, max_size=7), st.integers(1, 2), st.integers(1, 2)
)
def test_random_graph(moves, num_inputs, num_outputs):
    keras.utils.clear_session(free_memory=False)
    tensors = [keras.Input((5, 4), name=f"in{at}") for at in range(num_inputs)]
    inputs, known = list(tensors), {}
    for name, first, second in moves:
        one = tensors[first % len(tensors)]
        if name in JOINS:
            tensors.append(JOINS[name](one, tensors[second % len(tensors)]))
        else:
            layer = known[name] if second and name in known else STEPS[name]()
            known[name] = layer
            tensors.append(layer(one))
    # The oldest Keras wants every input to be used.
    outputs = [*tensors[-num_outputs:], inputs[0] + inputs[-1]]
    model = models.randomize(keras.Model(inputs, outputs))
    bridging.assert_same(model)
