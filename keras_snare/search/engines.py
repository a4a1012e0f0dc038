"""Who makes the trials of `compress`: this process, or workers."""

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from keras_snare.arguments import check_count, is_number
from keras_snare.search.ray_engine import RayEngine

ENGINES = ("serial", "ray")


@dataclass(frozen=True)
class Workers:
    """The arguments of `compress` that are about workers.

    Args:
        engine: `"serial"` or `"ray"`.
        count: int, trials that are made at once.
        cpus: float, processors of a worker.
        gpus: float, GPUs of a worker.
        address: str or None, of a Ray cluster.

    Raises:
        ValueError, TypeError: for the first one that is out of range.
    """

    engine: str
    count: int
    cpus: float
    gpus: float
    address: str | None

    def __post_init__(self) -> None:
        if not isinstance(self.engine, str) or self.engine not in ENGINES:
            raise ValueError(f"`engine` is 'serial' or 'ray'. Received: engine={self.engine!r}")
        check_count("workers", self.count)
        for name, share in (("worker_cpus", self.cpus), ("worker_gpus", self.gpus)):
            if not is_number(share) or not 0 <= share < float("inf"):
                raise ValueError(f"`{name}` is a number, 0 or more. Received: {name}={share!r}")
        if not isinstance(self.address, (str, type(None))):
            raise TypeError(
                "`ray_address` is an address as ray.init takes it, or None. Received: "
                f"ray_address={self.address!r}"
            )
        told = (self.count, self.cpus, self.gpus, self.address)
        if self.engine == "serial" and told != (1, 1, 0, None):
            raise ValueError(
                "engine='serial' makes one trial at a time, in this process. Received: workers="
                f"{self.count}, worker_cpus={self.cpus}, worker_gpus={self.gpus}, ray_address="
                f"{self.address!r}. Give engine='ray' (pip install keras-snare[ray])."
            )

    @contextmanager
    def engaged(self) -> Any:
        """Gives the engine while the search goes on, None for this process."""
        if self.engine == "serial":
            yield None
            return
        with RayEngine(self.count, self.cpus, self.gpus, self.address) as engine:
            yield engine
