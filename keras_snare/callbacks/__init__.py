"""Keras callbacks: they read state, call the library, and log."""

from keras_snare.callbacks.cluster import ClusterCallback
from keras_snare.callbacks.distillation import DistillationCallback
from keras_snare.callbacks.hold import HoldMasksCallback
from keras_snare.callbacks.lottery import LotteryTicketCallback
from keras_snare.callbacks.magnitude import MagnitudePruneCallback
from keras_snare.callbacks.quantize_aware import QuantizeAwareCallback
from keras_snare.callbacks.rank_reduce import RankReduceCallback
from keras_snare.callbacks.rate import RateCallback
from keras_snare.callbacks.snare import SnareCallback
from keras_snare.callbacks.spectral import SpectralPruneCallback
from keras_snare.callbacks.synflow import SynFlowCallback

__all__ = [
    "ClusterCallback",
    "DistillationCallback",
    "HoldMasksCallback",
    "LotteryTicketCallback",
    "MagnitudePruneCallback",
    "QuantizeAwareCallback",
    "RankReduceCallback",
    "RateCallback",
    "SnareCallback",
    "SpectralPruneCallback",
    "SynFlowCallback",
]
