"""One `fit` in which a network is trained, pruned and rewound, round by round."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras

from keras_snare.callbacks.learning_rates import LearningRates
from keras_snare.callbacks.lottery_checks import monitored
from keras_snare.callbacks.mask_run import MaskRun
from keras_snare.callbacks.round_figures import RoundFigures
from keras_snare.callbacks.rounds import Rounds
from keras_snare.callbacks.running_fit import RunningFit
from keras_snare.callbacks.stored_tickets import StoredTickets
from keras_snare.masking import (
    ConnectionPruner,
    Masks,
    Ticket,
    TrainingState,
    get_connection_criterion,
    initial_values,
    output_kernels,
)
from keras_snare.report import LotteryReport
from keras_snare.surgery.optimizers import moving_averages


class LotteryRun:
    """Prunes at the end of every round, goes back to the point of rewinding, and holds the masks.

    Args:
        settings: the callback.
        fit: the running `fit`, or None where it was not found.
        rounds: when which round is trained.

    Attributes:
        tickets: one per round that has begun, and whose point of rewinding has been passed.
        report: `LotteryReport`.
    """

    def __init__(self, settings: Any, fit: RunningFit | None, rounds: Rounds) -> None:
        self.settings = settings
        self.model = settings.model
        self.rounds = rounds
        self.objective = monitored(settings, fit)
        validated = fit is not None and fit.validation_data is not None
        self._loss = "val_loss" if validated else "loss"
        fresh = settings.control == "reinitialize"
        self._fresh = initial_values(self.model, settings.seed) if fresh else {}
        self.pruner = ConnectionPruner(
            self.model,
            get_connection_criterion(settings.criterion),
            scope=settings.scope,
            layers=settings.layers,
            data=settings.scoring_data,
        )
        self._rates = self._rates_by_kernel()
        self._point: TrainingState | None = None
        self._epoch: int | None = None
        self._before = self._iterations()
        self.tickets: list[Ticket] | StoredTickets = []
        self.report = LotteryReport(
            self.objective.monitor,
            sum(one.size for one in self.pruner.kernels),
            rounds.count,
            settings.control,
        )
        self._figures = self._new_figures(0)
        callbacks = fit.callbacks if fit is not None else None
        self._learning = LearningRates(
            callbacks.callbacks if callbacks is not None else [], rounds.position
        )
        self._list = callbacks
        if callbacks is not None:
            callbacks.on_epoch_begin = self._before_all(callbacks.on_epoch_begin)
        self._run = MaskRun(settings, self.pruner.step, fit, self._let_go)

    @property
    def masks(self) -> Masks:
        """The masks as they are."""
        return self.pruner.masks

    def epoch_begins(self, epoch: int) -> None:
        """Begins before the first epoch, and a round where one ended; once for every epoch."""
        if epoch == self._epoch:
            return
        if self._epoch is None:
            if self.settings.directory is not None:
                self.tickets = StoredTickets(self.settings.directory)
            self._learning.attach()
        self._epoch = epoch
        self._run.epoch_begins()
        if self._per_epoch and epoch == self.rounds.first + self.rounds.skipped:
            self._keep()
        number = self.rounds.number(epoch)
        if number and epoch == self.rounds.start(number):
            self._next(number)

    def steps_done(self, steps: int) -> None:
        """Looks for the point of rewinding.

        Args:
            steps: int, how many steps of the epoch are done.
        """
        done = (self._running_epoch - self.rounds.first) * self.settings.params["steps"] + steps
        if self._point is None and done == self.settings.rewind_to:
            self._keep()

    def epoch_ended(self, logs: dict) -> None:
        """Takes and gives logs, and closes the round at its end."""
        epoch = self._running_epoch
        number = self.rounds.number(epoch)
        self._figures.note(logs, self._iterations() - self._before)
        logs.update(self._run.logs(), lottery_round=number)
        last = epoch + 1 == self.rounds.first + self.rounds.total
        if last or self.rounds.number(epoch + 1) > number:
            self.report.rows.append(self._figures.row())
            self.report.finished = last
            self._figures = self._new_figures(number + 1)

    def end(self) -> None:
        """Leaves a plain model, with the masks of the last round."""
        self._run.end()
        if not self._figures.empty:
            self.report.rows.append(self._figures.row())

    def tidy_up(self) -> None:
        """Takes everything of ours off the model and the other callbacks."""
        self._run.tidy_up()

    @property
    def _per_epoch(self) -> bool:
        settings = self.settings
        return settings.per == "epoch" or settings.rewind_to in ("init", 0)

    @property
    def _running_epoch(self) -> int:
        assert self._epoch is not None, "epoch_begins comes first"
        return self._epoch

    def _before_all(self, begin: Callable) -> Callable:
        """All callbacks shall find the round begun, wherever in the list this one stands."""

        def on_epoch_begin(epoch: int, logs: dict[str, Any] | None = None) -> None:
            try:
                self.epoch_begins(epoch)
            except BaseException:
                self._run.failed()
                raise
            begin(epoch, logs)

        return on_epoch_begin

    def _let_go(self) -> None:
        self._learning.detach()
        if self._list is not None:
            vars(self._list).pop("on_epoch_begin", None)

    def _rates_by_kernel(self) -> dict[str, float]:
        """The rate of the kernels that make the outputs, where it is another one."""
        settings = self.settings
        rate: float = settings.output_fraction or settings.fraction / 2
        if settings.scope != "layer" or rate == settings.fraction:
            return {}
        return dict.fromkeys(output_kernels(self.model, self.pruner.kernels), rate)

    def _keep(self) -> None:
        """Notes the point of rewinding, from which the first ticket is trained."""
        self._point = TrainingState.of(self.model)
        self._learning.keep()
        self.tickets.append(Ticket.of(self.model, self.masks, self._point))

    def _next(self, number: int) -> None:
        """Prunes what was trained, and goes back."""
        settings, point, step = self.settings, self._point, self.pruner.step
        assert point is not None, "the point of rewinding lies in the first round"
        masks = self.pruner.thinned(settings.fraction, self._rates)
        control = settings.control if number == self.rounds.count else None
        if control == "random_mask":
            masks = masks.shuffled(settings.seed)
        elif control == "reinitialize":
            weights = tuple(self._fresh.get(at, one) for at, one in enumerate(point.weights))
            point = replace(point, weights=weights)
        step.set(masks)
        if settings.rewind == "weights":
            point.put(self.model)
            point.put_optimizer(self.model)
        else:
            averages = moving_averages(self.model.optimizer).values()
            point.put_optimizer(self.model, but={id(one) for one in averages})
        step.set(masks)  # Once more, for what was put back.
        step.reset(lasting=True)
        self._learning.rewind()
        self._figures = self._new_figures(number)
        state = point if settings.rewind == "weights" else TrainingState.of(self.model)
        self.tickets.append(Ticket.of(self.model, masks, state, number))

    def _new_figures(self, number: int) -> RoundFigures:
        return RoundFigures(number, self.masks, self.objective, self._loss)

    def _iterations(self) -> int:
        return int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
