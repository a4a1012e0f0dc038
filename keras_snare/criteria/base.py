"""What a criterion is."""

from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np

from keras_snare.criteria.evidence import ChannelEvidence

Needs = Literal["weights", "network", "activations", "gradients", "curvature"]
# What needs more comes later.
NEEDS: tuple[Needs, ...] = ("weights", "network", "activations", "gradients", "curvature")


class Criterion(ABC):
    """Ranks the channels of a group: the lowest scores are removed first.

    Subclass it, implement `score`, and pass an instance wherever a criterion is taken, or register
    it under a name with `keras_snare.register_criterion`.

    Attributes:
        needs: `"weights"`; `"network"` for the synaptic flow into each channel, without data; or
            `"activations"`, `"gradients"` or `"curvature"` (second derivatives) for a criterion
            that looks at data; such a criterion also implements `statistic`.
        live: bool, whether `statistic` depends on the product of activation and gradient alone, so
            that it can be collected during training from the gradients of the weights.
        gates: what is differentiated by, for a criterion on curvature: `"units"` or `"weights"`.
        curvature: how second derivatives are taken: `"hessian"` or `"gauss_newton"`.
        probes: int or None, vectors to multiply with per batch of data; None for exact values.
        seed: int, of the probes.
        size: int, length that open axes of inputs have for the synaptic flow, batch axis aside.

    Example:

    >>> class LargestWeight(keras_snare.Criterion):
    ...     def score(self, channels):
    ...         return max(abs(weights).max(axis=1) for weights in channels.weights("producer"))
    """

    needs: Needs = "weights"
    live: bool = False
    gates: Literal["units", "weights"] = "units"
    curvature: Literal["hessian", "gauss_newton"] = "hessian"
    probes: int | None = 64
    seed: int = 0
    size: int = 128

    @abstractmethod
    def score(self, channels: ChannelEvidence) -> np.ndarray:
        """Returns one score per channel, shape `(channels.width,)`."""

    def statistic(self, activations: Any, gradients: Any) -> Any:
        """Reduces a batch to one figure per example and channel.

        A criterion on curvature gets derivatives of the mean loss over all data instead, first ones
        and second ones: by a factor on each channel where it is read, or on each weight that makes
        it. The factors are 1, and 0 would remove what they stand at. The shape is
        `(1, factors of a channel, channels)`.

        Args:
            activations: tensor `(batch, positions, channels)`, what the readers of the channels
                read. The positions of several readers lie one behind the other.
            gradients: the derivative of the examples' losses by `activations`, of the same shape;
                None unless `needs` is `"gradients"`.

        Returns:
            Tensor `(batch, channels)`. `score` finds the mean over all examples in
            `channels.statistic`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} needs {self.needs}, so it has to implement `statistic`."
        )

    def twins(self, channels: ChannelEvidence) -> np.ndarray | None:
        """Returns, for a criterion that merges channels, which one each is merged into.

        Returns:
            Array `(channels.width,)` of channels, -1 for none; None where nothing is merged. A
            channel that is removed hands its outgoing weights on to the one named here, or if that
            is removed too, to the one named for that.
        """
        return None

    @property
    def measured(self) -> tuple["Criterion", ...]:
        """What looks at more than weights: this criterion, if it does; of a combined one, parts."""
        return () if self.needs == "weights" else (self,)

    @property
    def needs_data(self) -> bool:
        """Whether it looks at data."""
        return self.needs not in ("weights", "network")

    @property
    def needs_labels(self) -> bool:
        """Whether it looks at the loss, for which the model has to be compiled."""
        return self.needs in ("gradients", "curvature")

    @property
    def kind(self) -> str:
        """What a stored run knows the criterion by."""
        return type(self).__name__

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({options})"
