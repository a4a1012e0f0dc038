"""Plan to model: in place, all or nothing, and back."""

from keras_snare.surgery.apply import remove, shrink
from keras_snare.surgery.compensation import Compensation, check_compensation
from keras_snare.surgery.followers import follow_cuts, leave_cuts
from keras_snare.surgery.frequencies import set_frequencies
from keras_snare.surgery.inputs import InputSelection
from keras_snare.surgery.optimizers import UnreducedGradients, built_optimizer
from keras_snare.surgery.plans import plan_for, removed_channels, width_changes
from keras_snare.surgery.positions import Stayed
from keras_snare.surgery.rebuilding import cut_to_shapes, shapes_of
from keras_snare.surgery.registration import declared_layers, register_layer
from keras_snare.surgery.saving import save_model
from keras_snare.surgery.snapshot import Snapshot, take_snapshot
from keras_snare.surgery.variables import array_of, begin_at_epoch

__all__ = [
    "Compensation",
    "InputSelection",
    "Snapshot",
    "Stayed",
    "UnreducedGradients",
    "array_of",
    "begin_at_epoch",
    "built_optimizer",
    "check_compensation",
    "cut_to_shapes",
    "declared_layers",
    "follow_cuts",
    "leave_cuts",
    "plan_for",
    "register_layer",
    "remove",
    "removed_channels",
    "save_model",
    "set_frequencies",
    "shapes_of",
    "shrink",
    "take_snapshot",
    "width_changes",
]
