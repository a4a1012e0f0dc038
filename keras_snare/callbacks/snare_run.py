"""One `fit` with a `SnareCallback`, from its first epoch to whatever ends it."""

from typing import Any

from keras_snare.callbacks import messages
from keras_snare.callbacks.checks import check_run, course, warn_if_short
from keras_snare.callbacks.pruning import check_alone
from keras_snare.callbacks.rank_cuts import RankCuts
from keras_snare.callbacks.running_fit import EvaluateAgain, Guard, running_fit, unknown_monitor
from keras_snare.criteria import Criterion, check_first_batch, check_measurable
from keras_snare.graph import channel_groups
from keras_snare.policy import SnarePolicy, matching_groups, select_groups
from keras_snare.records import TrialRow
from keras_snare.report import CompressionReport
from keras_snare.search import BestEpoch, Objective, SavedRun, ScoreSource, SnareSearch, Warmup
from keras_snare.surgery import (
    InputSelection,
    UnreducedGradients,
    begin_at_epoch,
    check_compensation,
)

LOGS = ("snare_params", "snare_flops", "snare_trial", "snare_accepted")


def new_policy(settings: Any) -> SnarePolicy:
    """Returns a policy with a callback's settings."""
    return SnarePolicy(
        first_step=settings.first_step,
        min_step=settings.min_step,
        beta=settings.beta,
        gamma=settings.gamma,
        max_trials=settings.max_trials,
        round_to=settings.round_to,
    )


