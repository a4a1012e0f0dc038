"""A copy of a model as it is, cut or not."""

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph.trace import parts_of, states_its_graph
from keras_snare.surgery import cut_to_shapes, shapes_of


def copied(model: keras.Model) -> keras.Model:
    """Returns a model that computes what this one does, with weights of its own.

    Raises:
        UnsupportedModelError: when its class cannot build it from its configuration.
    """
    try:
        copy = _built_again(model)
        cut_to_shapes(copy, shapes_of(model))
    except Exception as error:  # Constructors of a user's classes may fail in any way.
        raise UnsupportedModelError(
            f"teacher='self' copies the model, and {model.name!r} ({type(model).__name__}) cannot "
            f"be built from its configuration ({type(error).__name__}: {error}). Give a model for "
            "the teacher."
        ) from error
    copy.set_weights(model.get_weights())
    copy.trainable = False
    return copy


def _built_again(model: keras.Model) -> keras.Model:
    kinds = {type(one).__name__: type(one) for one in (model, *parts_of(model))}
    with keras.saving.custom_object_scope(kinds):
        if states_its_graph(model):
            return keras.models.clone_model(model)
        copy = type(model).from_config(model.get_config())
        if not copy.built:
            copy.build_from_config(model.get_build_config())
            copy.built = True  # As where Keras loads a model.
    return copy
