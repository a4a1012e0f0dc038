"""Models in few bits: .tflite files, and the bridge from Keras 3 to tf_keras and TF-MOT."""

from keras_snare.quantize.bridge import to_tf_keras
from keras_snare.quantize.litert import to_litert
from keras_snare.quantize.training import quantize_aware_train
from keras_snare.quantize.twin import TfKerasTwin

__all__ = ["TfKerasTwin", "quantize_aware_train", "to_litert", "to_tf_keras"]
