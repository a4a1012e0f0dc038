"""How channels pass through each kind of layer or function: one row each.

A rule takes a `CallView` and returns the labels by axis of each output. What has no rule is a wall:
its neighbours keep their width.
"""

from keras_snare.graph.rules import (
    attention,
    axes,
    convolution,
    dense,
    dense_forms,
    elementwise,
    embedding,
    functions,
    keras_hub,
    merging,
    normalization,
    products,
    recurrence,
    reduction,
    shape,
    wrappers,
)
from keras_snare.graph.rules.table import OPERATIONS, RULES, Rule, rule_for

__all__ = [
    "OPERATIONS",
    "RULES",
    "Rule",
    "attention",
    "axes",
    "convolution",
    "dense",
    "dense_forms",
    "elementwise",
    "embedding",
    "functions",
    "keras_hub",
    "merging",
    "normalization",
    "products",
    "recurrence",
    "reduction",
    "rule_for",
    "shape",
    "wrappers",
]
