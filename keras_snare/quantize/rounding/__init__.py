"""Quantization-aware training in Keras 3 alone, for what TF-MOT does not take."""

from keras_snare.quantize.rounding.numbers import without_rounding
from keras_snare.quantize.rounding.twin import RoundedTwin, has_recurrent

__all__ = ["RoundedTwin", "has_recurrent", "without_rounding"]
