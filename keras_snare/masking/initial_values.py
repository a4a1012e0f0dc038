"""Fresh initial values for a model, as if it had been built anew."""

import random
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph.trace import parts_of
from keras_snare.masking.training_state import value_of


def initial_values(model: keras.Model, seed: int = 0) -> dict[int, np.ndarray]:
    """Draws a value for every weight that a model trains from the initializer of its layer.

    A second model is built from the configuration of the first, which stays as it is. An
    initializer with a seed of its own gets another one.

    Args:
        model: a built Keras model that its configuration describes.
        seed: int; the same seed gives the same values.

    Returns:
        The values, by the place of the weight in `model.weights`.

    Raises:
        UnsupportedModelError: when the model cannot be built from its configuration.
    """
    draw = random.Random(int(seed))
    state = random.getstate()
    # Initializers without a seed draw one from Python's generator.
    random.seed(draw.getrandbits(64))
    try:
        config: Any = keras.saving.serialize_keras_object(model)
        config.pop("compile_config", None)
        for initializer in _seeded(config):
            initializer["seed"] = draw.randrange(1, 2**31)
        kinds = {type(one).__name__: type(one) for one in (model, *parts_of(model))}
        with keras.saving.custom_object_scope(kinds):
            again: Any = keras.saving.deserialize_keras_object(config, safe_mode=False)
        shapes = [[tuple(one.shape) for one in built.weights] for built in (model, again)]
        if shapes[0] != shapes[1]:
            raise ValueError("its weights have other shapes")
    except Exception as error:  # Constructors of a user's classes may fail in any way.
        raise UnsupportedModelError(
            f"Model {model.name!r} cannot be built anew from its configuration "
            f"({type(error).__name__}: {error}), so there are no fresh initial values. Give its "
            "class a get_config that its constructor takes."
        ) from error
    finally:
        random.setstate(state)
    trained = {id(variable) for variable in model.trainable_variables}
    return {
        at: value_of(fresh)
        for at, (variable, fresh) in enumerate(zip(model.weights, again.weights, strict=True))
        if id(variable) in trained
    }


def _seeded(config: Any, name: str = "") -> Iterator[dict[str, Any]]:
    """The settings of the initializers that have a seed, wherever in a configuration they stand."""
    if isinstance(config, dict):
        settings = config.get("config")
        if (
            name.endswith("initializer")
            and isinstance(settings, dict)
            and settings.get("seed") is not None
        ):
            yield settings
        for key, value in config.items():
            yield from _seeded(value, key if isinstance(key, str) else "")
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from _seeded(value)
