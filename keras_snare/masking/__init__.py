"""Connection pruning: masks that hold through training."""

from keras_snare.masking.arguments import (
    check_compiled,
    check_criterion_data,
    check_scope,
    final_sparsity,
)
from keras_snare.masking.criteria import (
    CONNECTION_CRITERIA,
    ConnectionCriterion,
    get_connection_criterion,
    mean_gradients,
)
from keras_snare.masking.dead import remove_dead
from keras_snare.masking.initial_values import initial_values
from keras_snare.masking.kernels import Kernel, kernels_of
from keras_snare.masking.masked_step import MaskedStep
from keras_snare.masking.masks import Masks, whole_masks
from keras_snare.masking.outputs import output_kernels
from keras_snare.masking.patterns import Pattern, get_pattern
from keras_snare.masking.pruner import ConnectionPruner
from keras_snare.masking.regrowth import Regrowth, RigL, Splicing, get_regrowth
from keras_snare.masking.selection import CONNECTION_SCOPES, select
from keras_snare.masking.sparsify import chosen_masks, sparsify
from keras_snare.masking.suitable import suitable_kernels
from keras_snare.masking.ticket import Ticket
from keras_snare.masking.training_state import TrainingState

__all__ = [
    "CONNECTION_CRITERIA",
    "CONNECTION_SCOPES",
    "ConnectionCriterion",
    "ConnectionPruner",
    "Kernel",
    "MaskedStep",
    "Masks",
    "Pattern",
    "Regrowth",
    "RigL",
    "Splicing",
    "Ticket",
    "TrainingState",
    "check_compiled",
    "check_criterion_data",
    "check_scope",
    "chosen_masks",
    "final_sparsity",
    "get_connection_criterion",
    "get_pattern",
    "get_regrowth",
    "initial_values",
    "kernels_of",
    "mean_gradients",
    "output_kernels",
    "remove_dead",
    "select",
    "sparsify",
    "suitable_kernels",
    "whole_masks",
]
