"""Training images that are moved by a pixel, another way in every epoch."""

import keras
import numpy as np

SIDE = 28


class MovedImages(keras.utils.PyDataset):
    """Batches of images that stay in place or go by one of the eight steps to a neighbour.

    Args:
        x: images of `(examples, 28, 28, 1)`; what comes in from beyond the edge is black.
        y: labels.
        batch_size: images of a batch.
        seed: of the order and of the steps.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, batch_size: int, seed: int):
        super().__init__()
        framed = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        self.views = [
            framed[:, down : down + SIDE, right : right + SIDE]
            for down in range(3)
            for right in range(3)
        ]
        self.y, self.batch_size = y, batch_size
        self.generator = np.random.default_rng(seed)
        self.order = self.generator.permutation(len(y))

    def __len__(self) -> int:
        return -(-len(self.y) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        at = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        steps = self.generator.integers(0, len(self.views), len(at))
        images = np.empty((len(at), SIDE, SIDE, 1), "float32")
        for step, view in enumerate(self.views):
            images[steps == step] = view[at[steps == step]]
        return images, self.y[at]

    def on_epoch_end(self) -> None:
        """Puts the images in another order."""
        self.generator.shuffle(self.order)
