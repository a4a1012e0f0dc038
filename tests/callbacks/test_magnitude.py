"""`MagnitudePruneCallback` inside `fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from fitting import leftovers
from training import compiled, dense_model, flat_digits, random_data, residual_model

import keras_snare
from keras_snare import MagnitudePruneCallback, Masks
from keras_snare.callbacks.calendar import Calendar, last_update
from keras_snare.masking import kernels_of

layers = keras.layers


def _fit(model, *callbacks, epochs=5, **options):
    x, y = random_data(model, 32)
    options = {"batch_size": 8, "epochs": epochs, "verbose": 0, **options}
    return model.fit(x, y, callbacks=list(callbacks), **options).history


def _model(units=(8, 8), **options):
    return compiled(dense_model(6, units, 4), **options)


def _zeros(model):
    return Masks.of(model)


class _PerEpoch(keras.callbacks.Callback):
    """Notes the sparsity of the weights at every step."""

    def __init__(self):
        super().__init__()
        self.found = []

    def on_epoch_begin(self, epoch, logs=None):
        self.found.append([])

    def on_train_batch_end(self, batch, logs=None):
        self.found[-1].append(_zeros(self.model).sparsity)


def test_sparsity_follows_the_schedule_and_holds_in_every_step():
    model, seen = _model(), _PerEpoch()
    prune = MagnitudePruneCallback(0.75, schedule="linear", begin_epoch=1, end_epoch=4)
    history = _fit(model, prune, seen, epochs=6)
    expected = [0, 0, 0.25, 0.5, 0.75, 0.75]
    assert history["sparsity"] == pytest.approx(expected, abs=0.02)
    for steps, sparsity in zip(seen.found, history["sparsity"], strict=True):
        assert len(steps) == 4
        assert steps == pytest.approx([sparsity] * 4)
    for name, layer in (("hidden1", 0), ("hidden2", 1), ("digit", 2)):
        kernel = model.layers[layer].kernel
        assert history[f"sparsity_{name}"][-1] == pytest.approx(
            1 - np.count_nonzero(kernel) / keras.ops.size(kernel)
        )
    assert all(np.count_nonzero(layer.bias) for layer in model.layers)
    assert all(np.array_equal(prune.masks[name], found) for name, found in _zeros(model).items())
    assert prune.report is None
    assert leftovers(model) == []


def test_updates_by_step():
    model, seen = _model(), _PerEpoch()
    prune = MagnitudePruneCallback(
        0.8, schedule="linear", end_epoch=2, frequency=3, per="step", scope="global"
    )
    _fit(model, prune, seen, epochs=3)
    # Updates are made after 3 and 6 of 8 steps, and at the beginning of the last epoch.
    steps = np.concatenate(seen.found)
    by_progress = [0, 0, 3, 3, 3, 6, 6, 6, 8, 8, 8, 8]
    assert steps == pytest.approx([0.8 * at / 8 for at in by_progress], abs=0.01)


@pytest.mark.parametrize(
    ("calendar", "expected"),
    [
        (Calendar(0, 4), [(0, 0), (1, 0.25), (2, 0.5), (3, 0.75), (4, 1)]),
        (Calendar(2, 4), [(2, 0), (3, 0.5), (4, 1)]),
        (Calendar(0, 5, 2), [(0, 0), (2, 0.4), (4, 0.8), (5, 1)]),
        (Calendar(3, 3), [(3, 1)]),
        (Calendar(1, 9, once=True), [(1, 1)]),
    ],
    ids=["every", "later", "every_second", "at_once", "once"],
)
def test_calendar_of_epochs(calendar, expected):
    found = [(epoch, calendar.at_epoch(epoch)) for epoch in range(8)]
    assert [(epoch, one) for epoch, one in found if one is not None] == expected
    assert calendar.after_step(9, 1) is None


def test_calendar_of_steps():
    calendar, found = Calendar(1, 3, 4, steps=6), []
    for epoch in range(5):
        found += [(epoch, 0, calendar.at_epoch(epoch))]
        found += [(epoch, step, calendar.after_step(epoch, step)) for step in range(1, 7)]
    assert [one for one in found if one[2] is not None] == [
        (1, 0, 0),
        (1, 4, pytest.approx(4 / 12)),
        (2, 2, pytest.approx(8 / 12)),
        (3, 0, 1),
    ]


def test_calendar_goes_on_in_the_middle():
    calendar = Calendar(0, 4)
    assert [calendar.at_epoch(epoch) for epoch in (3, 4, 5)] == [0.75, 1, None]
    assert Calendar(0, 4).at_epoch(7) == 1
    assert [last_update(0, None, epochs, False) for epochs in (1, 2, 5, 20)] == [0, 1, 3, 15]
    assert (last_update(2, 7, 5, False), last_update(2, None, 9, True)) == (7, 2)


@pytest.mark.parametrize(
    "options",
    [
        {"scope": "global"},
        {"scope": "erk"},
        {"criterion": "taylor", "begin_epoch": 1},
        {"criterion": "movement", "scope": "global"},
        {"criterion": "random", "schedule": "one_shot"},
        {"pattern": (2, 4)},
        {"pattern": (1, 4), "regrowth": "splicing"},
        {"block": (2, 2), "schedule": "cosine"},
        {"regrowth": "splicing", "schedule": "exponential"},
        {"regrowth": keras_snare.masking.RigL(0.2), "schedule": "constant", "scope": "erk"},
        {"layers": "hidden.*"},
    ],
    ids=str,
)
def test_every_option_ends_at_the_sparsity_asked_for(options):
    model = _model()
    prune = MagnitudePruneCallback(**options)
    history = _fit(model, prune)
    asked = {(2, 4): 0.5, (1, 4): 0.75}.get(options.get("pattern"), 0.8)
    # Blocks go whole: 4 of 108 connections at a time.
    assert prune.masks.sparsity == pytest.approx(asked, abs=0.03)
    assert history["sparsity"][-1] == prune.masks.sparsity
    zeros = Masks.of(model, options.get("layers"))
    chosen = [name for name in zeros if name in prune.masks]
    assert all((zeros[name] <= prune.masks[name]).all() for name in chosen)
    if "pattern" in options:
        assert "hidden1" not in prune.masks
        for kept in prune.masks.values():
            groups = kept.T.reshape(-1, 4).sum(axis=1)
            assert (groups == options["pattern"][0]).all()
    if "layers" in options:
        assert Masks.of(model, "digit").sparsity == 0


def test_data_for_the_criterion():
    model = _model()
    prune = MagnitudePruneCallback(
        0.5, criterion="taylor", schedule="one_shot", scoring_data=random_data(model, 16)
    )
    assert _fit(model, prune, epochs=1)["sparsity"] == [pytest.approx(0.5, abs=0.01)]


def test_the_trained_network_is_worth_something():
    (x, y), validation = flat_digits()
    model = compiled(dense_model(64, (32,), 10), keras.optimizers.Adam(0.01))
    prune = MagnitudePruneCallback(0.8, scope="global")
    history = model.fit(
        x, y, validation_data=validation, epochs=12, verbose=0, callbacks=[prune]
    ).history
    assert prune.masks.sparsity == pytest.approx(0.8, abs=0.001)
    assert history["val_accuracy"][-1] > 0.88


def test_saved_models_are_plain_and_masks_go_on(tmp_path):
    first, second = _model(), _model()
    prune = MagnitudePruneCallback(0.6, end_epoch=2)
    _fit(first, prune, epochs=3)
    first.save(tmp_path / "model.keras")
    prune.masks.save(tmp_path / "masks.npz")
    second = keras.models.load_model(tmp_path / "model.keras")
    again = MagnitudePruneCallback(0.9, begin_epoch=3, initial_masks=tmp_path / "masks.npz")
    history = _fit(second, again, epochs=8, initial_epoch=3)
    assert history["sparsity"][0] == pytest.approx(0.6, abs=0.01)
    assert again.masks.sparsity == pytest.approx(0.9, abs=0.01)
    assert all((again.masks[name] <= prune.masks[name]).all() for name in prune.masks)
    assert "initial_masks" in repr(again)


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_a_fit_that_goes_on_takes_up_the_schedule():
    model = _model()
    prune = MagnitudePruneCallback(0.8, schedule="linear", end_epoch=4)
    with pytest.warns(UserWarning, match="fit ends after epoch 2, before the last update"):
        _fit(model, prune, epochs=3)
    history = _fit(model, prune, epochs=6, initial_epoch=3)
    assert history["sparsity"] == pytest.approx([0.6, 0.8, 0.8], abs=0.02)


def test_remove_dead():
    model = _model((16, 16))
    x, _ = random_data(model, 32)
    prune = MagnitudePruneCallback(0.95, scope="global", remove_dead=True)
    _fit(model, prune)
    assert prune.report.params_after == model.count_params() < prune.report.params_before
    assert {name: kept.shape for name, kept in prune.masks.items()} == {
        one.name: one.shape for one in kernels_of(model)
    }
    assert np.isfinite(model.predict(x, verbose=0)).all()
    _fit(model, epochs=1)


@pytest.mark.parametrize(
    ("criterion", "scope"),
    [
        ("magnitude", "layer"),
        ("taylor", "global"),
        pytest.param("similarity", "layer", marks=pytest.mark.slow),
        pytest.param("taylor", "layer", marks=pytest.mark.slow),
        pytest.param("magnitude", "global", marks=pytest.mark.slow),
    ],
)
def test_structured_removes_units_on_the_schedule(criterion, scope):
    model = compiled(residual_model())
    prune = MagnitudePruneCallback(
        0.5, structured=True, criterion=criterion, scope=scope, schedule="linear", end_epoch=2
    )
    before = model.count_params()
    history = _fit(model, prune, epochs=4)
    # Of 4 and 3 units; 0.25 of them are 1 and 0, half are 2 and 1.
    units = {"layer": [0, 1 / 7, 3 / 7, 3 / 7], "global": [0, 1 / 7, 3 / 7, 3 / 7]}[scope]
    assert history["sparsity"] == pytest.approx(units)
    assert history["snare_params"] == [before, *history["snare_params"][1:]]
    assert history["snare_params"][-1] == model.count_params() == prune.report.params_after
    assert prune.report.plan.keep.keys() == {"stem", "inner", "outer"}
    assert prune.masks is None
    assert leftovers(model) == []
    _fit(model, epochs=1)


def test_structured_by_step_and_chosen_layers():
    model = _model()
    prune = MagnitudePruneCallback(
        0.5, structured=True, layers="hidden1", per="step", frequency=2, end_epoch=1
    )
    history = _fit(model, prune, epochs=2)
    assert [layer.units for layer in model.layers] == [4, 8, 4]
    assert history["sparsity_hidden1"] == [0.375, 0.5]


@pytest.mark.parametrize(
    ("error", "structured"), [(KeyboardInterrupt, False), (RuntimeError, True)]
)
def test_an_exception_takes_everything_off(error, structured):
    model = _model()

    def fails(epoch, logs):
        if epoch == 2:
            raise error("stop")

    prune = MagnitudePruneCallback(0.5, structured=structured)
    with pytest.raises(error):
        _fit(model, prune, keras.callbacks.LambdaCallback(on_epoch_end=fails))
    assert leftovers(model) == []
    _fit(model, prune, epochs=2)
    assert leftovers(model) == []


def test_early_stopping_and_other_callbacks():
    model = _model()
    late = keras.callbacks.EarlyStopping("loss", restore_best_weights=True, start_from_epoch=4)
    prune = MagnitudePruneCallback(0.5, end_epoch=4)
    _fit(model, prune, late, epochs=7)
    assert _zeros(model).sparsity == pytest.approx(0.5, abs=0.01)
    early = keras.callbacks.EarlyStopping("loss", restore_best_weights=True)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"bring back weights from before epoch 4.*=4.*=0\."):
        _fit(model, MagnitudePruneCallback(0.9, end_epoch=4), early)
    with pytest.raises(ValueError, match="One callback at a time can prune.*SnareCallback"):
        _fit(model, prune, keras_snare.SnareCallback(), validation_split=0.2)
    with pytest.raises(ValueError, match="One callback at a time can prune.*MagnitudePrune"):
        _fit(model, keras_snare.SnareCallback(), prune, validation_split=0.2)
    assert all(map(np.array_equal, before, model.get_weights()))


def test_averages_of_weights_are_masked_too():
    model = _model(optimizer=keras.optimizers.Adam(0.01, use_ema=True))
    prune = MagnitudePruneCallback(0.5, end_epoch=4)
    _fit(model, prune, keras.callbacks.SwapEMAWeights())
    assert _zeros(model).sparsity == pytest.approx(0.5, abs=0.01)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_data_of_unknown_length():
    model = _model()
    x, y = random_data(model, 32)
    stream = tf.data.Dataset.from_tensor_slices((x, y)).batch(8).filter(lambda x, y: True)
    prune = MagnitudePruneCallback(0.5, per="step", frequency=2)
    with pytest.raises(ValueError, match="per='step' needs to know how many steps an epoch has"):
        model.fit(stream, epochs=3, verbose=0, callbacks=[prune])
    prune = MagnitudePruneCallback(0.5)
    model.fit(stream, epochs=3, verbose=0, callbacks=[prune])
    assert prune.masks.sparsity == pytest.approx(0.5, abs=0.01)


def test_repr():
    prune = MagnitudePruneCallback(0.9, scope="global", pattern=None)
    assert repr(prune) == "MagnitudePruneCallback(sparsity=0.9, scope='global')"


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("regrowth", ["rigl", "splicing"])
def test_regrowth_begins_with_the_masks_that_it_was_given(regrowth, scope):
    model = _model()
    begun = keras_snare.sparsify(model, 0.6, scope=scope)
    prune = MagnitudePruneCallback(
        0.8,
        schedule="linear",
        end_epoch=4,
        regrowth=regrowth,
        scope=scope,
        initial_masks=begun,
    )
    seen = []
    told = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(Masks.of(model))
    )
    history = _fit(model, prune, told, epochs=6)
    assert history["sparsity"] == pytest.approx([0.6, 0.6, 0.6, 0.6, 0.8, 0.8], abs=0.02)
    # Others are tried meanwhile.
    came = [any((masks[name] > begun[name]).any() for name in begun) for masks in seen]
    assert any(came) or regrowth == "splicing"
