"""A search as other processes are told of it, who build its model anew."""

import sys
from dataclasses import dataclass, replace
from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.replicas import check_one_replica
from keras_snare.search.candidate import configuration, held_variables
from keras_snare.search.metric import Objective
from keras_snare.search.retraining import Given, Retraining, opened
from keras_snare.surgery import declared_layers, register_layer


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


def with_data(settings: Any) -> Any:
    """Returns settings of `compress` with the data opened that a function opens."""
    return replace(
        settings,
        **{name: opened(getattr(settings, name)) for name in ("scoring_data", "block_data")},
    )


def job_of(model: keras.Model, settings: Any, given: Given, objective: Objective) -> Job:
    """Describes a search for other processes.

    Args:
        model: uncut.
        settings: what the search is told to do, with data as the user gave them.
        given: what it is trained with.
        objective: what must not be lost.

    Raises:
        UnsupportedModelError: when Keras cannot write the model down, or it is trained on several
            devices.
    """
    check_one_replica(model, "for engine='ray'")
    described = configuration(model)
    if described is None:
        raise UnsupportedModelError(
            f"Other processes build {model.name!r} from its configuration, and Keras does not know "
            "how to write it down. Give its classes a get_config, or use engine='serial'."
        )
    named = _texts(described)
    return Job(
        described,
        _shapes(model),
        _custom_objects(named),
        {one: told for one, told in declared_layers().items() if one.__name__ in named},
        replace(settings, directory=None, directory_limit=None, log_dir=None, verbose=0),
        objective,
        given,
        (keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format()),
    )


def built(job: Job) -> keras.Model:
    """Builds the model of a job, uncut.

    Raises:
        UnsupportedModelError: when it cannot be built, or is another model.
    """
    floatx, epsilon, data_format = job.globals
    keras.utils.clear_session()
    keras.config.set_floatx(floatx)
    keras.config.set_epsilon(epsilon)
    keras.config.set_image_data_format(data_format)
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


def _shapes(model: keras.Model) -> list[tuple[int, ...]]:
    return [tuple(one.shape) for _, one in held_variables(model)]


def check_job(job: Job) -> None:
    """Builds the model of a job, so that what is missing is known before anything has changed.

    Raises:
        UnsupportedModelError: when it cannot be built, or is another model.
    """
    Retraining(built(job), job.given, job.objective)


def _custom_objects(named: set[str]) -> dict[str, Any]:
    """What a configuration names that is registered, or of the program, which others do not import.

    Nothing else is sent: a program may have registered what cannot be.
    """
    registered, program = keras.saving.get_custom_objects(), vars(sys.modules["__main__"])
    own = {name: program[name] for name in named if name in program}
    known = {name: one for name, one in registered.items() if name in named}
    return {**known, **{name: one for name, one in own.items() if _is_own(one)}}


def _is_own(one: Any) -> bool:
    return callable(one) and getattr(one, "__module__", None) == "__main__"


def _texts(described: Any) -> set[str]:
    """The texts in a configuration, however deep."""
    if isinstance(described, dict):
        described = list(described.values())
    if isinstance(described, list):
        return set().union(*map(_texts, described))
    return {described} if isinstance(described, str) else set()
