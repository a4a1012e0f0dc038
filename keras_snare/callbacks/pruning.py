"""What the pruning callbacks share."""

import keras

from keras_snare.callbacks.describing import described


class PruningCallback(keras.callbacks.Callback):
    """A callback that changes the network of the `fit` it runs in; there can be one at a time."""

    # Shown in any case, as it is what a user decides on.
    main_argument = ""

    def __repr__(self) -> str:
        return described(self, self.main_argument)


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