class SnareRun:
    """Drives a search from the hooks of a running `fit`.

    Args:
        settings: the callback, with the model and the parameters of `fit` that Keras gave it.
        objective: what must not be lost.
        criterion: which units go first.
        ranks: makes what has the search cut ranks in the place of units, or None.

    Attributes:
        report: `CompressionReport`, None before the first epoch.

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
    ):
        self.settings = settings
        self.model = model = settings.model
        self.objective = objective
        self.report: CompressionReport | None = None
        fit = running_fit(model)
        callbacks: list[Any] = fit.callbacks.callbacks if fit else []
        check_alone(settings, callbacks)
        check_run(model, objective, fit)
        self._compensation = check_compensation(
            settings.compensate, settings.scoring_data, argument="scoring_data"
        )
        self._ranks = ranks and ranks(model, settings.layers)
        self._layers = self._ranks.layers if self._ranks else settings.layers
        groups, data = channel_groups(model), settings.scoring_data
        if self._layers or not settings.prune_inputs:
            check_measurable(select_groups(groups, self._layers), criterion)
        if self._compensation is not None:
            self._compensation.check(groups, matching_groups(groups, self._layers))
        if data is not None and (criterion.needs_data or self._compensation is not None):
            check_first_batch(groups.trace, data, criterion.needs_labels)
        self._teller = messages.Teller(settings.verbose, settings.params)
        self._inputs = InputSelection(model) if settings.prune_inputs else None
        self._again = EvaluateAgain(model, objective.monitor.removeprefix("val_"), fit)
        self._source = ScoreSource(model, criterion, data)
        self._unreduced = UnreducedGradients(model)
        self._warmup = Warmup(model, objective, settings.warmup_epochs)
        self._afterwards: BestEpoch | None = None
        self._listeners = [one for one in callbacks if hasattr(one, "on_search_begin")]
        self._search: SnareSearch | None = None
        self._saved = self._saved_run()
        self._epoch = self._first_epoch(fit.initial_epoch if fit else 0)
        # What changes the model waits for the first epoch, when no callback objects any more.
        self._guard = Guard(model, fit.callbacks if fit else None, self.tidy_up)

    def epoch_begins(self) -> None:
        """Begins the search before the first epoch, and listens to every epoch."""
        if self._search is None:
            self._begin()
            if self._warmup.over:
                self._go_on(self._running())
        self._source.epoch_began()
        self._guard.watch_model()
        self._teller.epoch_began()

    def epoch_ended(self, epoch: int, logs: dict) -> None:
        """Judges the trial under way, makes the next cut, and puts the figures into `logs`.

        Args:
            epoch: int, epochs of training so far.
            logs: of the epoch.
        """
        search, self._epoch = self._running(), epoch
        self._source.epoch_ended()
        trained = search.cost
        number = len(search.report.rows) + 1 if search.trial is not None else 0
        metric = self._metric(logs)
        if not self._warmup.over:
            self._warmup.epoch_ended(metric, self._source.collected(), search)
            self._save()
            if self._warmup.over:
                self._search_begins(True)
        elif search.trial is not None:
            search.judge(epoch, metric, logs.get("loss"))
        if self._warmup.over:
            self._advance(search)
        figures = (trained.params, trained.flops, number, search.report.accepted)
        logs.update(zip(LOGS, figures, strict=True))
        if search.done:
            self._finish(search, metric)
            self._save()

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
        """Undoes what is unfinished and takes everything of ours off the model."""
        search, self._search = self._search, None
        begin_at_epoch(self.model, None)
        if search is not None:
            search.abandon(self._epoch)
        if self._afterwards is not None:
            self._afterwards.restore()
        self._guard.release()
        self._again.detach()
        self._source.detach()
        self._unreduced.detach()
        if self._inputs is not None:
            self._inputs.remove_if_idle()
        # An undone cut put back the step of its time; what others had in that may be gone by now.
        self.model.train_function = None

    def _saved_run(self) -> SavedRun | None:
        settings = self.settings
        if settings.directory is None:
            return None
        decided = course(settings, self.objective, new_policy(settings))
        return SavedRun(settings.directory, self.model, decided)

    def _first_epoch(self, first: int) -> int:
        """Returns how many epochs of training there have been."""
        last, settings = self.settings.params.get("epochs"), self.settings
        if self._saved is None or not self._saved.found:
            warn_if_short(last, first, settings.warmup_epochs, settings.retrain_epochs)
            return first
        first = max(first, self._saved.epoch)
        begin_at_epoch(self.model, last if self._over(self._saved.report) else first)
        return first

    def _over(self, report: CompressionReport | None) -> bool:
        return report is not None and report.finished and self.settings.stop_when_done

    def _begin(self) -> None:
        layers = self._layers
        if self._inputs is not None:
            self._inputs.insert()
            layers = self._inputs.with_inputs(layers)
        self._search = search = SnareSearch(
            self.model,
            new_policy(self.settings),
            self._source,
            self.objective,
            retrain_epochs=self.settings.retrain_epochs,
            layers=layers,
            evaluate=self._again,
            tell=self._tell,
            compensation=self._compensation,
            prepare=self._ranks.prepare if self._ranks else None,
        )
        resumed = self._resume(search)
        self.report = search.report
        self._unreduced.attach()
        # A run that goes on may have cut all that there was to cut.
        select = matching_groups if resumed else select_groups
        self._source.attach(select(search.groups, layers))
        self.model.make_train_function(force=True)
        if self.objective.monitor.startswith("val_"):
            if not resumed:
                self._warmup.given(self._again())
            self._again.attach()

    def _resume(self, search: SnareSearch) -> bool:
        saved = self._saved
        if saved is None or not saved.found:
            return False
        self._teller.say(1, messages.resumed(self._epoch, saved.report, saved.directory.path))
        begins = self._search_begins if self._listeners else None
        self._afterwards = saved.resume(search, self._warmup, begins)
        return True

    def _search_begins(self, uncut: bool) -> None:
        for callback in self._listeners:
            callback.on_search_begin(uncut)

    def _go_on(self, search: SnareSearch) -> None:
        """Makes the cut that the stored run was about to make."""
        self._advance(search)
        if search.done and self._afterwards is None:
            # The epoch that has begun cannot be stopped any more, but undone.
            self._afterwards = self._best_of(search)

    def _advance(self, search: SnareSearch) -> None:
        before = search.trial
        if before is None and self._epoch >= self.settings.params.get("epochs", self._epoch + 1):
            return
        search.advance(self._epoch)
        if search.trial is not None and search.trial is not before:
            self._teller.say(2, messages.begun(self._epoch, search.trial, search.report))

    def _finish(self, search: SnareSearch, metric: float) -> None:
        if self.settings.stop_when_done:
            self.model.stop_training = True
            return
        if self._afterwards is None:
            self._afterwards = self._best_of(search)
        else:
            # Epochs after the search may make the model better; where not, they are undone.
            self._afterwards.note(metric, None)
        search.left_with(self._afterwards.metric)

    def _best_of(self, search: SnareSearch) -> BestEpoch:
        best = BestEpoch(self.model, self.objective)
        best.note(search.metric, None)
        return best

    def _save(self) -> None:
        if self._saved is not None:
            self._saved.save(self._epoch, self._running(), self._warmup, self._afterwards)

    def _tell(self, row: TrialRow) -> None:
        if self._search is not None:  # What is undone in the end is to be tried again.
            self._save()
        self._teller.say(1, messages.judged(row, self.objective))

    def _running(self) -> SnareSearch:
        assert self._search is not None, "epoch_begins comes first"
        return self._search

    def _metric(self, logs: dict) -> float:
        if self.objective.monitor not in logs:
            raise ValueError(unknown_monitor(self.objective.monitor, logs))
        return float(logs[self.objective.monitor])
