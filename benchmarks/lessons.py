"""Images with labels and the answers of teachers, for the training of another network."""

import keras
import numpy as np
import tensorflow as tf
from datasets import Dataset


class Lessons:
    """Batches of images, labels and the teachers' answers, without an end.

    Args:
        batch_size: images of a batch.
        shifted: whether there are also images moved by a pixel to the four sides; an epoch has as
            many steps as without them.
        data: gives the images.
        teachers: give the answers, of which the mean counts.
    """

    def __init__(self, batch_size: int, shifted: bool, data: Dataset, teachers: list[keras.Model]):
        images = [data.x_train, *(_moved(data.x_train) if shifted else ())]
        x = np.concatenate(images)
        answers = np.mean([one.predict(x, batch_size=500, verbose=0) for one in teachers], axis=0)
        self.parts = x, np.tile(data.y_train, len(images)), answers
        self.batch_size = batch_size
        self.steps = len(data.x_train) // batch_size

    def batches(self, seed: int) -> tf.data.Dataset:
        """In an order by the seed."""
        x, y, answers = map(tf.constant, self.parts)
        order = tf.data.Dataset.range(len(x)).shuffle(len(x), seed=seed).repeat()

        def batch(at):
            return tf.gather(x, at), (tf.gather(y, at), tf.gather(answers, at))

        return order.batch(self.batch_size).map(batch).prefetch(2)


def _moved(images: np.ndarray) -> list[np.ndarray]:
    """The images moved by a pixel to each side; the margin is black."""
    grid = images.reshape(-1, 28, 28)
    found = []
    for axis in (1, 2):
        for step, edge in ((1, 0), (-1, -1)):
            moved = np.roll(grid, step, axis)
            np.moveaxis(moved, axis, 0)[edge] = 0
            found.append(moved.reshape(images.shape))
    return found
