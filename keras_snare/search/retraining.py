"""Training between two verdicts, where no `fit` of the user is under way."""

import random
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_snare.arguments import check_count, is_whole
from keras_snare.criteria import check_data
from keras_snare.errors import UnsupportedModelError
from keras_snare.replicas import check_strategy
from keras_snare.search.candidate import random_states
from keras_snare.search.metric import Objective, check_metric

Fit = Callable[[keras.Model, Any, int], Any]


def opened(data: Any) -> Any:
    """Returns data, or what a function that opens them returns."""
    return data() if callable(data) else data


@dataclass(frozen=True)
class Given:
    """What `compress` was given to train with.

    Args:
        train: data to train on, or a function that opens them.
        validation: data that decide, or a function that opens them.
        fit: called with the model, `train` and the number of the epoch, in the place of Keras's.
        batch_size: int, of arrays.
        seed: int or None; with one, every epoch begins with a random state of its own, whatever
            was trained before it.
    """

    train: Any
    validation: Any
    fit: Fit | None
    batch_size: int
    seed: int | None


class Retraining:
    """Trains a model for an epoch at a time, and measures it.

    Args:
        model: the model, compiled.
        given: what it is trained with.
        objective: names the metric.

    Raises:
        UnsupportedModelError: when the model is not built or compiled, or its optimizer puts
            averages in the place of weights whenever a `fit` ends.
        TypeError, ValueError: when an argument is out of range, or data are of another form.
    """

    def __init__(self, model: keras.Model, given: Given, objective: Objective) -> None:
        train, fit, seed = given.train, given.fit, given.seed
        _check_model(model)
        check_metric(model, objective.monitor)
        check_count("batch_size", given.batch_size)
        if seed is not None and not (is_whole(seed) and seed >= 0):
            raise ValueError(f"`seed` is an integer, 0 or more, or None. Received: seed={seed!r}")
        if fit is not None and not callable(fit):
            raise TypeError(f"`fit` is a function of (model, train, epoch). Received: fit={fit!r}")
        if fit is None:
            train = opened(train)
            check_data(train, "train", True)
        validation = opened(given.validation)
        check_data(validation, "validation", True)
        self.model = model
        self.train = train
        self.validation = validation
        self.metric = objective.monitor.removeprefix("val_")
        self.fit = fit or self._fit
        self.batch_size = given.batch_size
        self.seed = seed

    def epoch(self, number: int, position: tuple[int, int]) -> dict[str, float]:
        """Trains for an epoch.

        Args:
            number: int, epochs of training so far.
            position: the trial, and epochs of it so far, from which the random state follows.

        Returns:
            The training loss, where it is known.
        """
        with self._seeded(position):
            logs = getattr(self.fit(self.model, self.train, number), "history", {})
        return {"loss": float(logs["loss"][-1])} if logs.get("loss") else {}

    def evaluate(self) -> float:
        """Returns the metric of the model as it is, on the validation data.

        Raises:
            ValueError: when there is no such metric.
        """
        found = self.model.evaluate(**self._examples(self.validation), verbose=0, return_dict=True)
        if self.metric not in found:
            raise ValueError(
                f"`monitor` is not a metric of the model. Received: monitor={self.metric!r}. "
                f"There are: {', '.join(found)}. Add it to model.compile(metrics=[...])."
            )
        return float(found[self.metric])

    def _fit(self, model: keras.Model, train: Any, epoch: int) -> Any:
        first = {"initial_epoch": epoch, "epochs": epoch + 1}
        return model.fit(**self._examples(train), **first, verbose=0)

    def _examples(self, data: Any) -> dict[str, Any]:
        """Arguments of `fit` and `evaluate`."""
        if not isinstance(data, (tuple, list)):
            return {"x": data}
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        return {"x": x, "y": y, "sample_weight": weights, "batch_size": self.batch_size}

    @contextmanager
    def _seeded(self, position: tuple[int, int]):
        """Random states that follow from the seed and the position; the program's come back."""
        if self.seed is None:
            yield
            return
        before = random.getstate(), np.random.get_state()
        states = random_states(self.model)
        chosen = np.random.SeedSequence([int(self.seed), *position])
        keras.utils.set_random_seed(int(chosen.generate_state(1)[0]))
        for variable, one in zip(states, chosen.spawn(len(states)), strict=True):
            # Of as many bits as every backend's type has.
            variable.assign(one.generate_state(variable.shape[0]) % 2**31)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])


def _check_model(model: keras.Model) -> None:
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` is a Keras 3 model. Received: {type(model).__name__}")
    if not model.built or getattr(model, "optimizer", None) is None:
        raise UnsupportedModelError(
            f"Model {model.name!r} is not built or has no optimizer. Call model.build(...) or give "
            "it a keras.Input, and model.compile(...), first."
        )
    check_strategy(model)
    if getattr(model.optimizer, "use_ema", False):
        raise UnsupportedModelError(
            f"The optimizer of {model.name!r} averages weights (use_ema=True), and Keras puts the "
            "averages in their place at the end of every fit, of which there is one for each epoch "
            "here. Use SnareCallback in one fit, or compile without use_ema."
        )
