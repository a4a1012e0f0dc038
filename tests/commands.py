"""A folder in which commands run: models, and data in each form."""

import json

import keras
import numpy as np
import tensorflow as tf

layers = keras.layers
RANDOM = np.random.default_rng(0)
X = RANDOM.random((64, 8), "float32")
Y = X[:, :4].argmax(1)
FUNCTIONS = """
import numpy as np

def data():
    with np.load("data.npz") as file:
        return file["x"], file["y"]

def nothing():
    return None
"""


def network():
    keras.utils.set_random_seed(0)
    parts = [layers.Dense(16, "relu", name="hidden"), layers.Dense(4, "softmax", name="out")]
    return keras.Sequential([keras.Input((8,), name="pixels"), *parts], name="network")


def image_network():
    keras.utils.set_random_seed(0)
    parts = [layers.Conv2D(6, 3, name="conv"), layers.Flatten(), layers.Dense(2, name="out")]
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), *parts])


def compiled(model, loss="sparse_categorical_crossentropy"):
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def prepare(folder):
    """Writes model.keras (compiled), plain.keras, data of each form, and functions.py."""
    network().save(folder / "plain.keras")
    compiled(network()).save(folder / "model.keras")
    np.savez(folder / "data.npz", x=X, y=Y)
    np.savez(folder / "named.npz", pixels=X, out=Y)
    np.savez(folder / "x.npz", x=X)
    np.savez(folder / "wide.npz", x=np.zeros((8, 9)), y=np.zeros(8))
    np.savez(folder / "uneven.npz", x=X, y=Y[:-1])
    np.savez(folder / "classes.npz", x=X, y=Y + 4)
    (folder / "broken.npz").write_bytes(b"no arrays")
    (folder / "functions.py").write_text(FUNCTIONS)
    (folder / "empty").mkdir()


def stored_dataset(folder, batch=None):
    data = tf.data.Dataset.from_tensor_slices((X, Y))
    (data if batch is None else data.batch(batch)).save(str(folder / "snapshot"))


def images(folder, classes=("cat", "dog")):
    for name in classes:
        (folder / "images" / name).mkdir(parents=True)
        for at in range(3):
            picture = RANDOM.integers(0, 255, (10, 10, 3)).astype("uint8")
            keras.utils.save_img(folder / "images" / name / f"{at}.png", picture, scale=False)


def figures(capsys):
    """What a command printed with --json: nothing else is there."""
    return json.loads(capsys.readouterr().out)


def files(folder):
    return {
        one.relative_to(folder): one.stat().st_mtime_ns if one.is_file() else None
        for one in folder.rglob("*")
        if "__pycache__" not in one.parts
    }


def refused(folder, words, match, capsys):
    """Asserts that a command says what is wrong in one line, and leaves all files alone."""
    from keras_snare.cli import main

    before = files(folder)
    assert main(words) == 2
    out, told = capsys.readouterr()
    assert match in told
    assert told.startswith("keras-snare: ")
    assert told.count("\n") == 1
    assert out == ""
    assert files(folder) == before
