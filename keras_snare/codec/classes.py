"""Which classes a configuration may name: Keras's and this package's, and none that runs code."""

import re
import sys
from dataclasses import dataclass
from typing import Any

import keras

from keras_snare.errors import CodecError

# Values that Keras writes in the form of objects.
_VALUES = ("__keras_tensor__", "__numpy__", "__tensor__", "__ellipsis__", "__slice__")
# They run what a configuration says, or read files that it names.
_REFUSED = (
    "FlaxLayer IndexLookup IntegerLookup JaxLayer Lambda NnxLayer StringLookup TFSMLayer "
    "TextVectorization TorchModuleWrapper"
).split()
_PACKAGE = __name__.split(".")[0]
_DEEPEST = 100
# A metric may hold the square of a number that it is told, such as of classes.
_LARGEST_OF_METRIC = 4096
_MOST_OF_METRICS = 2**25
# Operations that return a list, by the setting that says how long it is.
_LISTS = {"ArraySplit": "indices_or_sections", "Split": "indices_or_sections", "Unstack": "num"}
_LONGEST = 1024
# Keras's largest application has a half of these.
_MOST_OPERATIONS = 2000
# A Sequential is built anew with each layer; these take a minute.
_MOST_CALLS = 2**16
# What constants may be made of: types whose numbers take a few bytes, unlike texts of any length.
_NUMBERS = re.compile(r"bool|bfloat16|float8_\w+|u?int\d{1,2}|float(16|32|64)|complex(64|128)")


def check_classes(configuration: Any) -> None:
    """Checks that a configuration names known classes, in whatever place.

    Raises:
        CodecError: when it names another, is nested without end, or asks for layers, metrics or
            constants that take up more than is allowed.
    """
    asked = _Asked()
    asked.calls = _check(configuration, asked, 0)
    for what, found, most in (
        ("layers and operations", asked.operations, _MOST_OPERATIONS),
        ("calls of layers while it is built", asked.calls, _MOST_CALLS),
        ("numbers in metrics", asked.metrics, _MOST_OF_METRICS),
    ):
        if found > most:
            raise CodecError(
                f"Expected a model of {most} {what} at most. Received: {found}. Packed files have "
                "no more."
            )


@dataclass
class _Asked:
    """How many of what takes up memory or time a configuration asks for."""

    operations: int = 0
    calls: int = 0
    metrics: int = 0


def _check(configuration: Any, asked: _Asked, depth: int) -> int:
    """Checks a part, and returns about how many calls of layers building it takes."""
    if depth > _DEEPEST:
        raise CodecError(f"Expected a configuration of {_DEEPEST} levels at most. Received: more.")
    if isinstance(configuration, dict):
        before = asked.operations
        if "class_name" in configuration:
            _check_class(configuration, asked)
        calls = asked.operations - before
        calls += sum(_check(one, asked, depth + 1) for one in configuration.values())
        return calls * _times(configuration)
    if isinstance(configuration, (list, tuple)):
        return sum(_check(one, asked, depth + 1) for one in configuration)
    return 0


def _times(stated: dict[str, Any]) -> int:
    """How often what is in a layer is called: each time that the layer is."""
    nodes, config = stated.get("inbound_nodes"), stated.get("config")
    times = max(len(nodes), 1) if isinstance(nodes, (list, dict)) else 1
    if stated.get("class_name") == "Sequential" and isinstance(config, dict):
        parts = config.get("layers")
        times *= max(len(parts), 1) if isinstance(parts, list) else 1
    return times


def _check_class(stated: dict[str, Any], asked: _Asked) -> None:
    name = stated["class_name"]
    if name in _VALUES and not stated.get("module"):
        _check_value(stated)
        return
    registered, module = stated.get("registered_name"), stated.get("module")
    if isinstance(registered, str) and registered.startswith(f"{_PACKAGE}>"):
        found = keras.saving.get_registered_object(registered)
    else:
        found = _of_keras(module, name) if registered in (None, name) else None
    if not isinstance(found, type) or not isinstance(name, str) or name in _REFUSED:
        raise CodecError(
            "Expected layers and other objects of Keras or of this package, without code. "
            f"Received: {name!r} of {module!r}, registered as {registered!r}."
        )
    if issubclass(found, keras.Operation):
        asked.operations += 1
    if name in _LISTS:
        _check_list(stated, _LISTS[name])
    if issubclass(found, keras.Metric):
        largest = _largest(stated)
        if largest > _LARGEST_OF_METRIC:
            raise CodecError(
                f"Expected a metric of numbers up to {_LARGEST_OF_METRIC}. Received: {largest}. "
                "The file is damaged, or not meant well."
            )
        # Its variables are not among those that a file declares.
        asked.metrics += int(largest) ** 2


def _largest(stated: Any) -> float:
    if isinstance(stated, dict):
        stated = list(stated.values())
    if isinstance(stated, list):
        return max(map(_largest, stated), default=0)
    return stated if isinstance(stated, (int, float)) else 0


def _check_list(stated: dict[str, Any], setting: str) -> None:
    """Checks how many tensors an operation returns, which a short file might make millions."""
    config = stated.get("config")
    given = config.get(setting) if isinstance(config, dict) else None
    count = len(given) if isinstance(given, list) else given
    if not isinstance(count, int) or not count <= _LONGEST:
        raise CodecError(
            f"Expected {stated['class_name']} with `{setting}` of at most {_LONGEST}. Received: "
            f"{count}. State it, such as keras.ops.unstack(x, num=4)."
        )


def _check_value(stated: dict[str, Any]) -> None:
    """Checks the type of a constant, which might be an array of any size by itself."""
    config = stated.get("config")
    dtype = config.get("dtype") if isinstance(config, dict) else None
    if dtype is None or (stated["class_name"] == "__keras_tensor__" and dtype == "string"):
        return
    if not (isinstance(dtype, str) and _NUMBERS.fullmatch(dtype)):
        raise CodecError(
            f"Expected a constant of a plain type of numbers, such as 'float32'. Received: "
            f"dtype={dtype!r}."
        )


def _of_keras(module: Any, name: Any) -> Any:
    """The class of Keras that has a name, if a model may be made of it."""
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    if module.split(".")[0] != "keras":
        return None
    found = getattr(sys.modules.get(module), name, None)
    kinds = (
        keras.Operation,
        keras.DTypePolicy,
        keras.Initializer,
        keras.Loss,
        keras.Metric,
        keras.Optimizer,
        keras.Regularizer,
        keras.constraints.Constraint,
        keras.optimizers.schedules.LearningRateSchedule,
        keras.random.SeedGenerator,
    )
    if not isinstance(found, type) or not issubclass(found, kinds):
        return None
    # What every layer descends from is no wrapper: on JAX, one of these is called JaxLayer too.
    own = set(found.__mro__) - set(keras.Layer.__mro__)
    refused = any(one.__name__ in _REFUSED for one in own)
    return found if found.__module__.startswith("keras.") and not refused else None
