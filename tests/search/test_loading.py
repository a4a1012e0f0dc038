"""Accepted networks that come back from the directory of a run."""

import keras
import numpy as np
import pytest
from fitting import Spy, digit_model
from resuming import killed_run, run, snare
from training import flat_digits

import keras_snare
from keras_snare import SnapshotError, UnsupportedModelError, load_candidate


class Networks(keras.callbacks.Callback):
    """Keeps the weights that a trial begins with, by how many networks were accepted before."""

    def __init__(self, callback):
        super().__init__()
        self.callback, self.weights = callback, {}

    def on_epoch_end(self, epoch, logs=None):
        search = self.callback._run._search
        if search.trial is not None:
            values = search.trial.snapshot.held_values()[: len(self.model.weights)]
            self.weights[search.report.accepted] = [np.asarray(one) for one in values]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    callback = snare(folder)
    networks = Networks(callback)
    model = run(callback, networks)
    return folder, callback.report, model, networks.weights


def test_the_smallest_is_the_model_that_fit_left(finished):
    folder, report, model, _ = finished
    found = load_candidate(folder)
    x, _ = flat_digits(200, 100)[1]
    assert report.accepted
    np.testing.assert_array_equal(found.predict(x, verbose=0), model.predict(x, verbose=0))
    assert found.count_params() == report.params_after
    assert found.optimizer is not None


def test_every_network_comes_back_as_it_was(finished):
    folder, report, _, weights = finished
    assert len(weights) > 1
    for number, expected in weights.items():
        found = load_candidate(folder, number)
        assert found.count_params() == report.candidates()[number].params
        assert all(np.array_equal(a, b) for a, b in zip(found.get_weights(), expected, strict=True))


def test_the_best_has_the_best_metric(finished):
    folder, report, _, _ = finished
    best = max(report.candidates(), key=lambda one: (one.metric, -one.params))
    found = load_candidate(folder, "best")
    metric = found.evaluate(*flat_digits(200, 100)[1], verbose=0, return_dict=True)["accuracy"]
    assert found.count_params() == best.params
    assert metric == pytest.approx(best.metric)


def test_what_comes_back_trains_on(finished):
    found = load_candidate(finished[0], 1)
    history = found.fit(*flat_digits(200, 100)[0], epochs=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_a_given_model_is_cut_in_place(finished):
    folder, report, _, _ = finished
    keras.utils.clear_session(free_memory=False)
    model = digit_model()
    assert load_candidate(folder, model=model) is model
    assert model.count_params() == report.params_after


def test_another_model_stays_as_it_is(finished):
    model = digit_model()
    before = model.get_weights()
    model.layers[-1].activation = keras.activations.relu
    with pytest.raises(SnapshotError, match="run of another model"):
        load_candidate(finished[0], model=model)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))


@pytest.mark.slow
def test_a_run_that_was_killed_has_its_networks(tmp_path):
    killed_run(snare(tmp_path, warmup_epochs=1), "on_epoch_end", 4)
    assert load_candidate(tmp_path, 0).count_params() == digit_model().count_params()


@pytest.mark.slow
def test_inputs_that_were_cut_stay_cut(tmp_path):
    callback = snare(tmp_path, prune_inputs=True, layers=[], eps=0.9)
    model = run(callback)
    assert any(type(layer) is keras_snare.layers.FeatureSelection for layer in model.layers)
    x, _ = flat_digits(200, 100)[1]
    np.testing.assert_array_equal(
        load_candidate(tmp_path).predict(x, verbose=0), model.predict(x, verbose=0)
    )


@pytest.mark.parametrize("which", ["largest", -1, 1.0, True, None, [1]])
def test_a_wrong_choice_is_told(finished, which):
    with pytest.raises(ValueError, match="`which` is 'smallest', 'best', or the number"):
        load_candidate(finished[0], which)


def test_a_number_past_the_last_is_told(finished):
    with pytest.raises(ValueError, match=f"from 0 to {finished[1].accepted}"):
        load_candidate(finished[0], 1000)


def test_a_folder_without_a_run_is_told_and_not_made(tmp_path):
    with pytest.raises(SnapshotError, match="there is no run"):
        load_candidate(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_a_run_in_its_warm_up_is_told(tmp_path):
    killed_run(snare(tmp_path), "on_epoch_end", 1)
    with pytest.raises(SnapshotError, match="the search had not begun"):
        load_candidate(tmp_path)


@pytest.mark.slow
def test_a_damaged_array_is_told(tmp_path):
    run(snare(tmp_path, warmup_epochs=1), epochs=3)
    for file in (tmp_path / "arrays").iterdir():
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(SnapshotError, match="its checksum differs"):
        load_candidate(tmp_path, 0)


@pytest.mark.slow
def test_a_class_that_keras_cannot_build_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(
        keras.Model, "get_config", lambda self: (_ for _ in ()).throw(NotImplementedError)
    )
    spy = Spy()
    run(snare(tmp_path, warmup_epochs=1), spy, epochs=3)
    with pytest.raises(UnsupportedModelError, match="Give `model`"):
        load_candidate(tmp_path, 0)
    assert spy.logs
