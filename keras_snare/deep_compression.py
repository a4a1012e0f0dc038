"""`deep_compress`: prune, share weights, code by likelihood; a trained model in a small file."""

import os
from contextlib import suppress
from typing import Any

import keras

from keras_snare.arguments import check_count
from keras_snare.callbacks import (
    ClusterCallback,
    DistillationCallback,
    HoldMasksCallback,
    MagnitudePruneCallback,
    QuantizeAwareCallback,
    RateCallback,
)
from keras_snare.callbacks.pruning import PruningCallback
from keras_snare.clustering import cluster_weights
from keras_snare.clustering.codebooks import check_finite
from keras_snare.codec import check_packable, pack
from keras_snare.criteria import check_data
from keras_snare.masking import Masks, sparsify
from keras_snare.report import PackReport

# What these check as a training begins is all that they do then.
_JUDGED = (
    ClusterCallback,
    DistillationCallback,
    PruningCallback,
    QuantizeAwareCallback,
    RateCallback,
    keras.callbacks.EarlyStopping,
)


def deep_compress(
    model: keras.Model,
    path: str | os.PathLike[str],
    data: Any = None,
    *,
    sparsity: float = 0.9,
    clusters: int = 16,
    epochs: int = 5,
    layers: Any = None,
    **fit: Any,
) -> PackReport:
    """Prunes a trained model, has its weights share few values, and packs it, as Deep Compression.

    With `data`, the model is trained twice: while connections go, and while the values that are
    left are moved, with zeros and clusters held in every step. The model itself ends with the
    weights that the file holds, as a plain Keras model.

    Args:
        model: a compiled Keras model, built and trained; Sequential or functional.
        path: of the file, which `keras_snare.unpack` reads.
        data: `(x, y)`, a tf.data.Dataset or a keras.utils.PyDataset to train on; None for no
            training, after which few connections can go before accuracy does.
        sparsity: float between 0 and 1, share of the connections that is pruned.
        clusters: int, values that the weights of a kernel share, 2 or more; the zero of pruned
            connections is one of them.
        epochs: int, 2 or more, epochs of each of the two trainings.
        layers: names, regular expressions, layer classes, or a predicate on layers; None for all.
        **fit: further arguments of `model.fit`, such as `validation_data`, `batch_size`, `verbose`
            and `callbacks`; each training is given them.

    Returns:
        `PackReport`, which prints as a table.

    Raises:
        TypeError, ValueError: when an argument is out of range, one of the two trainings would
            refuse another callback, or weights are not finite; nothing has changed then. Where the
            first training leads to weights that are not finite, the model holds these.
        UnsupportedModelError: when the model could not be built again from a file, or has no
            kernels, or is to be trained on another backend than TensorFlow; nothing has changed
            then.
        ImportError: when the package constriction is missing; nothing has changed then.
        OSError: when the file cannot be written.

    Example:

    >>> report = keras_snare.deep_compress(model, "small.snare", (x, y), sparsity=0.9, clusters=16)
    >>> print(report)
    >>> model = keras_snare.unpack("small.snare")

    Reference:
        Han et al., "Deep Compression: Compressing Deep Neural Networks with Pruning, Trained
        Quantization and Huffman Coding", ICLR 2016.
    """
    check_packable(model, path)
    prune = MagnitudePruneCallback(sparsity, layers=layers)
    cluster = ClusterCallback(clusters, layers=layers)
    check_count("epochs", epochs)
    check_finite(model, layers)
    if data is None:
        _check_untrained(fit)
        sparsify(model, sparsity, layers=layers)
        cluster_weights(model, clusters, layers=layers)
        return pack(model, path)
    if epochs < 2:
        raise ValueError(
            "`epochs` is 2 or more: connections go before the last epoch. Received: epochs=1"
        )
    check_data(data, "data", True)
    _check_second(model, data, epochs, fit, cluster)
    _train(model, data, epochs, fit, prune)
    assert prune.masks is not None, "a fit that ends has masks"
    _train(model, data, epochs, fit, HoldMasksCallback(prune.masks), cluster)
    return pack(model, path)


class _ChecksPassedError(Exception):
    """Ends a `fit` whose callbacks have all agreed to it."""


class _EndsBeforeTraining(keras.callbacks.Callback):
    """Stands behind the callbacks whose checks are wanted."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        raise _ChecksPassedError


def _check_second(
    model: keras.Model, data: Any, epochs: int, fit: dict[str, Any], cluster: ClusterCallback
) -> None:
    """Begins the second training, and ends it before its first step.

    Callbacks that are not known to leave everything as it is so early are left out.

    Raises:
        Exception: what a callback raises that does not suit.
    """
    judged = [one for one in _others(fit) if isinstance(one, _JUDGED)]
    arguments = {**fit, "callbacks": [*judged, _EndsBeforeTraining()], "verbose": 0}
    hold = HoldMasksCallback(Masks.of(model, cluster.layers))
    with suppress(_ChecksPassedError):
        _train(model, data, epochs, arguments, hold, cluster)


def _others(fit: dict[str, Any]) -> list[Any]:
    others = fit.get("callbacks") or []
    return list(others) if isinstance(others, (list, tuple)) else [others]


def _train(model: keras.Model, data: Any, epochs: int, fit: dict[str, Any], *own: Any) -> None:
    arguments = {**fit, "epochs": epochs, "callbacks": [*own, *_others(fit)]}
    model.fit(*(data if isinstance(data, (tuple, list)) else (data,)), **arguments)


def _check_untrained(fit: dict[str, Any]) -> None:
    if fit:
        raise ValueError(
            f"Arguments of `fit` are for a training. Received: {', '.join(fit)}, without `data`. "
            "Give data=(x, y), or leave them out."
        )
