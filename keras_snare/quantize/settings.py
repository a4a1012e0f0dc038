"""The settings of a layer, carried over to tf_keras one by one; none gets lost unseen."""

from typing import Any

import keras

from keras_snare.quantize.parts import Untranslated

# Those that say nothing about what a trained layer computes.
_OTHERWISE = {"name", "trainable", "dtype", "seed", "activation"}
_HELD, _BEGINS = ("_regularizer", "_constraint"), ("_initializer",)
_REGULARIZERS = {
    getattr(keras.regularizers, name): name
    for name in ("L1", "L2", "L1L2", "OrthogonalRegularizer")
}
_CONSTRAINTS = {
    getattr(keras.constraints, name): name
    for name in ("MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm")
}


def carried(layer, names: str = "", **renamed: str) -> dict[str, Any]:
    """Returns the settings of a layer as arguments of the class in tf_keras.

    Args:
        layer: the layer in Keras 3.
        names: str, those that have the same name there, with blanks between.
        **renamed: those that have another one, by the name in Keras 3.

    Raises:
        Untranslated: when another setting than these is in use.
    """
    here = {name: name for name in names.split()} | renamed
    found: dict[str, Any] = {"trainable": layer.trainable}
    for name in vars(layer):
        if name.endswith(_HELD):
            found |= _held(layer, name)
    for name, value in _settings(layer).items():
        if name == "data_format" and value != "channels_last":
            raise Untranslated(f"data_format={value!r}, and LiteRT knows 'channels_last' only")
        if name in here:
            found[here[name]] = value
        elif not (name in _OTHERWISE or name.endswith(_HELD + _BEGINS) or _is_off(name, value)):
            raise Untranslated(f"{name}={value!r} has no equal in tf_keras")
    return found


def _settings(layer) -> dict[str, Any]:
    try:
        return layer.get_config()
    except Exception as error:  # That of a user's initializer may fail in any way.
        raise Untranslated(
            f"its configuration cannot be read, {type(error).__name__}: {error}"
        ) from error


def _is_off(name: str, value: Any) -> bool:
    return name in ("data_format", "renorm_momentum") or value is None or value is False


def _held(layer, name: str) -> dict[str, Any]:
    """A regularizer or a constraint as tf_keras takes it."""
    one = getattr(layer, name)
    if one is None:
        return {}
    if name == "activity_regularizer":
        raise Untranslated(f"{name}, of whose part in the loss releases of Keras take other means")
    known = _REGULARIZERS if name.endswith("_regularizer") else _CONSTRAINTS
    if type(one) not in known:
        raise Untranslated(f"{name} is a {type(one).__name__}, which tf_keras does not have")
    return {name: {"class_name": known[type(one)], "config": one.get_config()}}
