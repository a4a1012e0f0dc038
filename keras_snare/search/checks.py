"""What a model and data have to be for a search, looked at before anything changes."""

from pathlib import Path
from typing import Any

import keras

from keras_snare.criteria import Criterion, check_first_batch, check_measurable
from keras_snare.graph import channel_groups
from keras_snare.policy import matching_groups, select_groups
from keras_snare.search.metric import Objective
from keras_snare.surgery import Compensation


def check_search(
    settings: Any,
    model: keras.Model,
    layers: Any,
    objective: Objective,
    criterion: Criterion,
    compensation: Compensation | None,
) -> None:
    """Checks that a search can be made.

    Args:
        settings: what it is told to do.
        model: the model.
        layers: which layers may be cut.
        objective: what must not be lost.
        criterion: which units go first.
        compensation: what readers of units that go are given for them.

    Raises:
        ValueError, UnsupportedModelError: when it cannot.
    """
    groups = channel_groups(model)
    data, monitor = settings.scoring_data, objective.monitor
    if settings.retrain == "blocks" and not monitor.startswith("val_"):
        raise ValueError(
            "retrain='blocks' judges right after a cut, on validation data. Received: "
            f"monitor={monitor!r}. Give monitor={f'val_{monitor}'!r}."
        )
    if layers or not settings.prune_inputs:
        # A run that goes on may have cut all that there was to cut.
        select = matching_groups if _is_stored(settings.directory) else select_groups
        check_measurable(select(groups, layers), criterion)
    if compensation is not None:
        compensation.check(groups, matching_groups(groups, layers))
    if data is not None and (criterion.needs_data or compensation is not None):
        check_first_batch(groups.trace, data, criterion.needs_labels)


def _is_stored(directory: Any) -> bool:
    return directory is not None and (Path(directory) / "run.json").is_file()
