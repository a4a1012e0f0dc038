"""The three MLPerf Tiny networks: half of their channels out, saved, loaded, trained on.

    python benchmarks/mlperf_tiny.py --output benchmarks/results/mlperf_tiny.json

`KERAS_SNARE_DATA` names a folder with `models/pretrainedResnet.h5`, `models/kws_ref_model.keras`,
`models/ad01.h5` and `cifar10_subset.npz`. Only ResNet-8 has data here; the others are compared with
the uncut network whose readers' weights are zero.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import results_files
from coverage import silence

import keras_snare
from keras_snare.surgery import removed_channels

MODELS = {
    "ResNet-8": "pretrainedResnet.h5",
    "DS-CNN": "kws_ref_model.keras",
    "autoencoder": "ad01.h5",
}


def load(folder: Path, name: str) -> keras.Model:
    """One of the three networks, as its authors trained it."""
    return keras.models.load_model(folder / "models" / MODELS[name], compile=False)


def cut(folder: Path, name: str) -> dict[str, Any]:
    """Half of every group out, by `l1_in`; the result compared, saved and loaded."""
    model, reference = load(folder, name), load(folder, name)
    inputs = np.random.default_rng(0).random((4, *model.input_shape[1:]), dtype=np.float32)
    report = keras_snare.prune(model, 0.5, criterion="l1_in", scope="local")
    groups = keras_snare.channel_groups(reference)
    silence(groups, removed_channels(groups, report.plan))
    found, expected = np.asarray(model(inputs)), np.asarray(reference(inputs))
    with tempfile.TemporaryDirectory() as place:
        model.save(f"{place}/model.keras")
        loaded = np.asarray(keras.models.load_model(f"{place}/model.keras")(inputs))
    return {
        "params_before": report.params_before,
        "params": report.params_after,
        "flops_before": report.flops_before,
        "flops": report.flops_after,
        "difference": float(np.abs(found - expected).max() / np.abs(expected).max()),
        "difference_when_loaded": float(np.abs(loaded - found).max() / np.abs(found).max()),
    }


def images(folder: Path) -> tuple[tuple, tuple, tuple]:
    """CIFAR-10's subset: every sixth training image validates."""
    with np.load(folder / "cifar10_subset.npz", allow_pickle=False) as arrays:
        x, y = arrays["x_train"].astype("float32"), arrays["y_train"].astype("int32")
        test = arrays["x_test"].astype("float32"), arrays["y_test"].astype("int32")
    validates = np.arange(len(y)) % 6 == 5
    return (x[~validates], y[~validates]), (x[validates], y[validates]), test


def fine_tune(folder: Path, epochs: int) -> dict[str, Any]:
    """ResNet-8 with half of its channels, before and after some epochs on the subset."""
    train, validation, test = images(folder)
    keras.utils.set_random_seed(0)
    model = load(folder, "ResNet-8")
    keras_snare.prune(model, 0.5, criterion="l1_in", scope="local")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    before = model.evaluate(*validation, batch_size=500, verbose=0)[1]
    history = model.fit(
        *train, batch_size=64, epochs=epochs, validation_data=validation, verbose=0
    ).history
    return {
        "epochs": epochs,
        "validation_before": before,
        "validation": history["val_accuracy"],
        "test": model.evaluate(*test, batch_size=500, verbose=0)[1],
    }


def main() -> None:
    """Cuts the three networks, and trains the one that has data."""
    parser = argparse.ArgumentParser(description="MLPerf Tiny's networks, cut.")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    if "KERAS_SNARE_DATA" not in os.environ:
        raise SystemExit("Set KERAS_SNARE_DATA to the folder that holds models/ and the images.")
    folder = Path(os.environ["KERAS_SNARE_DATA"])
    results = {
        "cut": {name: cut(folder, name) for name in MODELS},
        "fine_tuned": fine_tune(folder, arguments.epochs),
        "command": f"python benchmarks/mlperf_tiny.py --epochs {arguments.epochs} --output FILE",
        "machine": results_files.machine(),
        "versions": results_files.versions(),
    }
    results_files.write(arguments.output, results)
    print(results)


if __name__ == "__main__":
    main()
