"""Which trials are hopeless, by what accepted ones won back."""

import pytest

from keras_snare.policy import Recovery

EPS = 0.005


def learned(*courses, **options):
    found = Recovery(**{"margin": 1.0, "least": 1, **options})
    for losses in courses:
        found.note(losses)
    return found


def test_nothing_is_hopeless_at_first():
    assert not Recovery().hopeless([1.0], EPS)


def test_trials_that_took_one_epoch_say_nothing():
    assert not learned([0.001], [], [0.002]).hopeless([1.0], EPS)


@pytest.mark.parametrize(("loss", "hopeless"), [(0.03, False), (0.034, False), (0.035, True)])
def test_as_much_may_be_won_back_as_ever_was(loss, hopeless):
    # 0.03 was won back from the first epoch on; 0.004 may be lost.
    assert learned([0.03, 0.01, 0.0], [0.02, 0.0]).hopeless([loss], 0.0045) is hopeless


def test_later_epochs_win_back_less():
    found = learned([0.03, 0.01, 0.0])
    assert not found.hopeless([0.03], EPS)
    assert found.hopeless([0.03, 0.02], EPS)
    assert not found.hopeless([0.03, 0.012], EPS)


def test_beyond_the_longest_trial_the_last_epochs_count():
    assert learned([0.03, 0.01, 0.0]).hopeless([0.03, 0.02, 0.02, 0.02], EPS)


def test_a_margin_is_trusted():
    courses = [0.03, 0.0], [0.02, 0.0]
    assert learned(*courses, margin=1.0).hopeless([0.06], EPS)
    assert not learned(*courses, margin=2.0).hopeless([0.06], EPS)


def test_too_few_trials_say_nothing():
    courses = [[0.03, 0.0], [0.02, 0.0]]
    assert not learned(*courses, least=3).hopeless([1.0], EPS)
    assert learned(*courses, [0.01, 0.0], least=3).hopeless([1.0], EPS)


def test_where_few_were_that_long_earlier_epochs_count():
    # Of the second epoch only one trial tells; with those of the first there are three.
    found = learned([0.03, 0.01, 0.0], [0.02, 0.0], least=3)
    assert not found.hopeless([0.05, 0.033], EPS)
    assert found.hopeless([0.05, 0.036], EPS)
