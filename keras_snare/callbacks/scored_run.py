"""A part of one `fit` in which channels are scored, and the model is changed by their scores."""

from abc import ABC, abstractmethod
from typing import Any

from keras_snare.callbacks.running_fit import Guard, RunningFit
from keras_snare.criteria import get_criterion
from keras_snare.graph import ChannelGroup, channel_groups
from keras_snare.search import ScoreSource


class ScoredRun(ABC):
    """Keeps scores up to date while the channels change, and lets go of the model in the end.

    Args:
        settings: the callback, with its model and `scoring_data`.
        criterion: what channels are ranked by, a name or an object.

    Attributes:
        groups: `ChannelGroups` of the model as it is.
    """

    def __init__(self, settings: Any, criterion: Any) -> None:
        self.model = settings.model
        self.settings = settings
        self.groups = channel_groups(self.model)
        self._source = ScoreSource(self.model, get_criterion(criterion), settings.scoring_data)
        self._guard: Guard | None = None
        self._attached = False

    def _watch(self, fit: RunningFit | None) -> None:
        """Watches the running `fit` for exceptions: last, when nothing is refused any more."""
        self._guard = Guard(self.model, fit.callbacks if fit else None, self.tidy_up)

    @abstractmethod
    def _chosen(self) -> list[ChannelGroup]:
        """The groups that are scored."""

    def epoch_begins(self) -> None:
        """Begins before the first epoch."""
        if not self._attached:
            self._attached = True
            self._source.attach(self._chosen())
            self.model.make_train_function(force=True)
        self._watched().watch_model()

    def tidy_up(self) -> None:
        """Takes everything of ours off the model."""
        self._watched().release()
        self._source.detach()
        self._attached = False

    def _follow(self) -> None:
        """Goes on with a model whose channels have changed."""
        self.groups = channel_groups(self.model)
        self._source.follow(self._chosen())
        self._watched().watch_model()

    def _watched(self) -> Guard:
        assert self._guard is not None, "a run watches when it has been made"
        return self._guard
