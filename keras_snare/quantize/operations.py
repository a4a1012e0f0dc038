"""What functions of `keras.ops`, operators and slices of symbolic tensors become.

A layer of tf_keras where there is one, for TF-MOT knows those; else a layer of ours that calls the
function.
"""

from collections.abc import Mapping
from math import prod
from typing import Any

import keras

from keras_snare.arguments import is_number
from keras_snare.graph import Call
from keras_snare.graph.trace import function_name
from keras_snare.quantize.parts import Part, function
from keras_snare.quantize.stored_call import Tensor
from keras_snare.quantize.table import Parts, operation

Shapes = Mapping[int, tuple]

# Functions, and what an operation of each holds as attributes.
_ATTRIBUTES = {
    """abs absolute arccos arccosh arcsin arcsinh arctan arctan2 arctanh ceil cos cosh divide equal
    erf exp exp2 expm1 floor floor_divide get_item greater greater_equal hard_sigmoid hard_silu
    hard_tanh isfinite isinf isnan less less_equal log log10 log1p log2 log_sigmoid logical_and
    logical_not logical_or matmul mod negative not_equal power reciprocal rsqrt sign sin sinh
    sparse_plus sparse_sigmoid sqrt square tan tanh_shrink true_divide trunc where
    add maximum minimum multiply subtract""": "",
    "argmax argmin mean std sum var": "axis keepdims",
    "max min": "axis keepdims initial",
    "prod": "axis keepdims dtype",
    "round": "decimals",
    "cumsum": "axis dtype",
    "celu": "alpha",
    "clip": "x_min x_max",
    "cast": "dtype",
    "concatenate expand_dims flip glu log_softmax sparsemax squeeze stack take": "axis",
    "einsum": "subscripts",
    "gelu": "approximate",
    "hard_shrink soft_shrink": "threshold",
    "moveaxis": "source destination",
    "pad": "pad_width mode",
    "repeat": "repeats axis",
    "reshape": "newshape",
    "split": "indices_or_sections axis",
    "squareplus": "b",
    "swapaxes": "axis1 axis2",
    "tile": "repeats",
    "transpose": "axes",
}
_HELD = {name: held.split() for names, held in _ATTRIBUTES.items() for name in names.split()}


@operation(*_HELD)
def _called(call: Call, shapes: Shapes) -> Parts:
    """The function itself, called by a layer of ours."""
    name = function_name(call.operation) or ""
    places = iter(range(len(call.argument_keys)))
    args, kwargs = keras.tree.map_structure(
        lambda one: Tensor(next(places)) if isinstance(one, keras.KerasTensor) else one,
        (list(call.arguments.args), dict(call.arguments.kwargs)),
    )
    held = {one: getattr(call.operation, one) for one in _HELD[name]}
    if name == "einsum":
        args, held = [held["subscripts"], *args], {}
    return (function(f"ops.{name}", args, {**kwargs, **held}),)


@operation("relu6", "silu", "sigmoid", "tanh", "softplus", "softsign", "selu")
def _activation(call: Call, shapes: Shapes) -> Parts:
    name = function_name(call.operation)
    if name == "relu6":
        return (Part("ReLU", {"max_value": 6.0}),)
    return (Part("Activation", {"activation": "swish" if name == "silu" else name}),)


@operation("relu", "ReLU")
def _relu(call: Call, shapes: Shapes) -> Parts:
    names = ("max_value", "negative_slope", "threshold")
    held = {name: getattr(call.operation, name) for name in names if hasattr(call.operation, name)}
    return (Part("ReLU", held),)


@operation("leaky_relu")
def _leaky_relu(call: Call, shapes: Shapes) -> Parts:
    return (Part("LeakyReLU", {"alpha": call.operation.negative_slope}),)


@operation("elu")
def _elu(call: Call, shapes: Shapes) -> Parts:
    return (Part("ELU", {"alpha": call.operation.alpha}),)


@operation("softmax")
def _softmax(call: Call, shapes: Shapes) -> Parts:
    return (Part("Softmax", {"axis": call.operation.axis}),)


