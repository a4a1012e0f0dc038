"""Searches: a policy, a model, and somebody who trains."""

from keras_snare.search.best_epoch import BestEpoch
from keras_snare.search.candidate import (
    StoredValues,
    fingerprint,
    held_variables,
    random_states,
    store_values,
)
from keras_snare.search.loading import load_candidate
from keras_snare.search.metric import Objective, objective
from keras_snare.search.run_directory import RunDirectory
from keras_snare.search.saved_run import SavedRun
from keras_snare.search.scores import ScoreSource
from keras_snare.search.session import SnareSearch, Trial
from keras_snare.search.warmup import Warmup

__all__ = [
    "BestEpoch",
    "Objective",
    "RunDirectory",
    "SavedRun",
    "ScoreSource",
    "SnareSearch",
    "StoredValues",
    "Trial",
    "Warmup",
    "fingerprint",
    "held_variables",
    "load_candidate",
    "objective",
    "random_states",
    "store_values",
]
