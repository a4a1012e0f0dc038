"""What a model costs: parameters, floating-point operations, bytes."""

import json
from dataclasses import asdict, dataclass
from io import StringIO

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from keras_snare.graph.groups import ChannelGroup, ChannelGroups, channel_groups
from keras_snare.graph.view import axis_key
from keras_snare.records import GroupSize


@dataclass(frozen=True)
class LayerCost:
    """Cost of one layer: parameters, FLOPs for one example, bytes of its variables."""

    layer: str
    params: int
    flops: int
    bytes: int


@dataclass(frozen=True)
class ModelCost:
    """Cost of a model, per layer and in all; printing it gives a table.

    Args:
        layers: one `LayerCost` per layer, in the order of the graph.
        params: int, equal to `model.count_params()`.
        flops: int, for one example, a multiply-add counted as two. A size that is not known, such
            as the length of a sequence, counts as one.
        bytes: int, of all variables in their stored types.
    """

    layers: tuple[LayerCost, ...]
    params: int
    flops: int
    bytes: int

    def to_json(self) -> str:
        """Returns the figures as a JSON object."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        table = Table()
        table.add_column("layer")
        for name in ("parameters", "FLOPs", "bytes"):
            table.add_column(name, justify="right")
        for row in self.layers:
            table.add_row(row.layer, f"{row.params:,}", f"{row.flops:,}", f"{row.bytes:,}")
        table.add_section()
        table.add_row("in all", f"{self.params:,}", f"{self.flops:,}", f"{self.bytes:,}")
        return rendered(table)


def rendered(table: Table) -> str:
    """Returns a rich table as text."""
    text = StringIO()
    Console(file=text, width=120).print(table)
    return text.getvalue().rstrip("\n")


def cost(model: keras.Model) -> ModelCost:
    """Counts what a model costs, layer by layer.

    Args:
        model: a built Keras model: Sequential, functional, or subclassed with a `call` that runs on
            symbolic inputs.

    Returns:
        `ModelCost`. FLOPs are those of one example in inference, a multiply-add counted as two;
        layers without a rule count no FLOPs.

    Raises:
        UnsupportedModelError: when no graph of the model is to be had.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8)])
    >>> keras_snare.cost(model).params, keras_snare.cost(model).flops
    (40, 72)
    """
    return model_cost(channel_groups(model))


def model_cost(groups: ChannelGroups) -> ModelCost:
    """The same from channel groups that are at hand."""
    flops: dict[str, int] = {}
    for work in groups.work:
        amount = work.count * int(np.prod([len(factor) for factor in work.factors]))
        flops[work.layer] = flops.get(work.layer, 0) + amount
    layers = {call.name: call.layer for call in groups.calls}
    rows, counted = [], set()
    for name, layer in layers.items():
        weights = [] if id(layer) in counted else getattr(layer, "weights", [])
        counted.add(id(layer))
        rows.append(
            LayerCost(
                name,
                sum(_size(weight) for weight in weights),
                flops.get(name, 0),
                sum(_size(weight) * _item_bytes(weight.dtype) for weight in weights),
            )
        )
    name, outside = groups.outside
    if outside:
        size = sum(_size(weight) * _item_bytes(weight.dtype) for weight in outside)
        rows.append(LayerCost(name, sum(_size(weight) for weight in outside), 0, size))
    return ModelCost(
        tuple(rows),
        sum(row.params for row in rows),
        sum(row.flops for row in rows),
        sum(row.bytes for row in rows),
    )


def _size(variable) -> int:
    return int(np.prod(tuple(variable.shape), dtype=np.int64))


def _item_bytes(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def saving(groups: ChannelGroups, removed: np.ndarray) -> tuple[int, int]:
    """Returns the parameters and FLOPs that go when the channels `removed` (roots) go."""
    kept: dict[int, dict[int, float]] = {}
    variables = {}
    for binding in groups.bindings:
        stay = groups.kept(binding.labels, removed)
        if not stay.all():
            variables[id(binding.variable)] = binding.variable
            _, axis = axis_key(binding.variable, binding.axis)
            kept.setdefault(id(binding.variable), {})[axis] = float(stay.mean())
    params = sum(
        round(_size(variable) * (1 - float(np.prod(list(kept[key].values())))))
        for key, variable in variables.items()
    )
    flops = 0
    for work in groups.work:
        sizes = [(len(factor), int(groups.kept(factor, removed).sum())) for factor in work.factors]
        before = int(np.prod([size for size, _ in sizes]))
        flops += work.count * (before - int(np.prod([size for _, size in sizes])))
    return params, flops


def group_sizes(groups: ChannelGroups) -> dict[str, GroupSize]:
    """Returns, per prunable group, what a policy needs to know."""

    def size(group: ChannelGroup) -> GroupSize:
        return GroupSize(group.width, *saving(groups, group.roots), group.removable)

    return {group.name: size(group) for group in groups.prunable()}
