"""Which units matter: one file per criterion."""

from keras_snare.criteria.activation import ActivationCriterion
from keras_snare.criteria.apoz import APoZCriterion
from keras_snare.criteria.base import Criterion
from keras_snare.criteria.batches import batches, check_data, check_first_batch, flat_inputs
from keras_snare.criteria.batchnorm_scale import BatchNormScaleCriterion
from keras_snare.criteria.combine import CombineCriterion
from keras_snare.criteria.curvature import diagonal_curvature
from keras_snare.criteria.data import check_measurable
from keras_snare.criteria.evidence import ChannelEvidence
from keras_snare.criteria.fisher import FisherCriterion
from keras_snare.criteria.fpgm import FPGMCriterion
from keras_snare.criteria.hessian import HessianCriterion
from keras_snare.criteria.known import CRITERIA, get_criterion, register_criterion
from keras_snare.criteria.l1_both import L1BothCriterion
from keras_snare.criteria.l1_in import L1InCriterion
from keras_snare.criteria.l1_out import L1OutCriterion
from keras_snare.criteria.l2 import L2Criterion
from keras_snare.criteria.live import LiveStatistics
from keras_snare.criteria.measuring import statistics
from keras_snare.criteria.normalization import Normalization, get_normalization, normalized
from keras_snare.criteria.obd import OBDCriterion
from keras_snare.criteria.random import RandomCriterion
from keras_snare.criteria.scoring import score_groups, twins_of
from keras_snare.criteria.similarity import SimilarityCriterion
from keras_snare.criteria.synflow import SynFlowCriterion
from keras_snare.criteria.taylor import TaylorCriterion

__all__ = [
    "CRITERIA",
    "APoZCriterion",
    "ActivationCriterion",
    "BatchNormScaleCriterion",
    "ChannelEvidence",
    "CombineCriterion",
    "Criterion",
    "FPGMCriterion",
    "FisherCriterion",
    "HessianCriterion",
    "L1BothCriterion",
    "L1InCriterion",
    "L1OutCriterion",
    "L2Criterion",
    "LiveStatistics",
    "Normalization",
    "OBDCriterion",
    "RandomCriterion",
    "SimilarityCriterion",
    "SynFlowCriterion",
    "TaylorCriterion",
    "batches",
    "check_data",
    "check_first_batch",
    "check_measurable",
    "diagonal_curvature",
    "flat_inputs",
    "get_criterion",
    "get_normalization",
    "normalized",
    "register_criterion",
    "score_groups",
    "statistics",
    "twins_of",
]
