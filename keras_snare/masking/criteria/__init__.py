"""Which connections matter: one file per criterion."""

from typing import Any

from keras_snare.masking.criteria.base import ConnectionCriterion, gradients
from keras_snare.masking.criteria.grasp import GraSPCriterion
from keras_snare.masking.criteria.magnitude import MagnitudeCriterion
from keras_snare.masking.criteria.movement import MovementCriterion
from keras_snare.masking.criteria.obd import OBDConnectionCriterion
from keras_snare.masking.criteria.random import RandomConnectionCriterion
from keras_snare.masking.criteria.slopes import mean_gradients
from keras_snare.masking.criteria.snip import SNIPCriterion
from keras_snare.masking.criteria.synflow import SynFlowConnectionCriterion
from keras_snare.masking.criteria.taylor import TaylorConnectionCriterion
from keras_snare.registry import Registry

CONNECTION_CRITERIA: Registry[type[ConnectionCriterion]] = Registry("criterion for connections")
for _name, _criterion in {
    "grasp": GraSPCriterion,
    "magnitude": MagnitudeCriterion,
    "movement": MovementCriterion,
    "obd": OBDConnectionCriterion,
    "random": RandomConnectionCriterion,
    "snip": SNIPCriterion,
    "synflow": SynFlowConnectionCriterion,
    "taylor": TaylorConnectionCriterion,
}.items():
    CONNECTION_CRITERIA.register(_name, _criterion)


def get_connection_criterion(criterion: Any) -> ConnectionCriterion:
    """Returns a criterion for connections by name, or the object itself.

    Raises:
        ValueError: when no criterion has the name.
        TypeError: when `criterion` is neither a name nor a `ConnectionCriterion`.
    """
    other = "a keras_snare.ConnectionCriterion"
    return CONNECTION_CRITERIA.make(criterion, ConnectionCriterion, "criterion", other)


__all__ = [
    "CONNECTION_CRITERIA",
    "ConnectionCriterion",
    "GraSPCriterion",
    "MagnitudeCriterion",
    "MovementCriterion",
    "OBDConnectionCriterion",
    "RandomConnectionCriterion",
    "SNIPCriterion",
    "SynFlowConnectionCriterion",
    "TaylorConnectionCriterion",
    "get_connection_criterion",
    "gradients",
    "mean_gradients",
]