@operation("maximum", "minimum")
def _extreme(call: Call, shapes: Shapes) -> Parts:
    return _merged(call, shapes) or _called(call, shapes)


@operation("add", "subtract", "multiply")
def _arithmetic(call: Call, shapes: Shapes) -> Parts:
    return _merged(call, shapes) or _with_a_number(call) or _called(call, shapes)


def _merged(call: Call, shapes: Shapes) -> Parts:
    """A merging layer, for two tensors whose axes need no aligning."""
    keys = call.argument_keys
    if len(keys) != 2 or len(shapes[keys[0]]) != len(shapes[keys[1]]) or not _are_floats(call):
        return ()
    return (Part((function_name(call.operation) or "").capitalize()),)


def _with_a_number(call: Call) -> Parts:
    """`Rescaling`, for one tensor and a number."""
    one, other = call.named_arguments()["x1"], call.named_arguments()["x2"]
    number, first = (one, False) if is_number(one) else (other, True)
    if not is_number(number) or not _are_floats(call):
        return ()
    name, number = function_name(call.operation), float(number)
    if name == "multiply":
        return (Part("Rescaling", {"scale": number}),)
    if name == "add":
        return (Part("Rescaling", {"scale": 1.0, "offset": number}),)
    scale, offset = (1.0, -number) if first else (-1.0, number)
    return (Part("Rescaling", {"scale": scale, "offset": offset}),)


def _are_floats(call: Call) -> bool:
    """Tells whether layers, which compute in float32, would not change the type of a tensor."""
    return all(tensor.dtype == "float32" for tensor in call.arguments.keras_tensors)


@operation("reshape", "expand_dims", "squeeze")
def _reshaped(call: Call, shapes: Shapes) -> Parts:
    """`Reshape`, where what it does to every example does not depend on the others."""
    before, after = shapes[call.inputs[0]], shapes[call.outputs[0]]
    known = None not in before[1:] and None not in after[1:]
    if known and before[:1] == after[:1] and prod(before[1:]) == prod(after[1:]):
        return (Part("Reshape", {"target_shape": list(after[1:])}),)
    return _called(call, shapes)


@operation("transpose")
def _transposed(call: Call, shapes: Shapes) -> Parts:
    axes = call.operation.axes
    if axes and axes[0] == 0 and len(axes) > 1 and min(axes) >= 0:
        return (Part("Permute", {"dims": list(axes[1:])}),)
    return _called(call, shapes)


@operation("concatenate")
def _concatenated(call: Call, shapes: Shapes) -> Parts:
    given = call.arguments.args[0] if call.arguments.args else ()
    tensors = all(isinstance(one, keras.KerasTensor) for one in given)
    axis = call.operation.axis
    if tensors and len(given) > 1 and axis not in (None, 0) and _are_floats(call):
        return (Part("Concatenate", {"axis": axis}),)
    return _called(call, shapes)


@operation("mean", "max")
def _pooled(call: Call, shapes: Shapes) -> Parts:
    """Global pooling, where all axes go but the first and the last."""
    ndim = len(shapes[call.inputs[0]])
    axis: Any = call.operation.axis
    axes = sorted(one % ndim for one in ((axis,) if isinstance(axis, int) else axis or ()))
    begins = getattr(call.operation, "initial", None) is not None
    if not begins and ndim in (3, 4, 5) and axes == list(range(1, ndim - 1)) and _are_floats(call):
        kind = "Average" if function_name(call.operation) == "mean" else "Max"
        settings = {"keepdims": call.operation.keepdims, "data_format": "channels_last"}
        return (Part(f"Global{kind}Pooling{ndim - 2}D", settings),)
    return _called(call, shapes)


@operation("CustomScaleLayer")
def _scaled_sum(call: Call, shapes: Shapes) -> Parts:
    """The layer of Inception-ResNet: the first input, and the second one times a number."""
    return (
        Part("Rescaling", {"scale": call.operation.scale}, suffix="_scale", reads=(1,)),
        Part("Add", reads=(0, 2)),
    )
