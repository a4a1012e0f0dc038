"""Data of a Keras 3 model for `fit` of its twin in tf_keras."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_snare.quantize.environment import tf_keras
from keras_snare.quantize.ordering import inputs_in_order, outputs_in_order


def fed(
    model,
    data: Any,
    argument: str = "data",
    steps: int | None = None,
    steps_argument: str = "steps_per_epoch",
    batch_size: int = 32,
) -> dict[str, Any]:
    """Returns data as arguments of `fit` of tf_keras, in the order of the model's ends.

    Args:
        model: the model in Keras 3.
        data: `(x, y)` or `(x, y, sample_weight)` of arrays, a tf.data.Dataset or a
            keras.utils.PyDataset of such batches.
        argument: str, its name for messages.
        steps: int or None, how many batches are read at a time.
        steps_argument: str, the name of that.
        batch_size: int, examples of a batch of arrays.

    Raises:
        TypeError: when it is something else.
        ValueError: when it has no end and `steps` is None, is empty, or has fewer batches than
            `steps`.
    """
    import tensorflow as tf

    if isinstance(data, tf.data.Dataset):
        _check_end(data, argument, steps, steps_argument)
        batches = data.map(lambda *batch: _in_order(model, batch))
        # tf_keras goes on in the data where the epoch before has ended, and stops at their end.
        return {"x": batches if steps is None else batches.repeat()}
    if isinstance(data, keras.utils.PyDataset):
        if not data.num_batches:
            raise ValueError(
                f"`{argument}` is a keras.utils.PyDataset with an end and at least one batch. "
                f"Received: num_batches={data.num_batches}. Give the count of its batches."
            )
        _check_steps(data.num_batches, argument, steps, steps_argument)
        return {"x": _sequence(model, data)}
    if not isinstance(data, tuple) or len(data) not in (2, 3):
        raise TypeError(
            f"`{argument}` is `(x, y)` or `(x, y, sample_weight)` of arrays, a tf.data.Dataset or "
            f"a keras.utils.PyDataset. Received: {type(data).__name__}"
        )
    arrays = keras.tree.map_structure(np.asarray, data)
    sizes = {len(one) for one in keras.tree.flatten(arrays)}
    if len(sizes) != 1 or not min(sizes):
        raise ValueError(
            f"`{argument}` has arrays with as many examples each, one at least. Received: "
            f"{sorted(sizes)} examples."
        )
    _check_steps(-(-min(sizes) // batch_size), argument, steps, steps_argument)
    return dict(zip(("x", "y", "sample_weight"), _in_order(model, arrays), strict=False))


def _check_end(data: Any, argument: str, steps: int | None, steps_argument: str) -> None:
    import tensorflow as tf

    if steps is None and data.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            f"`{argument}` is a tf.data.Dataset with an end. Received: one without, such as "
            f"repeat() makes. Give {steps_argument}, the batches of an epoch, or "
            f"{argument}.take(n)."
        )
    if not any(True for _ in data.take(1)):
        raise ValueError(
            f"`{argument}` is a tf.data.Dataset with at least one batch. Received: an empty one. "
            "Where it is read once only, such as from a generator, make it anew."
        )


def _check_steps(count: int, argument: str, steps: int | None, steps_argument: str) -> None:
    if steps is not None and steps > count:
        raise ValueError(
            f"Expected as many batches as steps. Received: {steps_argument}={steps} with {count} "
            f"batches of `{argument}`. Lower it, or leave it out."
        )


def _in_order(model, batch: Iterable[Any]) -> tuple[Any, ...]:
    x, *others = batch
    parts = [inputs_in_order(model, x), *(outputs_in_order(model, one) for one in others)]
    return tuple(one[0] if len(one) == 1 else tuple(one) for one in parts)


def _sequence(model, data: keras.utils.PyDataset) -> Any:
    class Sequence(tf_keras().utils.Sequence):
        def __len__(self):
            return data.num_batches

        def __getitem__(self, at):
            return _in_order(model, data[at])

        def on_epoch_end(self):
            data.on_epoch_end()

    return Sequence()
