"""What is in a .tflite file, for people and for programs."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class LiteRTReport:
    """A .tflite file that was written, and what it was measured at.

    Args:
        path: str, where it is.
        quantize: str or None, how its numbers were made smaller.
        bytes: int, its size.
        difference: float, the greatest one from Keras, as a share of the greatest output.
        examples: int, how many examples showed it.
        representative: bool, whether these were of the user's data; otherwise they were random.
        latency_ms: float, median time of one run, for `batch_size` examples.
        threads: int, how many threads it was given.
        batch_size: int, how many examples it takes at a time.
        inputs, outputs: names in the file's signature, `"serving_default"`, in Keras's order.
    """

    path: str
    quantize: str | None
    bytes: int
    difference: float
    examples: int
    representative: bool
    latency_ms: float
    threads: int
    batch_size: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def to_json(self) -> str:
        """Returns every figure as a JSON object."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        data = "representative" if self.representative else "random"
        return "\n".join(
            [
                f"{self.path}: {self.bytes:,} bytes, quantize={self.quantize!r}",
                f"difference from Keras {self.difference:.1e} of the greatest output, on "
                f"{self.examples} {data} examples",
                f"median latency {self.latency_ms:.3f} ms for {self.batch_size} at a time, "
                f"threads: {self.threads}",
                f"inputs {', '.join(self.inputs)}; outputs {', '.join(self.outputs)}",
            ]
        )
