"""One search from its first epoch to whatever ends it, whoever trains."""

from collections.abc import Callable
from typing import Any

import keras

from keras_snare.criteria import Criterion
from keras_snare.policy import Recovery, matching_groups, select_groups
from keras_snare.records import TrialRow
from keras_snare.report import CompressionReport
from keras_snare.search import messages
from keras_snare.search.best_epoch import BestEpoch
from keras_snare.search.block_training import BlockTraining
from keras_snare.search.checks import check_search
from keras_snare.search.event_files import EventFiles
from keras_snare.search.metric import Objective
from keras_snare.search.saved_run import SavedRun
from keras_snare.search.scores import ScoreSource
from keras_snare.search.session import SnareSearch
from keras_snare.search.settings import course, new_policy
from keras_snare.search.warmup import Warmup
from keras_snare.surgery import InputSelection, UnreducedGradients, check_compensation

LOGS = ("snare_params", "snare_flops", "snare_trial", "snare_accepted")


class SearchRun:
    """Warms up, searches, and keeps what it has in a directory; the driver trains epoch by epoch.

    Args:
        settings: what the search is told to do: a callback, or the arguments of `compress`.
        model: the model, compiled.
        objective: what must not be lost.
        criterion: which units go first.
        evaluate: returns the metric of the model as it is, or None where that is not to be had.
        teller: prints what happens.
        ranks: what has the search cut ranks in the place of units, or None.
        listeners: called with `on_search_begin`, as `SnareCallback` says.

    Attributes:
        report: `CompressionReport`, None before the first epoch.

    Raises:
        SnareError, ValueError: when the model, the data or a stored run do not suit; nothing has
            changed then.
    """

    def __init__(
        self,
        settings: Any,
        model: keras.Model,
        objective: Objective,
        criterion: Criterion,
        *,
        evaluate: Callable[[], float | None],
        teller: messages.Teller,
        ranks: Any = None,
        listeners: list[Any],
    ) -> None:
        self.settings = settings
        self.model = model
        self.objective = objective
        self.report: CompressionReport | None = None
        self._compensation = check_compensation(
            settings.compensate, settings.scoring_data, argument="scoring_data"
        )
        self._ranks = ranks
        self._layers = ranks.layers if ranks else settings.layers
        check_search(settings, model, self._layers, objective, criterion, self._compensation)
        self._blocks = None
        self._tuning = 0
        if settings.retrain == "blocks":
            self._blocks = BlockTraining(settings.block_data, settings.retrain_epochs, model=model)
            self._tuning = settings.retrain_epochs
        self._teller = teller
        self._inputs = InputSelection(model) if settings.prune_inputs else None
        self._evaluate = evaluate
        self._source = ScoreSource(model, criterion, settings.scoring_data)
        self._unreduced = UnreducedGradients(model)
        self._warmup = Warmup(model, objective, settings.warmup_epochs)
        self._afterwards: BestEpoch | None = None
        self._listeners = listeners
        self._search: SnareSearch | None = None
        self._ended = False
        self._saved = self._saved_run()
        self._epoch = self._saved.epoch if self._saved else 0
        self._events: EventFiles | None = None
        if settings.log_dir is not None:
            decided = course(settings, objective, new_policy(settings))
            self._events = EventFiles(settings.log_dir, decided)

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to train: the search is over, and what may follow it."""
        return self._ended

    @property
    def position(self) -> tuple[int, int]:
        """Where the run is: the trial, 0 in the warm-up, and epochs of it so far."""
        search = self._search
        if search is None or search.trial is None:
            return 0, self._epoch
        return len(search.report.rows) + 1, search.trial.epochs

    @property
    def epochs(self) -> int:
        """Epochs of training so far, those of a stored run included."""
        return self._epoch

    def figures(self) -> dict[str, float]:
        """Returns what `logs` say of the network as it is."""
        search = self._running()
        number = len(search.report.rows) + 1 if search.trial is not None else 0
        figures = (search.cost.params, search.cost.flops, number, search.report.accepted)
        return dict(zip(LOGS, figures, strict=True))

    def begin(self) -> None:
        """Begins the search, or goes on with a stored one; once."""
        if self._search is None:
            self._begin()
            if self._warmup.over:
                self._go_on(self._running())

    def epoch_begins(self) -> None:
        """Begins the search before the first epoch, and listens to every epoch."""
        self.begin()
        self._source.epoch_began()
        self._teller.epoch_began()

    def epoch_ended(self, epoch: int, metric: float, logs: dict) -> None:
        """Judges the trial under way, makes the next cut, and puts the figures into `logs`.

        Args:
            epoch: int, epochs of training so far.
            metric: float, the monitored metric after the epoch.
            logs: of the epoch.
        """
        search, self._epoch = self._running(), epoch
        self._source.epoch_ended()
        figures = self.figures()
        if not self._warmup.over:
            self._warmup.epoch_ended(metric, self._source.collected(), search)
            self._save()
            if self._warmup.over:
                self._search_begins(True)
        elif search.trial is not None:
            search.judge(epoch, metric, logs.get("loss"))
        if self._warmup.over:
            self._advance(search)
        logs.update(figures, snare_accepted=search.report.accepted)
        if search.done:
            self._finish(search, metric)
            self._save()

    def tidy_up(self) -> None:
        """Undoes what is unfinished and takes everything of ours off the model."""
        search, self._search = self._search, None
        if search is not None:
            search.abandon(self._epoch)
        if self._afterwards is not None:
            self._afterwards.restore()
        self._source.detach()
        self._unreduced.detach()
        if self._saved is not None:
            self._saved.close()
        if self._inputs is not None:
            self._inputs.remove_if_idle()
        # An undone cut put back the step of its time; what others had in that may be gone by now.
        self.model.train_function = None
        if self._events is not None and self.report is not None:
            self._events.close(self.report)

    def _saved_run(self) -> SavedRun | None:
        settings = self.settings
        if settings.directory is None:
            return None
        decided = course(settings, self.objective, new_policy(settings))
        return SavedRun(settings.directory, self.model, decided, settings.directory_limit)

    def _over(self, saved: SavedRun) -> bool:
        """Whether a stored run trains no more."""
        report = saved.report
        finished = report is not None and report.finished and saved.tuning == 0
        return finished and self.settings.stop_when_done

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
            evaluate=self._evaluate,
            tell=self._tell,
            compensation=self._compensation,
            blocks=self._blocks,
            recovery=Recovery() if self.settings.early_rejection else None,
            prepare=self._ranks.prepare if self._ranks else None,
        )
        resumed = self._resume(search)
        self.report = search.report
        if self._events is not None:
            self._events.begin(search.report)
        self._unreduced.attach()
        # A run that goes on may have cut all that there was to cut.
        select = matching_groups if resumed else select_groups
        self._source.attach(select(search.groups, layers))
        self.model.make_train_function(force=True)
        if resumed or not self.objective.monitor.startswith("val_"):
            return
        metric = self._evaluate()
        if metric is None and self._blocks is not None:
            raise ValueError(
                "retrain='blocks' judges right after a cut, so that validation data are read again "
                "and again. Received data that can be read once. Give arrays, a tf.data.Dataset or "
                "a keras.utils.PyDataset."
            )
        self._warmup.given(metric)

    def _resume(self, search: SnareSearch) -> bool:
        saved = self._saved
        if saved is None or not saved.found:
            return False
        self._teller.say(1, messages.resumed(self._epoch, saved.report, saved.directory.path))
        begins = self._search_begins if self._listeners else None
        self._tuning, self._ended = saved.tuning, self._over(saved)
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
        if before is None and not self._goes_on():
            return
        search.advance(self._epoch)
        if search.trial is not None and search.trial is not before:
            self._teller.say(2, messages.begun(self._epoch, search.trial, search.report))

    def _goes_on(self) -> bool:
        """Whether there will be another epoch of training."""
        return True

    def _stop(self) -> None:
        """The search is done, and so is the training."""
        self._ended = True

    def _finish(self, search: SnareSearch, metric: float) -> None:
        stops = self.settings.stop_when_done
        if stops and not self._tuning:
            self._stop()
            return
        if self._afterwards is None:
            self._afterwards = self._best_of(search)
        else:
            # Epochs after the search may make the model better; where not, they are undone.
            self._afterwards.note(metric, None)
            self._tuning = max(self._tuning - 1, 0)
        search.left_with(self._afterwards.metric)
        if stops and not self._tuning:
            self._stop()

    def _best_of(self, search: SnareSearch) -> BestEpoch:
        best = BestEpoch(self.model, self.objective)
        best.note(search.metric, None)
        return best

    def _save(self) -> None:
        if self._saved is None:
            return
        search = self._running()
        self._saved.save(self._epoch, search, self._warmup, self._afterwards, self._tuning)

    def _tell(self, row: TrialRow) -> None:
        search = self._search
        if search is not None:  # What is undone in the end is to be tried again.
            self._save()
        progress = None if search is None else search.policy.progress()
        self._teller.trial(row, self.objective, progress)
        if search is not None and self._events is not None:
            self._events.trial(row)

    def _running(self) -> SnareSearch:
        assert self._search is not None, "epoch_begins comes first"
        return self._search
