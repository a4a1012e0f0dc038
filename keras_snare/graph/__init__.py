"""Keras model to channel groups and costs."""

from keras_snare.graph.calls import Call, Step, Trace
from keras_snare.graph.channels import AxisLabels
from keras_snare.graph.cost import LayerCost, ModelCost, cost, group_sizes, model_cost, saving
from keras_snare.graph.endings import last_activation, last_operation
from keras_snare.graph.groups import (
    ChannelGroup,
    ChannelGroups,
    Member,
    channel_groups,
    find_groups,
)
from keras_snare.graph.reader import trace
from keras_snare.graph.recorded import recorded_graph
from keras_snare.graph.view import PRODUCER, READER, THROUGH, Binding, CallView, Sized, axis_key

__all__ = [
    "PRODUCER",
    "READER",
    "THROUGH",
    "AxisLabels",
    "Binding",
    "Call",
    "CallView",
    "ChannelGroup",
    "ChannelGroups",
    "LayerCost",
    "Member",
    "ModelCost",
    "Sized",
    "Step",
    "Trace",
    "axis_key",
    "channel_groups",
    "cost",
    "find_groups",
    "group_sizes",
    "last_activation",
    "last_operation",
    "model_cost",
    "recorded_graph",
    "saving",
    "trace",
]
