"""`RateCallback`: training for a file of few bytes."""

import os
from collections.abc import Mapping
from typing import Any

import keras

from keras_snare.callbacks.describing import described
from keras_snare.callbacks.rate_checks import check_arguments
from keras_snare.callbacks.rate_run import RateRun
from keras_snare.codec import Coding, pack
from keras_snare.report import PackReport


class RateCallback(keras.callbacks.Callback):
    """Trains a model so that `pack` writes it into a file of few bytes, during `model.fit`.

    The bits that the weights will take, by an estimate that can be differentiated, join the loss
    of every training step, with a price. Each kernel and each bias is rounded to multiples of a
    step, in every step of the training and inside the compiled one. Gradients pass straight
    through; the distance of the multiples is learned, and how large the numbers of each row and
    column are. Kernels of dense layers that read pixels are trained and coded as coefficients of
    their cosine transform. So most numbers become zero, and the others small.

    Optimizer, schedule of its learning rate, loss, data and the other callbacks are those of `fit`.
    Between steps, and so in validation and in checkpoints, the model holds the rounded weights.
    When `fit` ends, or is interrupted, it is a plain Keras model with these, which a file gives
    back to the last bit. Numbers have to move by whole steps, so give it many epochs and a learning
    rate that is several times the usual one in the beginning, such as 0.01 for Adam, and falls to
    zero. For kernels in a basis of cosines, the optimizer's moments begin anew, before and after.

    With a `SnareCallback(stop_when_done=False)` in the same `fit`, its search ends where
    `start_epoch` begins, and the smallest network that it has accepted is trained on. Behind a
    `MagnitudePruneCallback`, `SynFlowCallback` or `HoldMasksCallback`, zeros stay zeros, and no
    basis is used. A `DistillationCallback` may teach.

    A second `fit` with the same callback and model goes on with the steps of the first. Nothing of
    it is saved with the model or its optimizer: a `fit` that goes on from a checkpoint of one that
    was killed begins with its rounded weights and new steps.

    Args:
        rate: float, the loss that a kilobyte (1,000 bytes) of the file is worth. At 0.01, a network
            takes more bytes only while each kilobyte lowers the loss by more than 0.01. The price
            rises to it over the first tenth of the epochs.
        start_epoch: int, the epoch, counted from 0, that is the first to count.
        layers: names, regular expressions, layer classes, or a predicate on layers: those that are
            trained for few bytes. None for all.
        grids: by path of a variable, what its leading features lie on, such as `(28, 28)`, as
            `pack` takes them; such a kernel is trained in a basis of cosines. Where pixels of the
            model's input are flattened for a dense layer, the grid is found.
        path: where the file is written when `fit` ends; None writes none.

    Attributes:
        codings: dictionary from the path of a variable to its `Coding`, after `fit`; None before,
            when no epoch counted, and when weights ended not finite.
            `pack(model, path, codings=callback.codings)` takes it.
        report: `PackReport` of the file, or None.

    Raises:
        ValueError, TypeError: for arguments out of range; from `fit`, before any training, when
            another callback does not suit, or `fit` ends before `start_epoch`.
        UnsupportedModelError: from `fit`, before any training, when the model is not built or has
            no graph or no kernels, the optimizer averages weights, or the backend is not
            TensorFlow.
        ImportError: from `fit`, before any training, when a file is to be written and the package
            constriction is missing.
        OSError: when `fit` ends and the file cannot be written.

    Logs:
        `snare_bits`, estimated bits of a weight, of those that are trained for few bytes, and
        `snare_bytes`, of all of them; NaN before `start_epoch`.

    Example:

    >>> rate = keras_snare.RateCallback(0.01, path="model.snare")
    >>> model.fit(x, y, validation_split=0.1, epochs=60, callbacks=[rate])
    >>> model = keras_snare.unpack("model.snare")

    Reference:
        Oktay et al., "Scalable Model Compression by Entropy Penalized Reparameterization", ICLR
        2020; Balle et al., "End-to-end Optimized Image Compression", ICLR 2017; Esser et al.,
        "Learned Step Size Quantization", ICLR 2020; Wiedemann et al., "DeepCABAC: A Universal
        Compression Algorithm for Deep Neural Networks", 2019, for the coding of such weights.
    """

    def __init__(
        self,
        rate: float = 0.01,
        *,
        start_epoch: int = 0,
        layers: Any = None,
        grids: Mapping[str, tuple[int, ...]] | None = None,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        self.rate = rate
        self.start_epoch = start_epoch
        self.layers = layers
        self.grids = grids
        self.path = path
        check_arguments(self)
        self.codings: dict[str, Coding] | None = None
        self.report: PackReport | None = None
        self._run: RateRun | None = None

    def __repr__(self) -> str:
        return described(self, "rate")

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._run is not None:
            self._run.tidy_up()
        before = self.codings or {}
        self._run = RateRun(self, before)
        self.codings = self.report = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._running().epoch_begins(epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._running().epoch_ended({} if logs is None else logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        run, self._run = self._running(), None
        self.codings = run.end() or None
        if self.codings is not None and self.path is not None:
            self.report = pack(self.model, self.path, codings=self.codings)

    def _running(self) -> RateRun:
        assert self._run is not None, "on_train_begin comes first"
        return self._run
