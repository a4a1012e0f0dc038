"""`RankReduceCallback`: layers in factors whose ranks fall while the model trains."""

import os
from typing import Any

from keras_snare.callbacks.rank_cuts import RankCuts
from keras_snare.callbacks.snare import SnareCallback
from keras_snare.callbacks.snare_run import SnareRun
from keras_snare.criteria.singular_value import SingularValueCriterion


class RankReduceCallback(SnareCallback):
    """Finds, during `model.fit`, the lowest ranks whose metric stays within `eps` of the best.

    The search of `SnareCallback`, with ranks in the place of units, for a model that
    `keras_snare.factorize` has returned: at a share of 0.99, the highest ranks at which factors are
    no larger than the layers were, or at full rank, where layers whose ranks stay high become
    larger. It cuts the ranks of `LowRankDense` too. Before a cut, the two kernels around the ranks
    are given the factors of the singular value decomposition of their product, and the optimizer's
    averages are turned with them, so that what goes is what the product misses least. The widths of
    all other layers stay; `SnareCallback` cuts both.

    Args:
        eps: float, accepted loss of `monitor` against the best seen; this and all others as of
            `SnareCallback`, but for `layers`.
        monitor: str, the metric that decides.
        mode: `"max"`, `"min"`, or `"auto"`.
        retrain_epochs: int, epochs of training that a trial gets.
        warmup_epochs: int, epochs of ordinary training before the first cut.
        first_step: float, share of its ranks that the first trial of a layer removes.
        min_step: float, share below which a layer leaves the search.
        beta: float, weight of the parameters in the choice of the layer.
        gamma: float, weight of the FLOPs in the choice of the layer.
        layers: which layers, of those whose units are ranks, such as `"dense1_in"`, and of
            `LowRankDense`: names, regular expressions, layer classes, or a predicate; None for all.
        max_trials: int or None, trials after which the search ends.
        early_rejection: bool, end a trial before its last epoch where it is further from `eps` than
            twice what any accepted trial of the run has won back. False: each gets all its epochs.
        round_to: int or None, ranks stay multiples of it.
        stop_when_done: bool, end `fit` when the search is over.
        directory: path or None, a folder that keeps the run.
        directory_limit: float or None, how many times the bytes of the uncut model, with its
            optimizer, it may take, as `SnareCallback` says.
        log_dir: path or None, a folder for TensorBoard: metric and cost of each trial, widths,
            figures and hyperparameters. Each search has one of its own (extra `tensorboard`).
        verbose: 0, 1, 2 or `"auto"`.

    Attributes:
        report: `CompressionReport` of the last run, None before.

    Raises:
        ValueError, TypeError: for arguments out of range; from `fit`, before any training, when the
            monitor or the validation data do not suit, or `layers` mean no ranks.
        UnsupportedModelError: from `fit`, before any training, when no layer is in factors.
        SnapshotError: from `fit`, when `directory` holds a damaged run or another one.

    Logs:
        Those of `SnareCallback`.

    Example:

    >>> model = keras_snare.factorize(model, 0.99)
    >>> reduce = keras_snare.RankReduceCallback(eps=0.005)
    >>> model.fit(x, y, validation_split=0.1, epochs=60, callbacks=[reduce])
    >>> print(reduce.report.summary())

    Reference:
        Viehmann, master thesis, KIT 2020 (SNARE), for the search; Xue et al., "Restructuring of
        Deep Neural Network Acoustic Models with Singular Value Decomposition", Interspeech 2013.
    """

    def __init__(
        self,
        eps: float = 0.005,
        *,
        monitor: str = "val_accuracy",
        mode: str = "auto",
        retrain_epochs: int = 5,
        warmup_epochs: int = 0,
        first_step: float = 0.64,
        min_step: float = 0.08,
        beta: float = 1.0,
        gamma: float = 1.0,
        layers: Any = None,
        max_trials: int | None = None,
        early_rejection: bool = True,
        round_to: int | None = None,
        stop_when_done: bool = True,
        directory: str | os.PathLike[str] | None = None,
        directory_limit: float | None = None,
        log_dir: str | os.PathLike[str] | None = None,
        verbose: int | str = "auto",
    ) -> None:
        super().__init__(
            eps,
            monitor=monitor,
            mode=mode,
            criterion=SingularValueCriterion(),
            retrain_epochs=retrain_epochs,
            warmup_epochs=warmup_epochs,
            first_step=first_step,
            min_step=min_step,
            beta=beta,
            gamma=gamma,
            layers=layers,
            max_trials=max_trials,
            early_rejection=early_rejection,
            round_to=round_to,
            stop_when_done=stop_when_done,
            directory=directory,
            directory_limit=directory_limit,
            log_dir=log_dir,
            verbose=verbose,
        )

    def _new_run(self) -> SnareRun:
        return SnareRun(self, self._objective, self._criterion, RankCuts)
