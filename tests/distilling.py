"""Models whose inputs are their logits, and what two examples teach, worked out by hand.

At temperature 2, logits of 2 ln 3 and 0 soften to 3/4 and 1/4. The first example's teacher says so
where the model says 1/2 and 1/2, the second's the other way round: the divergences are
3/4 ln 3/2 - 1/4 ln 2 and 1/2 ln 4/3, their mean times the squared temperature is ln(3) / 2.
"""

import math

import keras
import numpy as np

from keras_snare.distillation import Lesson, LessonSettings

TEMPERATURE = 2.0
SURE = 2 * math.log(3)
FOUND = np.array([[0, 0], [SURE, 0]], "float32")
TAUGHT = np.array([[SURE, 0], [0, 0]], "float32")
LABELS = np.array([0, 0], "int32")
DIVERGENCES = np.array([0.75 * math.log(1.5) - 0.25 * math.log(2), 0.5 * math.log(4 / 3)])
DISTILLATION = math.log(3) / 2
# Without a temperature, the logits of the second example mean 9/10 and 1/10.
OWN = (math.log(2) - math.log(0.9)) / 2

# Forms of the same answers, as functions of logits.
ANSWERS = {
    "logits": lambda x: x,
    "probabilities": lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True),
    "binary_logits": lambda x: x[..., :1] - x[..., 1:],
    "binary_probabilities": lambda x: 1 / (1 + np.exp(x[..., 1:] - x[..., :1])),
}
LOSSES = {
    "logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "probabilities": "sparse_categorical_crossentropy",
    "binary_logits": keras.losses.BinaryCrossentropy(from_logits=True),
    "binary_probabilities": "binary_crossentropy",
    "values": "mse",
}


def identity(width=2, loss=LOSSES["logits"], optimizer=None, **options):
    """A model that answers with its inputs; its optimizer changes nothing unless it is given."""
    inputs = keras.Input((width,))
    outputs = keras.layers.Dense(width, kernel_initializer="identity", name="answer")(inputs)
    model = keras.Model(inputs, outputs)
    model.compile(optimizer or keras.optimizers.SGD(0.0), loss, **options)
    return model


def lesson(model, teachers, temperature=TEMPERATURE, **settings):
    """A lesson, with what a callback would fill in."""
    pairs = settings.pop("features", [])
    return Lesson(
        model,
        teachers,
        LessonSettings(temperature, features=pairs, feature_weights=[1.0] * len(pairs), **settings),
    )
