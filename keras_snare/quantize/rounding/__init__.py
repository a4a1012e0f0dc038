"""Quantization-aware training in Keras 3 alone, for what TF-MOT does not take."""

from keras_snare.quantize.rounding.twin import RoundedTwin

__all__ = ["RoundedTwin"]
