"""Searches: a policy, a model, and somebody who trains."""

from keras_snare.search.best_epoch import BestEpoch
from keras_snare.search.candidate import (
    StoredValues,
    fingerprint,
    held_variables,
    random_states,
    store_values,
)
from keras_snare.search.compressing import compress
from keras_snare.search.loading import load_candidate, stored_report
from keras_snare.search.messages import Teller
from keras_snare.search.metric import Objective, check_metric, objective
from keras_snare.search.run_directory import RunDirectory
from keras_snare.search.saved_run import SavedRun
from keras_snare.search.scores import ScoreSource
from keras_snare.search.search_run import LOGS, SearchRun
from keras_snare.search.session import SnareSearch
from keras_snare.search.settings import check_settings, course, new_policy
from keras_snare.search.trial import Trial
from keras_snare.search.warmup import Warmup

__all__ = [
    "LOGS",
    "BestEpoch",
    "Objective",
    "RunDirectory",
    "SavedRun",
    "ScoreSource",
    "SearchRun",
    "SnareSearch",
    "StoredValues",
    "Teller",
    "Trial",
    "Warmup",
    "check_metric",
    "check_settings",
    "compress",
    "course",
    "fingerprint",
    "held_variables",
    "load_candidate",
    "new_policy",
    "objective",
    "random_states",
    "store_values",
    "stored_report",
]
