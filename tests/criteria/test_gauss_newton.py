"""The Gauss-Newton diagonal against the whole matrix, which TensorFlow finds row by row."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_snare
from keras_snare.criteria import (
    OBDCriterion,
    diagonal_curvature,
    gauss_newton,
    output_curvature,
)
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import channel_groups
from keras_snare.masking.criteria import OBDConnectionCriterion

layers = keras.layers
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(6, 5)).astype("float32")
LABELS = RANDOM.integers(0, 3, 6)
TARGETS = RANDOM.uniform(size=(6, 3)).astype("float32")
SHARES = TARGETS / TARGETS.sum(axis=1, keepdims=True)

# By name: the loss, the last activation, its targets.
LOSSES = {
    "softmax": ("sparse_categorical_crossentropy", "softmax", LABELS),
    "soft_labels": ("categorical_crossentropy", "softmax", SHARES),
    "logits": (keras.losses.SparseCategoricalCrossentropy(from_logits=True), None, LABELS),
    "sigmoid": ("binary_crossentropy", "sigmoid", TARGETS.round()),
    "squares": ("mse", None, TARGETS),
    "tanh": ("mse", "tanh", TARGETS),
    "smoothed": (keras.losses.CategoricalCrossentropy(label_smoothing=0.2), "softmax", SHARES),
}


def network(activation, loss, end, **settings):
    keras.utils.set_random_seed(1)
    hidden = layers.Dense(4, activation, bias_initializer="normal", name="hidden")
    last = layers.Dense(3, end, bias_initializer="normal", name="last")
    model = keras.Sequential([keras.Input((5,)), hidden, last])
    model.compile("sgd", loss, jit_compile=False, **settings)
    return model


def diagonal(model, data, probes=None, **options):
    graph = channel_groups(model).trace
    options = {"curvature": "gauss_newton", **options}
    found = diagonal_curvature(model, graph, model.trainable_variables, data, probes, **options)
    return np.concatenate([one.reshape(-1) for one in found])


def jacobian(model, x):
    """Of the numbers that the last activation is given, which are the outputs without one."""
    last = model.layers[-1]
    given, last.activation = last.activation, None
    if given is keras.activations.tanh:
        last.activation = given
    variables = [one.value for one in model.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        values = model(x, training=False)
    found = tape.jacobian(values, variables, experimental_use_pfor=False)
    last.activation = given
    return np.concatenate([np.reshape(one, (*values.shape, -1)) for one in found], axis=-1)


def by_hand(model, name, x):
    """The diagonal of JᵀHJ with what is known of H."""
    slopes, p = jacobian(model, x), model.predict(x, verbose=0).astype("float64")
    if name in ("squares", "tanh"):
        blocks = np.stack([np.eye(3) * 2 / 3] * len(x))
    elif name == "sigmoid":
        blocks = np.stack([np.diag(one * (1 - one)) / 3 for one in p])
    else:
        p = np.exp(p) / np.exp(p).sum(axis=1, keepdims=True) if name == "logits" else p
        blocks = np.stack([np.diag(one) - np.outer(one, one) for one in p])
    return np.einsum("nip,nij,njp->p", slopes, blocks, slopes) / len(x)


@pytest.mark.parametrize(
    ("name", "activation"),
    [
        *((name, "tanh") for name in ("softmax", "soft_labels", "sigmoid", "tanh")),
        *(
            pytest.param(name, activation, marks=pytest.mark.slow)
            for name in LOSSES
            for activation in ("relu", "tanh")
        ),
    ],
)
def test_exact_values(name, activation):
    loss, end, y = LOSSES[name]
    model = network(activation, loss, end)
    expected = by_hand(model, name, X)
    assert expected.max() > 0.01
    found = diagonal(model, (X, y), batch_size=4)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-5 * expected.max())
    # No more outputs than probes.
    same = diagonal(model, (X, y), 3 * len(X))
    np.testing.assert_allclose(same, expected, rtol=2e-4, atol=1e-5 * expected.max())


@pytest.mark.parametrize("name", ["softmax", "squares", "sigmoid"])
def test_of_a_network_that_is_linear_in_each_weight_it_is_the_hessian(name):
    loss, end, y = LOSSES[name]
    model = network("relu", loss, end)
    expected = diagonal(model, (X, y), curvature="hessian")
    found = diagonal(model, (X, y))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * expected.max())


@pytest.mark.slow
def test_noise_is_what_is_stated():
    loss, end, y = LOSSES["softmax"]
    model, probes = network("tanh", loss, end), 8
    exact = diagonal(model, (X, y))
    found = np.array([diagonal(model, (X, y), probes, seed=seed) for seed in range(20)])
    assert found.min() >= 0
    seen = exact > 1e-3 * exact.max()
    errors = (found / np.where(seen, exact, 1) - 1)[:, seen]
    assert np.abs(errors.mean(axis=0)).max() < 5 * np.sqrt(2 / probes / len(found))
    assert np.sqrt(np.square(errors).mean()) < 1.1 * np.sqrt(2 / probes)
    assert errors.std() > 0.1
    again = diagonal(model, (X, y), probes, seed=19)
    np.testing.assert_array_equal(found[-1], again)


def test_several_outputs_eager_and_in_half_precision():
    inputs = keras.Input((5,))
    hidden = layers.Dense(4, "relu")(inputs)
    ends = [layers.Dense(2, "softmax", name="a"), layers.Dense(1, name="b")]
    model = keras.Model(inputs, [end(hidden) for end in ends])
    losses = ["sparse_categorical_crossentropy", "mse"]
    data = X, (LABELS % 2, TARGETS[:, :1])
    model.compile("sgd", losses, loss_weights=[0.25, 2.0], run_eagerly=True)
    expected = diagonal(model, data, curvature="hessian")
    np.testing.assert_allclose(diagonal(model, data), expected, rtol=1e-3, atol=1e-6)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = network("relu", "mse", None)
    finally:
        keras.config.set_dtype_policy("float32")
    exact = network("relu", "mse", None)
    expected = by_hand(exact, "squares", X)
    np.testing.assert_allclose(diagonal(model, (X, TARGETS)), expected, rtol=0.03, atol=0.01)


def test_sequences_have_a_loss_at_each_position():
    model = keras.Sequential([keras.Input((4, 5)), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    data = RANDOM.normal(size=(6, 4, 5)).astype("float32"), RANDOM.integers(0, 3, (6, 4))
    expected = diagonal(model, data, curvature="hessian")
    np.testing.assert_allclose(diagonal(model, data), expected, rtol=1e-3, atol=1e-6)


def test_a_loss_that_ties_examples_together_is_refused():
    def spread(y_true, y_pred):
        return keras.ops.square(keras.ops.mean(y_pred - y_true)) + 0 * y_pred[:, 0]

    model = network("relu", spread, None)
    with pytest.raises(UnsupportedModelError, match="ties .* % of them together"):
        diagonal(model, (X, TARGETS))
    assert diagonal(model, (X, TARGETS), curvature="hessian").max() > 0


def cosine(y_true, y_pred):
    unit = keras.ops.normalize(y_pred, axis=-1)
    return 1 - keras.ops.sum(keras.ops.normalize(y_true, axis=-1) * unit, axis=-1)


def test_only_matrices_of_an_unknown_kind_can_be_too_many(monkeypatch):
    monkeypatch.setattr(gauss_newton, "MOST", 4 * 9)
    monkeypatch.setattr(output_curvature, "MOST", 4 * 9)
    for name in ("softmax", "squares", "sigmoid"):
        loss, end, y = LOSSES[name]
        assert diagonal(network("relu", loss, end), (X, y)).max() > 0
    model = network("relu", cosine, None)
    assert diagonal(model, (X, TARGETS), batch_size=4).max() > 0
    with pytest.raises(ValueError, match="at most 36 numbers. Received: 54"):
        diagonal(model, (X, TARGETS), batch_size=6)


def test_a_loss_of_whole_rows():
    """Its negative part is left out: what is left is not less than the Hessian's."""
    model = network("relu", cosine, None)
    found = diagonal(model, (X, TARGETS))
    assert found.min() >= 0
    assert (found - diagonal(model, (X, TARGETS), curvature="hessian")).min() > -1e-5


