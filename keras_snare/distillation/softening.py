"""Outputs as logits: what a temperature divides."""

from typing import Any

import keras
from keras import ops

from keras_snare.distillation.forms import BINARY_LOGITS, LOGITS, PROBABILITIES

# Probabilities below are taken for these. Softmax outputs are exact down to the smallest number of
# their type; those that a two-way output leaves to the other side, to the spacing of numbers at 1.
_LEAST = {"float16": 6e-8}
_LEAST_OF_TWO = {"float16": 1e-3, "bfloat16": 1e-2}


def as_logits(output: Any, form: str) -> Any:
    """Returns numbers that a softmax along the last axis makes an output's probabilities of.

    Two-way outputs get that axis, with two numbers each.
    """
    kind = keras.backend.standardize_dtype(output.dtype)
    output = ops.cast(output, keras.config.floatx())
    if form == LOGITS:
        return output
    if form == PROBABILITIES:
        return ops.log(ops.maximum(output, _LEAST.get(kind, 1e-37)))
    if form == BINARY_LOGITS:
        return ops.stack([output, ops.zeros_like(output)], axis=-1)
    least = _LEAST_OF_TWO.get(kind, 1e-7)
    output = ops.clip(output, least, 1.0 - least)
    return ops.stack([ops.log(output), ops.log(1.0 - output)], axis=-1)


def mean_logits(answers: list[Any], temperature: float) -> Any:
    """Returns logits whose softened probabilities are the mean of those of several answers."""
    if len(answers) == 1:
        return answers[0]
    softened = ops.stack([ops.log_softmax(one / temperature, axis=-1) for one in answers])
    return temperature * ops.logsumexp(softened, axis=0)
