"""Batches that are looked at before a training step takes them."""

from contextlib import suppress

import numpy as np
import tensorflow as tf

from keras_snare.callbacks.first_batches import FirstBatches


def test_every_batch_is_trained_on_once_and_in_order():
    shown, trained = [], []
    batches = [np.full((2, 1), at, "float32") for at in range(7)]
    spec = tf.TensorSpec((None, 1))
    source = iter(tf.data.Dataset.from_generator(lambda: batches, output_signature=spec))

    def function(iterator):
        for _ in range(2):
            trained.append(int(next(iterator)[0, 0]))

    step = FirstBatches(function, 2, 3, lambda some: shown.extend(int(one[0, 0]) for one in some))
    for _ in range(4):
        with suppress(StopIteration):
            step(source)
    assert shown == [0, 1, 2]
    assert trained == list(range(7))
