"""`SnareCallback` on recurrent, attending and U-shaped networks, on real digits."""

import keras
import numpy as np
import pytest
from training import digits

import keras_snare
from keras_snare import SnareCallback

layers = keras.layers


def lstm():
    inputs = keras.Input((8, 8))
    rows = layers.LSTM(16, return_sequences=True, name="rows")(inputs)
    seen = layers.Bidirectional(layers.GRU(12), name="both")(rows)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="digit")(seen))


def transformer():
    inputs = keras.Input((8, 8))
    stream = layers.Dense(16, name="embed")(inputs)
    for number in (1, 2):
        normed = layers.LayerNormalization(name=f"norm{number}")(stream)
        heads = layers.MultiHeadAttention(4, 6, name=f"attention{number}")(normed, normed)
        stream = layers.Add(name=f"attended{number}")([stream, heads])
        hidden = layers.Dense(24, "gelu", name=f"up{number}")(stream)
        stream = stream + layers.Dense(16, name=f"down{number}")(hidden)
    pooled = layers.GlobalAveragePooling1D()(stream)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="digit")(pooled))


def u_net():
    """Finds the ink of a digit in a noisy image."""

    def block(tensor, filters, name):
        tensor = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name)(tensor)
        return layers.ReLU()(layers.BatchNormalization(momentum=0.8)(tensor))

    inputs = keras.Input((8, 8, 1))
    fine = block(inputs, 8, "fine")
    middle = block(layers.MaxPooling2D()(fine), 12, "middle")
    coarse = block(layers.MaxPooling2D()(middle), 16, "coarse")
    up = layers.Conv2DTranspose(12, 2, strides=2, name="up_middle")(coarse)
    up = block(layers.Concatenate()([up, middle]), 12, "joined_middle")
    up = layers.UpSampling2D(interpolation="bilinear")(up)
    up = block(layers.Concatenate()([up, fine]), 8, "joined_fine")
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid", name="ink")(up))


def _data(name):
    (x, y), (x_val, y_val) = digits(600, 300)
    if name == "u_net":
        random = np.random.default_rng(0)
        noisy = [x + random.normal(0, 0.2, x.shape), x_val + random.normal(0, 0.2, x_val.shape)]
        return (noisy[0], x > 0.5), (noisy[1], x_val > 0.5)
    return (x[..., 0], y), (x_val[..., 0], y_val)


EPS = 0.1
MODELS = {"lstm": lstm, "transformer": transformer, "u_net": u_net}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_becomes_smaller_within_eps(name, tmp_path):
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    loss = "binary_crossentropy" if name == "u_net" else "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"], jit_compile=False)
    data, validation = _data(name)
    before = model.count_params()
    snare = SnareCallback(eps=EPS, warmup_epochs=6, retrain_epochs=4, max_trials=4, verbose=0)
    model.fit(
        *data, batch_size=50, epochs=22, validation_data=validation, callbacks=[snare], verbose=0
    )
    report = snare.report
    assert report.accepted > 0
    assert model.count_params() == report.params_after < 0.9 * before
    assert report.metric > report.best - EPS
    expected = model.evaluate(*validation, verbose=0, return_dict=True)
    assert expected["accuracy"] == pytest.approx(report.metric, abs=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    found = loaded.evaluate(*validation, verbose=0, return_dict=True)
    assert found == pytest.approx(expected, abs=1e-5)


def test_whole_heads_go():
    model = transformer()
    keras_snare.shrink(model, {"attention1:heads": [0, 2, 3], "attention2:key": [1, 2]})
    config = model.get_layer("attention1").get_config()
    assert (config["num_heads"], config["key_dim"]) == (3, 6)
    config = model.get_layer("attention2").get_config()
    assert (config["num_heads"], config["key_dim"], config["value_dim"]) == (4, 2, 6)
