"""`LotteryTicketCallback`: every round begins at the point of rewinding, masked, to the bit."""

import itertools

import keras
import numpy as np
import pytest
from fitting import Bomb, StopAfter, leftovers
from lottery_models import STEPS, Watch, data, masked, network, train
from training import same, state_of

from keras_snare import LotteryTicketCallback, Masks, Ticket
from keras_snare.report import LotteryReport

SHARE = 0.3


def _decaying():
    return keras.optimizers.SGD(
        keras.optimizers.schedules.CosineDecay(0.1, 2 * STEPS), momentum=0.9
    )


def _scaled():
    return keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01))


# Optimizer, options of the callback, and the epochs before the point of rewinding.
CASES = {
    "init": (lambda: keras.optimizers.Adam(0.01), {}, 0),
    "epoch": (_decaying, {"rewind_to": 1, "criterion": "taylor"}, 1),
    "step": (
        lambda: keras.optimizers.Nadam(0.01),
        {"rewind_to": 3, "per": "step", "criterion": "movement"},
        1,
    ),
    "loss_scale": (_scaled, {"rewind_to": 1, "per": "step"}, 0),
    "averages": (
        lambda: keras.optimizers.AdamW(0.01, use_ema=True),
        {"rewind_to": 1, "scope": "layer"},
        1,
    ),
    "adafactor": (lambda: keras.optimizers.Adafactor(0.01), {"fraction": 0.6}, 0),
    "accumulation": (
        lambda: keras.optimizers.Lion(0.01, gradient_accumulation_steps=2),
        {"criterion": "random"},
        0,
    ),
}


@pytest.mark.parametrize(("optimizer", "options", "skipped"), CASES.values(), ids=CASES)
def test_every_round_begins_at_the_point_of_rewinding(optimizer, options, skipped):
    """The callback in front already finds the round begun."""
    model, watch = network(optimizer()), Watch()
    lottery = LotteryTicketCallback(2, **{"fraction": SHARE, **options})
    each = 2 + skipped
    logs = train(model, [watch, lottery], each + 2 * 2).history
    weights = len(model.weights)
    if options.get("per") == "step":
        point = watch.steps[options["rewind_to"] - 1]
    else:
        point = watch.begun[skipped]
    masks = [ticket.masks for ticket in lottery.tickets]
    assert [len(masks), masks[0].sparsity] == [3, 0]
    for number in range(1, 3):
        begun = watch.begun[each + 2 * (number - 1)]
        assert same(begun, masked(point, model, masks[number]))
        assert same(lottery.tickets[number].weights, begun[:weights])
        for name, kept in masks[number].items():
            assert not (kept & ~masks[number - 1][name]).any()
    for at, state in enumerate(watch.ended):
        number = max((at - skipped) // 2, 0)
        assert same(state[:weights], masked(state, model, masks[number])[:weights])
        assert logs["lottery_round"][at] == number
        assert logs["sparsity"][at] == masks[number].sparsity
    assert Masks.of(model).kept <= lottery.masks.kept
    assert np.isfinite(logs["loss"]).all()
    assert getattr(model.optimizer, "epsilon_1", 1e-30) == 1e-30
    assert leftovers(model) == []
    assert lottery.report.finished
    assert [row.epochs for row in lottery.report.rows] == [each, 2, 2]


@pytest.mark.parametrize(
    ("options", "output"),
    [
        ({"scope": "global"}, None),
        ({"scope": "layer"}, SHARE / 2),
        ({"scope": "layer", "output_fraction": 0.5}, 0.5),
        ({"scope": "layer", "layers": ["first", "second"]}, None),
    ],
    ids="global layer output chosen".split(),
)
def test_a_round_prunes_its_share_of_what_is_left(options, output):
    model = network()
    lottery = LotteryTicketCallback(3, SHARE, **options)
    train(model, [lottery], 4)
    tickets = lottery.tickets
    for before, after in itertools.pairwise(tickets):
        left, now = before.masks, after.masks
        if options["scope"] == "global":
            assert now.kept == left.kept - round(SHARE * left.kept)
        else:
            rates = {"logits/kernel": output}
            for name in now:
                kept = left[name].sum()
                assert now[name].sum() == kept - round(rates.get(name, SHARE) * kept)
    chosen = options.get("layers")
    assert {name.split("/")[0] for name in lottery.masks} == set(
        chosen or ["first", "second", "logits"]
    )


def test_learning_rate_rewinding_leaves_the_weights():
    model, watch = network(_decaying()), Watch()
    lottery = LotteryTicketCallback(2, SHARE, rewind="learning_rate", rewind_to=1)
    train(model, [lottery, watch], 3 + 2 * 2)
    weights = len(model.weights)
    for number, at in ((1, 3), (2, 5)):
        begun, trained = watch.begun[at], watch.ended[at - 1]
        masks = lottery.tickets[number].masks
        assert same(begun[:weights], masked(trained, model, masks)[:weights])
        assert same(begun[weights:], masked(watch.begun[1], model, masks)[weights:])
        assert same(lottery.tickets[number].weights, begun[:weights])
    assert not same(watch.begun[5][:weights], watch.begun[1][:weights])


@pytest.mark.parametrize("first", [True, False], ids="before behind".split())
@pytest.mark.parametrize(("rewind_to", "epochs"), [("init", 9), (1, 7)], ids="init epoch".split())
def test_callbacks_for_the_learning_rate_begin_anew(first, rewind_to, epochs):
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / (epoch + 2))
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="never", factor=0.1, patience=2, mode="min")
    given, never = scheduler.schedule, {"never": 1.0}
    feed = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(never))
    lottery = LotteryTicketCallback(2, SHARE, rewind_to=rewind_to)
    others = [feed, scheduler, plateau]
    callbacks = [*others, lottery] if first else [lottery, *others]
    model = network(keras.optimizers.SGD(0.5))
    rates = train(model, callbacks, epochs).history["learning_rate"]
    # The plateau divides by ten at the end of the third epoch, after its rate was logged.
    expected = np.cumprod([0.5 / 2, 1 / 3, 1 / 4])
    rounds = 3 * [*expected] if rewind_to == "init" else [*expected, *expected[1:], *expected[1:]]
    np.testing.assert_allclose(rates, rounds, rtol=1e-5)
    assert scheduler.schedule is given
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1 * expected[2])


