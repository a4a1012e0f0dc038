"""On two replicas the same units go, with the same verdicts, as on one device."""

import keras
import pytest
from fitting import Bomb, Spy, decide, digit_model, leftovers, short_fit, widths
from replicas import assert_alike, assert_replicas_agree, in_another_process, made
from training import compiled, conv_model, digits, flat_digits, same, state_of, weights_of

import keras_snare
from keras_snare import SnareCallback, UnsupportedModelError

DATA = flat_digits(200, 100)
SETTINGS = {"eps": 0.05, "retrain_epochs": 1, "warmup_epochs": 2, "max_trials": 4}
STOP = KeyboardInterrupt("the power went")


def momentum():
    return keras.optimizers.SGD(0.1, momentum=0.9)


def dense():
    return digit_model(momentum())


def fitted(replicas, make_callbacks, make=dense, epochs=7, **options):
    """What comes of a fit: the weights, and the rows of the report where there is one."""
    model, callbacks = made(make, replicas), make_callbacks()
    short_fit(model, callbacks, epochs=epochs, shuffle=False, **options)
    assert_replicas_agree(model)
    assert leftovers(model) == []
    rows = getattr(getattr(callbacks[0], "report", None), "rows", [])
    return weights_of(model), [list(vars(row).values()) for row in rows]


def search(**options):
    return lambda: [SnareCallback(**{**SETTINGS, **options})]


def check_one_cut_kept_and_one_undone():
    expected = None
    for replicas in (1, 2):
        with pytest.MonkeyPatch.context() as patch:
            decide(patch, False, True, False, False)
            spy, snare = Spy(), SnareCallback(**{**SETTINGS, "warmup_epochs": 1, "max_trials": 2})
            model = made(dense, replicas)
            short_fit(model, [spy, snare], epochs=5, shuffle=False)
        assert [row.accepted for row in snare.report.rows] == [True, False]
        assert widths(model) == spy.widths[1] != spy.widths[0]
        assert same(state_of(model), spy.states[1])
        assert_replicas_agree(model)
        assert leftovers(model) == []
        found = (spy.states, spy.logs, snare.report.to_json())
        expected = expected or found
    assert_alike(found[:2], expected[:2])


def test_a_search():
    in_another_process(__file__, "check_one_cut_kept_and_one_undone()")


def _factors():
    return keras_snare.factorize(dense(), "full", layers=["hidden1", "hidden2"])


def _pruned(replicas):
    """Units of a model, by data, and an epoch of training afterwards."""
    found = []
    for criterion in ("taylor", "hessian", "activation", "similarity"):
        model = made(dense, replicas)
        keras_snare.prune(model, 0.5, criterion=criterion, data=(DATA[0][0][:64], DATA[0][1][:64]))
        short_fit(model, [], epochs=1, shuffle=False)
        assert_replicas_agree(model)
        found.append(weights_of(model))
    return found


def _compressed(replicas, **options):
    model = made(dense, replicas)
    settings = {**SETTINGS, "max_trials": 2, "batch_size": 50, "verbose": 0, "seed": 3, **options}
    model, report = keras_snare.compress(model, *DATA, **settings)
    assert_replicas_agree(model)
    return weights_of(model), [list(vars(row).values()) for row in report.rows]


def _together():
    return [SnareCallback(**SETTINGS), keras_snare.DistillationCallback("self")]


def _spectral():
    inputs = keras.Input((64,))
    kept = {"coefficients": 30, "input_grid": (8, 8), "name": "spectral"}
    x = keras_snare.layers.DCTDense(12, "relu", **kept)(inputs)
    return compiled(keras.Model(inputs, keras.layers.Dense(10, "softmax")(x)), momentum())


def _frequencies(replicas, **options):
    def callbacks():
        settings = {"begin_epoch": 1, "end_epoch": 2, **options}
        return [keras_snare.SpectralPruneCallback(15, **settings)]

    return fitted(replicas, callbacks, _spectral, epochs=3)


def _units():
    way = {"structured": True, "criterion": "taylor", "begin_epoch": 1, "end_epoch": 2}
    return [keras_snare.MagnitudePruneCallback(0.5, **way)]


def _lottery():
    way = {"rounds": 2, "fraction": 0.3, "rewind_to": 1, "criterion": "taylor"}
    return [keras_snare.LotteryTicketCallback(**way)]


def _searched_with(optimizer):
    return lambda n: fitted(n, search(), lambda: digit_model(optimizer()))


SOME = (DATA[0][0][:128],)

