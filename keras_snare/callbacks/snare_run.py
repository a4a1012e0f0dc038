"""One `fit` with a `SnareCallback`, from its first epoch to whatever ends it."""

from typing import Any

from keras_snare.callbacks.beside_search import ActingOrder, check_beside_search, check_kept
from keras_snare.callbacks.checks import check_run, warn_if_short
from keras_snare.callbacks.pruning import check_alone
from keras_snare.callbacks.rank_cuts import RankCuts
from keras_snare.callbacks.running_fit import EvaluateAgain, Guard, running_fit, unknown_monitor
from keras_snare.criteria import Criterion
from keras_snare.search import LOGS, Objective, SearchRun, Teller
from keras_snare.surgery import begin_at_epoch


class SnareRun(SearchRun):
    """Drives a search from the hooks of a running `fit`.

    Args:
        settings: the callback, with the model and the parameters of `fit` that Keras gave it.
        objective: what must not be lost.
        criterion: which units go first.
        ranks: makes what has the search cut ranks in the place of units, or None.

    Raises:
        SnareError, ValueError: when the model, the monitor, the validation data or a stored run do
            not suit; nothing has changed then.
    """

    def __init__(
        self,
        settings: Any,
        objective: Objective,
        criterion: Criterion,
        ranks: type[RankCuts] | None = None,
    ) -> None:
        model, fit = settings.model, running_fit(settings.model)
        callbacks: list[Any] = fit.callbacks.callbacks if fit else []
        check_alone(settings, callbacks)
        check_run(model, objective, fit)
        check_kept(fit)
        check_beside_search(model, objective.monitor, fit)
        self._again = EvaluateAgain(model, objective.monitor.removeprefix("val_"), fit)
        super().__init__(
            settings,
            model,
            objective,
            criterion,
            evaluate=self._again,
            teller=Teller(settings.verbose, settings.params),
            ranks=ranks and ranks(model, settings.layers),
            listeners=[one for one in callbacks if hasattr(one, "on_search_begin")],
        )
        self._epoch = self._first_epoch(fit.initial_epoch if fit else 0)
        # What changes the model waits for the first epoch, when no callback objects any more.
        self._guard = Guard(model, fit.callbacks if fit else None, self.tidy_up)
        self._order = ActingOrder(fit.callbacks if fit else None, settings, self.figures)

    def epoch_begins(self) -> None:
        super().epoch_begins()
        self._guard.watch_model()

    def fit_epoch_ended(self, epoch: int, logs: dict) -> None:
        """Goes on with what `fit` found after an epoch.

        Args:
            epoch: int, epochs of training so far.
            logs: of the epoch.

        Raises:
            ValueError: when the monitored metric is not among them.
        """
        if self.objective.monitor not in logs:
            raise ValueError(unknown_monitor(self.objective.monitor, logs))
        self.epoch_ended(epoch, float(logs[self.objective.monitor]), logs)

    def training_ended(self) -> None:
        """Leaves the model as the last accepted one."""
        self._teller.quiet()
        if self._search is None and self._saved is not None and self._saved.found:
            self._listeners = []
            self._begin()  # There was no epoch left to train.
        self.tidy_up()
        # fit did this already, but to weights that may have been undone just now.
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)

    def end_search(self) -> dict[str, float]:
        """Leaves the model as the last accepted one, to be trained on.

        Returns:
            What is in `logs` of the epochs to come.
        """
        self._teller.quiet()
        if self._search is None:
            self._begin()  # Also to bring back the network of a stored run.
        search = self._running()
        self.tidy_up()
        self.model.make_train_function(force=True)
        accepted, cost = search.report.accepted, search.cost
        return dict(zip(LOGS, (cost.params, cost.flops, 0, accepted), strict=True))

    def tidy_up(self) -> None:
        begin_at_epoch(self.model, None)
        self._guard.release()
        self._again.detach()
        self._order.put_back()
        super().tidy_up()

    def _begin(self) -> None:
        super()._begin()
        if self.objective.monitor.startswith("val_"):
            self._again.attach()

    def _first_epoch(self, first: int) -> int:
        """Returns how many epochs of training there have been."""
        last, settings = self.settings.params.get("epochs"), self.settings
        if self._saved is None or not self._saved.found:
            warn_if_short(last, first, settings.warmup_epochs, settings.retrain_epochs)
            return first
        first = max(first, self._saved.epoch)
        begin_at_epoch(self.model, last if self._over(self._saved) else first)
        return first

    def _goes_on(self) -> bool:
        last = self.settings.params.get("epochs", self._epoch + 1)
        return self._epoch < last and not self.model.stop_training

    def _stop(self) -> None:
        super()._stop()
        self.model.stop_training = True
