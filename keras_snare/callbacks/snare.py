"""`SnareCallback`: a model that becomes small while it trains."""

import os
from typing import Any

import keras

from keras_snare.callbacks.beside_search import check_kept
from keras_snare.callbacks.pruning import PruningCallback
from keras_snare.callbacks.running_fit import running_fit
from keras_snare.callbacks.snare_run import SnareRun
from keras_snare.criteria import Criterion, get_criterion
from keras_snare.report import CompressionReport
from keras_snare.search import Objective, check_settings, new_policy, objective


class SnareCallback(PruningCallback):
    """Finds, during `model.fit`, the smallest model whose metric stays within `eps` of the best.

    The search cuts a share of one layer's units, lets `fit` train on for up to `retrain_epochs`
    epochs, keeps the cut as soon as the metric is back within `eps` of the best seen, and otherwise
    undoes it exactly and tries less. The model object that you hold becomes smaller in place, its
    optimizer goes on with the moments it has, and however `fit` ends, the model is the smallest one
    that was accepted. Put it in front of callbacks that record `logs`. `ModelCheckpoint`,
    `OrbaxCheckpoint`, `LearningRateScheduler` and `ReduceLROnPlateau` act before the verdict of an
    epoch, wherever they stand; docs/keras_callbacks.md tells what becomes of Keras's others.

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
        early_rejection: bool, end a trial before its last epoch where it is further from `eps` than
            twice what any accepted trial of the run has won back. False: each gets all its epochs.
        scoring_data: `(x, y)`, tf.data.Dataset or keras.utils.PyDataset to score units on, without
            sample weights; with None, the training step's own gradients are used.
        compensate: None, or what the layers that read removed units are given for them before a
            trial trains: `"least_squares"` or `"mean"`, as in `shrink`, from all of `scoring_data`.
        retrain: `"full"`: a trial trains the whole network, in epochs of `fit`. `"blocks"`: it
            trains only the layers that make, pass on and read the units, for `retrain_epochs` over
            `scoring_data`, so that they compute what they did before the cut, and is judged at
            once; when the search is over, `fit` trains the whole network for `retrain_epochs`
            epochs, of which the best remains.
        prune_inputs: bool, also drop input features of a model that begins with `Dense`; a
            `FeatureSelection` layer is put in front of it. With `layers=[]`, nothing else is cut.
        round_to: int or None, widths stay multiples of it, such as 8 for hardware.
        stop_when_done: bool, end `fit` when the search is over. With False, `fit` goes on with the
            smallest model, and the best epoch of it is what remains.
        directory: path or None, a folder that keeps the run: every accepted network, the trials,
            the state of search, optimizer and epochs. A `fit` that was killed goes on from there
            when it is called again on the same model; at most the trial under way is lost. A run
            that is finished trains no more, and gives its model back.
        directory_limit: float or None, how many times the bytes of the uncut model, with its
            optimizer, `directory` may take. Accepted networks then give way to later ones, such
            that those that stay are of many sizes. The uncut, the best and the last one stay in any
            case, even where they take more. None keeps them all.
        log_dir: path or None, a folder for TensorBoard: metric and cost of each trial, widths,
            figures and hyperparameters. Each search has one of its own (extra `tensorboard`).
        verbose: 0, 1 (a line per trial), 2 (also when a trial begins), or `"auto"` to go by `fit`.

    Attributes:
        report: `CompressionReport` of the last run, None before.

    Raises:
        ValueError, TypeError: for arguments out of range; from `fit`, before any training, when the
            model, the monitor, the validation data or another callback do not suit.
        UnsupportedModelError: the same, when no graph of the model is to be had, or the criterion
            needs gradients and the backend is not TensorFlow.
        SnapshotError: from `fit`, when `directory` holds a damaged run, or one of another model or
            of other settings, or cannot be written; the model is the last accepted one.
        ImportError: from `fit`, before any training, when `log_dir` is given and TensorBoard is
            missing.

    Logs:
        `snare_params` and `snare_flops` of the model in the epoch, `snare_trial` (0 outside a
        trial) and `snare_accepted`.

    Hooks:
        Callbacks of the same `fit` that have a method `on_search_begin(uncut)` are called before
        the first cut, when the model is the network that the search begins with. `uncut` is False
        where a stored run was given its cut model, so that this network is not to be had.

    Example:

    >>> snare = keras_snare.SnareCallback(eps=0.005, warmup_epochs=10)
    >>> model.fit(x, y, validation_split=0.1, epochs=60, callbacks=[snare])
    >>> print(snare.report.summary())

    Reference:
        Viehmann, master thesis, KIT 2020 (SNARE).
    """

    main_argument = "eps"

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
        early_rejection: bool = True,
        scoring_data: Any = None,
        compensate: str | None = None,
        retrain: str = "full",
        prune_inputs: bool = False,
        round_to: int | None = None,
        stop_when_done: bool = True,
        directory: str | os.PathLike[str] | None = None,
        directory_limit: float | None = None,
        log_dir: str | os.PathLike[str] | None = None,
        verbose: int | str = "auto",
    ) -> None:
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
        self.early_rejection = early_rejection
        self.scoring_data = scoring_data
        self.compensate = compensate
        self.retrain = retrain
        self.block_data = scoring_data
        self.prune_inputs = prune_inputs
        self.round_to = round_to
        self.stop_when_done = stop_when_done
        self.directory = directory
        self.directory_limit = directory_limit
        self.log_dir = log_dir
        self.verbose = verbose
        self.report: CompressionReport | None = None
        self._objective: Objective = objective(monitor, mode, eps)
        self._criterion = get_criterion(criterion)
        new_policy(self)
        check_settings(self, self._criterion)
        self._run: SnareRun | None = None
        self._last_logs: dict[str, float] = {}

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        check_kept(running_fit(model))

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._run is not None:
            self._run.tidy_up()
        self._run = self._new_run()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._run is not None:
            self._run.epoch_begins()
            self.report = self._run.report

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        if self._run is not None:
            self._run.fit_epoch_ended(epoch + 1, logs)
        else:
            logs.update(self._last_logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._run is not None:
            self._run.training_ended()
            self.report, self._run = self._run.report, None

    def end_search(self) -> None:
        """Ends the search before `fit` ends, between two epochs.

        The model becomes the last accepted one, and `fit` trains it on as it is. The method is for
        callbacks that need a network of one form from an epoch on. Without a search under way,
        nothing happens.
        """
        if self._run is not None:
            self._last_logs = self._run.end_search()
            self.report, self._run = self._run.report, None

    def _new_run(self) -> SnareRun:
        return SnareRun(self, self._objective, self._criterion)
