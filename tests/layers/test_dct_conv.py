"""`DCTConv2D` against `Conv2D` with the kernel that it stands for."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_snare
from keras_snare.layers import DCTConv2D

layers = keras.layers
RANDOM = np.random.default_rng(0)
KINDS = {
    "valid": {"coefficients": 6},
    "same": {"coefficients": 0.3, "padding": "same", "use_bias": False},
    "strides": {"coefficients": [0, 7, 3], "strides": 2},
    "dilated": {"coefficients": 9, "dilation_rate": 2},
    "groups": {"coefficients": 4, "groups": 2},
    "oblong": {"coefficients": 5, "kernel_size": (3, 5)},
}


def made(kind, **settings):
    options = {"kernel_size": 5, "bias_initializer": "normal", **KINDS[kind], **settings}
    return DCTConv2D(6, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_convolution_with_its_taps(kind, tmp_path):
    layer, x = made(kind, activation="relu"), RANDOM.normal(size=(2, 12, 12, 4)).astype("float32")
    found = layer(x)
    config = {k: v for k, v in layer.get_config().items() if k not in ("coefficients", "name")}
    plain = layers.Conv2D.from_config(config)
    plain.build(x.shape)
    plain.set_weights([layer.taps(), *([] if layer.bias is None else [layer.bias])])
    np.testing.assert_allclose(found, plain(x), atol=1e-5)
    assert layer.compute_output_shape(x.shape) == found.shape
    assert layer.count_params() < plain.count_params()
    model = keras.Sequential([keras.Input((12, 12, 4)), layer, layers.Flatten(), layers.Dense(2)])
    model.compile("adam", "mse")
    before = ops.convert_to_numpy(layer.kernel)
    model.fit(x, np.ones((2, 2)), verbose=0)
    assert not np.array_equal(before, layer.kernel)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(x), model(x))


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_it_is_regularised_and_constrained_in_any_precision(policy, tmp_path):
    settings = {"kernel_regularizer": "l2", "bias_regularizer": "l1", "dtype": policy}
    layer = made("valid", kernel_constraint="non_neg", bias_constraint="non_neg", **settings)
    model = keras.Sequential([keras.Input((9, 9, 3)), layer, layers.GlobalAveragePooling2D()])
    model.compile("sgd", "mse")
    x = RANDOM.normal(size=(8, 9, 9, 3)).astype("float32")
    kernel, bias = (ops.convert_to_numpy(one) for one in (layer.kernel, layer.bias))
    found = [float(one) for one in layer.losses]
    np.testing.assert_allclose(found, [0.01 * np.sum(kernel**2), 0.01 * np.abs(bias).sum()], 1e-4)
    assert keras.backend.standardize_dtype(layer(x).dtype) == layer.compute_dtype
    expected = keras.ops.nn.conv(x, ops.cast(layer.taps(), "float32")) + bias
    np.testing.assert_allclose(ops.cast(layer(x), "float32"), expected, atol=0.1)
    model.fit(x, np.ones((8, 6)), verbose=0)
    assert layer.kernel.dtype == "float32"
    assert np.min(layer.kernel) == np.min(layer.bias) == 0
    assert np.isfinite(layer.kernel).all()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert again.layers[0].get_config() == layer.get_config()


@pytest.mark.slow
def test_it_is_written_for_litert_in_integers(tmp_path):
    parts = [made("same", activation="relu"), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((9, 9, 3)), *parts])
    x = RANDOM.normal(size=(64, 9, 9, 3)).astype("float32")
    report = keras_snare.to_litert(model, tmp_path / "a.tflite", "int8", representative_data=x)
    assert report.difference < 0.1


@pytest.mark.parametrize("kind", ["valid", "same", "groups"])
def test_channels_are_cut_on_both_sides(kind):
    parts = [keras.Input((9, 9, 3)), layers.Conv2D(4, 3, padding="same", name="before")]
    after = [layers.ReLU(), layers.Conv2D(3, 1, name="after"), layers.GlobalAveragePooling2D()]
    model = keras.Sequential([*parts, made(kind, name="form"), *after])
    x = RANDOM.normal(size=(3, 9, 9, 3)).astype("float32")
    groups, reader = keras_snare.channel_groups(model), model.get_layer("after").kernel
    assert groups["form"].prunable
    values = ops.convert_to_numpy(reader).copy()
    gone = [0, 1, 2] if kind == "groups" else [1, 4]
    values[:, :, gone] = 0
    reader.assign(values)
    expected = model.predict(x, verbose=0)
    left = [at for at in range(6) if at not in gone]
    keras_snare.shrink(model, {"form": left})
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-5)
    if kind == "groups":
        assert model.get_layer("before").filters == 2
        return
    kernel = model.get_layer("form").kernel
    values = ops.convert_to_numpy(kernel).copy()
    values[:, 2] = 0
    kernel.assign(values)
    expected = model.predict(x, verbose=0)
    keras_snare.shrink(model, {"before": [0, 1, 3]})
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-5)
    assert model.get_layer("form").kernel.shape[1:] == (3, 4)


def test_what_it_does_not_do_is_refused(tmp_path):
    layer = made("valid", name="form")
    model = keras.Sequential([keras.Input((9, 9, 3)), layer, layers.Flatten(), layers.Dense(2)])
    with pytest.raises(NotImplementedError, match="'form' .* has no quantized form"):
        layer.quantize("int8")
    with pytest.raises(NotImplementedError, match="takes no LoRA"):
        layer.enable_lora(2)
    with pytest.raises(ValueError, match="`coefficients` is 25 at most"):
        DCTConv2D(2, 5, coefficients=26)
    with pytest.raises(ValueError, match="that its groups divide. Received: .*groups=2"):
        made("groups").build((None, 9, 9, 3))
    report = keras_snare.to_litert(model, tmp_path / "model.tflite")
    assert report.difference < 1e-5
