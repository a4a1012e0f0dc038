"""Mistakes that `RateCallback` can see before any training."""

import os
from typing import Any

import keras

from keras_snare.arguments import is_number, is_whole
from keras_snare.callbacks.cluster import ClusterCallback
from keras_snare.callbacks.early_stopping import restores_weights
from keras_snare.callbacks.lottery import LotteryTicketCallback
from keras_snare.callbacks.pruning import PruningCallback
from keras_snare.callbacks.quantize_aware import QuantizeAwareCallback
from keras_snare.callbacks.snare import SnareCallback
from keras_snare.codec import check_grids, check_packable
from keras_snare.errors import UnsupportedModelError
from keras_snare.policy import check_layers
from keras_snare.replicas import check_one_replica
from keras_snare.surgery.optimizers import optimizers_of


def check_arguments(settings: Any) -> None:
    """Checks the callback's own arguments.

    Raises:
        ValueError, TypeError: for the first one that is out of range.
    """
    rate = settings.rate
    if not is_number(rate) or not 0 < rate < float("inf"):
        raise ValueError(
            "`rate` is the loss that a kilobyte is worth, a number greater than 0. Received: "
            f"rate={rate!r}"
        )
    start = settings.start_epoch
    if not is_whole(start) or start < 0:
        raise ValueError(f"`start_epoch` is an integer, 0 or more. Received: start_epoch={start!r}")
    check_layers(settings.layers)
    check_grids(settings.grids)
    if not isinstance(settings.path, (str, os.PathLike, type(None))) or settings.path == "":
        raise TypeError(f"`path` is a path or None. Received: path={settings.path!r}")


def check_file(settings: Any) -> None:
    """Checks that a file can be written for the model.

    Raises:
        ValueError: when its folder is missing.
        UnsupportedModelError: when no file could give the model back.
        ImportError: when the package that codes is missing.
    """
    if settings.path is not None:
        check_packable(settings.model, settings.path)


def check_model(model: keras.Model) -> None:
    """Checks that a model can be trained so.

    Raises:
        UnsupportedModelError: when it cannot.
    """
    if keras.backend.backend() != "tensorflow":
        raise UnsupportedModelError(
            "Expected the TensorFlow backend, in whose training step weights are rounded. "
            f"Received: {keras.backend.backend()}. Set KERAS_BACKEND=tensorflow."
        )
    if not model.built or model.optimizer is None:
        raise UnsupportedModelError(
            f"Model {model.name!r} is not built or has no optimizer. Call model.build(...) or give "
            "it a keras.Input, and model.compile(...), before fit."
        )
    check_one_replica(model, "to train it for few bytes")
    if any(one.use_ema for one in optimizers_of(model.optimizer)):
        raise UnsupportedModelError(
            "Expected an optimizer that leaves its weights where it has moved them; their averages "
            "are not those of few bytes. Received: use_ema=True. Compile without it."
        )


def check_fit(settings: Any, callbacks: list[Any]) -> None:
    """Checks the other callbacks of the running `fit`.

    Raises:
        ValueError: when `fit` ends before the first epoch that counts, or another callback would
            undo or forbid what this one does.
    """
    epochs, start = settings.params.get("epochs") or 1, settings.start_epoch
    if start >= epochs:
        raise ValueError(
            f"Expected a fit that reaches `start_epoch`, {start}, counted from 0. Received: "
            f"fit(epochs={epochs}). Give it epochs={start + 1} or more."
        )
    for one in callbacks:
        if one is not settings:
            _check_other(settings, one)
    if settings not in callbacks:
        return
    behind = callbacks[callbacks.index(settings) + 1 :]
    late = [
        one
        for one in behind
        if isinstance(one, PruningCallback) and not isinstance(one, SnareCallback)
    ]
    if late:
        name = type(late[0]).__name__
        raise ValueError(
            f"Expected {name} in front of RateCallback, which rounds what it leaves. Received them "
            "the other way round. Change their order in `callbacks`."
        )


def _check_other(settings: Any, one: Any) -> None:
    name = type(one).__name__
    alone = isinstance(one, (type(settings), ClusterCallback, QuantizeAwareCallback))
    changes = any(getattr(one, what, None) for what in ("structured", "remove_dead", "regrowth"))
    pruning = isinstance(one, PruningCallback) and not isinstance(one, SnareCallback)
    if alone or isinstance(one, LotteryTicketCallback) or (pruning and changes):
        raise ValueError(
            "Expected a network that keeps its form, and weights that nothing else rounds or "
            f"brings back, while it is trained for few bytes. Received: RateCallback with {name}. "
            "Call fit twice, on the same model: once with each."
        )
    if isinstance(one, SnareCallback):
        _check_search(one)
    if restores_weights(one):
        raise ValueError(
            "EarlyStopping(restore_best_weights=True) brings back weights of another epoch, which "
            "had other steps. Received: it in one fit with RateCallback. Set it to False; the last "
            "epochs are those to keep, as the learning rate of the steps falls to the end."
        )


def _check_search(snare: SnareCallback) -> None:
    for name in ("stop_when_done", "prune_inputs"):
        if getattr(snare, name):
            raise ValueError(
                "Expected a search that leaves the last epochs, and the inputs, to RateCallback. "
                f"Received: SnareCallback({name}=True). Give it {name}=False, or call fit twice: "
                "first with SnareCallback, then, on the same model, with RateCallback."
            )
