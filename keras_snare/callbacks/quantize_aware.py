"""`QuantizeAwareCallback`: the last epochs of a `fit`, trained for 8-bit integers."""

import os
from typing import Any

import keras

from keras_snare.callbacks.describing import described
from keras_snare.callbacks.quantize_checks import check_arguments
from keras_snare.callbacks.quantize_run import QuantizeRun
from keras_snare.files import write_whole
from keras_snare.quantize.integer_file import integer_file
from keras_snare.quantize.options import quantizers_given
from keras_snare.quantize.representative import check_enough


class QuantizeAwareCallback(keras.callbacks.Callback):
    """Trains a model for 8-bit integers, during `model.fit`, and writes the file that runs on them.

    Use it where a network is to run on a microcontroller, a phone or an accelerator for integers.
    From `start_epoch` on, the model computes as a quantized one: weights and activations are
    rounded in every step, gradients pass straight through. Loss, metrics, optimizer, data, progress
    and the other callbacks are those of `fit`, and validation shows the rounded network. When `fit`
    ends, the model is a plain Keras 3 model with the trained weights and statistics of its
    normalisations, and the file is written, once LiteRT's interpreter has computed with it what the
    rounded network computes.

    With `engine="tfmot"`, the network computes as TF-MOT's `quantize_model` defines it, with
    TF-MOT's own wrappers and quantizers, schemes and configurations. Of a layer that TF-MOT does
    not support, such as PReLU, the output is rounded in training; a kernel in it, such as that of
    Conv1D, is rounded only when the file is written, of which a warning tells, and so is all of a
    Rescaling layer.

    Take `engine="keras"` for what has no equal in tf_keras, or what TF-MOT refuses or rounds in
    part: Conv1D, ELU, PReLU, Rescaling, LayerNormalization, Embedding, inputs of integers,
    attention, LayerScale, recurrent layers with `unroll=True`; and for narrow depthwise
    convolutions, whose kernels then have steps for each channel. It computes in Keras 3 alone and
    needs neither TF-MOT nor tf_keras.
    What lies inside of a recurrent layer, and the scores of an attention without dropout, is
    rounded in the file only. A network with a recurrent layer is converted as after training: its
    file has the trained weights, and ranges from representative data, not those of the training.

    Whether everything can be quantized and converted is tried before the first epoch. The ranges
    of activations are set before the first quantized step, so begin after a few epochs, when
    normalisations have settled. If training ends by an exception, the model holds the weights that
    it has reached, and no file is written.

    With a `SnareCallback(stop_when_done=False)` in the same `fit`, its search ends with the first
    quantized epoch, and the smallest network that it has accepted is quantized. With a
    `MagnitudePruneCallback` or `HoldMasksCallback`, zeros stay zeros; with a `ClusterCallback` in
    front of it, kernels keep their few values. What else changes the form of the network belongs in
    a `fit` before.

    Args:
        start_epoch: int or None, the epoch, counted from 0, that is the first to be quantized. None
            counts `epochs` from the end of `fit`.
        epochs: int or None, how many epochs are quantized; `fit` is stopped after them. None goes
            on to the end.
        optimizer: optimizer of Keras 3, or its name, for the quantized part; the model has its own
            one back afterwards. None goes on with that.
        path: where the .tflite file is written, whole or not at all; None writes none.
        layers: names, regular expressions, layer classes, or a predicate on layers: those that are
            quantized in training. None for all. The others are rounded when the file is written.
        scheme: `"default"`, TF-MOT's 8-bit scheme, or a `QuantizeScheme` of TF-MOT.
        configs: dictionary, `QuantizeConfig`s of TF-MOT by name of a layer, which is quantized by
            it whatever `layers` says. Like `scheme`, for `engine="tfmot"` only.
        representative_data: arrays, a tf.data.Dataset, a keras.utils.PyDataset or a generator, of
            inputs or as `fit` takes them, from which ranges are set; some hundred examples are
            read. None takes the first batches of the first quantized epoch.
        input_type, output_type: `"int8"`, `"uint8"` or `"float32"`, what the file takes and
            returns.
        engine: `"tfmot"` or `"keras"`, who rounds.

    Attributes:
        quantized_model: the quantized network after `fit`, with weights of its own: the model of
            TF-MOT, in tf_keras; or, of `engine="keras"`, a functional Keras model with a layer
            `quant_...` for each of the model's, which can be called, evaluated and exported, but
            not saved as `.keras`. None before, and when no epoch was quantized.

    Raises:
        ValueError, TypeError: for arguments out of range; from `fit`, before any training, when the
            model, the data or another callback does not suit.
        UnsupportedModelError: from `fit`, before any training, when the engine or the converter
            refuses the model; the message names the layer. When it ends, if the file does not
            compute what the trained network computes; the model holds the trained weights.
        ImportError, SnareError: when TF-MOT or tf_keras is missing, too old, or not made for
            TensorFlow's version.
        OSError: when the file cannot be written; what was there stays.

    Logs:
        `quantized`, 1 in epochs that were trained quantized, and 0 in others.

    Example:

    >>> quantize = keras_snare.QuantizeAwareCallback(start_epoch=10, path="model.tflite")
    >>> model.fit(x, y, validation_split=0.1, epochs=15, callbacks=[quantize])
    >>> model.save("trained.keras")

    Reference:
        Jacob et al., 2018, Quantization and Training of Neural Networks for Efficient
        Integer-Arithmetic-Only Inference.
    """

    def __init__(
        self,
        start_epoch: int | None = None,
        *,
        epochs: int | None = None,
        optimizer: Any = None,
        path: str | os.PathLike[str] | None = "model.tflite",
        layers: Any = None,
        scheme: Any = "default",
        configs: dict[str, Any] | None = None,
        representative_data: Any = None,
        input_type: str = "int8",
        output_type: str = "int8",
        engine: str = "tfmot",
    ) -> None:
        super().__init__()
        self.start_epoch = start_epoch
        self.epochs = epochs
        self.optimizer = optimizer
        self.path = path
        self.layers = layers
        self.scheme = scheme
        self.configs = configs
        self.representative_data = representative_data
        self.input_type = input_type
        self.output_type = output_type
        self.engine = engine
        check_arguments(self)
        self.quantized_model: Any = None
        self._batches: list[Any] = []
        self._run: QuantizeRun | None = None

    def __repr__(self) -> str:
        return described(self, "start_epoch")

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._run is not None:
            self._run.tidy_up()
        self.quantized_model = None
        self._run = QuantizeRun(self)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._running().epoch_begins(epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._running().epoch_ended(epoch, {} if logs is None else logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        run, self._run = self._running(), None
        self.quantized_model, self._batches = run.end()
        if self.quantized_model is not None and self.path is not None:
            self.export(self.path)

    def export(self, path: str | os.PathLike[str]) -> None:
        """Writes the file once more, such as to another place, after `fit`.

        Args:
            path: where it is written, whole or not at all.

        Raises:
            ValueError: when no epoch was quantized, or on too few examples at a time for the file.
            UnsupportedModelError: when the converter leaves something in float, or the file does
                not compute what the network computes.
            OSError: when the file cannot be written; what was there stays.
        """
        if self.quantized_model is None:
            raise ValueError(
                "Expected a callback whose fit has trained quantized epochs. Received: none yet. "
                "Call model.fit(callbacks=[...]) with it first."
            )
        check_enough(self._batches, self.quantized_model.inputs[0].shape[0] or 1)
        types, given = (self.input_type, self.output_type), quantizers_given(self)
        content = integer_file(self.quantized_model, self._batches, *types, given=given)
        write_whole(path, content)

    def _running(self) -> QuantizeRun:
        assert self._run is not None, "on_train_begin comes first"
        return self._run
