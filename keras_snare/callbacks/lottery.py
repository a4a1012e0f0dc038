"""`LotteryTicketCallback`: iterative pruning with rewinding, inside one `fit`."""

import os
from collections.abc import Sequence
from typing import Any, Literal

from keras_snare.callbacks.lottery_checks import check_callbacks, check_lottery, planned_rounds
from keras_snare.callbacks.lottery_run import LotteryRun
from keras_snare.callbacks.mask_run import check_fit
from keras_snare.callbacks.pruning import PruningCallback
from keras_snare.callbacks.running_fit import running_fit
from keras_snare.callbacks.stored_tickets import StoredTickets
from keras_snare.masking import ConnectionCriterion, Masks, Ticket
from keras_snare.report import LotteryReport


class LotteryTicketCallback(PruningCallback):
    """Finds a sparse network that trains as well as the whole one, from the values it began with.

    `fit` trains the network, prunes the smallest of its connections, sets those that are left back
    to the values they had at the beginning, and trains again: `rounds` times. What remains is a
    plain Keras model, the network of the last round, trained, with zeros in its kernels; the
    networks that the rounds began with are `tickets`, which can be trained elsewhere.

    A round goes back with all weights, the statistics of normalisations among them, with the
    optimizer's momenta, iterations and learning rate, and with them every
    `keras.optimizers.schedules` schedule. `LearningRateScheduler` is told the epoch of the round,
    `ReduceLROnPlateau` begins anew. Callbacks of your own see the epochs of `fit`; so does
    `ModelCheckpoint`, whose best epoch may be one of a dense round. `EarlyStopping` ends `fit`, so
    it has to wait for the last round. Random generators, as those of `Dropout`, go on.

    Ended early, or by an exception, `fit` leaves the network of the round that it was in, masked;
    `tickets` and `report` hold the rounds so far.

    Args:
        rounds: int, how often to prune; `rounds + 1` trainings make up the epochs of `fit`.
        fraction: float between 0 and 1, share of the connections left that a round prunes. 5
            rounds of 0.2 leave 33 %, 10 leave 11 %.
        epochs_per_round: int or None, epochs of a training; None shares those of `fit` out. Rounds
            after the first leave out the whole epochs before the point of rewinding.
        rewind_to: `"init"` for the state that `fit` began with, or int, the state after so many
            epochs; deep networks need one of early training.
        per: `"epoch"` or `"step"`, what `rewind_to` counts.
        rewind: `"weights"`, or `"learning_rate"` to leave the weights as they were trained and take
            back the optimizer only.
        criterion: name or `ConnectionCriterion`: `"magnitude"`, `"taylor"`, `"movement"`,
            `"random"` and others; the lowest go first.
        scope: `"global"` prunes the lowest of all layers, `"layer"` the same share of every layer.
        output_fraction: float or None, share of the layers that make the outputs, with
            scope="layer"; None is half of `fraction`.
        layers: names, regular expressions, layer classes, or a predicate on layers; None for all.
        scoring_data: `(x, y)`, tf.data.Dataset or keras.utils.PyDataset for criteria on data; with
            None, `"taylor"` and `"movement"` listen to the training step.
        control: None, or what the last round trains instead of its ticket, to see what that is
            worth: `"reinitialize"`, fresh values from the layers' initializers with the same masks,
            or `"random_mask"`, as many connections of each kernel drawn at random. For other rounds
            see `Ticket.reinitialized` and `Masks.shuffled`.
        seed: int, of the control.
        monitor: str or None, the metric in the report; None is the loss, on the validation data if
            there are any.
        mode: `"max"`, `"min"`, or `"auto"` to go by the name of the metric.
        directory: path or None, a folder for the tickets, without tickets of another callback;
            with None they stay in memory, where those of rewound weights share them.

    Attributes:
        tickets: of the last run, by round, 0 being the whole network; read from `directory`, if
            one is given, when asked for.
        masks: `Masks` of the last round.
        report: `LotteryReport` of the last run, None before.

    Raises:
        ValueError, TypeError: for arguments out of range; from `fit`, before any training, when its
            epochs, the model, the monitor or another callback do not suit.
        UnsupportedModelError: from `fit`, when the model is not built, or with
            control="reinitialize" cannot be built anew from its configuration.
        SnapshotError: from `fit`, before any training, when `directory` holds tickets of another
            callback; when a ticket cannot be written.

    Logs:
        `sparsity`, `sparsity_` with the name of a layer for each layer that is pruned, and
        `lottery_round`.

    Example:

    >>> lottery = keras_snare.LotteryTicketCallback(rounds=5, fraction=0.2)
    >>> model.fit(x, y, validation_split=0.1, epochs=60, callbacks=[lottery])  # 6 times 10
    >>> print(lottery.report.summary())
    >>> lottery.tickets[-1].save("ticket.npz")

    Reference:
        Frankle and Carbin, "The Lottery Ticket Hypothesis", ICLR 2019; Frankle et al., "Linear Mode
        Connectivity and the Lottery Ticket Hypothesis", ICML 2020, for later points of rewinding;
        Renda et al., "Comparing Rewinding and Fine-tuning in Neural Network Pruning", ICLR 2020,
        for the learning rate.
    """

    main_argument = "rounds"

    def __init__(
        self,
        rounds: int = 5,
        fraction: float = 0.2,
        *,
        epochs_per_round: int | None = None,
        rewind_to: Literal["init"] | int = "init",
        per: Literal["epoch", "step"] = "epoch",
        rewind: Literal["weights", "learning_rate"] = "weights",
        criterion: str | ConnectionCriterion = "magnitude",
        scope: Literal["global", "layer"] = "global",
        output_fraction: float | None = None,
        layers: Any = None,
        scoring_data: Any = None,
        control: Literal["reinitialize", "random_mask"] | None = None,
        seed: int = 0,
        monitor: str | None = None,
        mode: str = "auto",
        directory: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        self.rounds = rounds
        self.fraction = fraction
        self.epochs_per_round = epochs_per_round
        self.rewind_to = rewind_to
        self.per = per
        self.rewind = rewind
        self.criterion = criterion
        self.scope = scope
        self.output_fraction = output_fraction
        self.layers = layers
        self.scoring_data = scoring_data
        self.control = control
        self.seed = seed
        self.monitor = monitor
        self.mode = mode
        self.directory = directory
        check_lottery(self)
        self._last: LotteryRun | None = None
        if per == "step" and rewind_to not in ("init", 0):
            # Keras waits for the figures of every step if a callback has this hook.
            self.on_train_batch_end = self._step_ended

    @property
    def tickets(self) -> Sequence[Ticket]:
        """Tickets of the last run, by round."""
        return self._last.tickets if self._last is not None else ()

    @property
    def masks(self) -> Masks | None:
        """Masks of the last round of the last run."""
        return self._last.masks if self._last is not None else None

    @property
    def report(self) -> LotteryReport | None:
        """The figures of the last run."""
        return self._last.report if self._last is not None else None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._last is not None:
            self._last.tidy_up()
        fit = running_fit(self.model)
        rounds = planned_rounds(self, fit.initial_epoch if fit else 0)
        check_callbacks(fit.callbacks.callbacks if fit else [], rounds)
        check_fit(self, rounds.start(rounds.count))
        if self.directory is not None:
            StoredTickets.check(self.directory, self.tickets)
        self._last = LotteryRun(self, fit, rounds)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._running().epoch_begins(epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._running().epoch_ended({} if logs is None else logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._running().end()

    def _step_ended(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # Steps that are compiled together may be more than the last ones of an epoch.
        self._running().steps_done(min(batch + 1, self.params["steps"]))

    def _running(self) -> LotteryRun:
        assert self._last is not None, "on_train_begin comes first"
        return self._last
