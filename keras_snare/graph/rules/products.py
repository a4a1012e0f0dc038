"""Products of tensors, and dense layers that are given as an equation."""

import keras

from keras_snare.graph.channels import AxisLabels, Labels
from keras_snare.graph.rules.activation import activated
from keras_snare.graph.rules.dense import adapter_wall
from keras_snare.graph.rules.operands import operands
from keras_snare.graph.rules.table import operation, row
from keras_snare.graph.view import CallView

layers = keras.layers


def contract(view: CallView, tensors: list[tuple[tuple, AxisLabels]], letters: list[str], out: str):
    """Labels of a sum of products in Einstein's notation; equal letters are cut together.

    Args:
        view: the call.
        tensors: shape and labels by axis of each factor.
        letters: one letter per axis of each factor.
        out: the letters of the result.
    """
    held: dict[str, Labels] = {}
    fixed: set[str] = set()
    for (shape, axes), names in zip(tensors, letters, strict=True):
        for axis, (size, letter) in enumerate(zip(shape, names, strict=True)):
            labels = axes.get(axis)
            if labels is None:
                fixed |= {letter} if size != 1 else set()
            elif letter in held and len(held[letter]) == len(labels):
                view.space.join(held[letter], labels)
                view.contracted += [labels] if letter not in out else []
            elif letter in held:
                view.space.freeze_all({0: labels, 1: held[letter]}, f"{view.name} spreads it")
            else:
                held[letter] = labels
    for letter in fixed & held.keys():
        view.space.freeze(held[letter], f"{view.name} multiplies it with a tensor of fixed width")
    return {axis: held[letter] for axis, letter in enumerate(out) if letter in held}


def _count(view: CallView, tensors, letters: list[str]) -> None:
    sizes: dict[str, int] = {}
    held: dict[str, Labels] = {}
    for (shape, axes), names in zip(tensors, letters, strict=True):
        for axis, (size, letter) in enumerate(zip(shape, names, strict=True)):
            sizes[letter] = max(sizes.get(letter, 1), size or 1) if axis else 1
            held.update({letter: axes[axis]} if axis in axes else {})
    factors = [held.get(letter, size) for letter, size in sizes.items()]
    view.count(2, *factors)


@operation("matmul")
def matrix_product(view: CallView):
    tensors = [(one.shape, one.axes) for one in operands(view)]
    one, other = (len(shape) for shape, _ in tensors)
    if min(one, other) < 2:
        view.freeze_other_axes((), "multiplies it with a vector")
        return [{}]
    batch = "abcdefghijklmnop"[: max(one, other) - 2]
    letters = [f"{batch[len(batch) - one + 2 :]}xy", f"{batch[len(batch) - other + 2 :]}yz"]
    _count(view, tensors, letters)
    return [contract(view, tensors, letters, f"{batch}xz")]


@operation("einsum")
def einsum(view: CallView):
    tensors = [(one.shape, one.axes) for one in operands(view)]
    sides = view.layer.subscripts.replace(" ", "").split("->")
    letters = sides[0].split(",")
    if len(sides) < 2 or "." in view.layer.subscripts:
        view.freeze_other_axes((), "is an equation that names not every axis")
        return [{}]
    _count(view, tensors, letters)
    return [contract(view, tensors, letters, sides[1])]


@row(layers.Dot)
def dot(view: CallView):
    axes = view.layer.axes
    axes = (axes, axes) if isinstance(axes, int) else axes
    tensors = list(zip(view.input_shapes, view.inputs, strict=True))
    letters, left = [], []
    for (shape, _), names, axis in zip(tensors, ("abcdefgh", "astuvwxy"), axes, strict=True):
        own = list(names[: len(shape)])
        own[axis % len(shape)] = "z"
        letters.append("".join(own))
        left += [letter for letter in own[1:] if letter != "z"]
    _count(view, tensors, letters)
    return [contract(view, tensors, letters, f"a{''.join(left)}"[: len(view.output_shapes[0])])]


@row(layers.EinsumDense)
def einsum_dense(view: CallView):
    layer = view.layer
    if adapter_wall(view):
        return [{}]
    read, kernel, made = equation_of(layer, len(view.input_shapes[0]))
    axes: AxisLabels = {}
    counted: dict[str, Labels | int] = {}
    for axis, letter in enumerate(read):
        labels = view.inputs[0].get(axis)
        counted[letter] = (
            view.positions((1, view.input_shapes[0][axis])) if labels is None else labels
        )
        if letter not in kernel:
            axes.update({} if labels is None else {made.index(letter): labels})
        elif letter in made:
            view.bind(layer.kernel, kernel.index(letter), labels)
            axes.update({} if labels is None else {made.index(letter): labels})
        else:
            view.read(layer.kernel, kernel.index(letter), axis)
    new = [letter for letter in kernel if letter not in read]
    for letter in new:
        at = kernel.index(letter)
        kind = letter if len(new) > 1 else ""
        labels = view.produce(int(layer.kernel.shape[at]), (layer.kernel, at), kind=kind)
        counted[letter] = axes[made.index(letter)] = labels
    _bind_bias(view, made, axes)
    counted[read[0]] = 1
    view.count(2, *counted.values())
    return [activated(view, layer.activation, axes)]


def _bind_bias(view: CallView, made: str, axes: AxisLabels) -> None:
    """The bias has the sizes of its letters, and 1 between them."""
    bias = view.layer.bias
    if bias is None:
        return
    for at in range(len(bias.shape)):
        axis = at - len(bias.shape) + len(made)
        if made[axis] in view.layer.bias_axes:
            view.bind(bias, at, axes.get(axis))


def equation_of(layer: keras.layers.Layer, ndim: int) -> tuple[str, str, str]:
    """Returns the letters of input, kernel and output of an EinsumDense, without an ellipsis."""
    given, made = layer.equation.replace(" ", "").split("->")
    read, kernel = given.split(",")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    dots = letters[: ndim - len(read.replace("...", ""))]
    return read.replace("...", dots), kernel, made.replace("...", dots)
