"""Searches: a policy, a model, and somebody who trains."""

from keras_snare.search.candidate import (
    StoredValues,
    fingerprint,
    held_variables,
    random_states,
    store_values,
)
from keras_snare.search.metric import Objective, objective
from keras_snare.search.run_directory import RunDirectory
from keras_snare.search.scores import ScoreSource
from keras_snare.search.session import SnareSearch, Trial

__all__ = [
    "Objective",
    "RunDirectory",
    "ScoreSource",
    "SnareSearch",
    "StoredValues",
    "Trial",
    "fingerprint",
    "held_variables",
    "objective",
    "random_states",
    "store_values",
]
