"""Mistakes that `SynFlowCallback` can see before any training."""

from typing import Any

from keras_snare.arguments import check_count, check_flag
from keras_snare.callbacks.pruning_checks import check_dead, check_units
from keras_snare.masking import (
    check_criterion_data,
    check_scope,
    final_sparsity,
    get_connection_criterion,
    get_pattern,
)
from keras_snare.policy import check_layers


def check_synflow(settings: Any) -> float:
    """Checks the callback's arguments, and returns the sparsity that is asked for.

    Raises:
        ValueError, TypeError: for the first one that is out of range.
    """
    for name in ("structured", "remove_dead"):
        check_flag(name, getattr(settings, name))
    check_count("rounds", settings.rounds)
    check_layers(settings.layers)
    if settings.structured:
        check_units(settings, listens=False)
    else:
        check_scope(settings.scope, get_pattern(settings.pattern, settings.block))
        check_dead(settings)
        criterion = get_connection_criterion(settings.criterion)
        check_criterion_data(criterion, settings.scoring_data, "scoring_data")
    return final_sparsity(settings.sparsity, get_pattern(settings.pattern, settings.block), 0.9)
