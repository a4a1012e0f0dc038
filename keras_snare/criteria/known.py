"""Criteria by name."""

import inspect

from keras_snare.criteria.activation import ActivationCriterion
from keras_snare.criteria.apoz import APoZCriterion
from keras_snare.criteria.base import Criterion
from keras_snare.criteria.batchnorm_scale import BatchNormScaleCriterion
from keras_snare.criteria.fisher import FisherCriterion
from keras_snare.criteria.fpgm import FPGMCriterion
from keras_snare.criteria.hessian import HessianCriterion
from keras_snare.criteria.l1_both import L1BothCriterion
from keras_snare.criteria.l1_in import L1InCriterion
from keras_snare.criteria.l1_out import L1OutCriterion
from keras_snare.criteria.l2 import L2Criterion
from keras_snare.criteria.obd import OBDCriterion
from keras_snare.criteria.random import RandomCriterion
from keras_snare.criteria.similarity import SimilarityCriterion
from keras_snare.criteria.synflow import SynFlowCriterion
from keras_snare.criteria.taylor import TaylorCriterion
from keras_snare.registry import Registry

CRITERIA: Registry[type[Criterion]] = Registry("criterion")
for _name, _criterion in {
    "activation": ActivationCriterion,
    "apoz": APoZCriterion,
    "batchnorm_scale": BatchNormScaleCriterion,
    "fisher": FisherCriterion,
    "fpgm": FPGMCriterion,
    "hessian": HessianCriterion,
    "l1_both": L1BothCriterion,
    "l1_in": L1InCriterion,
    "l1_out": L1OutCriterion,
    "l2": L2Criterion,
    "obd": OBDCriterion,
    "random": RandomCriterion,
    "similarity": SimilarityCriterion,
    "synflow": SynFlowCriterion,
    "taylor": TaylorCriterion,
}.items():
    CRITERIA.register(_name, _criterion)


def register_criterion(name: str, criterion: type[Criterion]) -> None:
    """Makes a criterion known under a name, for every argument called `criterion`.

    Args:
        name: str, not taken yet.
        criterion: a subclass of `Criterion` that can be made without arguments.

    Raises:
        TypeError: when `criterion` is not a subclass of `Criterion`, or cannot be made without
            arguments.
        ValueError: when the name is taken.

    Example:

    >>> class LargestWeight(keras_snare.Criterion):
    ...     def score(self, channels):
    ...         return sum(abs(one).max(axis=1) for one in channels.weights("producer"))
    >>> keras_snare.register_criterion("largest_weight", LargestWeight)
    >>> keras_snare.prune(model, 0.5, criterion="largest_weight")
    """
    if not isinstance(criterion, type) or not issubclass(criterion, Criterion):
        raise TypeError(
            "Register the class of a criterion, a subclass of keras_snare.Criterion. Received: "
            f"{criterion!r}"
        )
    try:
        if inspect.isabstract(criterion):
            raise TypeError("it does not implement `score`")
        inspect.signature(criterion).bind()
    except TypeError as error:
        raise TypeError(
            "A criterion that is known by name is made without arguments. Received: "
            f"{criterion!r} ({error}). Give its arguments defaults, or pass an instance where a "
            "criterion is taken."
        ) from None
    CRITERIA.register(name, criterion)


def get_criterion(criterion: str | Criterion) -> Criterion:
    """Returns a criterion by name, or the object itself.

    Raises:
        ValueError: when no criterion has the name.
        TypeError: when `criterion` is neither a name nor a `Criterion`.
    """
    return CRITERIA.make(criterion, Criterion, "criterion", "a keras_snare.Criterion")