@pytest.mark.parametrize("control", ["reinitialize", "random_mask"])
def test_controls_take_the_place_of_the_last_ticket(control):
    found = {}
    for name, options in {"plain": {}, "one": {"seed": 1}, "again": {"seed": 1}}.items():
        keras.utils.set_random_seed(3)
        model = network()
        options = {} if name == "plain" else {"control": control, **options}
        lottery = LotteryTicketCallback(2, SHARE, **options)
        train(model, [lottery], 3)
        found[name] = lottery.tickets
        assert lottery.report.control == options.get("control")
        assert np.all(model.get_weights()[0][~lottery.masks["first/kernel"]] == 0)
    plain, one, again = found.values()
    assert same(one[1].weights, plain[1].weights)
    assert same(one[2].weights, again[2].weights)
    assert not same(one[2].weights, plain[2].weights)
    for name, kept in plain[2].masks.items():
        assert kept.sum() == one[2].masks[name].sum()
        assert np.array_equal(kept, one[2].masks[name]) == (control == "reinitialize")
    fresh, first = one[2].state.weights[0], plain[0].state.weights[0]
    if control == "random_mask":
        assert np.array_equal(fresh, first)
    else:
        assert not np.isclose(fresh, first).any()
        assert abs(fresh).max() <= np.sqrt(6 / 10)


def test_an_early_end_leaves_the_round_it_was_in(tmp_path):
    model = network()
    lottery = LotteryTicketCallback(2, SHARE, monitor="val_accuracy", directory=tmp_path)
    train(model, [lottery, StopAfter(5)], 9, validation_data=data(1))
    assert np.all(model.get_weights()[0][~lottery.masks["first/kernel"]] == 0)
    assert lottery.masks.kept == lottery.tickets[1].masks.kept
    assert leftovers(model) == []
    report = lottery.report
    assert [(row.round, row.epochs) for row in report.rows] == [(0, 3), (1, 2)]
    assert not report.finished
    assert "1 of 2 rounds of pruning were trained, the last of them not to its end" in (
        report.summary()
    )
    assert LotteryReport.from_json(report.to_json()) == report
    # The callback serves a second time, and its folder holds the tickets of the last run.
    train(model, [lottery], 3, validation_data=data(1))
    assert [ticket.round for ticket in lottery.tickets] == [0, 1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"ticket_0{number}.npz" for number in range(3)
    ]
    assert isinstance(lottery.tickets[-1], Ticket)


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_train_batch_begin", "on_epoch_end"])
def test_an_exception_leaves_a_masked_model_and_no_hooks(hook):
    at = {"on_epoch_begin": 2, "on_train_batch_begin": 2 * STEPS + 1, "on_epoch_end": 2}[hook]
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)
    given = scheduler.schedule
    model, lottery = network(), LotteryTicketCallback(2, SHARE)
    with pytest.raises(RuntimeError, match="from elsewhere"):
        train(model, [lottery, scheduler, Bomb(hook, at, RuntimeError("from elsewhere"))], 6)
    assert leftovers(model) == []
    assert scheduler.schedule is given
    assert [row.round for row in lottery.report.rows] == [0]
    assert len(lottery.tickets) == 2
    for kernel in lottery.masks.kernels(model):
        assert np.all(kernel.variable.numpy()[~lottery.masks[kernel.name]] == 0)
    before = state_of(model)[-2:]
    train(model, [], 1)
    assert not same(before, state_of(model)[-2:])


def test_the_report_has_the_epoch_of_the_lowest_loss():
    model, watch = network(keras.optimizers.Adam(0.3)), Watch()
    lottery = LotteryTicketCallback(1, SHARE, rewind_to=1, per="step", monitor="val_accuracy")
    train(model, [lottery, watch], 8, validation_data=data(1))
    for row, first in zip(lottery.report.rows, (0, 4), strict=True):
        logs = watch.logs[first : first + 4]
        losses = [one["val_loss"] for one in logs]
        accuracies = [one["val_accuracy"] for one in logs]
        lowest = int(np.argmin(losses))
        assert (row.best, row.final) == (max(accuracies), accuracies[-1])
        assert (row.lowest_loss, row.lowest_loss_epoch) == (min(losses), lowest + 1)
        assert row.metric_at_lowest_loss == accuracies[lowest]
        assert row.lowest_loss_iteration == STEPS * (lowest + 1) + (first > 0)
    assert lottery.report.monitor == "val_accuracy"
