"""`random`: a seeded draw, the baseline that any criterion has to beat."""

import zlib

import numpy as np

from keras_snare.arguments import is_whole
from keras_snare.masking.criteria.base import ConnectionCriterion


class RandomConnectionCriterion(ConnectionCriterion):
    """Uniform between 0 and 1, the same for the same seed and name of the kernel.

    Args:
        seed: int, 0 or more.

    Raises:
        ValueError: when it is none.
    """

    def __init__(self, seed: int = 0) -> None:
        if not is_whole(seed) or seed < 0:
            raise ValueError(f"`seed` is an integer, 0 or more. Received: seed={seed!r}")
        self.seed = seed

    def score(self, kernel, weights: np.ndarray, measured) -> np.ndarray:
        random = np.random.default_rng([self.seed, zlib.crc32(kernel.name.encode())])
        return random.random(weights.shape, dtype=np.float32)
