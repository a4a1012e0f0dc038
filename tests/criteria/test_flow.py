"""Synaptic flow: by hand, conserved in every kind of network, in range at any depth."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import SMALL, chain, randomize

import keras_snare
from keras_snare.criteria import ChannelEvidence
from keras_snare.criteria.evidence import is_kernel
from keras_snare.criteria.flow import flow_of_units, synaptic_flow
from keras_snare.graph import channel_groups
from keras_snare.masking import kernels_of

layers = keras.layers

# Pooling that TensorFlow has in single precision only.
UNABLE = ("adaptive_average_pooling_3d", "adaptive_max_pooling_3d")
# Both factors of a product have its whole flow, and a path takes a recurrent kernel once; selected
# inputs come from no weight, a model's output may be read as well, and channels that one group
# convolution makes and reads are in a group together, as are those that a split leaves unread.
UNEVEN = (
    "attention_of_two",
    "bidirectional_states",
    "cross_attention",
    "encoder_decoder",
    "grouped_convolution",
    "grouped_query_attention",
    "lstm_stacked",
    "merge_multiply",
    "rnn_of_cells",
    "rnn_of_one_cell",
    "selected_features",
    "self_attention",
    "self_attention_no_bias",
    "several_ends",
    "simple_rnn",
    "split_in_parts",
    "squeeze_and_excite",
    "tied_embedding",
    "transformer_block",
)
UNEVEN_KINDS = ("bidirectional_", "conv_lstm_", "gru")


def _kernels(model):
    return [weight for weight in model.weights if is_kernel(weight)]


def _state(model):
    """What a measurement might leave behind, besides the values."""
    parts = [model, *model._flatten_layers(include_self=False)]
    values = [(weight.path, weight.dtype, weight.numpy().tobytes()) for weight in model.variables]
    return values, [
        (part.dtype_policy.get_config(), part.losses, sorted(vars(part))) for part in parts
    ]


def _assert_same(found, expected):
    assert found[0] == expected[0]
    assert found[1] == expected[1]


def test_by_hand():
    """Signs, biases and bounded activations make no difference: R is a product of sizes."""
    made, read = layers.Dense(2, "tanh", name="made"), layers.Dense(1, "sigmoid", name="read")
    model = chain((2,), made, read)
    first, second = model.layers
    first.set_weights([np.array([[1.0, -2.0], [3.0, 0.0]]), np.array([7.0, -7.0])])
    second.set_weights([np.array([[-5.0], [0.5]]), np.array([9.0])])
    flows = synaptic_flow(model, [first.kernel, second.kernel])
    assert flows[0].tolist() == [[5.0, 1.0], [15.0, 0.0]]
    assert flows[1].tolist() == [[20.0], [1.0]]
    assert flow_of_units(model, channel_groups(model).prunable())["made"].tolist() == [20.0, 1.0]


def test_normalisations_by_hand():
    """Of batch normalisation the scale of inference stays, of others that of their weights."""
    model = chain(
        (1,),
        layers.Dense(2, name="made"),
        layers.BatchNormalization(epsilon=1.0),
        layers.LayerNormalization(),
        layers.Dense(1, name="read"),
    )
    batch, layer = model.layers[1:3]
    batch.set_weights([np.array([2.0, -3.0]), np.ones(2), np.full(2, 9.0), np.array([3.0, 8.0])])
    layer.set_weights([np.array([-1.0, 4.0]), np.ones(2)])
    for name in ("made", "read"):
        kernel = model.get_layer(name).kernel
        kernel.assign(-keras.ops.ones(kernel.shape))
    flows = synaptic_flow(model, [model.get_layer(name).kernel for name in ("made", "read")])
    # 2 / sqrt(3 + 1) * 1, and 3 / sqrt(8 + 1) * 4.
    assert flows[0].ravel() == pytest.approx([1.0, 4.0], rel=1e-12)
    assert flows[1].ravel() == pytest.approx([1.0, 4.0], rel=1e-12)


@pytest.mark.parametrize("kind", SMALL)
def test_what_flows_into_a_unit_flows_out_of_it(kind):
    model = SMALL[kind]()
    randomize(model)
    before = _state(model)
    if kind in UNABLE:
        with pytest.raises(keras_snare.UnsupportedModelError, match="(?s)without its activations"):
            synaptic_flow(model, _kernels(model))
        _assert_same(_state(model), before)
        return
    kernels = {id(weight): weight for weight in _kernels(model)}
    flows = dict(zip(kernels, synaptic_flow(model, kernels.values(), size=5), strict=True))
    _assert_same(_state(model), before)
    assert all(flows[id(one.variable)].any() for one in kernels_of(model))
    for at, kernel in kernels.items():
        assert flows[at].dtype == np.float64
        assert flows[at].shape == tuple(kernel.shape)
        assert np.isfinite(flows[at]).all()
        assert (flows[at] >= 0).all()
    if kind in UNEVEN or kind.startswith(UNEVEN_KINDS):
        return
    for group in channel_groups(model):
        into, out = (
            sum((one.sum(axis=1) for one in _arrays(group, role, flows)), np.zeros(group.width))
            for role in ("producer", "reader")
        )
        if out.any():
            # Resized images are in single precision.
            assert into == pytest.approx(out, rel=1e-9 if kind != "up_sampling_2d" else 1e-5)


def _arrays(group, role, flows):
    return ChannelEvidence(group).arrays(role, is_kernel, lambda variable: flows[id(variable)])


def _deep(scale):
    """60 residual blocks whose values grow, or shrink, by orders of magnitude in each."""
    inputs = stream = keras.Input((3,))
    for at in range(60):
        branch = layers.Dense(4, "relu", name=f"up{at}")(stream)
        stream = layers.Add()([stream, layers.Dense(3, name=f"down{at}")(branch)])
    model = keras.Model(inputs, layers.Dense(2, "softmax")(stream))
    random = np.random.default_rng(0)
    for kernel in _kernels(model):
        kernel.assign(random.uniform(0.5, 1.0, kernel.shape) * scale)
    return model


def test_flow_stays_in_range_at_any_depth():
    """R is about 1e650 in one network, and within range in the other: the ratios are the same."""
    model = _deep(2.0**18)
    large = synaptic_flow(model, _kernels(model))
    assert all(np.isfinite(one).all() and (one > 0).all() for one in large)
    # From the second block on, the way past a block is 1e-11 of that through it.
    totals = np.array([one.sum() for one in large])
    assert totals == pytest.approx(totals[-1], rel=1e-9)
    chains = []
    for scale in (2.0**40, 2.0**-40, 1.0):
        random = np.random.default_rng(0)
        chained = chain((3,), *[layers.Dense(3, "tanh", use_bias=False) for _ in range(40)])
        for kernel in _kernels(chained):
            kernel.assign(random.uniform(0.3, 0.6, kernel.shape) * scale)
        chains.append(synaptic_flow(chained, _kernels(chained)))
    for one in chains[:2]:
        ratio = one[0].max() / chains[2][0].max()
        assert np.frexp(ratio)[0] == 0.5  # A power of two.
        assert all(np.array_equal(a, b * ratio) for a, b in zip(one, chains[2], strict=True))


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16", "map"])
def test_every_dtype_is_measured_in_double_precision(policy):
    named = keras.dtype_policies.DTypePolicyMap(default_policy="mixed_bfloat16")
    named["first"] = keras.dtype_policies.DTypePolicy("float32")
    dtype = named if policy == "map" else policy
    model = chain(
        (4,),
        layers.Dense(5, "gelu", name="first", dtype=dtype),
        layers.BatchNormalization(dtype=dtype),
        layers.Dense(2, name="last", dtype=dtype),
    )
    before, known = _state(model), dict(named.items())
    flows = synaptic_flow(model, _kernels(model))
    weights = [np.abs(kernel.numpy().astype(np.float64)) for kernel in _kernels(model)]
    made = weights[0].sum(axis=0) / np.sqrt(1 + model.layers[1].epsilon)
    assert flows[1] == pytest.approx(made[:, None] * weights[1], rel=1e-12)
    _assert_same(_state(model), before)
    assert dict(named.items()) == known


def test_open_axes_and_integers_are_filled_in():
    """Every row of a table is an input, at every position."""
    inputs = keras.Input((None,), dtype="int32")
    words = layers.Embedding(3, 2, name="words")(inputs)
    outputs = layers.Dense(1, use_bias=False)(layers.GlobalAveragePooling1D()(words))
    model = keras.Model(inputs, outputs)
    table, kernel = (np.abs(weight.numpy().astype(np.float64)) for weight in model.weights)
    found = synaptic_flow(model, [model.weights[0]], size=7)[0]
    assert found == pytest.approx(table * kernel[:, 0], rel=1e-12)


class _Failing(layers.Layer):
    """Runs where Keras looks for shapes only."""

    def call(self, inputs):
        if tf.executing_eagerly():
            raise RuntimeError("no values, please")
        return inputs


@pytest.mark.parametrize("kind", ["failing", "cut", "words"])
def test_what_cannot_be_measured_is_left_as_it_was(kind):
    parts = [layers.Dense(3, "relu"), layers.BatchNormalization(), layers.Dense(2, "softmax")]
    if kind == "failing":
        model = chain((4,), *parts[:2], _Failing(), parts[2])
        message = "Received with size=128: RuntimeError: .*no values, please.*Choose another"
    elif kind == "cut":
        model = chain((4,), *parts)
        model.layers[0].kernel.assign(keras.ops.zeros((4, 3)))
        message = "Expected connections on the way.*Received a flow of 0.0. Prune less"
    else:
        text = keras.Input((), dtype="string")
        tokens = layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(text)
        model = keras.Model(text, layers.Dense(2)(tokens))
        message = "Received with size=128: TypeError: .*Choose another criterion"
    before = _state(model)
    with pytest.raises(keras_snare.UnsupportedModelError, match=f"(?s){message}"):
        synaptic_flow(model, _kernels(model))
    _assert_same(_state(model), before)


@pytest.mark.parametrize("size", [0, 2.5, True])
def test_a_wrong_size_is_refused(size):
    with pytest.raises(ValueError, match="`size` is an integer, 1 or more. Received: size="):
        keras_snare.criteria.SynFlowCriterion(size=size)
