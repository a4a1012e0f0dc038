"""Weights that share few values: codebooks, and training steps that keep to them."""

from keras_snare.clustering.clustered_step import ClusteredStep
from keras_snare.clustering.codebooks import Codebook, Codebooks, cluster_weights

__all__ = ["ClusteredStep", "Codebook", "Codebooks", "cluster_weights"]
