"""Widths and costs of the layers, before and after a search."""

from dataclasses import dataclass, replace

from keras_snare.graph import ChannelGroups
from keras_snare.graph.cost import ModelCost


@dataclass(frozen=True)
class LayerFigures:
    """One layer before and after a search.

    Args:
        name: str, of the layer; or of what is cut in it, such as `"attention:heads"`, which has a
            width only.
        width_before, width_after: int or None, its units; None where the layer makes none of its
            own.
        params_before, params_after: int, its parameters.
        flops_before, flops_after: int, its operations for one example.
    """

    name: str
    width_before: int | None
    width_after: int | None
    params_before: int
    params_after: int
    flops_before: int
    flops_after: int


def layer_figures(groups: ChannelGroups, cost: ModelCost) -> list[LayerFigures]:
    """Returns the figures of every layer of a network that nothing was cut of yet."""
    widths = _widths(groups)
    costs = {one.layer: (one.params, one.flops) for one in cost.layers}
    names = [*costs, *(name for name in widths if name not in costs)]
    found = []
    for name in names:
        width, (params, flops) = widths.get(name), costs.get(name, (0, 0))
        if width is not None or params or flops:
            found.append(LayerFigures(name, width, width, params, params, flops, flops))
    return found


def figures_after(
    layers: list[LayerFigures], groups: ChannelGroups, cost: ModelCost
) -> list[LayerFigures]:
    """Returns the figures with those of the network as it is now for what they are after it."""
    widths = _widths(groups)
    costs = {one.layer: (one.params, one.flops) for one in cost.layers}
    found = []
    for one in layers:
        params, flops = costs.get(one.name, (0, 0))
        width = widths.get(one.name, one.width_after)
        found.append(replace(one, width_after=width, params_after=params, flops_after=flops))
    return found


def _widths(groups: ChannelGroups) -> dict[str, int]:
    widths: dict[str, int] = {}
    for group in groups:
        for name in [group.name] if group.kind else group.layers:
            widths.setdefault(name, group.width)
    return widths
