"""`random`: a seeded draw, the baseline that any criterion has to beat."""

import zlib

import numpy as np

from keras_snare.masking.criteria.base import ConnectionCriterion


class RandomConnectionCriterion(ConnectionCriterion):
    """Uniform between 0 and 1, the same for the same seed and name of the kernel.

    Args:
        seed: int.
    """

    def __init__(self, seed: int = 0):
        self.seed = seed

    def score(self, kernel, weights: np.ndarray, measured) -> np.ndarray:
        random = np.random.default_rng([self.seed, zlib.crc32(kernel.name.encode())])
        return random.random(weights.shape, dtype=np.float32)
