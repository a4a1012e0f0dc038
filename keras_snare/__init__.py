"""Makes Keras 3 models small while they train.

`SnareCallback` in `model.fit` makes the model that you hold smaller; `prune` and `shrink` do it at
once, `channel_groups` and `cost` show what can be cut and what it saves. `MagnitudePruneCallback`,
`SynFlowCallback` and `LotteryTicketCallback` prune single connections; `DistillationCallback` has a
teacher help.
"""

from keras_snare import layers, quantize, schedules
from keras_snare.callbacks import (
    ClusterCallback,
    DistillationCallback,
    HoldMasksCallback,
    LotteryTicketCallback,
    MagnitudePruneCallback,
    QuantizeAwareCallback,
    RankReduceCallback,
    RateCallback,
    SnareCallback,
    SpectralPruneCallback,
    SynFlowCallback,
)
from keras_snare.clustering import Codebook, Codebooks, cluster_weights
from keras_snare.codec import Coding, pack, unpack
from keras_snare.comparison import compare
from keras_snare.criteria import CombineCriterion, Criterion, register_criterion
from keras_snare.deep_compression import deep_compress
from keras_snare.errors import (
    CodecError,
    EngineError,
    InvalidPlanError,
    SnapshotError,
    SnareError,
    UnsupportedModelError,
)
from keras_snare.factorize import factorize, factorize_report, to_basis
from keras_snare.graph import channel_groups, cost
from keras_snare.masking import ConnectionCriterion, Masks, Ticket, remove_dead, sparsify
from keras_snare.pruning import prune
from keras_snare.quantize import quantize_aware_train, to_litert
from keras_snare.records import PrunePlan, PruneReport, TrialRow
from keras_snare.report import (
    CompareReport,
    CompressionReport,
    FactorizeReport,
    LiteRTReport,
    LotteryReport,
    PackReport,
)
from keras_snare.search import compress, load_candidate
from keras_snare.surgery import register_layer, save_model, shrink

__version__ = "0.1.0"

__all__ = [
    "ClusterCallback",
    "Codebook",
    "Codebooks",
    "CodecError",
    "Coding",
    "CombineCriterion",
    "CompareReport",
    "CompressionReport",
    "ConnectionCriterion",
    "Criterion",
    "DistillationCallback",
    "EngineError",
    "FactorizeReport",
    "HoldMasksCallback",
    "InvalidPlanError",
    "LiteRTReport",
    "LotteryReport",
    "LotteryTicketCallback",
    "MagnitudePruneCallback",
    "Masks",
    "PackReport",
    "PrunePlan",
    "PruneReport",
    "QuantizeAwareCallback",
    "RankReduceCallback",
    "RateCallback",
    "SnapshotError",
    "SnareCallback",
    "SnareError",
    "SpectralPruneCallback",
    "SynFlowCallback",
    "Ticket",
    "TrialRow",
    "UnsupportedModelError",
    "channel_groups",
    "cluster_weights",
    "compare",
    "compress",
    "cost",
    "deep_compress",
    "factorize",
    "factorize_report",
    "layers",
    "load_candidate",
    "pack",
    "prune",
    "quantize",
    "quantize_aware_train",
    "register_criterion",
    "register_layer",
    "remove_dead",
    "save_model",
    "schedules",
    "shrink",
    "sparsify",
    "to_basis",
    "to_litert",
    "unpack",
]
