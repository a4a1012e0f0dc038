"""One trial of a search as a piece of work of its own, which any process can do."""

from dataclasses import dataclass, replace

import keras
import numpy as np

from keras_snare.graph import channel_groups
from keras_snare.records import PrunePlan, TrialRow
from keras_snare.report import CompressionReport
from keras_snare.search.candidate import held_variables, random_states
from keras_snare.search.messages import Teller
from keras_snare.search.remote_job import Job, built, with_data
from keras_snare.search.retraining import Retraining
from keras_snare.search.scores import Statistics
from keras_snare.search.search_run import SearchRun
from keras_snare.search.session import SnareSearch
from keras_snare.surgery import remove, removed_channels


@dataclass(frozen=True)
class Network:
    """An accepted network, which several trials begin with; it is sent once.

    Args:
        keep: what is left of the base, layer by layer.
        values: of its variables, then of its optimizer's.
        random: states of random generators.
        statistics: what the scores come from.
    """

    keep: dict[str, tuple[int, ...]]
    values: list[np.ndarray]
    random: list[np.ndarray]
    statistics: Statistics


@dataclass(frozen=True)
class Order:
    """One trial to make.

    Args:
        report: of the search before it, as JSON.
        policy: state of the policy before it.
        epoch: int, epochs of training before it.
        left: int or None, epochs after which it is undone, whatever its verdict might be.
    """

    report: str
    policy: dict
    epoch: int
    left: int | None


@dataclass(frozen=True)
class Accepted:
    """The network that an accepted trial leaves, as far as it differs.

    Args:
        plan: the cut.
        values: of its variables, then of its optimizer's.
        random: states of random generators.
        statistics: what the scores of the next cut come from.
    """

    plan: PrunePlan
    values: list[np.ndarray]
    random: list[np.ndarray]
    statistics: Statistics


def network_of(search: SnareSearch) -> Network:
    """Returns the network that a search has come to."""
    keep = {layer: tuple(kept) for layer, kept in search.plan.keep.items()}
    return Network(keep, *_held(search.model), search.statistics)


def take_over(model: keras.Model, search: SnareSearch, found: Accepted) -> None:
    """Makes the model of a search the network that a trial elsewhere left, or leaves it as it is.

    Args:
        model: the model, as the trial found it.
        search: on it.
        found: what the trial left.
    """
    undo = remove(model, search.groups, removed_channels(search.groups, found.plan))
    try:
        _put(model, found.values, found.random)
    except BaseException:
        undo.restore()
        raise


def make_trial(job: Job, network: Network, order: Order) -> tuple[TrialRow, Accepted | None]:
    """Makes one trial, from the cut to the verdict.

    Args:
        job: the search.
        network: what is cut.
        order: the trial.

    Returns:
        What is reported of the trial, and the network that it leaves where it was accepted.
    """
    trainer = Retraining(built(job), job.given, job.objective)
    run = _TrialRun(job, trainer, network, order)
    last = None if order.left is None else order.epoch + order.left
    try:
        run.begin()
        while run.row is None and run.epochs != last:
            run.epoch_begins()
            logs = trainer.epoch(run.epochs, run.position)
            run.epoch_ended(run.epochs + 1, trainer.evaluate(), logs)
    finally:
        run.tidy_up()
    assert run.row is not None, "a trial ends with a row"
    return run.row, run.accepted


class _TrialRun(SearchRun):
    """A search that begins with a network that it is sent, and ends with its first verdict."""

    def __init__(self, job: Job, trainer: Retraining, network: Network, order: Order) -> None:
        self.network = network
        self.order = order
        self.row: TrialRow | None = None
        self.accepted: Accepted | None = None
        settings = replace(with_data(job.settings), max_trials=order.policy["trials"] + 1)
        super().__init__(
            settings,
            trainer.model,
            job.objective,
            settings.criterion,
            evaluate=trainer.evaluate,
            teller=Teller(0, {"verbose": 0}),
            listeners=[],
        )

    def _resume(self, search: SnareSearch) -> bool:
        model, sent = self.model, self.network
        groups = channel_groups(model)
        if sent.keep:
            remove(model, groups, removed_channels(groups, PrunePlan(sent.keep)))
        _put(model, sent.values, sent.random)
        report = CompressionReport.from_json(self.order.report)
        search.resume(report, self.order.policy, PrunePlan({}), sent.statistics)
        self._epoch, self._warmup.remaining, self._tuning = self.order.epoch, 0, 0
        return True

    def _go_on(self, search: SnareSearch) -> None:
        self._advance(search)

    def _tell(self, row: TrialRow) -> None:
        search, self.row = self._search, row
        if search is not None and row.accepted:
            self.accepted = Accepted(search.plan, *_held(self.model), search.statistics)


def _held(model: keras.Model) -> tuple[list[np.ndarray], list[np.ndarray]]:
    held = [keras.ops.convert_to_numpy(one.value) for _, one in held_variables(model)]
    return held, [keras.ops.convert_to_numpy(one.value) for one in random_states(model)]


def _put(model: keras.Model, values: list[np.ndarray], random: list[np.ndarray]) -> None:
    held = [one for _, one in held_variables(model)]
    for variable, array in zip(held, values, strict=True):
        variable.assign(array)
    for variable, array in zip(random_states(model), random, strict=True):
        variable.assign(array)
