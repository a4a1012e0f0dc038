"""`MagnitudePruneCallback`: connections that are pruned step by step while a model trains."""

import os
import warnings
from typing import Any

from keras_snare.callbacks.calendar import Calendar, last_update
from keras_snare.callbacks.connection_run import ConnectionRun
from keras_snare.callbacks.mask_run import check_fit, loaded
from keras_snare.callbacks.pruning import SparsityCallback
from keras_snare.callbacks.pruning_checks import check_course, check_magnitude, needs_labels
from keras_snare.callbacks.unit_run import UnitRun
from keras_snare.masking import ConnectionCriterion, Masks, Regrowth
from keras_snare.schedules import Schedule, get_schedule


class MagnitudePruneCallback(SparsityCallback):
    """Prunes connections during `model.fit`, on a schedule, and keeps them at zero.

    Masks hold after every step, inside the compiled step, for any optimizer. When `fit` ends, what
    remains is a plain Keras model with zeros in its kernels, which compress well. Biases and
    normalisations are left alone. For a network that is also faster, use `SnareCallback` or
    `structured=True`, which removes whole units.

    Args:
        sparsity: float between 0 and 1, share of the connections (with `structured`, of the units)
            that is pruned in the end; None means 0.8, or what `pattern` asks for.
        schedule: name or `keras_snare.schedules.Schedule`: how sparsity grows from `begin_epoch` to
            `end_epoch`. `"polynomial"` (cubic), `"linear"`, `"cosine"`, `"exponential"`,
            `"constant"` or `"one_shot"`.
        begin_epoch: int, epoch (from 0) at whose beginning the first update is made.
        end_epoch: int or None, epoch at whose beginning the last one is made; None is three
            quarters of the way through `fit`, so that the rest can recover.
        frequency: int, updates are made every so many epochs, or steps.
        per: `"epoch"` or `"step"`, what `frequency` counts.
        criterion: name or `ConnectionCriterion`: `"magnitude"`, `"taylor"`, `"obd"`, `"movement"`,
            `"random"`; the lowest go first. With `structured`, a criterion for units as `prune`
            takes it, and `"magnitude"` means `"l1_in"`.
        scope: `"layer"` prunes the same share of every layer, `"global"` the lowest of all layers,
            `"erk"` a share by the shape of each kernel (Erdos-Renyi-kernel).
        pattern: `(n, m)`: of every m connections along the axis that is summed over, n are kept,
            such as `(2, 4)` for sparse matrix units; layers that it does not suit are left alone.
        block: `(rows, columns)`: blocks of the kernels' matrices are pruned whole.
        regrowth: None, or how pruned connections come back: `"splicing"` (Dynamic Network Surgery),
            `"rigl"`, or an object with its settings.
        layers: names, regular expressions, layer classes, or a predicate on layers; None for all.
        scoring_data: `(x, y)`, tf.data.Dataset or keras.utils.PyDataset for criteria on data; with
            None, `"taylor"` and `"movement"` listen to the training step.
        initial_masks: `keras_snare.Masks`, or the file of some, to begin with, such as those of a
            `fit` that this one goes on with.
        structured: bool, whether units are removed for real instead of connections masked.
        remove_dead: bool, whether units that are left without incoming or outgoing connections are
            removed for real when `fit` ends.

    Attributes:
        masks: `Masks` of the last run, None before and with `structured`.
        report: `PruneReport` of what was removed for real by the last run, or None.

    Raises:
        ValueError, TypeError: for arguments out of range; from `fit`, before any training, when the
            model or another callback does not suit.
        SnapshotError: when the file of masks is missing or damaged.

    Logs:
        `sparsity`, and `sparsity_` with the name of a layer, for each layer that is pruned; with
        `structured`, `snare_params` and `snare_flops` too.

    Example:

    >>> prune = keras_snare.MagnitudePruneCallback(0.9, scope="global", end_epoch=15)
    >>> model.fit(x, y, validation_split=0.1, epochs=20, callbacks=[prune])
    >>> model.save("sparse.keras")
    >>> prune.masks.save("masks.npz")

    Reference:
        Zhu and Gupta, "To Prune, or Not to Prune", 2017; Han et al., "Learning both Weights and
        Connections for Efficient Neural Networks", NeurIPS 2015.
    """

    main_argument = "sparsity"

    def __init__(
        self,
        sparsity: float | None = None,
        *,
        schedule: str | Schedule = "polynomial",
        begin_epoch: int = 0,
        end_epoch: int | None = None,
        frequency: int = 1,
        per: str = "epoch",
        criterion: str | ConnectionCriterion | Any = "magnitude",
        scope: str = "layer",
        pattern: tuple[int, int] | None = None,
        block: tuple[int, int] | None = None,
        regrowth: str | Regrowth | None = None,
        layers: Any = None,
        scoring_data: Any = None,
        initial_masks: Masks | str | os.PathLike[str] | None = None,
        structured: bool = False,
        remove_dead: bool = False,
    ) -> None:
        super().__init__()
        self.sparsity = sparsity
        self.schedule = schedule
        self.begin_epoch = begin_epoch
        self.end_epoch = end_epoch
        self.frequency = frequency
        self.per = per
        self.criterion = criterion
        self.scope = scope
        self.pattern = pattern
        self.block = block
        self.regrowth = regrowth
        self.layers = layers
        self.scoring_data = scoring_data
        self.initial_masks = initial_masks
        self.structured = structured
        self.remove_dead = remove_dead
        self._schedule = get_schedule(schedule)
        self._final = check_magnitude(self, self._schedule)
        self._begin_with = loaded(initial_masks)
        if per == "step":
            # Keras waits for the figures of every step if a callback has this hook.
            self.on_train_batch_end = self._step_ended

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._tidy_up()
        begin, once = self.begin_epoch, self._schedule.once
        last = last_update(begin, self.end_epoch, self.params.get("epochs") or 1, once)
        fit = check_fit(self, last, needs_labels(self))
        steps = check_course(self, fit, last, self._schedule, self._final)
        self._calendar = Calendar(begin, last, self.frequency, steps, once)
        self._epoch = -1  # None has begun.
        if self.structured:
            self._begin(UnitRun(self, fit))
        else:
            self._begin(ConnectionRun(self, fit, self._begin_with))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        self._running().epoch_begins()
        self._update(self._calendar.at_epoch(epoch))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        last = self._calendar.end
        super().on_train_end(logs)
        if self._epoch < 0 or self._calendar.done or last >= (self.params.get("epochs") or 1):
            return
        if self._epoch < last:
            why = (
                f"fit was stopped after epoch {self._epoch}, before the last update of the masks "
                f"at the beginning of epoch {last}"
            )
            cure = f"Give EarlyStopping start_from_epoch={last}, or this callback an earlier end."
        else:
            why = (
                "every step before the last update of the masks overflowed, so that none was scored"
            )
            cure = "Lower the scale of the loss, or the learning rate."
        warnings.warn(
            f"{why}: the sparsity asked for is not reached. {cure}", UserWarning, stacklevel=2
        )

    def _step_ended(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # Steps that are compiled together may be more than the last ones of an epoch.
        done = min(batch + 1, self.params["steps"])
        self._update(self._calendar.after_step(self._epoch, done))

    def _update(self, progress: float | None) -> None:
        if progress is not None:
            sparsity = self._schedule.sparsity(progress, self._final)
            if not self._running().update(sparsity, progress):
                self._calendar.again()
