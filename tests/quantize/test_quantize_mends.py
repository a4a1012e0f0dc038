"""What is easily got wrong: functions with arguments, names, data, and other callbacks."""

import keras
import numpy as np
import pytest
from fitting import leftovers
from models import chain

import keras_snare
from keras_snare import ClusterCallback, QuantizeAwareCallback, UnsupportedModelError
from keras_snare.quantize import to_tf_keras
from keras_snare.quantize.environment import tf_mot
from keras_snare.quantize.interpreter import interpreter_of
from keras_snare.quantize.representative import examples, representative_batches
from keras_snare.quantize.rounding import RoundedTwin

layers, ops = keras.layers, keras.ops
RANDOM = np.random.default_rng(0)
X = RANDOM.random((40, 6)).astype("float32")
Y = RANDOM.integers(0, 3, 40)


def network():
    keras.utils.set_random_seed(0)
    model = chain((6,), layers.Dense(8, "relu", name="a"), layers.Dense(3, "softmax", name="b"))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def fit(model, callbacks, epochs=2):
    return model.fit(X, Y, epochs=epochs, verbose=0, callbacks=callbacks).history


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.round(10 * x, 1),
        lambda x: ops.max(x, axis=1, initial=9.0),
        lambda x: ops.min(x, axis=1, initial=-9.0),
        lambda x: ops.max(x, axis=1),
        lambda x: ops.prod(x, axis=1),
        lambda x: ops.cumsum(x, axis=1),
    ],
    ids="round max_initial min_initial max prod cumsum".split(),
)
def test_arguments_of_functions_reach_the_twin(function):
    inputs = keras.Input((5, 4))
    model = keras.Model(inputs, function(inputs))
    x = RANDOM.normal(size=(3, 5, 4)).astype("float32")
    twin = to_tf_keras(model).model
    np.testing.assert_allclose(twin(x), model(x), atol=1e-5)


def test_function_of_the_user_with_a_known_name_is_computed_as_it_is():
    def elu(x):
        return 5 * ops.tanh(x)

    model = chain((4,), layers.Dense(3, elu), layers.Dense(2))
    x = RANDOM.normal(size=(64, 4)).astype("float32")
    twin = RoundedTwin(model, None)
    twin.calibrate([[x]])
    greatest = np.abs(model.predict(x, verbose=0)).max()
    assert np.abs(twin.quantized(x) - model.predict(x, verbose=0)).max() < 0.05 * greatest


@pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`")
def test_scaling_without_centering_is_refused():
    model = chain((4,), layers.LayerNormalization(rms_scaling=True, center=False, name="norm"))
    with pytest.raises(UnsupportedModelError, match=r"'norm'.*RMSNormalization"):
        RoundedTwin(model, None)


def test_scheme_that_trains_other_variables_is_refused():
    scheme = tf_mot().experimental.combine.Default8BitClusterPreserveQuantizeScheme(False)
    model = network()
    keras_snare.cluster_weights(model, 4)
    before = model.get_weights()
    with pytest.raises(UnsupportedModelError, match="ClusterCallback with the default scheme"):
        fit(model, [QuantizeAwareCallback(0, path=None, scheme=scheme)])
    assert all(map(np.array_equal, before, model.get_weights()))


def test_prune_preserving_scheme_keeps_zeros(tmp_path):
    scheme = tf_mot().experimental.combine.Default8BitPrunePreserveQuantizeScheme()
    model, path = network(), tmp_path / "m.tflite"
    masks = keras_snare.sparsify(model, 0.5)
    hold = keras_snare.HoldMasksCallback(masks)
    fit(model, [hold, QuantizeAwareCallback(0, path=path, scheme=scheme)])
    interpreter = interpreter_of(path.read_bytes())
    shapes = {(8, 6): "a/kernel", (3, 8): "b/kernel"}
    for one in interpreter.get_tensor_details():
        name = shapes.get(tuple(one["shape"]))
        if name:
            assert not interpreter.get_tensor(one["index"])[~masks[name].T].any()


def test_configuration_of_a_layer_in_several_parts_is_for_its_weights():
    model = chain((6,), layers.Dense(8, "relu6", name="a"), layers.Dense(3, name="b"))
    model.compile("sgd", "mse")
    registry = tf_mot().quantization.keras.default_8bit.Default8BitQuantizeRegistry()
    config = registry.get_quantize_config(to_tf_keras(model).model.get_layer("a"))
    callback = QuantizeAwareCallback(0, path=None, configs={"a": config})
    model.fit(X, X[:, :3], verbose=0, callbacks=[callback])
    assert callback.quantized_model is not None


@pytest.mark.parametrize("engine", ["tfmot", "keras"])
def test_optimizer_serves_for_several_fits(engine):
    adam = keras.optimizers.Adam(0.5)
    callback = QuantizeAwareCallback(1, path=None, optimizer=adam, engine=engine)
    losses = [fit(network(), [callback])["loss"] for _ in range(2)]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert not adam.built


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (
            lambda: [QuantizeAwareCallback(1, path=None, optimizer="adam"), ClusterCallback(4)],
            "in front of QuantizeAware|no `optimizer` together",
        ),
        (
            lambda: [ClusterCallback(4), QuantizeAwareCallback(1, path=None, optimizer="adam")],
            "no `optimizer` together with ClusterCallback",
        ),
        (
            lambda: [QuantizeAwareCallback(1, path=None), ClusterCallback(4)],
            "in front of QuantizeAwareCallback",
        ),
    ],
)
def test_what_cannot_hold_is_refused(callbacks, message):
    model = network()
    with pytest.raises(ValueError, match=message):
        fit(model, callbacks())
    assert leftovers(model) == []


@pytest.mark.filterwarnings("ignore:fit runs for")
@pytest.mark.parametrize("first", [True, False], ids=["search first", "quantizing first"])
def test_search_that_has_not_begun_ends(first):
    snare = keras_snare.SnareCallback(eps=0.1, monitor="loss", stop_when_done=False, verbose=0)
    quantize = QuantizeAwareCallback(0, path=None)
    model = network()
    order = [snare, quantize] if first else [quantize, snare]
    history = fit(model, order)
    assert history["quantized"] == [1, 1]
    assert history["snare_accepted"] == [0, 0]


def test_search_is_ended_by_a_callback_of_the_user():
    class Ends(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                snare.end_search()

    snare = keras_snare.SnareCallback(
        eps=9.0, monitor="loss", retrain_epochs=1, stop_when_done=False, verbose=0
    )
    model = network()
    history = fit(model, [snare, Ends()], epochs=5)
    assert history["snare_params"][2:] == [model.count_params()] * 3
    assert leftovers(model) == []


@pytest.mark.parametrize(
    "train",
    [
        lambda model, path: fit(model, [QuantizeAwareCallback(0, path=path)]),
        lambda model, path: keras_snare.quantize_aware_train(model, (X, Y), path=path),
    ],
    ids=["callback", "train"],
)
def test_path_of_a_folder_is_refused_before_training(train, tmp_path):
    model = network()
    before = model.get_weights()
    with pytest.raises(IsADirectoryError, match="Add a name"):
        train(model, tmp_path)
    assert all(map(np.array_equal, before, model.get_weights()))


def test_representative_data_in_every_form():
    x = RANDOM.random((500, 6)).astype("float32")
    model = network()
    whole = np.concatenate([one[0] for one in representative_batches(model, x)])
    np.testing.assert_array_equal(whole, x[:256])
    assert len(list(examples(representative_batches(model, x)))) == 256
    for data in ((x, np.zeros(500)), [(x[:32], 1), (x[32:64], 1)]):
        np.testing.assert_array_equal(representative_batches(model, data)[0][0], x[:32])
    fixed = keras.Sequential([keras.Input(batch_shape=(64, 6)), layers.Dense(2)])
    assert [len(one[0]) for one in representative_batches(fixed, x)][:7] == [64] * 7
    assert len(list(examples(representative_batches(fixed, x), 64))) == 4


def test_ranges_follow_weights_that_a_callback_puts_in_at_the_end(tmp_path):
    class Puts(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            kernel = self.model.get_layer("b").kernel
            kernel.assign(10 * kernel)

    model, path = network(), tmp_path / "m.tflite"
    quantize = QuantizeAwareCallback(0, path=path, representative_data=X)
    fit(model, [Puts(), quantize])
    found = {one.name: one.numpy() for one in quantize.quantized_model.weights}
    greatest = np.abs(model.get_layer("b").kernel).max()
    assert abs(found["quant_b/kernel_max:0"]).max() == pytest.approx(greatest, rel=0.05)
