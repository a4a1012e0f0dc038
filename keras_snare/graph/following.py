"""Follows channels through a whole graph: the rule of each call, and what several calls share."""

import keras
import numpy as np

from keras_snare.graph.calls import Call, Trace
from keras_snare.graph.channels import AxisLabels, ChannelSpace, Labels, join_axes
from keras_snare.graph.rules import rule_for
from keras_snare.graph.view import CallView, axis_key


def follow(
    graph: Trace, space: ChannelSpace, keep_outputs: bool = True
) -> tuple[list[CallView], dict[int, AxisLabels]]:
    """Applies the rules to every call of a graph.

    Args:
        graph: the trace of a model.
        space: takes the labels.
        keep_outputs: bool, whether what the model returns keeps its width.

    Returns:
        What the rules found at each call, and the labels by axis of each tensor, by key.
    """
    labels: dict[int, AxisLabels] = {key: {} for key in graph.inputs}
    calls = [_follow(call, graph, space, labels) for call in graph.calls]
    _join_twins(graph, space, labels)
    _join_shared_layers(calls, space)
    for key in graph.outputs if keep_outputs else ():
        space.freeze_output(labels[key])
    _freeze_what_code_reads(calls, graph, space)
    _freeze_what_code_scales_by(calls, space)
    return calls, labels


def _freeze_what_code_reads(calls: list[CallView], graph: Trace, space: ChannelSpace) -> None:
    for one in (one for call in calls for one in call.bindings):
        if id(one.variable) in graph.read:
            reader = graph.read[id(one.variable)]
            space.freeze(one.labels, f"the code of {reader} reads the weights of {one.name}")


def _freeze_what_code_scales_by(calls: list[CallView], space: ChannelSpace) -> None:
    """Products over channels are often divided by the root of their number, which code may ask."""
    numbers: dict[int | None, set[float]] = {}
    code = [(view, view.call) for view in calls if view.call is not None and not view.recorded]
    for _, call in code:
        found = map(_number, keras.tree.flatten(call.named_arguments()))
        numbers.setdefault(call.place.within, set()).update(filter(None, found))
    for view, call in code:
        for labels in view.contracted:
            width = len(labels)
            counts = np.array([width, 1 / width, width**0.5, width**-0.5])
            for number in numbers[call.place.within]:
                if width > 1 and np.isclose(counts, number, rtol=1e-5, atol=0).any():
                    reason = f"code around {view.name} may take {number:.4g} from its width"
                    space.freeze(labels, reason)


def _number(value) -> float | None:
    """A plain number, or a tensor of one."""
    if isinstance(value, (keras.KerasTensor, str, bool)) or not hasattr(value, "__float__"):
        return None
    return float(value) if np.ndim(value) == 0 else None


def _join_twins(graph: Trace, space: ChannelSpace, labels: dict[int, AxisLabels]) -> None:
    """Couples what a model that is nested twice is given and gives: it has one width for both."""
    for one, other in graph.twins:
        join_axes(
            space, [(graph.shape(key), labels[key]) for key in (one, other)], "a shared model"
        )


def _follow(
    call: Call, graph: Trace, space: ChannelSpace, labels: dict[int, AxisLabels]
) -> CallView:
    keys = call.argument_keys
    view = CallView(
        call.operation,
        call.name,
        keys,
        tuple(graph.shape(key) for key in keys),
        tuple(graph.shape(key) for key in call.outputs),
        tuple(labels[key] for key in keys),
        space,
        call,
        recorded=call.place.recorded,
    )
    rule = rule_for(call.operation)
    if rule is None:
        kind = "; ".join(filter(None, (type(call.operation).__name__, call.closed)))
        view.freeze_other_axes((), f"reads it, an operation without a rule ({kind})")
        outputs = [{} for _ in call.outputs]
    else:
        outputs = rule(view)
    for axes in outputs:
        if 0 in axes:
            space.freeze(axes[0], f"{call.name} moves it to the batch axis")
    labels.update(zip(call.outputs, view.done(outputs), strict=True))
    return view


def _join_shared_layers(calls: list[CallView], space: ChannelSpace) -> None:
    """Couples the calls of a layer that is used several times: it is cut once."""
    bound: dict[tuple[int, int], Labels] = {}
    for call in calls:
        held = [(axis_key(one.variable, one.axis), one.labels) for one in call.bindings]
        for key, labels in (*held, *call.stated):
            if key in bound:
                space.join(bound[key], labels)
            else:
                bound[key] = labels
    for call in calls:
        for key in call.fixed_axes & bound.keys():
            space.freeze(bound[key], f"{call.name} is also applied to a tensor of fixed width")
