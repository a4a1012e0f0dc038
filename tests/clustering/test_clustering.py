"""Codebooks, at once and through training: against sorted search, plain steps and by hand."""

import keras
import models
import numpy as np
import pytest
from fitting import leftovers
from hypothesis import given
from hypothesis import strategies as st

import keras_snare
from keras_snare import ClusterCallback, Codebooks, cluster_weights
from keras_snare.clustering.k_means import k_means, nearest
from keras_snare.masking import kernels_of

layers = keras.layers
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(48, 6)).astype("float32")
Y = RANDOM.integers(0, 3, 48)


def network(optimizer="adam", **settings):
    keras.utils.set_random_seed(0)
    model = models.chain(
        (6,), layers.Dense(8, "relu", name="a"), layers.Dense(3, "softmax", name="b")
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", **settings)
    return model


def kernels(model):
    return [np.asarray(one.variable.value) for one in kernels_of(model)]


def test_k_means_by_hand():
    values = np.array([0.0, 1.0, 2.0, 10.0, 11.0, 30.0])
    assert k_means(values, 3).tolist() == [1.0, 10.5, 30.0]
    assert nearest(values, np.array([1.0, 10.5, 30.0])).tolist() == [0, 0, 0, 1, 1, 2]
    assert k_means(np.array([5.0, 5.0, 7.0]), 4).tolist() == [5.0, 7.0]
    assert k_means(np.array([5.0]), 2).tolist() == [5.0]


def test_as_many_values_as_asked_for_whatever_the_weights_look_like():
    """Means at equal distances leave most groups of such numbers empty."""
    values = np.append(RANDOM.normal(size=500), [20.0, -20.0, 1e6])
    means = k_means(values, 16)
    assert len(means) == 16
    error = np.mean((values - means[nearest(values, means)])[:500] ** 2)
    assert error < 0.05


@given(st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=60), st.integers(1, 9))
def test_k_means_is_at_rest(numbers, clusters):
    """Each number is with its nearest mean, and each mean in the middle of its numbers."""
    values = np.array(numbers)
    means = k_means(values, clusters)
    assert 1 <= len(means) <= clusters
    assert (np.diff(means) > 0).all()
    places = nearest(values, means)
    distances = abs(values[:, None] - means)
    np.testing.assert_allclose(distances[np.arange(len(values)), places], distances.min(axis=1))
    for at, mean in enumerate(means):
        assert values[places == at].mean() == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0], ids=["dense", "sparse", "empty"])
def test_weights_become_few_and_zeros_stay(share):
    model = network()
    before = kernels(model)
    for kernel in kernels_of(model):
        kept = RANDOM.random(kernel.shape) >= share
        kernel.variable.assign(np.where(kept, np.asarray(kernel.variable.value), 0))
    zeros, biases = [one == 0 for one in kernels(model)], model.get_layer("a").get_weights()[1]
    found = cluster_weights(model, 5)
    after = kernels(model)
    for own, zero, old, name in zip(after, zeros, before, found, strict=True):
        assert len(np.unique(own)) <= 5
        assert ((own == 0) == zero).all()
        np.testing.assert_array_equal(found[name].weights, own)
        if share == 0:
            assert np.abs(own - old).max() <= (old.max() - old.min()) / 4
    assert np.array_equal(model.get_layer("a").get_weights()[1], biases)
    again = cluster_weights(model, 5)
    for name in found:
        np.testing.assert_array_equal(again[name].weights, found[name].weights)
        np.testing.assert_array_equal(Codebooks.of(model)[name].weights, found[name].weights)


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.1),
    "adam": lambda: keras.optimizers.Adam(0.01, clipnorm=0.1),
    "averages": lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=2),
}


def test_averages_of_few_values_are_as_few():
    model = network(keras.optimizers.SGD(0.1, use_ema=True))
    model.get_layer("a").kernel.assign_add(np.eye(6, 8) * 9)
    cluster = ClusterCallback(8)
    model.fit(X, Y, epochs=4, verbose=0, callbacks=[cluster])
    for own, book in zip(kernels(model), cluster.codebooks.values(), strict=True):
        assert len(np.unique(own)) == len(book.values) == 8
        np.testing.assert_array_equal(book.weights, own)


