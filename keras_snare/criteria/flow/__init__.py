"""Synaptic flow through a network, and what stands in for its operations meanwhile."""

from keras_snare.criteria.flow import attention, bases, merging, passing, recurrence, windows
from keras_snare.criteria.flow.measuring import synaptic_flow
from keras_snare.criteria.flow.units import flow_of_units

__all__ = [
    "attention",
    "bases",
    "flow_of_units",
    "merging",
    "passing",
    "recurrence",
    "synaptic_flow",
    "windows",
]
