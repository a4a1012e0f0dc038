"""How many bytes a model takes in files."""

import tempfile
import zipfile
from pathlib import Path

import h5py
import keras

from keras_snare.codec import pack
from keras_snare.surgery import save_model

_WEIGHTS = "model.weights.h5"


def keras_bytes(model: keras.Model) -> int:
    """Returns the bytes of a `.keras` file without the state of the optimizer.

    Keras writes that state for a compiled model; who loads the model to use it does not need it.
    """
    with tempfile.TemporaryDirectory() as folder:
        path, bare = Path(folder) / "model.keras", Path(folder) / _WEIGHTS
        save_model(model, path, check=False)
        with zipfile.ZipFile(path) as file:
            file.extract(_WEIGHTS, folder + "/whole")
            weights = file.getinfo(_WEIGHTS).compress_size
        with h5py.File(f"{folder}/whole/{_WEIGHTS}") as whole, h5py.File(bare, "w") as left:
            for key in whole:
                if key != "optimizer":
                    whole.copy(key, left)
        return path.stat().st_size - weights + bare.stat().st_size


def packed_bytes(model: keras.Model) -> int:
    """Returns the bytes of the file that `pack` writes, with every bit of the weights.

    Raises:
        UnsupportedModelError: when the model cannot be packed.
        ImportError: when the package constriction is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        return pack(model, Path(folder) / "model.snare").bytes
