"""Two models side by side, for people and for programs."""

import json
from dataclasses import asdict, dataclass, field

from rich.table import Table

from keras_snare.graph.cost import rendered
from keras_snare.report.figures import finite


@dataclass(frozen=True)
class Latency:
    """How long one run took, in milliseconds.

    Args:
        median: float, half of the runs took less.
        low, high: float, a quarter of the runs took less than `low`, a quarter more than `high`.
    """

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class ModelFigures:
    """What one model costs and achieves.

    Args:
        params, flops: int, parameters, and floating-point operations for one example.
        bytes: dictionary from a kind of file, `".keras"`, `".tflite"` or `".snare"`, to its size.
        metrics: dictionary from the name of a metric to its value on the data; empty without data.
        latency: dictionary from what ran it, `"keras"`, `"saved_model"` or `"litert"`, to its time.
    """

    params: int
    flops: int
    bytes: dict[str, int] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    latency: dict[str, Latency] = field(default_factory=dict)


@dataclass(frozen=True)
class CompareReport:
    """Two models, measured in turn; printing it gives a table.

    Args:
        before, after: `ModelFigures` of the two.
        batch_size: int, how many examples a run computed.
        repeats: int, how many runs of each were timed, after three that were not.
        litert_threads: int, threads that LiteRT was given.
        tensorflow_threads: int, threads that TensorFlow computes an operation of Keras and of the
            SavedModel with.
        notes: what could not be measured, and why.
    """

    before: ModelFigures
    after: ModelFigures
    batch_size: int
    repeats: int
    litert_threads: int
    tensorflow_threads: int
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """Returns the figures as a table, and below it how they were measured."""
        table = Table()
        table.add_column("")
        for name in ("before", "after", "ratio"):
            table.add_column(name, justify="right")
        for words in self._rows():
            table.add_row(*words)
        threads = f"LiteRT {self.litert_threads}, TensorFlow {self.tensorflow_threads}"
        how = (
            f"Latency: median of {self.repeats} runs in turn, {self.batch_size} example(s) at a "
            f"time; threads: {threads}."
        )
        return "\n".join([rendered(table), *([how] if self.before.latency else []), *self.notes])

    def to_json(self) -> str:
        """Returns every figure as a JSON object; what is not finite is null."""
        figures = asdict(self)
        for one in ("before", "after"):
            figures[one]["metrics"] = finite(figures[one]["metrics"])
        return json.dumps(figures, allow_nan=False)

    def __str__(self) -> str:
        return self.summary()

    def _rows(self) -> list[tuple[str, ...]]:
        pairs = [
            ("parameters", self.before.params, self.after.params),
            ("FLOPs", self.before.flops, self.after.flops),
            *_paired(self.before.bytes, self.after.bytes, "bytes of {}"),
        ]
        rows: list[tuple[str, ...]] = [
            (name, _count(old), _count(new), _ratio(old, new)) for name, old, new in pairs
        ]
        for name, old, new in _paired(self.before.metrics, self.after.metrics, "{}"):
            rows.append((name, _metric(old), _metric(new), ""))
        for name, old, new in _paired(self.before.latency, self.after.latency, "ms, {}"):
            times = [None if one is None else one.median for one in (old, new)]
            rows.append((name, *map(_time, times), _ratio(*times)))
        return rows


def _paired(before: dict, after: dict, form: str) -> list[tuple]:
    names = dict.fromkeys([*before, *after])
    return [(form.format(name), before.get(name), after.get(name)) for name in names]


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _metric(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"


def _time(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _ratio(before: float | None, after: float | None) -> str:
    return f"{before / after:.2f}" if before is not None and after else ""
