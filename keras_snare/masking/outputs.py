"""Which kernels make a model's outputs."""

import keras

from keras_snare.graph import channel_groups
from keras_snare.masking.kernels import Kernel


def output_kernels(model: keras.Model, kernels: list[Kernel]) -> set[str]:
    """Returns the names of the kernels behind which none is left before the model's outputs.

    Args:
        model: a built Keras model.
        kernels: those in question.

    Raises:
        UnsupportedModelError: when no graph of the model is to be had.
    """
    graph = channel_groups(model).trace
    names = {id(one.variable): one.name for one in kernels}
    made_by = {key: call for call in graph.calls for key in call.outputs}
    found, seen, coming = set(), set(), list(graph.outputs)
    while coming:
        key = coming.pop()
        if key in seen or key not in made_by:
            continue
        seen.add(key)
        call = made_by[key]
        held = [id(one) for one in getattr(call.operation, "weights", ()) if len(one.shape) > 1]
        found.update(names[one] for one in held if one in names)
        # Behind a layer that has kernels, chosen or not, no other makes the output.
        coming.extend(() if held else call.inputs)
    return found
