"""One trial of a search as a piece of work of its own, which any process can do."""

import sys
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph import channel_groups
from keras_snare.records import PrunePlan, TrialRow
from keras_snare.report import CompressionReport
from keras_snare.search.candidate import configuration, held_variables, random_states
from keras_snare.search.messages import Teller
from keras_snare.search.metric import Objective
from keras_snare.search.retraining import Given, Retraining, opened
from keras_snare.search.scores import Statistics
from keras_snare.search.search_run import SearchRun
from keras_snare.search.session import SnareSearch
from keras_snare.surgery import declared_layers, register_layer, remove, removed_channels


@dataclass(frozen=True)
class Job:
    """What all trials of a search have in common; it is sent once.

    Args:
        model: what Keras builds the model anew from, uncut.
        shapes: of its variables and the optimizer's, to compare.
        custom_objects: classes and functions that the configuration names.
        layers: classes that `register_layer` was told of, and what.
        settings: what the search is told to do, as plain attributes.
        objective: what must not be lost.
        given: what it is trained with.
        globals: floatx, epsilon and the data format of the process that drives.
    """

    model: dict
    shapes: list[tuple[int, ...]]
    custom_objects: dict[str, Any]
    layers: dict[type, dict[str, Any]]
    settings: Any
    objective: Objective
    given: Given
    globals: tuple[str, float, str]


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


def with_data(settings: Any) -> Any:
    """Returns settings of `compress` with the data opened that a function opens."""
    return replace(
        settings,
        **{name: opened(getattr(settings, name)) for name in ("scoring_data", "block_data")},
    )


def job_of(model, settings: Any, given: Given, objective: Objective) -> Job:
    """Describes a search for other processes.

    Args:
        model: uncut.
        settings: what the search is told to do, with data as the user gave them.
        given: what it is trained with.
        objective: what must not be lost.

    Raises:
        UnsupportedModelError: when Keras cannot write the model down.
    """
    described = configuration(model)
    if described is None:
        raise UnsupportedModelError(
            f"Other processes build {model.name!r} from its configuration, and Keras does not know "
            "how to write it down. Give its classes a get_config, or use engine='serial'."
        )
    return Job(
        described,
        _shapes(model),
        {**keras.saving.get_custom_objects(), **_of_the_program(described)},
        declared_layers(),
        replace(settings, directory=None, directory_limit=None, verbose=0),
        objective,
        given,
        (keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format()),
    )


def network_of(search: SnareSearch) -> Network:
    """Returns the network that a search has come to."""
    keep = {layer: tuple(kept) for layer, kept in search.plan.keep.items()}
    return Network(keep, *_held(search.model), search.statistics)


def take_over(model, search: SnareSearch, found: Accepted) -> None:
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


def check_job(job: Job) -> None:
    """Builds the model of a job, so that what is missing is known before anything has changed.

    Raises:
        UnsupportedModelError: when it cannot be built, or is another model.
    """
    Retraining(_built(job), job.given, job.objective)


def make_trial(job: Job, network: Network, order: Order) -> tuple[TrialRow, Accepted | None]:
    """Makes one trial, from the cut to the verdict.

    Args:
        job: the search.
        network: what is cut.
        order: the trial.

    Returns:
        What is reported of the trial, and the network that it leaves where it was accepted.
    """
    floatx, epsilon, data_format = job.globals
    keras.config.set_floatx(floatx)
    keras.config.set_epsilon(epsilon)
    keras.config.set_image_data_format(data_format)
    trainer = Retraining(_built(job), job.given, job.objective)
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

    def __init__(self, job: Job, trainer: Retraining, network: Network, order: Order):
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


def _built(job: Job) -> keras.Model:
    keras.utils.clear_session()
    for layer_class, declared in job.layers.items():
        register_layer(layer_class, **declared)
    try:
        with keras.saving.custom_object_scope(job.custom_objects):
            model = keras.saving.deserialize_keras_object(job.model)
    except (TypeError, ValueError) as error:
        raise UnsupportedModelError(
            f"Another process cannot build the model from its configuration ({error}). Register "
            "its classes and functions (keras.saving.register_keras_serializable), or use "
            "engine='serial'."
        ) from error
    if getattr(model, "optimizer", None) is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    if _shapes(model) != job.shapes:
        raise UnsupportedModelError(
            f"What another process builds from the configuration of {model.name!r} has other "
            "variables than the model, or another optimizer. Give its classes a get_config that "
            "tells all, or use engine='serial'."
        )
    return model


def _shapes(model) -> list[tuple[int, ...]]:
    return [tuple(one.shape) for _, one in held_variables(model)]


def _held(model) -> tuple[list[np.ndarray], list[np.ndarray]]:
    held = [keras.ops.convert_to_numpy(one.value) for _, one in held_variables(model)]
    return held, [keras.ops.convert_to_numpy(one.value) for one in random_states(model)]


def _put(model, values: list[np.ndarray], random: list[np.ndarray]) -> None:
    held = [one for _, one in held_variables(model)]
    for variable, array in zip(held, values, strict=True):
        variable.assign(array)
    for variable, array in zip(random_states(model), random, strict=True):
        variable.assign(array)


def _of_the_program(described: dict) -> dict[str, Any]:
    """What a configuration names of the program itself, which other processes do not import."""
    program = vars(sys.modules["__main__"])
    named = {name: program[name] for name in _texts(described) if name in program}
    return {name: one for name, one in named.items() if _is_own(one)}


def _is_own(one: Any) -> bool:
    return callable(one) and getattr(one, "__module__", None) == "__main__"


def _texts(described: Any) -> set[str]:
    """The texts in a configuration, however deep."""
    if isinstance(described, dict):
        described = list(described.values())
    if isinstance(described, list):
        return set().union(*map(_texts, described))
    return {described} if isinstance(described, str) else set()