@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_clusters_hold_after_every_step_and_move(name, jit):
    model = network(OPTIMIZERS[name](), jit_compile=jit)
    keras_snare.sparsify(model, 0.3)
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(kernels(model))
    )
    cluster = ClusterCallback(4, start_epoch=1)
    variables = model.variables
    history = model.fit(X, Y, batch_size=8, epochs=4, verbose=0, callbacks=[cluster, watch])
    assert history.history["clustered"] == [0, 1, 1, 1]
    steps = len(seen) // 4
    begun = Codebooks.of(model)
    assert [len(np.unique(one)) <= 4 for one in seen[0]] == [False, False]
    for found in seen[steps:]:
        for own, last in zip(found, seen[-1], strict=True):
            assert len(np.unique(own)) <= 4
            assert ((own == 0) == (last == 0)).all()
    assert any(not np.array_equal(*pair) for pair in zip(seen[steps], seen[-1], strict=True))
    for kernel in kernels_of(model):
        assert len(cluster.codebooks[kernel.name].values) <= 4
        np.testing.assert_array_equal(
            cluster.codebooks[kernel.name].weights, begun[kernel.name].weights
        )
    assert all(one is other for one, other in zip(model.variables, variables, strict=True))
    assert leftovers(model) == []


def test_steps_are_those_of_the_mean_update():
    """Plain gradient descent: each value moves by the mean of what its weights would."""
    cluster, model = ClusterCallback(3), network(keras.optimizers.SGD(0.5))
    other = network(keras.optimizers.SGD(0.5))
    for _ in range(3):
        found = cluster_weights(other, 3)
        other.train_on_batch(X, Y)
        for kernel in kernels_of(other):
            book, free = found[kernel.name], np.asarray(kernel.variable.value)
            means = [free[book.indices == at].mean() for at in range(len(book.values))]
            kernel.variable.assign(np.array(means)[book.indices])
    model.fit(X, Y, batch_size=48, epochs=3, verbose=0, callbacks=[cluster])
    for own, expected in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(own, expected, atol=1e-5)


