"""One `fit` of which a part is trained quantized."""

import warnings
import zlib
from typing import Any

import keras
import numpy as np

from keras_snare.callbacks.first_batches import FirstBatches
from keras_snare.callbacks.quantize_checks import check_fit, first_epoch
from keras_snare.callbacks.running_fit import Guard, running_fit
from keras_snare.callbacks.snare import SnareCallback
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import recorded_graph
from keras_snare.quantize.engines import quantized_by
from keras_snare.quantize.integer_file import integer_file
from keras_snare.quantize.options import quantizers_given, warn_of_late
from keras_snare.quantize.representative import (
    BATCHES,
    check_enough,
    random_batch,
    representative_batches,
)
from keras_snare.quantize.stand_in import StandIn
from keras_snare.replacing import Replacement


class QuantizeRun:
    """Has a model compute as its quantized twin does, from an epoch to the end of `fit`.

    The weights stay those of the model, so that whatever ends the training leaves it usable.

    Args:
        settings: the callback, with the model that Keras gave it.

    Raises:
        SnareError, ValueError, ImportError: when something does not suit; nothing has changed then.
    """

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.model = model = settings.model
        fit = running_fit(model)
        if fit is None:
            raise UnsupportedModelError(
                "Expected to be called by model.fit. Received: a training of another kind. Hand "
                "the callback to model.fit(callbacks=[...])."
            )
        self._fit = fit
        self.start = first_epoch(settings, fit)
        check_fit(settings, fit, self.start)
        recorded_graph(model)
        data = settings.representative_data
        self._batches = [] if data is None else representative_batches(model, data)
        self._check_batches()
        self._aware: StandIn | None = None
        self._replaced: list[Replacement] = []
        self._optimizer: Any = None
        self._checksum = 0
        self._try()
        self._guard = Guard(model, fit.callbacks, self.tidy_up)

    def epoch_begins(self, epoch: int) -> None:
        """Begins with the first quantized epoch."""
        if self._aware is None and epoch >= self.start:
            for one in self._fit.callbacks.callbacks:
                if isinstance(one, SnareCallback):
                    one.end_search()
            self._begin()
        self._guard.watch_model()

    def epoch_ended(self, epoch: int, logs: dict) -> None:
        """Notes in `logs` whether the epoch was quantized, and ends `fit` when it is time."""
        logs["quantized"] = float(self._aware is not None)
        if self._aware is not None:
            self._checksum = _checksum(self.model)
        epochs = self.settings.epochs
        if epochs is not None and epoch + 1 >= self.start + epochs:
            self.model.stop_training = True

    def end(self) -> tuple[Any, list]:
        """Leaves a plain model.

        Returns:
            The quantized network, or None when no epoch was quantized, and representative batches.
        """
        aware = self._aware
        if aware is None:
            self.tidy_up()
            warnings.warn(
                f"fit ended before epoch {self.start}, the first to be quantized: nothing was, and "
                "no file was written. Begin earlier, or stop later.",
                UserWarning,
                stacklevel=2,
            )
            return None, []
        if self._checksum != _checksum(self.model):
            # Averages, or the weights of another epoch, were put in.
            aware.follow_weights(self._batches[0])
        self.tidy_up()
        aware.part()
        return aware.quantized, self._batches

    def tidy_up(self) -> None:
        """Takes everything of ours off the model."""
        self._guard.release()
        if self._replaced:
            self._forget_compiled()
        while self._replaced:
            self._replaced.pop().end()
        if self._optimizer is not None:
            self.model.optimizer, self._optimizer = self._optimizer, None
        self._aware = None

    def _check_batches(self) -> None:
        """What fills no batch of the model would be found out as the file is written."""
        if self._batches:
            check_enough(self._batches, self.model.inputs[0].shape[0] or 1)

    def _try(self) -> None:
        """Goes the whole way once, with weights as they are, before any time goes into training."""
        settings, aware = self.settings, self._quantized()
        warn_of_late(aware.late)
        if settings.path is not None:
            batches = self._batches or [random_batch(self.model)]
            aware.calibrate(batches)
            types = settings.input_type, settings.output_type
            integer_file(aware.quantized, batches, *types, given=quantizers_given(settings))

    def _quantized(self) -> StandIn:
        settings = self.settings
        scheme = None if settings.scheme == "default" else settings.scheme
        return quantized_by(
            settings.engine, self.model, settings.layers, scheme, settings.configs or {}
        )

    def _begin(self) -> None:
        model = self.model
        self._aware = aware = self._quantized()
        aware.share()
        if self._batches:
            aware.calibrate(self._batches)
        else:
            hook = Replacement(self._fit.callbacks, "on_train_batch_begin", self._before_first_step)
            self._replaced.append(hook)
        self._replaced.append(Replacement(model, "call", lambda call: aware.call))
        if self.settings.optimizer is not None:
            self._optimizer = model.optimizer
            # A fresh one, as an optimizer is bound to the weights that it has trained once.
            given = keras.optimizers.get(self.settings.optimizer)
            model.optimizer = type(given).from_config(given.get_config())
            model.optimizer.build(model.trainable_variables)
        self._forget_compiled()
        model.make_train_function()

    def _forget_compiled(self) -> None:
        model = self.model
        model.train_function = model.test_function = model.predict_function = None

    def _before_first_step(self, hook: Any) -> Any:
        """Other callbacks may have the step made anew as an epoch begins, so this comes last."""

        def on_train_batch_begin(batch: int, logs: dict[str, Any] | None = None) -> None:
            if not self._batches and self._aware is not None:
                self._stand_before_steps()
            return hook(batch, logs)

        return on_train_batch_begin

    def _stand_before_steps(self) -> None:
        model = self.model
        function = model.train_function
        if not isinstance(getattr(function, "function", function), FirstBatches):
            model.train_function = FirstBatches(
                function, model.steps_per_execution, BATCHES, self._shown
            )
            self._guard.watch_model()

    def _shown(self, batches: list) -> None:
        aware = self._aware
        assert aware is not None, "batches are shown while the model is quantized"
        for batch in batches:
            inputs = aware.flat(keras.utils.unpack_x_y_sample_weight(batch)[0])
            self._batches.append([keras.ops.convert_to_numpy(one) for one in inputs])
        if self.settings.path is not None:
            self._check_batches()
        aware.calibrate(self._batches)


def _checksum(model: keras.Model) -> int:
    """Tells whether weights are still the same, without a copy of them."""
    found = 0
    for one in model.weights:
        numbers = np.ravel(keras.ops.convert_to_numpy(one.value))
        found = zlib.adler32(numbers.view(np.uint8).data, found)
    return found
