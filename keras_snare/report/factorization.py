"""What became of the layers of a model that was factorised, for people and for programs."""

import json
from dataclasses import asdict, dataclass

from rich.table import Table

from keras_snare.graph.cost import rendered


@dataclass(frozen=True)
class FactorRow:
    """One layer.

    Args:
        layer: str, its name.
        method: str, how it was factorised: `"svd"`, `"tucker"` or `"spatial"`; empty where it was
            left alone.
        ranks: tuple of int, widths in its middle.
        params_before, params_after: int, parameters of the layer, and of those that stand for it.
        error: float, the relative error: of the kernel, or where there were data of what the layer
            computed on them before its bias; of a layer with a bias, about the mean.
        reason: str, why it was left alone.
        sensitivity: float or None, how much the loss rises per share of the layer's energy that is
            lost, where that was measured.
    """

    layer: str
    method: str
    ranks: tuple[int, ...]
    params_before: int
    params_after: int
    error: float
    reason: str = ""
    sensitivity: float | None = None


@dataclass(frozen=True)
class FactorizeReport:
    """What became of every layer that has a matrix for a weight.

    Args:
        rows: one per layer.
        params_before, params_after: int, parameters of the whole model.
    """

    rows: tuple[FactorRow, ...]
    params_before: int
    params_after: int

    def to_json(self) -> str:
        """Returns every figure as a JSON object."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        names = ("layer", "method", "rank", "parameters", "error")
        table = Table(*names, box=None, pad_edge=False)
        for one in self.rows:
            ranks = ", ".join(map(str, one.ranks))
            params = f"{one.params_before:,} -> {one.params_after:,}"
            last = (ranks, params, f"{one.error:.3f}") if one.method else ("", "", one.reason)
            table.add_row(one.layer, one.method or "-", *last)
        ratio = self.params_before / self.params_after
        total = f"parameters {self.params_before:,} -> {self.params_after:,}"
        return f"{rendered(table)}\n{total} ({ratio:.2f} times fewer)"
