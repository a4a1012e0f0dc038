"""Strategies whose variables we cannot cut are refused before anything changes."""

import json
import os
import socket
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf
from fitting import digit_model, leftovers, short_fit, widths
from replicas import in_another_process, script
from training import flat_digits, same

import keras_snare
from keras_snare import UnsupportedModelError

DATA = flat_digits(200, 100)
HALF = keras_snare.Masks({"hidden1/kernel": np.arange(64 * 16).reshape(64, 16) % 2 == 0})


def fitting(make):
    return lambda model: short_fit(model, [make()], epochs=3)


CALLS = {
    "snare": fitting(lambda: keras_snare.SnareCallback(0.05)),
    "ranks": fitting(lambda: keras_snare.RankReduceCallback(0.05)),
    "magnitude": fitting(lambda: keras_snare.MagnitudePruneCallback(0.5, end_epoch=1)),
    "units": fitting(lambda: keras_snare.MagnitudePruneCallback(0.5, end_epoch=1, structured=True)),
    "synflow": fitting(lambda: keras_snare.SynFlowCallback(0.5)),
    "lottery": fitting(lambda: keras_snare.LotteryTicketCallback(rounds=2)),
    "hold": fitting(lambda: keras_snare.HoldMasksCallback(HALF)),
    "clusters": fitting(lambda: keras_snare.ClusterCallback(8)),
    "teacher": fitting(lambda: keras_snare.DistillationCallback("self")),
    "rate": fitting(lambda: keras_snare.RateCallback(0.03)),
    "integers": fitting(lambda: keras_snare.QuantizeAwareCallback(1, engine="keras")),
    "frequencies": fitting(lambda: keras_snare.SpectralPruneCallback(8, end_epoch=1)),
    "compress": lambda model: keras_snare.compress(model, *DATA, verbose=0),
    "prune": lambda model: keras_snare.prune(model, 0.5),
    "shrink": lambda model: keras_snare.shrink(model, {"hidden1": range(8)}),
}


def assert_refused(model, call, name):
    before = model.get_weights()
    with pytest.raises(UnsupportedModelError, match=f"MirroredStrategy or OneDev.*of a {name}"):
        call(model)
    assert same(model.get_weights(), before)
    assert widths(model) == [16, 12, 10]
    assert leftovers(model) == []


@pytest.mark.parametrize("name", CALLS)
def test_central_storage(name):
    with tf.distribute.experimental.CentralStorageStrategy(["CPU:0"]).scope():
        model = digit_model()
    assert_refused(model, CALLS[name], "CentralStorageStrategy")


def test_one_device():
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        model = digit_model()
    keras_snare.prune(model, 0.5)
    short_fit(model, [], epochs=1)
    assert widths(model) == [8, 6, 10]


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def check_parameter_servers():
    jobs = ("worker", "ps", "chief")
    cluster = tf.train.ClusterSpec({job: [f"127.0.0.1:{_port()}"] for job in jobs})
    servers = [tf.distribute.Server(cluster, job_name=job, protocol="grpc") for job in jobs[:2]]
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(cluster, rpc_layer="grpc")
    strategy = tf.distribute.ParameterServerStrategy(resolver)
    with strategy.scope():
        model = digit_model()
    for name in ("compress", "prune"):
        assert_refused(model, CALLS[name], "ParameterServerStrategyV2")
    assert len(servers) == 2
    os._exit(0)  # TensorFlow has no way to stop its servers.


@pytest.mark.slow
def test_parameter_servers():
    in_another_process(__file__, "check_parameter_servers()", first="")


# It has to be made before TensorFlow does anything else.
_WORKERS = """
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
"""


def check_one_worker(strategy):
    """Keras trains where there is but one, so that a callback is heard."""
    with strategy.scope():
        model = digit_model()
    short_fit(model, [], epochs=1)
    for name in ("snare", "magnitude", "compress"):
        assert_refused(model, CALLS[name], "MultiWorkerMirroredStrategy")


@pytest.mark.slow
def test_one_worker():
    in_another_process(__file__, "check_one_worker(strategy)", first=_WORKERS)


def check_worker(strategy):
    """Plain Keras fails before it calls any callback; what takes a model refuses it."""
    with strategy.scope():
        model = digit_model()
    assert model.distribute_strategy.num_replicas_in_sync == 2
    with pytest.raises(ValueError, match="PerReplica"):
        model.fit(*DATA[0], batch_size=50, shuffle=False, verbose=0)
    for name in ("compress", "prune"):
        assert_refused(model, CALLS[name], "MultiWorkerMirroredStrategy")


@pytest.mark.slow
def test_several_workers():
    """Where this fails, Keras may have learned to train so, and more is to be had."""
    workers = [f"127.0.0.1:{_port()}" for _ in range(2)]
    running = []
    try:
        for index in range(2):
            task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
            environment = {**os.environ, "TF_CONFIG": json.dumps(task)}
            command = script(__file__, "check_worker(strategy)", _WORKERS)
            running.append(
                subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
            )
        for one in running:
            errors = one.communicate(timeout=900)[1]
            assert one.returncode == 0, errors
    finally:
        for one in running:
            one.kill()
            one.wait()


def test_default_strategy_is_none_at_all():
    model = digit_model()
    assert model.distribute_strategy.num_replicas_in_sync == 1
    keras_snare.prune(model, 0.5)
    assert keras.backend.backend() == "tensorflow"
    assert widths(model) == [8, 6, 10]
