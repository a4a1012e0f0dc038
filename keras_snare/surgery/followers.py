"""What is no part of a model but belongs to its channels, and follows its cuts while attached."""

from typing import Any, Protocol

import keras
import numpy as np

from keras_snare.graph import ChannelGroups

_HELD = "keras_snare_followers"


class Follower(Protocol):
    """Something that is told of every cut of a model, and put back when the cut is undone."""

    def cut(self, groups: ChannelGroups, removed: np.ndarray) -> None:
        """The channels `removed` (roots) of the groups have just gone."""
        ...

    def state(self) -> Any:
        """Returns what `put_back` takes; cuts made later must not change it."""
        ...

    def put_back(self, state: Any) -> None:
        """Becomes what it was when `state` returned this."""
        ...


def cut_followers(model: keras.Model) -> tuple[Follower, ...]:
    """Returns what follows the cuts of a model."""
    return vars(model).get(_HELD, ())


def follow_cuts(model: keras.Model, follower: Follower) -> None:
    """Tells a follower of every cut of a model from now on."""
    # Keras would note a plain assignment as one more attribute of the model.
    object.__setattr__(model, _HELD, (*cut_followers(model), follower))


def leave_cuts(model: keras.Model, follower: Follower) -> None:
    """Tells it no more; what was never told is no mistake."""
    left = tuple(one for one in cut_followers(model) if one is not follower)
    if left:
        object.__setattr__(model, _HELD, left)
    else:
        vars(model).pop(_HELD, None)
