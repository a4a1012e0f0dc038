"""A search that no `fit` drives: the tests say what training would have given."""

import json
import math

import numpy as np
import pytest
from training import compiled, dense_model, same, state_of

from keras_snare.policy import Recovery, SnarePolicy
from keras_snare.records import PrunePlan
from keras_snare.report import CompressionReport
from keras_snare.search import Objective, SnareSearch


class Source:
    """Scores that rise with the number of the unit; remembers what it was told."""

    def __init__(self):
        self.totals = "at first"
        self.asked = []

    def follow(self, chosen):
        self.totals = [group.name for group in chosen]

    def put_back(self, totals):
        self.totals = totals

    def collected(self):
        return None

    def twins(self, chosen, removed):
        return {}

    def scores(self, groups, chosen, collected):
        self.asked.append(collected)
        return {
            group.name: np.arange(group.width) if collected is None else collected[group.name]
            for group in chosen
        }


class Session:
    """A search, and the metrics that the model would have right after each cut."""

    def __init__(
        self,
        at_once=(),
        *,
        units=(8, 4),
        eps=0.1,
        retrain_epochs=2,
        layers=None,
        recovery=None,
        **policy,
    ):
        self.model = compiled(dense_model(units=units))
        self.model.optimizer.build(self.model.trainable_variables)
        self.at_once = iter(at_once)
        self.source, self.told = Source(), []
        self.search = SnareSearch(
            self.model,
            SnarePolicy(**policy),
            self.source,
            Objective("val_accuracy", True, eps),
            retrain_epochs=retrain_epochs,
            layers=layers,
            evaluate=lambda: next(self.at_once, None),
            tell=self.told.append,
            recovery=recovery,
        )

    def begin(self, metric=0.9, statistics=None):
        self.search.begin(metric, statistics)
        self.search.advance(1)
        return self.search

    @property
    def widths(self):
        return [layer.units for layer in self.model.layers]

    def verdicts(self):
        return [(row.layer, row.width_after, row.accepted) for row in self.search.report.rows]


def test_the_first_cut_waits_for_training():
    session = Session()
    search = session.begin()
    assert session.widths == [3, 4, 3]
    assert search.trial.proposal.layer == "hidden1"
    assert search.trial.params == session.model.count_params() == search.cost.params
    assert not search.report.rows
    assert search.report.baseline == search.report.best == search.report.metric == 0.9
    assert session.source.totals == ["hidden1", "hidden2"]


def test_a_trial_that_passes_after_training_is_kept():
    session = Session()
    search = session.begin()
    search.judge(2, 0.7, 1.0)
    assert search.trial is not None
    assert not search.report.rows
    search.judge(3, 0.85, 1.0)
    assert search.trial is None
    (row,) = session.told
    assert (row.trial, row.epoch, row.epochs, row.accepted) == (1, 3, 2, True)
    assert (row.layer, row.width_before, row.width_after, row.share) == ("hidden1", 8, 3, 0.64)
    assert (row.metric, row.best, row.reason) == (0.85, 0.9, "accepted")
    assert search.report.params_after == row.params == session.model.count_params()
    assert (search.report.best, search.report.metric) == (0.9, 0.85)
    assert search.report.retraining_epochs == 2


def test_the_reference_becomes_better_never_worse():
    session = Session([0.85, 0.95, 0.86, 0.86])
    search = session.begin()
    assert [row.metric for row in search.report.rows] == [0.85, 0.95, 0.86, 0.86]
    assert [row.best for row in search.report.rows] == [0.9, 0.9, 0.95, 0.95]
    assert search.report.best == 0.95


def test_a_rejected_trial_is_undone_to_the_bit():
    session = Session()
    before = state_of(session.model)
    search = session.begin()
    session.model.fit(np.ones((8, 4)), np.zeros(8), verbose=0)
    search.judge(2, 0.5, 1.0)
    search.judge(3, 0.79, 1.0)
    assert search.trial is None
    assert session.verdicts() == [("hidden1", 3, False)]
    assert session.told[0].reason == "rejected"
    assert session.widths == [8, 4, 3]
    assert same(before, state_of(session.model))
    assert session.source.totals == "at first"
    assert search.report.params_after == search.report.params_before == search.cost.params
    assert search.report.metric == 0.9
    search.advance(3)
    assert search.trial.proposal.share == 0.64  # of the other layer
    assert search.policy.steps["hidden1"] == 0.32


@pytest.mark.parametrize(
    ("metric", "loss"),
    [(math.nan, 1.0), (0.9, math.nan), (0.5, math.nan), (math.inf, 1.0), (0.9, math.inf)],
    ids="metric loss_alone loss infinite_metric infinite_loss".split(),
)
def test_a_trial_that_is_not_finite_is_rejected_at_once(metric, loss):
    session = Session(retrain_epochs=5)
    before = state_of(session.model)
    search = session.begin()
    search.judge(2, metric, loss)
    assert session.verdicts() == [("hidden1", 3, False)]
    assert session.told[0].reason == "rejected: the loss or the metric is not finite"
    assert same(before, state_of(session.model))
    json.loads(search.report.to_json(), parse_constant=pytest.fail)


