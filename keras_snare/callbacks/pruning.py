"""What the pruning callbacks share."""

from typing import Any

import keras

from keras_snare.callbacks.describing import described
from keras_snare.masking import Masks
from keras_snare.records import PruneReport


class PruningCallback(keras.callbacks.Callback):
    """A callback that changes the network of the `fit` it runs in; there can be one at a time."""

    # Shown in any case, as it is what a user decides on.
    main_argument = ""

    def __repr__(self) -> str:
        return described(self, self.main_argument)


class SparsityCallback(PruningCallback):
    """A pruning callback that makes a model sparser, connections or units, in one run per `fit`.

    Attributes:
        masks: `Masks` of the model after `fit`; None before, and with units.
        report: `PruneReport` of what was removed for real, or None.
    """

    def __init__(self) -> None:
        super().__init__()
        self.masks: Masks | None = None
        self.report: PruneReport | None = None
        self._run: Any = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs.update(self._running().logs())

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        run, self._run = self._running(), None
        self.masks, self.report = run.end()

    def _begin(self, run: Any) -> None:
        """Takes a run of this `fit`, and forgets what the one before has left."""
        self._run = run
        self.masks = self.report = None

    def _tidy_up(self) -> None:
        """Ends a run that a `fit` before was interrupted in."""
        if self._run is not None:
            self._run.tidy_up()

    def _running(self) -> Any:
        assert self._run is not None, "on_train_begin comes first"
        return self._run


def check_alone(callback: PruningCallback, callbacks: list) -> None:
    """Checks that no other callback of the running `fit` prunes.

    Raises:
        ValueError: when one does.
    """
    others = [one for one in callbacks if isinstance(one, PruningCallback) and one is not callback]
    if others:
        raise ValueError(
            f"One callback at a time can prune. Received {type(callback).__name__} together with "
            f"{type(others[0]).__name__}. Call fit once with each, one after the other."
        )
