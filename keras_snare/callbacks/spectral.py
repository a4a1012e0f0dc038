"""`SpectralPruneCallback`: frequencies that come and go while a model trains."""

import warnings
from typing import Any

from keras_snare.callbacks.calendar import Calendar, last_update
from keras_snare.callbacks.mask_run import check_fit
from keras_snare.callbacks.pruning import PruningCallback
from keras_snare.callbacks.spectral_checks import check_backend, check_beginning, check_spectral
from keras_snare.callbacks.spectral_run import SpectralRun
from keras_snare.criteria import Criterion, get_criterion
from keras_snare.masking import Regrowth
from keras_snare.schedules import Schedule, get_schedule


class SpectralPruneCallback(PruningCallback):
    """Prunes the frequencies of `DCTDense` and `DCTConv2D` layers in `model.fit`, like neurons.

    Which frequencies a layer needs is seldom known beforehand. Let it begin with many, and take
    those away that score lowest; or let it begin with few, and add those that the loss falls most
    steepest along; or exchange them. The layers are changed in place: frequencies that stay keep
    their coefficients and the optimizer's state, new ones begin at zero.

    `SnareCallback` and `prune` cut frequencies as well, together with units: in their reports those
    of a layer named `"dct_dense"` are `"dct_dense:frequency"`.

    Args:
        coefficients: int, how many frequencies each layer has in the end, or float between 0 and
            1, the same as a share of the features (of the taps, for `DCTConv2D`). Layers that have
            more lose some, layers that have fewer gain some.
        schedule: name or `keras_snare.schedules.Schedule`: how the number goes from what it is at
            `begin_epoch` to what is asked for at `end_epoch`. `"polynomial"` (cubic), `"linear"`,
            `"cosine"`, `"exponential"`, `"constant"` or `"one_shot"`.
        begin_epoch: int, epoch (from 0) at whose beginning the first update is made.
        end_epoch: int or None, epoch at whose beginning the last one is made; None is three
            quarters of the way through `fit`.
        frequency: int, updates are made every so many epochs. Each compiles the training step anew.
        criterion: name or `Criterion` as `prune` takes it; the lowest frequencies go. `"l2"` is
            the energy of a frequency in the kernel.
        regrowth: None, `"rigl"` or a `keras_snare.masking.RigL`: at every update a share of the
            frequencies, the lowest, change places with others.
        layers: names, regular expressions, layer classes, or a predicate on layers; None for all.
        scoring_data: `(x, y)`, tf.data.Dataset or keras.utils.PyDataset: a few hundred examples
            of the training data, by whose loss new frequencies are chosen, and for criteria on
            data. Needed for `regrowth` and for layers that gain frequencies.

    Attributes:
        frequencies: dict, per layer the flat numbers of the frequencies that the last run ended
            with; None before.

    Raises:
        ValueError, TypeError: for arguments out of range; from `fit`, before any training, when the
            model, the data or another callback does not suit, or a frozen layer is to get other
            frequencies.
        UnsupportedModelError: from `fit`, before any training, when no graph of the model is to be
            had, or it is not built or compiled, or the backend is another one than TensorFlow.

    Logs:
        `frequencies` in all, `frequencies_` with the name of a layer, `snare_params` and
        `snare_flops`.

    Example:

    >>> model = keras.Sequential([keras.Input((784,)),
    ...     keras_snare.layers.DCTDense(64, "relu", coefficients=50, input_grid=(28, 28)),
    ...     keras.layers.Dense(10, "softmax")])
    >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    >>> spectral = keras_snare.SpectralPruneCallback(30)
    >>> model.fit(x, y, validation_split=0.1, epochs=10, callbacks=[spectral])
    >>> len(spectral.frequencies["dct_dense"])
    30

    Reference:
        Wang et al., "CNNpack: Packing Convolutional Neural Networks in the Frequency Domain",
        NeurIPS 2016; Evci et al., "Rigging the Lottery", ICML 2020, for what comes in.
    """

    main_argument = "coefficients"

    def __init__(
        self,
        coefficients: int | float = 0.1,
        *,
        schedule: str | Schedule = "polynomial",
        begin_epoch: int = 0,
        end_epoch: int | None = None,
        frequency: int = 1,
        criterion: str | Criterion = "l2",
        regrowth: str | Regrowth | None = None,
        layers: Any = None,
        scoring_data: Any = None,
    ) -> None:
        super().__init__()
        self.coefficients = coefficients
        self.schedule = schedule
        self.begin_epoch = begin_epoch
        self.end_epoch = end_epoch
        self.frequency = frequency
        self.criterion = criterion
        self.regrowth = regrowth
        self.layers = layers
        self.scoring_data = scoring_data
        self.frequencies: dict[str, tuple[int, ...]] | None = None
        self._schedule = get_schedule(schedule)
        self._run: SpectralRun | None = None
        check_spectral(self, self._schedule)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._run is not None:
            self._run.tidy_up()
        check_backend()
        begin, once = self.begin_epoch, self._schedule.once
        epochs = self.params.get("epochs") or 1
        last = last_update(begin, self.end_epoch, epochs, once)
        labelled = self.regrowth is not None or get_criterion(self.criterion).needs_labels
        fit = check_fit(self, last, labelled)
        run = SpectralRun(self, fit, self._schedule)
        try:
            check_beginning(self, run, fit, last)
        except BaseException:
            run.tidy_up()
            raise
        self._calendar = Calendar(begin, last, self.frequency, None, once)
        self._epoch = -1  # None has begun.
        self._run, self.frequencies = run, None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        run = self._running()
        run.epoch_begins()
        progress = self._calendar.at_epoch(epoch)
        if progress is not None and not run.update(progress):
            self._calendar.again()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs.update(self._running().logs())

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.frequencies = self._running().end()
        self._run = None
        last = self._calendar.end
        if 0 <= self._epoch < last < (self.params.get("epochs") or 1):
            warnings.warn(
                f"fit was stopped after epoch {self._epoch}, before the last update at the "
                f"beginning of epoch {last}: the number of frequencies asked for is not reached. "
                f"Give EarlyStopping start_from_epoch={last}, or this callback an earlier end.",
                UserWarning,
                stacklevel=2,
            )

    def _running(self) -> SpectralRun:
        assert self._run is not None, "on_train_begin comes first"
        return self._run
