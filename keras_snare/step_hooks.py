"""Code of ours inside the compiled training step: before and after the optimizer's update.

It stands around `optimizer.apply`, which every training step calls, a user's own included.
"""

from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError


class StepHook:
    """What is done in every training step, on the gradients and on the updated weights.

    Both methods are traced once, with the step. An optimizer that scales the loss hands over scaled
    gradients.
    """

    # The optimizer that it is attached to, which need not stay the model's.
    optimizer: Any = None

    def before(self, gradients: list, variables: list) -> list:
        """Returns the gradients that the optimizer is to see, None among them for unused weights.

        Args:
            gradients: of the variables, in their order.
            variables: the weights that are trained.
        """
        return gradients

    def after(self) -> None:
        """Called when the weights are updated."""


def attach(model: keras.Model, hook: StepHook) -> None:
    """Puts a hook into a model's training step, which has to be compiled after this."""
    optimizer = model.optimizer
    if not isinstance(optimizer.apply, _Apply):
        optimizer.apply = _Apply(model, optimizer.apply, vars(optimizer).get("apply"))
    optimizer.apply.hooks.append(hook)
    optimizer.apply.called = False
    hook.optimizer = optimizer


def check_called(model: keras.Model, what: str) -> None:
    """Checks that the training step, of which there was one, goes through the hooks.

    Args:
        model: the model.
        what: str, what relies on it, for the message.

    Raises:
        UnsupportedModelError: when it does not.
    """
    applying = vars(model.optimizer).get("apply")
    if isinstance(applying, _Apply) and not applying.called:
        raise UnsupportedModelError(
            f"Expected a training step that updates weights by model.optimizer.apply, which {what} "
            f"relies on. Received: {type(model).__name__}.train_step, which does not. Call "
            "self.optimizer.apply(gradients, variables) in it."
        )


def detach(model: keras.Model, hook: StepHook) -> None:
    """Takes a hook out, and drops the compiled step that still holds it."""
    optimizer, hook.optimizer = hook.optimizer, None
    applying = getattr(optimizer, "apply", None)
    if not isinstance(applying, _Apply) or hook not in applying.hooks:
        return
    applying.hooks.remove(hook)
    if not applying.hooks:
        if applying.own is None:
            del optimizer.apply
        else:
            optimizer.apply = applying.own
    model.train_function = None


class _Apply:
    """`optimizer.apply` with the hooks that are attached.

    Args:
        model: the model.
        apply: what it stands before.
        own: the same, where it is an attribute of the optimizer itself, or None.
    """

    def __init__(self, model: keras.Model, apply: Any, own: Any) -> None:
        self.model = model
        self.apply = apply
        self.own = own
        self.called = False
        self.hooks: list[StepHook] = []

    def __call__(self, grads, trainable_variables=None):
        self.called = True
        gradients = list(grads)
        variables = list(trainable_variables or self.model.trainable_variables)
        for hook in self.hooks:
            gradients = hook.before(gradients, variables)
        result = self.apply(gradients, trainable_variables)
        for hook in self.hooks:
            hook.after()
        return result
