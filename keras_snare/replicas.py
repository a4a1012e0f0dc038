"""What `tf.distribute` asks of code around a training step; nothing where no strategy is used."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError

_SUITABLE = "tf.distribute.MirroredStrategy or OneDeviceStrategy"


def strategy_of(model: keras.Model) -> Any:
    """Returns the strategy of a model, which may be TensorFlow's default; None elsewhere."""
    return getattr(model, "distribute_strategy", None)


def num_replicas(model: keras.Model) -> int:
    """Returns how many replicas train a model."""
    strategy = strategy_of(model)
    return 1 if strategy is None else strategy.num_replicas_in_sync


def scope_of(model: keras.Model) -> AbstractContextManager:
    """Returns the scope in which variables of a model are made, one of each per replica."""
    strategy = strategy_of(model)
    return nullcontext() if strategy is None else strategy.scope()


def mirrored(model: keras.Model, value: Any, dtype: str) -> keras.Variable:
    """Makes a variable that is not trained, to which all replicas of a model give the same values.

    Args:
        model: the model.
        value: its first value.
        dtype: str.
    """
    with scope_of(model):
        return keras.Variable(value, dtype=dtype, trainable=False, aggregation="only_first_replica")


def sum_over_replicas(values: Any) -> Any:
    """Returns a tensor, or a structure of some, summed up over the replicas, in a training step."""
    if keras.backend.backend() != "tensorflow":
        return values
    import tensorflow as tf

    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1 or not keras.tree.flatten(values):
        return values
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, values)


def check_strategy(model: keras.Model) -> None:
    """Checks that a model's variables are where they can be cut, and all replicas alike.

    Raises:
        UnsupportedModelError: when another strategy keeps them.
    """
    strategy = strategy_of(model)
    if strategy is None or type(strategy).__name__ == "_DefaultDistributionStrategy":
        return
    import tensorflow as tf

    if isinstance(strategy, (tf.distribute.MirroredStrategy, tf.distribute.OneDeviceStrategy)):
        return
    name, why = type(strategy).__name__, ""
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        name, why = "MultiWorkerMirroredStrategy", "Keras 3 does not train on several workers. "
    raise UnsupportedModelError(
        f"Expected a model without a strategy, or made in the scope of {_SUITABLE}. Received: "
        f"model {model.name!r} of a {name}. {why}Make the model in the scope of "
        "one of these, or outside of any."
    )


def check_one_replica(model: keras.Model, purpose: str) -> None:
    """Checks that a model is trained on one device.

    Args:
        model: the model.
        purpose: str, what it is trained for there, for the message.

    Raises:
        UnsupportedModelError: when it is not.
    """
    check_strategy(model)
    replicas = num_replicas(model)
    if replicas > 1:
        raise UnsupportedModelError(
            f"Expected training on one device. Received: a strategy with {replicas} replicas. Make "
            f"the model outside of its scope {purpose}."
        )