def test_a_loss_that_is_not_logged_is_no_reason():
    session = Session()
    search = session.begin()
    search.judge(2, 0.9, None)
    assert session.verdicts() == [("hidden1", 3, True)]


def test_cuts_that_pass_at_once_follow_each_other_to_the_end():
    statistics = {"hidden1": np.arange(8.0), "hidden2": np.arange(4.0)}
    session = Session([0.9] * 99)
    search = session.begin(statistics=statistics)
    assert search.done
    assert search.report.finished
    assert session.widths == [1, 1, 3]
    assert all(row.accepted and row.epochs == 0 for row in search.report.rows)
    assert [row.trial for row in search.report.rows] == list(range(1, len(session.told) + 1))
    assert search.report.retraining_epochs == 0


def test_statistics_follow_the_units_that_stay():
    statistics = {"hidden1": np.array([7.0, 1, 6, 2, 5, 3, 4, 8]), "hidden2": np.arange(4.0)}
    session = Session([0.9, None], layers="hidden1", first_step=0.25)
    search = session.begin(statistics=statistics)
    assert len(search.report.rows) == 1
    assert session.source.asked[1]["hidden1"].tolist() == [7, 6, 5, 3, 4, 8]
    assert session.source.asked[1]["hidden2"].tolist() == [0, 1, 2, 3]


def test_the_chosen_layers_may_become_too_narrow_to_cut():
    session = Session([0.9] * 99, layers="hidden2")
    search = session.begin()
    assert search.done
    assert session.widths == [8, 1, 3]


def test_a_metric_that_is_not_to_be_had_at_once_is_waited_for():
    session = Session([None])
    search = session.begin()
    assert search.trial is not None


def test_every_trial_rejected_ends_the_search_with_the_model_as_it_was():
    session = Session(retrain_epochs=1)
    before = state_of(session.model)
    search, epoch = session.begin(), 1
    while not search.done:
        epoch += 1
        search.judge(epoch, 0.0, 1.0)
        search.advance(epoch)
    assert same(before, state_of(session.model))
    widths = [(layer, after) for layer, after, _ in session.verdicts()]
    assert widths == [
        ("hidden1", 3),
        ("hidden2", 2),
        ("hidden1", 6),
        ("hidden2", 3),
        ("hidden1", 7),
    ]
    assert search.report.retraining_epochs == 5
    assert search.report.accepted == 0


def test_abandoning_undoes_the_trial_and_says_so():
    session = Session()
    before = state_of(session.model)
    search = session.begin()
    search.abandon(4)
    search.abandon(4)
    assert same(before, state_of(session.model))
    (row,) = session.told
    assert (row.epoch, row.accepted) == (4, False)
    assert row.reason == "undone: training ended before the verdict"
    assert math.isnan(row.metric)
    assert not search.report.finished
    json.loads(search.report.to_json(), parse_constant=pytest.fail)


def test_max_trials_ends_the_search():
    session = Session([0.9] * 99, max_trials=2)
    search = session.begin()
    assert search.done
    assert len(search.report.rows) == 2


def test_a_lower_metric_may_be_better():
    session = Session()
    session.search.objective = Objective("val_loss", False, 0.1)
    search = session.begin(0.3)
    search.judge(2, 0.45, 0.4)
    search.judge(3, 0.39, 0.4)
    assert session.verdicts() == [("hidden1", 3, True)]
    assert search.report.best == 0.3


def hopeless_at_once(session):
    """One trial that wins back 0.05 in its second epoch, and one that is 0.3 away."""
    search = session.begin()
    search.judge(2, 0.75, 1.0)
    search.judge(3, 0.85, 1.0)
    search.advance(3)
    search.judge(4, 0.5, 1.0)
    return search


def test_a_hopeless_trial_ends_early_and_is_undone():
    session = Session(recovery=Recovery(least=1), retrain_epochs=5)
    search = hopeless_at_once(session)
    assert [row.metrics for row in session.told] == [[0.75, 0.85], [0.5]]
    assert session.told[1].reason.startswith("rejected early")
    assert session.told[1].epochs == 1
    assert search.trial is None
    assert session.model.count_params() == search.report.params_after


def test_a_resumed_search_remembers_what_was_won_back():
    first = Session(recovery=Recovery(least=1), retrain_epochs=5)
    search = first.begin()
    search.judge(2, 0.75, 1.0)
    search.judge(3, 0.85, 1.0)
    report = CompressionReport.from_json(search.report.to_json())
    second = Session(recovery=Recovery(least=1), retrain_epochs=5)
    second.search.resume(report, search.policy.state(), PrunePlan({}), None)
    second.search.advance(3)
    second.search.judge(4, 0.5, 1.0)
    assert second.told[0].reason.startswith("rejected early")


def test_without_recovery_every_trial_gets_its_epochs():
    session = Session(retrain_epochs=5)
    assert hopeless_at_once(session).trial is not None
