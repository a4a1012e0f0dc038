"""What is in a packed file, for people and for programs."""

import json
from dataclasses import asdict, dataclass

from rich.table import Table

from keras_snare.graph.cost import rendered


@dataclass(frozen=True)
class PackedVariable:
    """One variable of a packed file.

    Args:
        path: str, the variable's.
        numbers: int, how many it has.
        form: str, "none" or "dct" for what is rounded, before or after a cosine transform; a number
            of values where there are few; "exact" where every bit is kept.
        step: float or None, the distance of two values that are told apart.
        nonzeros: int, how many numbers are not zero as they are stored.
        bytes: float, what it takes up in the file.
    """

    path: str
    numbers: int
    form: str
    step: float | None
    nonzeros: int
    bytes: float


@dataclass(frozen=True)
class PackReport:
    """A packed file that was written; `str()` of it is a table.

    Args:
        path: str, where it is.
        bytes: int, its size.
        header: int, bytes of sizes and checksums.
        configuration: int, bytes of the model's configuration.
        weights: int, bytes of all variables and of how they are coded.
        before: int, bytes of the variables in the model.
        variables: one `PackedVariable` for each.
        monitor: str or None, the metric that was looked at.
        reference: float or None, what it was before.
        value: float or None, what it is of the packed model.
    """

    path: str
    bytes: int
    header: int
    configuration: int
    weights: int
    before: int
    variables: tuple[PackedVariable, ...]
    monitor: str | None = None
    reference: float | None = None
    value: float | None = None

    def to_json(self) -> str:
        """Returns every figure as a JSON object."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        table = Table()
        table.add_column("variable", overflow="fold")
        for name in ("numbers", "form", "step", "not zero", "bytes", "bits each"):
            table.add_column(name, justify="right")
        for one in self.variables:
            table.add_row(
                one.path,
                f"{one.numbers:,}",
                one.form,
                "-" if one.step is None else f"{one.step:.4g}",
                f"{one.nonzeros:,}",
                f"{one.bytes:,.0f}",
                f"{8 * one.bytes / max(one.numbers, 1):.2f}",
            )
        share = f" (one {self.before / self.bytes:,.0f}th)" if self.bytes < self.before else ""
        lines = [
            rendered(table),
            f"{self.path}: {self.bytes:,} bytes of {self.before:,}{share}: header {self.header}, "
            f"configuration {self.configuration:,}, weights {self.weights:,}",
        ]
        if self.monitor is not None:
            lines.append(f"{self.monitor} {self.value:.4f}, before {self.reference:.4f}")
        return "\n".join(lines)
