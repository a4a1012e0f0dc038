"""Trials on the processes and machines of a Ray cluster."""

import os
from typing import Any

import keras

from keras_snare.errors import EngineError
from keras_snare.records import TrialRow
from keras_snare.search.remote_job import Job, check_job
from keras_snare.search.remote_trial import Accepted, Network, Order, make_trial

_PASSED_ON = ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS")
_RETRIES = 3


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            "engine='ray' needs the package ray. Received: none installed. Install it with "
            "pip install keras-snare[ray]."
        ) from error
    return ray


class RayEngine:
    """Makes trials as tasks of Ray.

    A running Ray is used, or one is started, which ends with the engine. The job and each network
    go once to each node, through Ray's object store. Tasks whose worker or node dies are made
    again, elsewhere if need be.

    Args:
        workers: int, trials that are made at once.
        cpus: float, processors of a worker; its threads are as many, and one at least.
        gpus: float, GPUs of a worker.
        address: str or None, of a cluster, as `ray.init` takes it.

    Raises:
        ImportError: when Ray is not installed.
        ValueError: when the machine has not so many processors or GPUs.
    """

    def __init__(self, workers: int, cpus: float, gpus: float, address: str | None) -> None:
        self._ray = _ray()
        self.workers = workers
        self._shares = {"num_cpus": cpus, "num_gpus": gpus}
        self._address = address
        self._started = False
        self._job: Any = None

    def __enter__(self) -> "RayEngine":
        ray = self._ray
        if not ray.is_initialized():
            local = self._address is None and "RAY_ADDRESS" not in os.environ
            quiet = {"include_dashboard": False} if local else {}
            ray.init(self._address, logging_level="warning", log_to_driver=False, **quiet)
            self._started = True
        try:
            self._check_shares()
        except BaseException:
            self.__exit__()
            raise
        threads = str(max(int(self._shares["num_cpus"]), 1))
        variables = {
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            "KERAS_BACKEND": keras.backend.backend(),
            **dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), threads),
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads),
        }
        environment = {"env_vars": variables}
        self._options = {**self._shares, "max_retries": _RETRIES, "runtime_env": environment}
        return self

    def __exit__(self, *_: Any) -> None:
        if self._started:
            self._ray.shutdown()
            self._started = False

    def _check_shares(self) -> None:
        """Nothing would ever be begun on a cluster none of whose nodes has what a worker wants."""
        nodes = [one["Resources"] for one in self._ray.nodes() if one["Alive"]]
        for name, argument in (("CPU", "worker_cpus"), ("GPU", "worker_gpus")):
            wanted = self._shares[f"num_{name.lower()}s"]
            most = max((one.get(name, 0) for one in nodes), default=0)
            if wanted > most:
                raise ValueError(
                    f"No node of the Ray cluster has the {name}s of a worker. Received: "
                    f"{argument}={wanted:g}, where the largest node has {most:g}."
                )

    def check(self, job: Job) -> None:
        try:
            self._job = self._ray.put(job)
        except Exception as error:  # Each type that cannot be pickled has errors of its own.
            raise TypeError(
                f"Something that was given cannot be sent to other processes ({error}). Data that "
                "cannot, such as a tf.data.Dataset, are opened there: give a function that returns "
                "them."
            ) from error
        self._get(self._ray.remote(check_job).options(**self._options).remote(self._job))

    def share(self, network: Network) -> Any:
        return self._ray.put(network)

    def submit(self, network: Any, order: Order, name: str) -> Any:
        make = self._ray.remote(make_trial).options(name=name, num_returns=2, **self._options)
        return make.remote(self._job, network, order)

    def wait(self, trials: list[Any]) -> list[Any]:
        of = {row: trial for trial in trials for row in trial[:1]}
        done, _ = self._ray.wait(list(of), fetch_local=False)
        return [of[row] for row in done]

    def row(self, trial: Any) -> TrialRow:
        return self._get(trial[0])

    def network(self, trial: Any) -> Accepted:
        return self._get(trial[1])

    def cancel(self, trial: Any) -> None:
        self._ray.cancel(trial[0])

    def _get(self, reference: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError:
            raise  # What the task itself raised, and of its type.
        except errors.RayError as error:
            raise EngineError(
                f"A trial could not be made on any worker, {_RETRIES + 1} times ({error}). Where "
                "memory is short, give fewer workers or a greater share of a machine to each."
            ) from error