def test_outputs_that_a_loss_ties_together_are_refused():
    class Apart(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return keras.ops.mean(keras.ops.square(y_pred[0] - y_pred[1] - y))

    inputs = keras.Input((5,))
    model = Apart(inputs, [layers.Dense(2, name="a")(inputs), layers.Dense(2, name="b")(inputs)])
    model.compile("sgd", jit_compile=False)
    with pytest.raises(UnsupportedModelError, match="examples, positions and outputs"):
        diagonal(model, (X, TARGETS[:, :2]))


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_network_that_is_sure_of_itself(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = network("relu", "sparse_categorical_crossentropy", "softmax")
    finally:
        keras.config.set_dtype_policy("float32")
    last = model.get_layer("last")
    last.kernel.assign(last.kernel * 15)
    found = diagonal(model, (X, LABELS))
    assert np.isfinite(found).all()
    last.kernel.assign(last.kernel * 100)
    assert np.isfinite(diagonal(model, (X, model.predict(X, verbose=0).argmax(-1)))).all()


def test_a_softmax_along_another_axis():
    def loss(y_true, y_pred):
        return -keras.ops.sum(y_true * keras.ops.log(y_pred), axis=1)

    first = layers.Dense(3, use_bias=False)
    model = keras.Sequential([keras.Input((4, 3)), first, layers.Softmax(axis=1)])
    model.compile("sgd", loss, jit_compile=False)
    y = np.eye(4, dtype="float32")[RANDOM.integers(0, 4, (6, 3))].swapaxes(1, 2)
    data = RANDOM.normal(size=(6, 4, 3)).astype("float32"), y
    # By the probabilities themselves: the sum of squared slopes of each row that has a label.
    with tf.GradientTape(persistent=True) as tape:
        single = loss(data[1], model(data[0]))
    slopes = tape.jacobian(single, first.kernel.value, experimental_use_pfor=False)
    expected = np.square(slopes).sum(axis=(0, 1)) / slopes.shape[0] / slopes.shape[1]
    np.testing.assert_allclose(diagonal(model, data), expected.reshape(-1), rtol=1e-3)


@pytest.mark.parametrize("criterion", [OBDCriterion, OBDConnectionCriterion])
def test_wrong_curvature(criterion):
    with pytest.raises(ValueError, match="'gauss_newton' or 'hessian'. Received: curvature='gn'"):
        criterion(curvature="gn")


def test_connections_that_do_nothing_go_first():
    """A weight from an input that is always zero bends nothing, however large it is."""
    loss, end, y = LOSSES["softmax"]
    model, x = network("relu", loss, end), X.copy()
    x[:, 2] = 0
    kernel = model.get_layer("hidden").kernel
    weights = kernel.numpy()
    weights[2] = 10
    kernel.assign(weights)
    masks = keras_snare.sparsify(model, 0.2, criterion="obd", data=(x, y), layers="hidden")
    np.testing.assert_array_equal(
        masks["hidden/kernel"], np.broadcast_to(np.arange(5)[:, None] != 2, (5, 4))
    )
