"""Which way is better, and what is still good enough."""

import math

import pytest

from keras_snare.search import Objective, objective

HIGHER, LOWER = True, False


@pytest.mark.parametrize(
    ("monitor", "higher"),
    [
        ("val_accuracy", HIGHER),
        ("accuracy", HIGHER),
        ("val_acc", HIGHER),
        ("val_sparse_top_k_categorical_accuracy", HIGHER),
        ("val_auc", HIGHER),
        ("val_precision_1", HIGHER),
        ("val_Recall", HIGHER),
        ("val_f1_score", HIGHER),
        ("val_r2_score", HIGHER),
        ("val_binary_io_u_iou", HIGHER),
        ("val_loss", LOWER),
        ("loss", LOWER),
        ("val_mean_squared_error", LOWER),
        ("val_mae", LOWER),
        ("val_root_mean_squared_error", LOWER),
        ("val_sparse_categorical_crossentropy", LOWER),
        ("val_kl_divergence", LOWER),
        ("val_output_loss", LOWER),
    ],
)
def test_auto_goes_by_the_name(monitor, higher):
    assert objective(monitor, "auto", 0.1) == Objective(monitor, higher, 0.1)


@pytest.mark.parametrize(("mode", "higher"), [("max", HIGHER), ("min", LOWER)])
@pytest.mark.parametrize("monitor", ["val_accuracy", "val_loss", "val_quality"])
def test_mode_has_the_last_word(monitor, mode, higher):
    assert objective(monitor, mode, 0.1).higher is higher


def test_an_unclear_name_asks_for_the_mode():
    with pytest.raises(ValueError, match="higher 'val_quality' is better. Give mode='max' or"):
        objective("val_quality", "auto", 0.1)


@pytest.mark.parametrize(
    ("eps", "best", "value", "passes"),
    [
        (0.25, 1.0, 1.5, True),
        (0.25, 1.0, 1.0, True),
        (0.25, 1.0, 0.80, True),
        (0.25, 1.0, 0.75, False),  # worse by eps, and less than eps is asked for
        (0.25, 1.0, 0.5, False),
        (0.0, 1.0, 1.0, True),
        (0.0, 1.0, 1.1, True),
        (0.0, 1.0, 0.9999, False),
        (0.25, 1.0, math.nan, False),
        (0.25, 1.0, math.inf, False),
        (0.25, 1.0, -math.inf, False),
        (0.25, math.nan, 1.0, False),
    ],
)
@pytest.mark.parametrize("sign", [1, -1], ids=["max", "min"])
def test_passes(sign, eps, best, value, passes):
    goal = Objective("metric", sign == 1, eps)
    assert goal.passes(sign * value, sign * best) is passes


@pytest.mark.parametrize(("higher", "better", "loss"), [(HIGHER, 3, -1), (LOWER, 2, 1)])
def test_better_and_loss(higher, better, loss):
    goal = Objective("metric", higher, 0.1)
    assert goal.better(3, 2) == goal.better(2, 3) == better
    assert goal.loss(3, 2) == loss


@pytest.mark.parametrize("eps", [-0.1, math.nan, math.inf, True, "0.1", None, [0.1]], ids=str)
def test_eps_is_a_number_of_zero_or_more(eps):
    with pytest.raises(ValueError, match="`eps` is the accepted loss.*a number of 0 or more"):
        objective("val_accuracy", "auto", eps)


@pytest.mark.parametrize("monitor", ["", None, 3], ids=str)
def test_monitor_is_a_name(monitor):
    with pytest.raises(ValueError, match="`monitor` is the name of a metric. Received: monitor="):
        objective(monitor, "max", 0.1)


@pytest.mark.parametrize("mode", ["maximum", None, "MAX"], ids=str)
def test_mode_is_known(mode):
    with pytest.raises(ValueError, match="`mode` is one of auto, max, min. Received: mode="):
        objective("val_accuracy", mode, 0.1)
