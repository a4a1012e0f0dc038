"""Where the scores of a search come from: weights, the user's data, or the training step."""

from typing import Any

import keras
import numpy as np

from keras_snare.criteria import Criterion, LiveStatistics, score_groups, statistics, twins_of
from keras_snare.criteria.gradients import only_tensorflow
from keras_snare.graph import ChannelGroup, ChannelGroups
from keras_snare.step_hooks import check_called

Statistics = dict[str, np.ndarray] | None


class ScoreSource:
    """Gives scores for the model as it is, however the criterion gets them.

    Args:
        model: the model.
        criterion: what to score by.
        data: the user's data for the criterion, or None.

    Raises:
        UnsupportedModelError: when the criterion needs gradients and the backend is not TensorFlow.
    """

    def __init__(self, model: keras.Model, criterion: Criterion, data: Any = None) -> None:
        self.model = model
        self.criterion = criterion
        self.data = data
        listens = criterion.needs_data and data is None
        if listens or criterion.needs not in ("weights", "activations"):
            only_tensorflow(f"{criterion!r} and all criteria on gradients")
        self.live = LiveStatistics(model, criterion) if listens else None

    def attach(self, chosen: list[ChannelGroup]) -> None:
        """Starts to collect in the training step, if that is where the scores come from."""
        if self.live is not None:
            self.live.follow(chosen)
            self.live.attach()

    def detach(self) -> None:
        """Stops collecting."""
        if self.live is not None:
            self.live.detach()

    def epoch_began(self) -> None:
        """Scores are those of one epoch."""
        if self.live is not None:
            self.live.reset()

    def epoch_ended(self) -> None:
        """Checks that the epoch's steps were listened to.

        Raises:
            UnsupportedModelError: when the training step goes around the optimizer's `apply`.
        """
        if self.live is not None:
            check_called(self.model, repr(self.criterion))

    def collected(self) -> Statistics:
        """What the training step collected since the epoch began."""
        return None if self.live is None else self.live.statistics()

    @property
    def ready(self) -> bool:
        """Whether there is something to score by: data, weights, or a step that was listened to."""
        return self.live is None or self.live.collected_any

    def follow(self, chosen: list[ChannelGroup]) -> None:
        """Collects for the model as it is now."""
        if self.live is not None:
            self.live.follow(chosen)

    @property
    def totals(self) -> Any:
        """What is being collected; `put_back` takes it when a cut is undone."""
        return None if self.live is None else self.live.totals

    def put_back(self, totals: Any) -> None:
        """Goes on with what was collected for the model that an undone cut restores."""
        if self.live is not None:
            self.live.totals = totals

    def scores(
        self, groups: ChannelGroups, chosen: list[ChannelGroup], collected: Statistics
    ) -> dict[str, np.ndarray]:
        """Returns scores for the chosen groups."""
        if self.criterion.needs != "weights" and self.live is None:
            collected = statistics(self.model, groups, chosen, self.criterion, self.data)
        return score_groups(chosen, self.criterion, collected)

    def twins(self, chosen: list[ChannelGroup], removed: np.ndarray) -> dict[int, int]:
        """Returns which channels take over from those that go, where the criterion merges."""
        return twins_of(chosen, self.criterion, removed)
