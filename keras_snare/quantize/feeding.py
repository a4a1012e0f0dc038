"""Data of a Keras 3 model for `fit` of its twin in tf_keras."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_snare.quantize.environment import tf_keras
from keras_snare.quantize.ordering import inputs_in_order, outputs_in_order


def fed(model, data: Any, argument: str = "data") -> dict[str, Any]:
    """Returns data as arguments of `fit` of tf_keras, in the order of the model's ends.

    Args:
        model: the model in Keras 3.
        data: `(x, y)` or `(x, y, sample_weight)` of arrays, a tf.data.Dataset or a
            keras.utils.PyDataset of such batches.
        argument: str, its name for messages.

    Raises:
        TypeError: when it is something else.
        ValueError: when it has no end, or is empty.
    """
    import tensorflow as tf

    if isinstance(data, tf.data.Dataset):
        _check_end(data, argument)
        return {"x": data.map(lambda *batch: _in_order(model, batch))}
    if isinstance(data, keras.utils.PyDataset):
        if not data.num_batches:
            raise ValueError(
                f"`{argument}` is a keras.utils.PyDataset with an end and at least one batch. "
                f"Received: num_batches={data.num_batches}. Give the count of its batches."
            )
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
    return dict(zip(("x", "y", "sample_weight"), _in_order(model, arrays), strict=False))


def _check_end(data: Any, argument: str) -> None:
    import tensorflow as tf

    if data.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            f"`{argument}` is a tf.data.Dataset with an end. Received: one without, such as "
            f"repeat() makes. Give {argument}.take(n) with the n batches of an epoch."
        )
    if not any(True for _ in data.take(1)):
        raise ValueError(
            f"`{argument}` is a tf.data.Dataset with at least one batch. Received: an empty one. "
            "Where it is read once only, such as from a generator, make it anew."
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
