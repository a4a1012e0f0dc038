"""`SnareCallback`: a model that becomes small while it trains."""

import inspect
from typing import Any

import keras

from keras_snare.callbacks import messages
from keras_snare.callbacks.best_epoch import BestEpoch
from keras_snare.callbacks.checks import check_run, check_settings, warn_if_short
from keras_snare.callbacks.running_fit import EvaluateAgain, Guard, running_fit
from keras_snare.callbacks.warmup import Warmup
from keras_snare.criteria import Criterion, get_criterion
from keras_snare.graph import channel_groups
from keras_snare.policy import SnarePolicy, select_groups
from keras_snare.records import TrialRow
from keras_snare.report import CompressionReport
from keras_snare.search import Objective, ScoreSource, SnareSearch, objective
from keras_snare.surgery import InputSelection, UnreducedGradients


class SnareCallback(keras.callbacks.Callback):
    """Finds, during `model.fit`, the smallest model whose metric stays within `eps` of the best.

    The search cuts a share of one layer's units, lets `fit` train on for up to `retrain_epochs`
    epochs, keeps the cut as soon as the metric is back within `eps` of the best seen, and otherwise
    undoes it exactly and tries less. The model object that you hold becomes smaller in place, its
    optimizer goes on with the moments it has, and however `fit` ends, the model is the smallest one
    that was accepted. Put it in front of callbacks that record `logs`.

    Args:
        eps: float, accepted loss of `monitor` against the best seen, such as 0.005 for half a point
            of accuracy.
        monitor: str, the metric that decides; by default the accuracy on `fit`'s validation data.
        mode: `"max"`, `"min"`, or `"auto"` to go by the name of the metric.
        criterion: name or `Criterion`, which units go first; `"taylor"` needs no data of yours.
        retrain_epochs: int, epochs of training that a trial gets.
        warmup_epochs: int, epochs of ordinary training before the first cut; 0 and 1 both mean
            one, which the scores are collected in. The search begins with the best model so far:
            after one of these epochs, or as `fit` was given it.
        first_step: float, share of a layer that its first trial removes.
        min_step: float, a layer leaves the search when its share, halved at every rejection, falls
            below.
        beta: float, weight of the parameters in the choice of the layer.
        gamma: float, weight of the FLOPs in the choice of the layer.
        layers: names, regular expressions, layer classes, or a predicate on layers; None for all
            that can be cut.
        max_trials: int or None, trials after which the search ends.
        scoring_data: `(x, y)`, tf.data.Dataset or keras.utils.PyDataset to score units on; with
            None, the training step's own gradients are used.
        prune_inputs: bool, also drop input features of a model that begins with `Dense`; a
            `FeatureSelection` layer is put in front of it. With `layers=[]`, nothing else is cut.
        round_to: int or None, widths stay multiples of it, such as 8 for hardware.
        stop_when_done: bool, end `fit` when the search is over. With False, `fit` goes on with the
            smallest model, and the best epoch of it is what remains.
        verbose: 0, 1 (a line per trial), 2 (also when a trial begins), or `"auto"` to go by `fit`.

    Attributes:
        report: `CompressionReport` of the last run, None before.

    Raises:
        ValueError, TypeError: for arguments out of range; from `fit`, before any training, when the
            model, the monitor or the validation data do not suit.

    Logs:
        `snare_params` and `snare_flops` of the model in the epoch, `snare_trial` (0 outside a
        trial) and `snare_accepted`.

    Example:

    >>> snare = keras_snare.SnareCallback(eps=0.005, warmup_epochs=10)
    >>> model.fit(x, y, validation_split=0.1, epochs=60, callbacks=[snare])
    >>> print(snare.report.summary())

    Reference:
        Viehmann, master thesis, KIT 2020 (SNARE).
    """

    def __init__(
        self,
        eps: float = 0.005,
        *,
        monitor: str = "val_accuracy",
        mode: str = "auto",
        criterion: str | Criterion = "taylor",
        retrain_epochs: int = 5,
        warmup_epochs: int = 0,
        first_step: float = 0.64,
        min_step: float = 0.08,
        beta: float = 1.0,
        gamma: float = 1.0,
        layers: Any = None,
        max_trials: int | None = None,
        scoring_data: Any = None,
        prune_inputs: bool = False,
        round_to: int | None = None,
        stop_when_done: bool = True,
        verbose: int | str = "auto",
    ):
        super().__init__()
        self.eps = eps
        self.monitor = monitor
        self.mode = mode
        self.criterion = criterion
        self.retrain_epochs = retrain_epochs
        self.warmup_epochs = warmup_epochs
        self.first_step = first_step
        self.min_step = min_step
        self.beta = beta
        self.gamma = gamma
        self.layers = layers
        self.max_trials = max_trials
        self.scoring_data = scoring_data
        self.prune_inputs = prune_inputs
        self.round_to = round_to
        self.stop_when_done = stop_when_done
        self.verbose = verbose
        self.report: CompressionReport | None = None
        self._objective: Objective = objective(monitor, mode, eps)
        self._criterion = get_criterion(criterion)
        self._new_policy()
        check_settings(self, self._criterion)
        self._search: SnareSearch | None = None
        self._guard: Guard | None = None
        self._bar = False

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        given = {name: getattr(self, name) for name in defaults}
        changed = [
            f"{name}={value!r}"
            for name, value in given.items()
            if name == "eps" or not _same(value, defaults[name].default)
        ]
        return f"SnareCallback({', '.join(changed)})"

    def on_train_begin(self, logs=None):
        if self._guard is not None:
            self._tidy_up()
        fit = running_fit(self.model)
        check_run(self.model, self._objective, fit)
        if self.layers or not self.prune_inputs:
            select_groups(channel_groups(self.model), self.layers)
        first = fit.initial_epoch if fit else 0
        warn_if_short(self.params.get("epochs"), first, self.warmup_epochs, self.retrain_epochs)
        self._inputs = InputSelection(self.model) if self.prune_inputs else None
        self._again = EvaluateAgain(self.model, self.monitor.removeprefix("val_"))
        self._source = ScoreSource(self.model, self._criterion, self.scoring_data)
        self._unreduced = UnreducedGradients(self.model)
        self._warmup = Warmup(self.model, self._objective, self.warmup_epochs)
        self._epoch = first
        self._afterwards: BestEpoch | None = None
        # What changes the model waits for the first epoch: were a callback behind this one to raise
        # in its on_train_begin, nothing could tidy up.
        self._guard = Guard(self.model, fit.callbacks if fit else None, self._tidy_up)

    def on_epoch_begin(self, epoch, logs=None):
        if self._search is None:
            self._begin_search(running_fit(self.model))
        self._source.epoch_began()
        self._guarding().watch_model()
        self._bar = self.params.get("verbose", 0) in (1, "auto")

    def _begin_search(self, fit) -> None:
        if self._inputs is not None:
            self._inputs.insert()
        layers = self.layers if self._inputs is None else self._inputs.with_inputs(self.layers)
        self._search = SnareSearch(
            self.model,
            self._new_policy(),
            self._source,
            self._objective,
            retrain_epochs=self.retrain_epochs,
            layers=layers,
            evaluate=self._again,
            tell=self._tell,
        )
        self.report = self._search.report
        self._unreduced.attach()
        self._source.attach(select_groups(self._search.groups, layers))
        self.model.make_train_function(force=True)
        if self.monitor.startswith("val_"):
            given = fit.evaluate(self.model) if fit is not None else None
            if given is not None:
                self._warmup.given(self._metric(given))
            self._again.attach()

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        search, self._epoch = self._running(), epoch + 1
        trained = search.cost
        number = len(search.report.rows) + 1 if search.trial is not None else 0
        metric = self._metric(logs)
        if not self._warmup.over:
            self._warmup.epoch_ended(metric, self._source.collected(), search)
        elif search.trial is not None:
            search.judge(self._epoch, metric, logs.get("loss"))
        if self._warmup.over:
            self._advance()
        logs["snare_params"], logs["snare_flops"] = trained.params, trained.flops
        logs["snare_trial"], logs["snare_accepted"] = number, search.report.accepted
        if search.done:
            self._finish(search, metric)

    def on_train_end(self, logs=None):
        self._bar = False
        self._tidy_up()
        # fit did this already, but to weights that may have been undone just now.
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)

    def _advance(self) -> None:
        search = self._running()
        before = search.trial
        if before is None and self._epoch >= self.params.get("epochs", self._epoch + 1):
            return
        search.advance(self._epoch)
        if search.trial is not None and search.trial is not before:
            self._say(2, messages.begun(self._epoch, search.trial, search.report))

    def _finish(self, search: SnareSearch, metric: float) -> None:
        if self.stop_when_done:
            self.model.stop_training = True
            return
        if self._afterwards is None:
            self._afterwards = BestEpoch(self.model, self._objective)
            metric = search.metric
        # Epochs after the search may make the model better; where they do not, they are undone.
        self._afterwards.note(metric, None)
        search.left_with(self._afterwards.metric)

    def _running(self) -> SnareSearch:
        assert self._search is not None, "on_train_begin comes first"
        return self._search

    def _guarding(self) -> Guard:
        assert self._guard is not None, "on_train_begin comes first"
        return self._guard

    def _metric(self, logs: dict) -> float:
        if self.monitor not in logs:
            raise ValueError(
                "`monitor` is not among the logs of the epoch. Received: "
                f"monitor={self.monitor!r}. Logs: {', '.join(logs) or 'none'}."
            )
        return float(logs[self.monitor])

    def _tell(self, row: TrialRow) -> None:
        self._say(1, messages.judged(row, self._objective))

    def _say(self, level: int, text: str) -> None:
        by_fit = 1 if self.params.get("verbose", 1) else 0
        verbose = by_fit if isinstance(self.verbose, str) else self.verbose
        if verbose >= level:
            # The progress bar has not ended its line yet.
            print(f"\n{text}" if self._bar else text, flush=True)
            self._bar = False

    def _new_policy(self) -> SnarePolicy:
        return SnarePolicy(
            first_step=self.first_step,
            min_step=self.min_step,
            beta=self.beta,
            gamma=self.gamma,
            max_trials=self.max_trials,
            round_to=self.round_to,
        )

    def _tidy_up(self) -> None:
        """Undoes what is unfinished and takes everything of ours off the model."""
        search, self._search = self._search, None
        if search is not None:
            search.abandon(self._epoch)
        if self._afterwards is not None:
            self._afterwards.restore()
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.release()
        self._again.detach()
        self._source.detach()
        self._unreduced.detach()
        if self._inputs is not None:
            self._inputs.remove_if_idle()


def _same(value, default) -> bool:
    return type(value) is type(default) and value == default
