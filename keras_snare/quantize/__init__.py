"""The bridge from Keras 3 to tf_keras, which TF-MOT asks for, and back."""

from keras_snare.quantize.bridge import to_tf_keras
from keras_snare.quantize.training import quantize_aware_train
from keras_snare.quantize.twin import TfKerasTwin

__all__ = ["TfKerasTwin", "quantize_aware_train", "to_tf_keras"]
