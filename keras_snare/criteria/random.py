"""`random`: the reference that any criterion has to beat."""

import numpy as np

from keras_snare.arguments import is_whole
from keras_snare.criteria.base import Criterion
from keras_snare.criteria.evidence import ChannelEvidence


class RandomCriterion(Criterion):
    """Uniform scores from a seed.

    The scores depend on the seed, on the group's name and on its width, so that two runs agree
    whatever is scored in between.

    Args:
        seed: int.
    """

    def __init__(self, seed: int = 0) -> None:
        if not is_whole(seed) or seed < 0:
            raise ValueError(f"The seed is an integer, 0 or more. Received: seed={seed!r}")
        self.seed = int(seed)

    def score(self, channels: ChannelEvidence) -> np.ndarray:
        name = list(channels.group.name.encode())
        return np.random.default_rng([self.seed, channels.width, *name]).random(channels.width)
