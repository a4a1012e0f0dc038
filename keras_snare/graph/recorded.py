"""Models whose graph says all that they compute."""

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.graph.calls import Trace
from keras_snare.graph.reader import trace
from keras_snare.graph.trace import is_nested_graph


def recorded_graph(model: keras.Model) -> Trace:
    """Returns the graph of a Sequential or functional model.

    Raises:
        UnsupportedModelError: when it is no model of Keras 3, not built, or subclassed.
    """
    if isinstance(model, keras.Model) and not is_nested_graph(model):
        if type(model).call is keras.Sequential.call:
            raise UnsupportedModelError(
                f"Expected a model that is built. Received: {model.name!r}, which has no graph "
                "yet. Give it a keras.Input, or call model.build(input_shape), first."
            )
        raise UnsupportedModelError(
            f"Expected a Sequential or functional model. Received: {model.name!r}, which is "
            f"subclassed ({type(model).__name__}) and computes by code of its own. Build it with "
            "the functional API: inputs = keras.Input(...); keras.Model(inputs, outputs)."
        )
    return trace(model)
