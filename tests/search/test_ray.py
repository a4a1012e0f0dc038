"""Trials on a real Ray: one machine, two nodes, and what dies."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import keras
import pytest
from fitting import digit_model
from training import flat_digits, same, state_of

from keras_snare import EngineError, compress

ray = pytest.importorskip("ray", reason="Ray is not installed")
TRAIN, VALIDATION = flat_digits(200, 100)
SETTINGS = {
    "eps": 0.03,
    "retrain_epochs": 2,
    "max_trials": 5,
    "warmup_epochs": 3,
    "verbose": 0,
    "batch_size": 50,
    "seed": 3,
}


def searched(fit=None, **options):
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    model = digit_model(run_eagerly=True)
    _, report = compress(model, TRAIN, VALIDATION, **{**SETTINGS, "fit": fit, **options})
    return state_of(model), json.loads(report.to_json())


@pytest.fixture(scope="module")
def alone():
    return searched()


def test_two_workers_find_what_one_process_finds(alone):
    assert not ray.is_initialized()
    state, report = searched(engine="ray", workers=2, worker_cpus=0.5)
    assert not ray.is_initialized()
    assert report == alone[1]
    assert same(state, alone[0])


def deadly(marker, times):
    """A training epoch whose process is killed in the third trial, a few times."""

    def fit(model, train, epoch):
        if epoch >= 5 and len(list(marker.iterdir())) < times:
            (marker / str(os.getpid())).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return model.fit(*train, batch_size=50, initial_epoch=epoch, epochs=epoch + 1, verbose=0)

    return fit


@pytest.mark.slow
def test_a_trial_whose_worker_dies_is_made_again(alone, tmp_path):
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        state, report = searched(deadly(tmp_path, 2), engine="ray")
        assert ray.is_initialized()
    finally:
        ray.shutdown()
    assert len(list(tmp_path.iterdir())) == 2
    assert report == alone[1]
    assert same(state, alone[0])


@pytest.mark.slow
def test_a_trial_that_kills_every_worker_ends_the_search(alone, tmp_path):
    keras.utils.set_random_seed(1)
    with pytest.raises(EngineError, match="4 times"):
        searched(deadly(tmp_path, 99), engine="ray")
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.slow
def test_a_node_that_goes_away_does_not_end_the_search(alone, tmp_path):
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    marks = tmp_path / "marks"
    marks.mkdir()

    def fit(model, train, epoch):
        if epoch >= 3:  # Those before are trained by the process that drives.
            (marks / f"{ray.get_runtime_context().get_node_id()} {epoch}").touch()
            time.sleep(0.5)
        return model.fit(*train, batch_size=50, initial_epoch=epoch, epochs=epoch + 1, verbose=0)

    def take_away():
        """Takes the first node away that has a trial under way."""
        while not (found := [one.name.split()[0] for one in marks.iterdir()]):
            time.sleep(0.01)
        gone = next(one for one in nodes if one.node_id in found)
        cluster.remove_node(gone, allow_graceful=False)
        nodes.remove(gone)

    try:
        ray.init(cluster.address, log_to_driver=False)
        watch = threading.Thread(target=take_away)
        watch.start()
        state, report = searched(fit, engine="ray", workers=2, directory=tmp_path / "run")
        watch.join()
        assert sum(one["Alive"] for one in ray.nodes()) == 2
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert len(nodes) == 1
    assert report == alone[1]
    assert same(state, alone[0])


@pytest.mark.slow
def test_what_a_program_defines_itself_goes_to_the_workers():
    program = Path(__file__).with_name("program_on_ray.py")
    ran = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "done" in ran.stdout
    assert "trial 1: dense 12 -> " in ran.stdout
