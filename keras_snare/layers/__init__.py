"""Layers of our own; importing the package registers them for `keras.models.load_model`."""

from keras_snare.layers.dct_conv import DCTConv2D
from keras_snare.layers.dct_dense import DCTDense
from keras_snare.layers.feature_selection import FeatureSelection
from keras_snare.layers.kronecker_dense import KroneckerDense
from keras_snare.layers.low_rank_dense import LowRankDense

__all__ = ["DCTConv2D", "DCTDense", "FeatureSelection", "KroneckerDense", "LowRankDense"]
