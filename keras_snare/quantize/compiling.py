"""Optimizer, loss and metrics of a Keras 3 model, carried over to tf_keras."""

from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.quantize.environment import tf_keras
from keras_snare.quantize.ordering import output_names


def compile_like(
    model, quantized: Any, optimizer: Any = None, loss: Any = None, metrics: Any = None
) -> None:
    """Compiles a model of tf_keras as one of Keras 3 is compiled.

    Args:
        model: the model in Keras 3.
        quantized: the model in tf_keras, with its outputs in the order of `model.outputs`.
        optimizer: what stands instead of that of `model`, as `compile` of Keras 3 or tf_keras takes
            it.
        loss: the same.
        metrics: the same.

    Raises:
        UnsupportedModelError: when `model` is not compiled, or has something that tf_keras does not
            have under the same name and with the same settings; the message says what to give.
    """
    stated = model.get_compile_config() or {}
    if not stated and (optimizer is None or loss is None):
        raise UnsupportedModelError(
            f"Expected a compiled model, or `optimizer` and `loss` of tf_keras. Received: "
            f"{model.name!r}, which is not compiled. Call model.compile(...) first."
        )
    library, names = tf_keras(), output_names(model)
    given = {
        "optimizer": (library.optimizers, optimizer),
        "loss": (library.losses, loss),
        "metrics": (library.metrics, metrics),
    }
    found = {
        name: _carried(kinds, name, stated.get(name) if own is None else _stated(own))
        for name, (kinds, own) in given.items()
    }
    if metrics is None:
        weighted = stated.get("weighted_metrics")
        found["weighted_metrics"] = _carried(library.metrics, "metrics", weighted)
    if loss is None:
        found["loss_weights"] = stated.get("loss_weights")
    quantized.compile(**{name: _listed(one, names) for name, one in found.items()})


def _stated(given: Any) -> Any:
    """Objects of Keras 3 as a model states them; others as they are."""
    if isinstance(given, (list, tuple)):
        return [_stated(one) for one in given]
    if isinstance(given, dict):
        return {name: _stated(one) for name, one in given.items()}
    kinds = keras.optimizers.Optimizer, keras.losses.Loss, keras.metrics.Metric
    return keras.saving.serialize_keras_object(given) if isinstance(given, kinds) else given


def _carried(kinds: Any, argument: str, stated: Any) -> Any:
    """What Keras 3 has serialized, as an object of tf_keras; also in lists and dictionaries."""
    if stated is None or isinstance(stated, str):
        return stated
    if not isinstance(stated, (list, tuple, dict)):
        return stated  # It is of tf_keras.
    if isinstance(stated, (list, tuple)):
        return [_carried(kinds, argument, one) for one in stated]
    if "class_name" not in stated:
        return {name: _carried(kinds, argument, one) for name, one in stated.items()}
    settings = stated["config"] if isinstance(stated["config"], dict) else {}
    known = {name: one for name, one in settings.items() if one is not None}
    try:
        if not str(stated.get("module")).startswith("keras."):
            raise AttributeError(f"it is of {stated.get('module')}")
        if isinstance(known.get("learning_rate"), dict):
            known["learning_rate"] = _carried(kinds.schedules, argument, known["learning_rate"])
        return getattr(kinds, stated["class_name"]).from_config(known)
    except (AttributeError, TypeError, ValueError) as error:
        raise UnsupportedModelError(
            f"Expected `{argument}` of the model to be in tf_keras too. Received: "
            f"{stated['class_name']}, {error}. Give `{argument}` of tf_keras."
        ) from error


def _listed(stated: Any, names: list[str]) -> Any:
    """A dictionary by name of the output as a list: the outputs have other names in tf_keras."""
    if isinstance(stated, dict):
        return [stated.get(name) for name in names]
    return stated
