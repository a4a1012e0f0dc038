"""What the pruning callbacks share."""

import inspect

import keras


class PruningCallback(keras.callbacks.Callback):
    """A callback that changes the network of the `fit` it runs in; there can be one at a time."""

    # Shown in any case, as it is what a user decides on.
    main_argument = ""

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        given = {name: getattr(self, name) for name in defaults}
        changed = [
            f"{name}={value!r}"
            for name, value in given.items()
            if name == self.main_argument or not _same(value, defaults[name].default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"


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


def _same(value, default) -> bool:
    return type(value) is type(default) and value == default
