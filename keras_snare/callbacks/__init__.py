"""Keras callbacks: they read state, call the library, and log."""

from keras_snare.callbacks.magnitude import MagnitudePruneCallback
from keras_snare.callbacks.snare import SnareCallback

__all__ = ["MagnitudePruneCallback", "SnareCallback"]
