"""Scores and costs to decisions: no Keras training in here."""

from keras_snare.policy.one_shot import SCOPES, lowest, one_shot
from keras_snare.policy.recovery import Recovery
from keras_snare.policy.rounds import in_rounds
from keras_snare.policy.selection import check_layers, matching_groups, means, select_groups
from keras_snare.policy.snare import Proposal, SnarePolicy
from keras_snare.policy.speculation import Speculation

__all__ = [
    "SCOPES",
    "Proposal",
    "Recovery",
    "SnarePolicy",
    "Speculation",
    "check_layers",
    "in_rounds",
    "lowest",
    "matching_groups",
    "means",
    "one_shot",
    "select_groups",
]
