"""Train the networks that the benchmarks start from, and keep them with their optimizers.

As in the thesis, one learning rate from the first epoch to the last of the retraining. Of the base
training, the epoch with the best validation accuracy is kept, weights and optimizer slots alike.
Loading the saved model and calling `fit` goes on training. Test data are never looked at.

    python benchmarks/base_training.py --networks lenet_5 uci_custom --seeds 0 1 2 --output DIR
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import results_files
from datasets import Dataset, load_activity_windows, load_mnist
from networks import lenet_5, lenet_300_100, uci_custom


@dataclass(frozen=True)
class Recipe:
    """How one base network is trained, and retrained later.

    Args:
        epochs: Epochs of training; the best by validation accuracy is kept.
        learning_rate: Learning rate of Adam, the same in every epoch.
        batch_size: Examples per step.
        average_every: Steps after which the weights become their moving average, or None.
    """

    epochs: int
    learning_rate: float = 1e-3
    batch_size: int = 128
    average_every: int | None = None

    def new_optimizer(self) -> keras.optimizers.Optimizer:
        """A new optimizer of this recipe."""
        if self.average_every is None:
            return keras.optimizers.Adam(self.learning_rate)
        return keras.optimizers.Adam(
            self.learning_rate,
            use_ema=True,
            ema_momentum=0.99,
            ema_overwrite_frequency=self.average_every,
        )


@dataclass(frozen=True)
class BaseNetwork:
    """A network of the benchmarks, the data it learns from and the recipe.

    Args:
        build: Returns the uncompiled model.
        load: Returns its data set.
        recipe: How to train it.
    """

    build: Callable[[], keras.Model]
    load: Callable[[], Dataset]
    recipe: Recipe


BASE_NETWORKS = {
    "lenet_5": BaseNetwork(lenet_5, load_mnist, Recipe(epochs=20)),
    "lenet_300_100": BaseNetwork(
        lambda: lenet_300_100("tanh"), lambda: load_mnist(flat=True), Recipe(epochs=20)
    ),
    # A tenth of MNIST's examples: small batches, or an epoch has too few steps. Validation swings
    # from epoch to epoch, so the steps of each end in their average.
    "uci_custom": BaseNetwork(
        uci_custom, load_activity_windows, Recipe(epochs=10, batch_size=32, average_every=182)
    ),
    "uci_custom_unseen": BaseNetwork(
        uci_custom,
        lambda: load_activity_windows(unseen_people=True),
        Recipe(epochs=10, batch_size=32, average_every=176),
    ),
}


def train_base(network_name: str, seed: int, directory: str | Path) -> Path:
    """Train one base network, or find it where an earlier call left it.

    A model that was trained by the same recipe on the same data is not trained again.

    Args:
        network_name: A key of `BASE_NETWORKS`.
        seed: Seed of the initial weights and of the order of the examples.
        directory: Folder to write to; made if it does not exist.

    Returns:
        Path of the compiled `.keras` model; its record is beside it, as `.json`.

    Raises:
        ValueError: `network_name` is unknown.
    """
    if network_name not in BASE_NETWORKS:
        raise ValueError(
            f"Expected the name of a base network. Received: network_name={network_name!r}. "
            f"Choose one of: {', '.join(BASE_NETWORKS)}."
        )
    base = BASE_NETWORKS[network_name]
    dataset = base.load()
    model_path = Path(directory, f"{network_name}_seed{seed}.keras")
    record_path = model_path.with_suffix(".json")
    identity = {
        "network": network_name,
        "seed": seed,
        "data": dataset.source,
        "recipe": dataclasses.asdict(base.recipe),
    }
    if model_path.is_file() and _holds(record_path, identity):
        return model_path
    model_path.parent.mkdir(parents=True, exist_ok=True)
    record_path.unlink(missing_ok=True)
    keras.utils.set_random_seed(seed)
    outcome = _fit(base.build(), dataset, base.recipe, model_path)
    record_path.write_text(
        json.dumps(identity | outcome | {"versions": results_files.versions()}, indent=2) + "\n"
    )
    return model_path


def _fit(model: keras.Model, dataset: Dataset, recipe: Recipe, model_path: Path) -> dict[str, Any]:
    model.compile(
        optimizer=recipe.new_optimizer(),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    start = time.perf_counter()
    history = model.fit(
        dataset.x_train,
        dataset.y_train,
        batch_size=recipe.batch_size,
        epochs=recipe.epochs,
        validation_data=(dataset.x_validation, dataset.y_validation),
        callbacks=[
            keras.callbacks.ModelCheckpoint(
                str(model_path), monitor="val_accuracy", mode="max", save_best_only=True
            ),
        ],
        verbose=0,
    ).history
    seconds = time.perf_counter() - start
    validation = _evaluate(model_path, dataset, recipe)
    accuracies = [float(value) for value in history["val_accuracy"]]
    return {
        "parameters": model.count_params(),
        "validation_accuracy": validation["accuracy"],
        "validation_loss": validation["loss"],
        "best_epoch": int(np.argmax(accuracies)) + 1,
        "validation_accuracy_by_epoch": accuracies,
        "training_accuracy_last_epoch": float(history["accuracy"][-1]),
        "seconds": round(seconds, 2),
        "seconds_per_epoch": round(seconds / recipe.epochs, 3),
    }


def _evaluate(model_path: Path, dataset: Dataset, recipe: Recipe) -> dict[str, float]:
    """Measure what was kept."""
    model = keras.models.load_model(model_path)
    return model.evaluate(
        dataset.x_validation,
        dataset.y_validation,
        batch_size=recipe.batch_size,
        return_dict=True,
        verbose=0,
    )


def _holds(record_path: Path, identity: dict[str, Any]) -> bool:
    if not record_path.is_file():
        return False
    record = json.loads(record_path.read_text())
    return all(record.get(key) == value for key, value in identity.items())


def main() -> None:
    """Train the networks named on the command line, one seed of each before the next."""
    parser = argparse.ArgumentParser(description="Train the base networks of the benchmarks.")
    parser.add_argument(
        "--networks", nargs="+", choices=list(BASE_NETWORKS), default=list(BASE_NETWORKS)
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for network_name in arguments.networks:
            path = train_base(network_name, seed, arguments.output)
            record = json.loads(path.with_suffix(".json").read_text())
            print(
                f"{network_name} seed {seed}: validation accuracy "
                f"{record['validation_accuracy']:.4f} (epoch {record['best_epoch']}), "
                f"{record['seconds_per_epoch']:.1f} s per epoch, {path}",
                flush=True,
            )


if __name__ == "__main__":
    main()
