"""How channels pass through each kind of layer: one row per layer class.

A rule takes a `CallView` and returns the labels by axis of each output. What has no rule is a wall:
its neighbours keep their width.
"""

from keras_snare.graph.rules import convolution, dense, elementwise, merging, normalization, shape
from keras_snare.graph.rules.table import RULES, Rule, rule_for

__all__ = [
    "RULES",
    "Rule",
    "convolution",
    "dense",
    "elementwise",
    "merging",
    "normalization",
    "rule_for",
    "shape",
]
