"""A teacher's answers in the loss of a running `fit`."""

from keras_snare.distillation.copying import copied
from keras_snare.distillation.features import layer_pairs
from keras_snare.distillation.forms import FORMS
from keras_snare.distillation.lesson import TARGETS, Lesson, LessonSettings
from keras_snare.distillation.step import DistilledStep

__all__ = [
    "FORMS",
    "TARGETS",
    "DistilledStep",
    "Lesson",
    "LessonSettings",
    "copied",
    "layer_pairs",
]
