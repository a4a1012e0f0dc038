"""Mistakes that `QuantizeAwareCallback` can see before any training."""

from typing import Any

import keras

from keras_snare.arguments import is_whole
from keras_snare.callbacks.cluster import ClusterCallback
from keras_snare.callbacks.distillation import DistillationCallback
from keras_snare.callbacks.early_stopping import check_early_stopping, restores_weights
from keras_snare.callbacks.lottery import LotteryTicketCallback
from keras_snare.callbacks.pruning import PruningCallback
from keras_snare.callbacks.running_fit import RunningFit
from keras_snare.callbacks.snare import SnareCallback
from keras_snare.callbacks.spectral import SpectralPruneCallback
from keras_snare.errors import UnsupportedModelError
from keras_snare.quantize.engines import check_engine
from keras_snare.quantize.options import check_options, check_path
from keras_snare.replicas import check_one_replica


def check_arguments(settings: Any) -> None:
    """Checks the callback's own arguments.

    Raises:
        ValueError, TypeError: for the first one that is out of range.
    """
    for name, least in (("start_epoch", 0), ("epochs", 1)):
        count = getattr(settings, name)
        if count is not None and (not is_whole(count) or count < least):
            raise ValueError(
                f"`{name}` is an integer, {least} or more, or None. Received: {name}={count!r}"
            )
    if settings.start_epoch is None and settings.epochs is None:
        raise ValueError(
            "Expected `start_epoch`, the epoch that is the first to be quantized, or `epochs`, how "
            "many at the end of fit are. Received: neither. Give start_epoch=10 or epochs=5."
        )
    check_engine(settings.engine, settings.scheme, settings.configs)
    check_options(settings)
    optimizer = settings.optimizer
    if not isinstance(optimizer, (str, keras.optimizers.Optimizer, type(None))):
        raise TypeError(
            "`optimizer` is an optimizer of Keras 3, its name, or None. Received: "
            f"{type(optimizer).__module__}.{type(optimizer).__name__}"
        )
    if isinstance(optimizer, str):
        keras.optimizers.get(optimizer)


def first_epoch(settings: Any, fit: RunningFit) -> int:
    """Returns the epoch that is the first to be quantized.

    Raises:
        ValueError: when `fit` ends before it, or has begun after it.
    """
    epochs = settings.params.get("epochs") or 1
    start = epochs - settings.epochs if settings.start_epoch is None else settings.start_epoch
    if start < 0:
        raise ValueError(
            f"Expected a fit of {settings.epochs} epochs or more, all of which are trained for "
            f"integers. Received: fit(epochs={epochs}). Lower `epochs` of the callback."
        )
    if start >= epochs:
        raise ValueError(
            f"Expected a fit that reaches the first quantized epoch, {start}, counted from 0. "
            f"Received: fit(epochs={epochs}). Give it epochs={start + 1} or more, or "
            "another `start_epoch`."
        )
    return max(start, fit.initial_epoch)


def check_fit(settings: Any, fit: RunningFit, start: int) -> None:
    """Checks the model and the other callbacks of the running `fit`.

    Raises:
        UnsupportedModelError: when the model cannot be trained so.
        ValueError: when another callback would undo or forbid it.
        OSError: when no file can be written at `path`.
    """
    model, callbacks = settings.model, list(fit.callbacks.callbacks)
    if keras.backend.backend() != "tensorflow":
        raise UnsupportedModelError(
            "Expected the TensorFlow backend, in whose training step the quantized network "
            "computes. Received: "
            f"{keras.backend.backend()}. Set KERAS_BACKEND=tensorflow."
        )
    check_one_replica(model, "for the quantized part")
    if settings.path is not None:
        check_path(settings.path)
    for one in callbacks:
        _check_other(settings, one)
    check_early_stopping(fit, start, "the network is quantized for the first time")
    behind = callbacks[callbacks.index(settings) + 1 :] if settings in callbacks else []
    late = [
        type(one).__name__
        for one in behind
        if _brings_back(one) or isinstance(one, ClusterCallback)
    ]
    if late:
        raise ValueError(
            f"Expected {late[0]}, which puts other weights into the model when fit ends, in front "
            "of QuantizeAwareCallback, which writes them to the file. Received them the other way "
            "round. Change their order in `callbacks`."
        )


def _brings_back(callback: Any) -> bool:
    """Tells whether a callback puts other weights into the model when `fit` ends."""
    return restores_weights(callback) or isinstance(callback, keras.callbacks.SwapEMAWeights)


def _check_other(settings: Any, one: Any) -> None:
    name = type(one).__name__
    if one is not settings and isinstance(one, type(settings)):
        raise ValueError(
            "One QuantizeAwareCallback can quantize a fit. Received: two. Leave one out."
        )
    reforms = isinstance(one, (LotteryTicketCallback, SpectralPruneCallback))
    removes = getattr(one, "structured", False) or getattr(one, "remove_dead", False)
    if isinstance(one, SnareCallback):
        _check_search(one)
    elif reforms or (isinstance(one, PruningCallback) and removes):
        raise ValueError(
            "Expected a network that keeps its form while it is quantized. Received: "
            f"QuantizeAwareCallback together with {name}, which changes it. Call fit twice: first "
            f"with {name}, then, on the same model, with QuantizeAwareCallback."
        )
    elif settings.optimizer is not None and isinstance(one, (PruningCallback, ClusterCallback)):
        raise ValueError(
            f"Expected no `optimizer` together with {name}, which holds zeros or values in the "
            f"update of the model's own. Received: optimizer={settings.optimizer!r}. Leave it out."
        )
    if isinstance(one, DistillationCallback) and one.features:
        raise ValueError(
            "Expected a DistillationCallback without `features`: while the network is quantized, "
            f"no layer of the model is seen alone. Received: {one.features!r}."
        )


def _check_search(snare: SnareCallback) -> None:
    for name in ("stop_when_done", "prune_inputs"):
        if getattr(snare, name):
            raise ValueError(
                "Expected a search that leaves the last epochs, and the inputs, to "
                f"QuantizeAwareCallback. Received: SnareCallback({name}=True). Give it "
                f"{name}=False, or call fit twice: first with SnareCallback, then, on the same "
                "model, with QuantizeAwareCallback."
            )
