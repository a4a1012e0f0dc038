"""Searches: a policy, a model, and somebody who trains."""

from keras_snare.search.metric import Objective, objective
from keras_snare.search.scores import ScoreSource
from keras_snare.search.session import SnareSearch, Trial

__all__ = ["Objective", "ScoreSource", "SnareSearch", "Trial", "objective"]
