"""The loss of a batch as a mean over its examples, whatever the model's losses reduce to."""

from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError

_SUMS = ("sum", "none", None)


def mean_loss(
    model: keras.Model,
    targets: Any,
    outputs: Any,
    *,
    x: Any = None,
    training: bool = False,
    sample_weight: Any = None,
) -> Any:
    """Returns the compiled loss of a batch, as a mean over its examples.

    Keras's losses are means by default. One with `reduction="sum"`, or with none, grows with the
    batch, and is divided by its size, so that figures do not depend on how data are cut up.

    Args:
        model: a compiled model.
        targets: of the batch.
        outputs: of the model.
        x: inputs of the batch, for a `compute_loss` of the user's.
        training: bool, as in `model(x, training=...)`.
        sample_weight: of the batch, or None.

    Raises:
        UnsupportedModelError: when one loss of the model is a mean and another a sum.
    """
    # A `compute_loss` of the user's may know no weights.
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    loss = model.compute_loss(x=x, y=targets, y_pred=outputs, training=training, **weights)
    if not _is_sum(model):
        return loss
    ops = keras.ops
    return ops.sum(loss) / ops.cast(ops.shape(keras.tree.flatten(outputs)[0])[0], loss.dtype)


def _is_sum(model: keras.Model) -> bool:
    given = [one for one in keras.tree.flatten(model.loss) if one is not None]
    sums = [isinstance(one, keras.losses.Loss) and one.reduction in _SUMS for one in given]
    if any(sums) and not all(sums):
        names = [one.name for one, is_sum in zip(given, sums, strict=True) if is_sum]
        raise UnsupportedModelError(
            "Expected losses that are all means over the batch, or all sums. Received: "
            f"{len(given)} losses, of which {', '.join(names)} sum. Give them one reduction."
        )
    return any(sums)