# The cases of a group share a process, since a process takes long to begin.
CASES = {
    "criteria": {
        "taylor": lambda n: fitted(n, search()),
        "fisher": lambda n: fitted(n, search(criterion="fisher")),
        "weights": lambda n: fitted(n, search(criterion="l1_both")),
        "prune": _pruned,
    },
    "searches": {
        "data": lambda n: fitted(n, search(scoring_data=DATA[0], compensate="least_squares")),
        "inputs": lambda n: fitted(n, search(prune_inputs=True)),
        "ranks": lambda n: fitted(
            n, lambda: [keras_snare.RankReduceCallback(**SETTINGS)], _factors
        ),
        "teacher": lambda n: fitted(n, _together),
        "compress": _compressed,
    },
    "blocks": {
        "blocks": lambda n: fitted(
            n, search(retrain="blocks", max_trials=2, scoring_data=SOME, criterion="l2")
        ),
        "compress blocks": lambda n: _compressed(n, retrain="blocks"),
    },
    "optimizers": {
        "adafactor": _searched_with(lambda: keras.optimizers.Adafactor(0.01)),
    },
    "callbacks": {
        "units": lambda n: fitted(n, _units, epochs=3),
        "lottery": lambda n: fitted(n, _lottery),
        "synflow": lambda n: fitted(n, lambda: [keras_snare.SynFlowCallback(0.8)], epochs=2),
        "clusters": lambda n: fitted(n, lambda: [keras_snare.ClusterCallback(8)], epochs=2),
        "frequencies": _frequencies,
        "regrown": lambda n: _frequencies(n, regrowth="rigl", scoring_data=DATA[0]),
    },
}


def check(group):
    # Adam makes steps of one size, however small the slopes of a block that is nearly right.
    tolerance = 1e-2 if group == "blocks" else 1e-4
    for name, case in CASES[group].items():
        found, expected = case(2), case(1)
        print(group, name, flush=True)
        assert_alike(found, expected, tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("group", CASES)
def test_the_same_as_on_one_device(group):
    in_another_process(__file__, f"check({group!r})")


def check_interrupted():
    """The uncut model comes back on both replicas, and trains on."""
    model, spy = made(dense, 2), Spy()
    callbacks = [spy, SnareCallback(**SETTINGS), Bomb("on_train_batch_end", 9, STOP)]
    with pytest.raises(KeyboardInterrupt):
        short_fit(model, callbacks, shuffle=False)
    assert len(spy.states) == 2
    assert widths(model) == spy.widths[-1]
    assert_replicas_agree(model)
    assert leftovers(model) == []
    short_fit(model, [], epochs=1)
    assert_replicas_agree(model)


@pytest.mark.slow
def test_interrupted():
    in_another_process(__file__, "check_interrupted()")


def _convolutions():
    model = conv_model(8, 1, 10)
    model.pop()
    model.add(keras.layers.Dropout(0.2))
    model.add(keras.layers.Dense(10, "softmax"))
    return compiled(model, momentum())


def check_resumed(directory):
    """A killed run goes on, on two replicas; random generators have a state on each."""
    (x, y), validation = digits(200, 100)
    options = {"validation_data": validation, "batch_size": 50, "epochs": 7, "verbose": 0}
    options["shuffle"] = False
    found = []
    for kill in (False, True):
        settings = {**SETTINGS, "directory": f"{directory}/{kill}", "criterion": "l1_in"}
        model, snare = made(_convolutions, 2), SnareCallback(**settings)
        if kill:
            with pytest.raises(KeyboardInterrupt):
                model.fit(x, y, callbacks=[snare, Bomb("on_epoch_begin", 1, STOP)], **options)
            model, snare = made(_convolutions, 2), SnareCallback(**settings)
        model.fit(x, y, callbacks=[snare], **options)
        assert_replicas_agree(model)
        found.append((weights_of(model), [list(vars(row).values()) for row in snare.report.rows]))
    assert_alike(*found)
    alone = made(_convolutions, 1)
    alone.fit(x, y, callbacks=[SnareCallback(**settings)], **options)
    assert same(state_of(alone), state_of(model))
    candidate = keras_snare.load_candidate(f"{directory}/True")
    assert candidate.count_params() == min(row.params for row in snare.report.rows if row.accepted)


@pytest.mark.slow
def test_resumed(tmp_path):
    in_another_process(__file__, f"check_resumed({str(tmp_path)!r})")


def check_refused():
    callbacks = (
        keras_snare.RateCallback(0.03),
        keras_snare.QuantizeAwareCallback(start_epoch=1, engine="keras"),
        keras_snare.QuantizeAwareCallback(start_epoch=1),
    )
    for callback in callbacks:
        model = made(dense, 2)
        before = weights_of(model)
        with pytest.raises(UnsupportedModelError, match="one device. Received: a strategy with 2"):
            short_fit(model, [callback], epochs=2)
        assert same(weights_of(model), before)
        assert leftovers(model) == []
    pytest.importorskip("ray", reason="Ray is not installed")
    model = made(dense, 2)
    with pytest.raises(UnsupportedModelError, match="outside of its scope for engine='ray'"):
        keras_snare.compress(model, *flat_digits(200, 100), engine="ray", workers=2, verbose=0)


@pytest.mark.slow
def test_what_rounds_weights_in_the_step_refuses():
    in_another_process(__file__, "check_refused()")
