"""A ticket that is trained elsewhere, with `HoldMasksCallback`, ends where the callback did."""

import keras
import numpy as np
import pytest
from fitting import Bomb, assert_usable, digit_model, leftovers, short_fit
from lottery_models import Watch, masked, network, train
from training import same, state_of

from keras_snare import HoldMasksCallback, LotteryTicketCallback, Masks, Ticket


def _decaying():
    return keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 9), momentum=0.9)


CASES = {
    "eager": ({}, {"run_eagerly": True}),
    "compiled": ({"rewind_to": 1}, {"run_eagerly": False, "steps_per_execution": 2}),
    "xla": ({}, {"run_eagerly": False, "jit_compile": True}),
}


@pytest.mark.parametrize(
    ("options", "compiling"),
    [
        pytest.param(*case, id=name, marks=[pytest.mark.slow] * (name == "xla"))
        for name, case in CASES.items()
    ],
)
def test_a_ticket_trained_elsewhere_ends_as_in_its_round(tmp_path, options, compiling):
    model, watch = network(_decaying(), **compiling), Watch()
    lottery = LotteryTicketCallback(2, 0.4, **options)
    skipped = options.get("rewind_to", 0)
    each = 2 + skipped
    train(model, [lottery, watch], each + 4)
    ends = [watch.ended[at] for at in (each - 1, each + 1, each + 3)]
    path = tmp_path / "ticket.npz"
    for number in (0, 2):
        lottery.tickets[number].save(path)
        ticket = Ticket.load(path)
        again = network(_decaying(), **compiling)
        ticket.apply(again, optimizer=skipped > 0)
        hold = HoldMasksCallback(ticket.masks)
        history = train(again, [hold], 2)
        assert same(state_of(again), masked(ends[number], again, ticket.masks))
        assert history.history["sparsity"] == [ticket.sparsity] * 2
        assert leftovers(again) == []
    assert same(state_of(model), masked(ends[2], model, lottery.masks))


def test_what_is_held_stays_zero_in_a_sparse_model(tmp_path):
    model = digit_model(run_eagerly=True)
    kernel = model.layers[0].kernel
    kernel.assign(np.where(np.random.default_rng(0).random(kernel.shape) < 0.7, 0, kernel))
    masks = Masks.of(model, ["hidden1"])
    masks.save(tmp_path / "masks.npz")
    hold, before = HoldMasksCallback(tmp_path / "masks.npz"), kernel.numpy()
    for _ in range(2):
        short_fit(model, [hold], epochs=1)
        assert np.array_equal(kernel.numpy() == 0, ~masks["hidden1/kernel"])
    assert not np.array_equal(kernel.numpy(), before)
    assert repr(hold) == f"HoldMasksCallback(masks={masks!r})"
    assert leftovers(model) == []
    assert_usable(model, tmp_path)
    with pytest.raises(RuntimeError, match="from elsewhere"):
        short_fit(model, [hold, Bomb("on_epoch_end", 0, RuntimeError("from elsewhere"))])
    assert leftovers(model) == []


def test_holding_needs_masks():
    with pytest.raises(TypeError, match="`masks` are keras_snare.Masks or a file. Received"):
        HoldMasksCallback(None)
