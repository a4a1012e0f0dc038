"""Layers of our own; importing the package registers them for `keras.models.load_model`."""

from keras_snare.layers.feature_selection import FeatureSelection

__all__ = ["FeatureSelection"]
