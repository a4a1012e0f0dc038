"""`synflow`: how much of what runs from the inputs to the outputs passes a connection."""

import keras
import numpy as np

from keras_snare.arguments import check_count
from keras_snare.criteria.flow import synaptic_flow
from keras_snare.masking.criteria.base import ConnectionCriterion


class SynFlowConnectionCriterion(ConnectionCriterion):
    """Synaptic flow: |weight · ∂R/∂weight|, with R = 1ᵀ · ∏|W| · 1, without any data.

    What flows into a unit equals what flows out of it. So a layer is never emptied while others
    keep plenty, if connections go in many rounds and are compared over the whole network: take
    `SynFlowCallback`, or `sparsify` with `rounds=100` and the scope `"global"`.
    `keras_snare.criteria.flow.synaptic_flow` says what becomes of biases, activations,
    normalisations and other layers.

    Args:
        size: int, length of the axes of inputs, batch axis aside, that the model leaves open.

    Reference:
        Tanaka et al., "Pruning Neural Networks Without Any Data by Iteratively Conserving Synaptic
        Flow", NeurIPS 2020.
    """

    needs = "network"

    def __init__(self, size: int = 128) -> None:
        check_count("size", size)
        self.size = size

    def measure(self, model: keras.Model, kernels, data):
        flows = synaptic_flow(model, [one.variable for one in kernels], self.size)
        return {one.name: flow for one, flow in zip(kernels, flows, strict=True)}

    def score(self, kernel, weights: np.ndarray, measured) -> np.ndarray:
        return measured
