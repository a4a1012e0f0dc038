"""`compress`: a search that trains by itself."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_snare.arguments import check_count
from keras_snare.criteria import Criterion, get_criterion
from keras_snare.records import TrialRow
from keras_snare.report import CompressionReport
from keras_snare.search.engines import Workers
from keras_snare.search.messages import Teller
from keras_snare.search.metric import Objective, objective
from keras_snare.search.parallel_run import ParallelRun
from keras_snare.search.remote_job import job_of, with_data
from keras_snare.search.retraining import Fit, Given, Retraining
from keras_snare.search.search_run import SearchRun
from keras_snare.search.settings import check_settings, new_policy


@dataclass
class _Settings:
    """The arguments of `compress` that a search is told."""

    retrain_epochs: int
    warmup_epochs: int
    first_step: float
    min_step: float
    beta: float
    gamma: float
    layers: Any
    max_trials: int | None
    early_rejection: bool
    scoring_data: Any
    compensate: str | None
    retrain: str
    block_data: Any
    prune_inputs: bool
    round_to: int | None
    directory: str | os.PathLike[str] | None
    directory_limit: float | None
    log_dir: str | os.PathLike[str] | None
    verbose: int
    criterion: Criterion
    stop_when_done: bool = field(default=True, init=False)


def compress(
    model: keras.Model,
    train: Any,
    validation: Any,
    *,
    eps: float = 0.005,
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
    max_epochs: int | None = None,
    scoring_data: Any = None,
    compensate: str | None = None,
    retrain: str = "full",
    prune_inputs: bool = False,
    round_to: int | None = None,
    fit: Fit | None = None,
    batch_size: int = 32,
    seed: int | None = None,
    engine: str = "serial",
    workers: int = 1,
    worker_cpus: float = 1.0,
    worker_gpus: float = 0.0,
    ray_address: str | None = None,
    directory: str | os.PathLike[str] | None = None,
    directory_limit: float | None = None,
    log_dir: str | os.PathLike[str] | None = None,
    verbose: int = 1,
    on_trial: Callable[[TrialRow], None] | None = None,
) -> tuple[keras.Model, CompressionReport]:
    """Finds the smallest model whose metric stays within `eps` of the best, outside of `fit`.

    It is the search of `SnareCallback`, with the same policy and the same verdicts, and goes on
    until there is nothing left to try. It trains by itself, with what the model was compiled with,
    an epoch at a time, and evaluates after each of them.

    Args:
        model: a compiled Keras model, built and usually trained; it is cut in place.
        train: `(x, y)` or `(x, y, sample_weight)` arrays, a tf.data.Dataset or a
            keras.utils.PyDataset to retrain on, or a function that returns one of these; whatever
            `fit` takes, where that is given.
        validation: the same, to decide on.
        eps: float, accepted loss of `monitor` against the best seen, such as 0.005 for half a point
            of accuracy.
        monitor: str, the metric that decides, on `validation`; with or without `val_`.
        mode: `"max"`, `"min"`, or `"auto"` to go by the name of the metric.
        criterion: name or `Criterion`, which units go first.
        retrain_epochs: int, epochs of training that a trial gets.
        warmup_epochs: int, epochs of ordinary training before the first cut; 0 and 1 both mean
            one, which the scores are collected in. The search begins with the best model so far.
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
        max_epochs: int or None, epochs of training after which the search ends, wherever it is.
        scoring_data: data to score units on, or None for the training steps' own gradients.
        compensate: None, `"least_squares"` or `"mean"`, as `SnareCallback` takes it.
        retrain: `"full"`, or `"blocks"` as `SnareCallback` takes it, on `scoring_data` or `train`.
        prune_inputs: bool, also drop input features of a model that begins with `Dense`.
        round_to: int or None, widths stay multiples of it, such as 8 for hardware.
        fit: function of `(model, train, epoch)` that trains the model for one epoch, in the place
            of `model.fit`; `epoch` counts from 0. What it returns may be a `History`, of which the
            loss is looked at. It trains by the model's own optimizer.
        batch_size: int, of arrays.
        seed: int or None. With a seed, what a trial trains follows from the seed and the trial
            alone, so that the same call gives the same model, also when a run was killed between,
            and with any number of workers.
        engine: `"serial"` for trials one by one in this process, or `"ray"` for several at once, on
            one machine or a cluster (`pip install keras-snare[ray]`). A Ray that runs is used, or
            one is started.
        workers: int, trials that are made at once. The search is the same for every number: trials
            of one network are made as if those before them were rejected, and are dropped when one
            of these is accepted.
        worker_cpus: float, processors that a worker takes up; it runs as many threads, and one at
            least.
        worker_gpus: float, GPUs that a worker takes up, or a share of one.
        ray_address: str or None, of a Ray cluster, as `ray.init` takes it.
        directory: path or None, a folder that keeps the run, as `SnareCallback` says. Called again
            on the same model, a run that was killed goes on, and loses the trial under way at most.
        directory_limit: float or None, how many times the bytes of the uncut model, with its
            optimizer, `directory` may take. Accepted networks then give way to later ones, such
            that those that stay are of many sizes. The uncut, the best and the last one stay in any
            case, even where they take more. None keeps them all.
        log_dir: path or None, a folder for TensorBoard: metric and cost of each trial, widths,
            figures and hyperparameters. Each search has one of its own (extra `tensorboard`).
        verbose: 0, 1 (a line per trial) or 2 (also when a trial begins).
        on_trial: function that is called with the `TrialRow` of each trial when it is judged, such
            as to show progress, or None.

    Returns:
        The model, the same object, and the `CompressionReport`. However the call ends, the model is
        the last accepted one.

    Raises:
        ValueError, TypeError: for arguments out of range; nothing has changed then.
        UnsupportedModelError: when the model cannot be cut, is not compiled or not built, or its
            optimizer has `use_ema`, or workers cannot build it; nothing has changed then.
        ImportError: when Ray is asked for, or `log_dir` given, and what it needs is missing.
        EngineError: when workers died again and again over a trial; the model is the last accepted
            one.
        SnapshotError: when `directory` holds a damaged run, or one of another model or of other
            settings, or cannot be written; the model is the last accepted one.

    Example:

    >>> model, report = keras_snare.compress(model, (x, y), (x_validation, y_validation), eps=0.005)
    >>> print(report.summary())

    With four trials at once:

    >>> compress(model, (x, y), (x_validation, y_validation), engine="ray", workers=4, seed=0)

    Reference:
        Viehmann, master thesis, KIT 2020 (SNARE).
    """
    staff = Workers(engine, workers, worker_cpus, worker_gpus, ray_address)
    goal, chosen = objective(_on_validation(monitor), mode, eps), get_criterion(criterion)
    check_count("max_epochs", max_epochs, optional=True)
    if on_trial is not None and not callable(on_trial):
        raise TypeError(f"`on_trial` is a function, or None. Received: on_trial={on_trial!r}")
    settings = _Settings(
        retrain_epochs,
        warmup_epochs,
        first_step,
        min_step,
        beta,
        gamma,
        layers,
        max_trials,
        early_rejection,
        scoring_data,
        compensate,
        retrain,
        train if retrain == "blocks" and scoring_data is None else scoring_data,
        prune_inputs,
        round_to,
        directory,
        directory_limit,
        log_dir,
        verbose,
        chosen,
    )
    given = Given(train, validation, fit, batch_size, seed)
    return model, _searched(model, settings, goal, given, staff, max_epochs, on_trial)


def _on_validation(monitor: Any) -> Any:
    known = not isinstance(monitor, str) or not monitor or monitor.startswith("val_")
    return monitor if known else f"val_{monitor}"


def _searched(
    model: keras.Model,
    sent: _Settings,
    goal: Objective,
    given: Given,
    staff: Workers,
    max_epochs: int | None,
    on_trial: Callable[[TrialRow], None] | None,
) -> CompressionReport:
    """Trains, epoch by epoch, until the search is done."""
    settings = with_data(sent)
    new_policy(settings)
    check_settings(settings, settings.criterion)
    trainer = Retraining(model, given, goal)
    common = (settings, model, goal, settings.criterion)
    teller = Teller(settings.verbose, {"verbose": 0}, on_trial)
    ways = {"evaluate": trainer.evaluate, "teller": teller}
    with staff.engaged() as engine:
        if engine is None:
            run = SearchRun(*common, **ways, listeners=[])
        else:
            job = job_of(model, sent, given, goal)
            run = ParallelRun(engine, job, max_epochs, *common, **ways, listeners=[])
        try:
            run.begin()
            while not run.ended and (max_epochs is None or run.epochs < max_epochs):
                run.epoch_begins()
                logs = trainer.epoch(run.epochs, run.position)
                run.epoch_ended(run.epochs + 1, trainer.evaluate(), logs)
        finally:
            run.tidy_up()
    assert run.report is not None, "the search has begun"
    return run.report
