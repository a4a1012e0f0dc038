"""What a smaller model gains and loses, measured."""

from keras_snare.comparison.compare import compare

__all__ = ["compare"]
