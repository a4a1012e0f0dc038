"""Training for few bytes, inside the compiled training step."""

from typing import Any

import keras
from keras import ops

from keras_snare import step_hooks
from keras_snare.rate.rated_weight import RatedWeight
from keras_snare.step_hooks import StepHook
from keras_snare.surgery.optimizers import UnreducedGradients

# Of the steps and spreads, which are logarithms, at the beginning.
_LEARNING_RATE = 0.01


class RatedStep(StepHook):
    """Adds the price of the bits to the loss of a training step, and rounds after it.

    The forward pass of each step sees rounded weights, and so does whoever looks at the model
    between two steps. Before the update the optimizer finds the exact weights, in the basis that
    they are coded in, and the gradient of the loss and of the price. What is needed for it lies
    beside the model, which stays a plain Keras model.

    Args:
        model: a compiled model.
        weights: those that are trained for few bytes.
        price: float, the loss that one bit is worth.

    Reference:
        Oktay et al., "Scalable Model Compression by Entropy Penalized Reparameterization", ICLR
        2020, for the loss; Esser et al., "Learned Step Size Quantization", ICLR 2020, for the
        gradient of a step.
    """

    def __init__(self, model: keras.Model, weights: list[RatedWeight], price: float) -> None:
        self.model = model
        self.weights = weights
        self._full = price
        self._price = keras.Variable(price, dtype="float32", trainable=False)
        self._optimizer = keras.optimizers.Adam(_LEARNING_RATE)
        self._optimizer.build([one for weight in weights for one in weight.parameters])
        self._unreduced = UnreducedGradients(model, self._optimizer)
        self._shown: list[RatedWeight] = []

    def attach(self) -> None:
        """Rounds, and begins to train; the training step has to be compiled after this."""
        self._unreduced.attach()
        for weight in self.weights:
            weight.show_rounded()
        step_hooks.attach(self.model, self)

    def detach(self) -> None:
        """Lets go, with rounded weights in the model, and drops the compiled step."""
        step_hooks.detach(self.model, self)
        self._unreduced.detach()
        # An error may have come in the middle of a step.
        for weight in self.weights:
            weight.show_rounded()

    def before(self, gradients: list, variables: list) -> list:
        """Adds the slope of the price to the gradients, and shows the exact weights."""
        gradients = list(gradients)
        places = {id(variable): at for at, variable in enumerate(variables)}
        scale = ops.cast(self.model.optimizer.scale_loss(ops.ones(())), "float32")
        # A training step of the user's may update a part of the weights at a time.
        self._shown = [one for one in self.weights if id(one.variable) in places]
        moves = []
        for weight in self._shown:
            at = places[id(weight.variable)]
            slopes = weight.slopes(_of_loss(gradients[at], weight.variable) / scale, self._price)
            gradients[at] = ops.cast(slopes.weight * scale, weight.variable.dtype)
            moves += zip(slopes.parameters, weight.parameters, strict=True)
            weight.show_exact()
        # A step that overflows is left out by loss scaling, and so are these.
        finite = [ops.where(ops.isfinite(one), one, ops.zeros_like(one)) for one, _ in moves]
        self._optimizer.apply(finite, [variable for _, variable in moves])
        return gradients

    def after(self) -> None:
        """Takes the updated weights, and shows rounded ones."""
        for weight in self._shown:
            weight.take()

    def take_over(self) -> None:
        """Takes what something other than the training step has put into the model."""
        for weight in self.weights:
            weight.take_over()

    def pace(self, price: float, learning_rate: float) -> None:
        """Sets what share of the price, and of the learning rate of the steps, holds from now."""
        self._price.assign(self._full * price)
        self._optimizer.learning_rate = _LEARNING_RATE * learning_rate

    def bits(self) -> float:
        """Returns the estimated bits of all weights as they are."""
        return float(sum(weight.bits() for weight in self.weights))


def _of_loss(gradient: Any, variable: Any) -> Any:
    """The gradient as a tensor; zeros of a weight that the loss does not depend on."""
    if gradient is None:
        return ops.zeros(variable.shape)
    return ops.cast(ops.convert_to_tensor(gradient), "float32")
