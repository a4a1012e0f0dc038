"""What a layer says about its own size: one row per layer class, beside the rules of the graph.

A row sets the attributes that name a width, from the variables and the input as they are after the
cut. Layers that name no width need no row.
"""

from keras_snare.surgery.attributes import (
    attention,
    keras_hub,
    normalization,
    recurrence,
    shape,
    weights,
)
from keras_snare.surgery.attributes.table import (
    ATTRIBUTES,
    Resized,
    attribute_names,
    new_arguments,
    new_attributes,
    scaled_variables,
)

__all__ = [
    "ATTRIBUTES",
    "Resized",
    "attention",
    "attribute_names",
    "keras_hub",
    "new_arguments",
    "new_attributes",
    "normalization",
    "recurrence",
    "scaled_variables",
    "shape",
    "weights",
]