def test_values_do_not_drift_in_large_kernels():
    model = keras.Sequential([keras.Input((1000,)), layers.Dense(1000, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    found = cluster_weights(model, 4)
    name = next(iter(found))
    x = np.zeros((1, 1000), "float32")
    model.fit(x, x, epochs=30, verbose=0, callbacks=[ClusterCallback(4)])
    np.testing.assert_array_equal(Codebooks.of(model)[name].weights, found[name].weights)


@pytest.mark.slow
def test_integer_file_has_as_few_values(tmp_path):
    from keras_snare.quantize.interpreter import interpreter_of

    model, path = network(), tmp_path / "model.tflite"
    masks = keras_snare.sparsify(model, 0.4)
    calls = [
        keras_snare.HoldMasksCallback(masks),
        ClusterCallback(6),
        keras_snare.QuantizeAwareCallback(1, path=path, representative_data=X),
    ]
    model.fit(X, Y, epochs=3, verbose=0, callbacks=calls)
    interpreter = interpreter_of(path.read_bytes())
    shapes = {(8, 6): "a/kernel", (3, 8): "b/kernel"}
    for one in interpreter.get_tensor_details():
        name = shapes.get(tuple(one["shape"]))
        if name:
            values = interpreter.get_tensor(one["index"])
            assert 2 <= len(np.unique(values)) <= 6
            assert not values[~masks[name].T].any()


@pytest.mark.parametrize("engine", [pytest.param("tfmot", marks=pytest.mark.slow), "keras"])
def test_integer_file_of_a_convolution_has_as_few_values_per_channel(engine, tmp_path):
    from keras_snare.quantize.interpreter import interpreter_of

    keras.utils.set_random_seed(0)
    conv = layers.Conv2D(5, 3, activation="relu", name="conv")
    model = models.chain((6, 6, 2), conv, layers.Flatten(), layers.Dense(3, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy")
    x, path = RANDOM.normal(size=(48, 6, 6, 2)).astype("float32"), tmp_path / "model.tflite"
    quantize = keras_snare.QuantizeAwareCallback(1, path=path, engine=engine)
    model.fit(x, Y, epochs=3, verbose=0, callbacks=[ClusterCallback(4), quantize])
    interpreter = interpreter_of(path.read_bytes())
    shapes = {tuple(one["shape"]): one["index"] for one in interpreter.get_tensor_details()}
    stored, kernel = interpreter.get_tensor(shapes[5, 3, 3, 2]), np.asarray(conv.kernel)
    assert len(np.unique(kernel)) == 4
    for at, channel in enumerate(stored):
        own = kernel[..., at]
        for value in np.unique(own):
            assert len(np.unique(channel[own == value])) == 1
        assert 2 <= len(np.unique(channel)) <= 4


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf], ids=str)
def test_weights_that_are_not_finite_are_refused(number):
    model = network()
    weights = model.get_weights()
    weights[2][1, 2] = number
    model.set_weights(weights)
    with pytest.raises(ValueError, match=r"Received: NaN or infinity in b/kernel\. Load"):
        cluster_weights(model, 4)
    for own, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(own, expected)
    cluster_weights(model, 4, layers="a")

    class Breaks(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.set_weights(weights)

    model = network()
    with pytest.raises(ValueError, match="infinity in b/kernel"):
        model.fit(
            X, Y, epochs=3, verbose=0, callbacks=[ClusterCallback(4, start_epoch=1), Breaks()]
        )
    for own, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(own, expected)
    assert leftovers(model) == []


# pytest.warns lets go of the module that a warning came from, by which this one is ignored.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_fit_that_stops_before_clusters_says_so():
    model = network()
    cluster = ClusterCallback(4, start_epoch=2)
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", True)
    )
    with pytest.warns(UserWarning, match="fit ended before epoch 2, the first to be clustered"):
        model.fit(X, Y, epochs=4, verbose=0, callbacks=[cluster, stop])
    assert cluster.codebooks is None
    assert leftovers(model) == []


class Stops(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise KeyboardInterrupt


def test_interrupt_leaves_a_plain_model():
    model = network()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, verbose=0, callbacks=[ClusterCallback(4), Stops()])
    assert leftovers(model) == []
    assert all(len(np.unique(one)) <= 4 for one in kernels(model))
    model.fit(X, Y, verbose=0)
    assert any(len(np.unique(one)) > 4 for one in kernels(model))


@pytest.mark.parametrize("clusters", [1, 0, 2.0, True, "16"])
def test_counts_of_clusters_are_checked(clusters):
    model = network()
    before = model.get_weights()
    for call in (ClusterCallback, lambda count: cluster_weights(model, count)):
        with pytest.raises(ValueError, match=r"`clusters` is an integer, .*Received: clusters="):
            call(clusters)
    assert all(map(np.array_equal, before, model.get_weights()))


@pytest.mark.parametrize(
    ("settings", "others", "message"),
    [
        ({"start_epoch": 2}, [], r"reaches `start_epoch`, 2.*fit\(epochs=2\)"),
        ({}, [ClusterCallback()], r"together with ClusterCallback"),
        ({}, [keras_snare.MagnitudePruneCallback(0.5)], r"MagnitudePruneCallback.*fit twice"),
        (
            {"start_epoch": 1},
            [keras.callbacks.EarlyStopping("loss", restore_best_weights=True)],
            r"start_from_epoch=1",
        ),
        ({"layers": "none"}, [], r"none"),
    ],
    ids=["late", "two", "pruning", "early stopping", "layers"],
)
def test_fit_is_refused_before_it_trains(settings, others, message):
    model = network()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y, epochs=2, verbose=0, callbacks=[ClusterCallback(**settings), *others])
    assert all(map(np.array_equal, before, model.get_weights()))
    assert leftovers(model) == []
    with pytest.raises(ValueError, match="start_epoch"):
        ClusterCallback(start_epoch=-1)
