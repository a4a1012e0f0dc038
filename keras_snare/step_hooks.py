"""Code of ours inside the compiled training step: before and after the optimizer's update.

It stands around `optimizer.apply`, which every training step calls, a user's own included.
"""

from typing import Any


class StepHook:
    """What is done in every training step, on the gradients and on the updated weights.

    Both methods are traced once, with the step. An optimizer that scales the loss hands over scaled
    gradients.
    """

    def before(self, gradients: list, variables: list) -> list:
        """Returns the gradients that the optimizer is to see, None among them for unused weights.

        Args:
            gradients: of the variables, in their order.
            variables: the weights that are trained.
        """
        return gradients

    def after(self) -> None:
        """Called when the weights are updated."""


def attach(model, hook: StepHook) -> None:
    """Puts a hook into a model's training step, which has to be compiled after this."""
    optimizer = model.optimizer
    if "apply" not in vars(optimizer):
        optimizer.apply = _Apply(model, optimizer.apply)
    optimizer.apply.hooks.append(hook)


def detach(model, hook: StepHook) -> None:
    """Takes a hook out, and drops the compiled step that still holds it."""
    applying = vars(model.optimizer).get("apply")
    if not isinstance(applying, _Apply) or hook not in applying.hooks:
        return
    applying.hooks.remove(hook)
    if not applying.hooks:
        del model.optimizer.apply
    model.train_function = None


class _Apply:
    """`optimizer.apply` with the hooks that are attached."""

    def __init__(self, model, apply: Any):
        self.model = model
        self.apply = apply
        self.hooks: list[StepHook] = []

    def __call__(self, grads, trainable_variables=None):
        gradients = list(grads)
        variables = list(trainable_variables or self.model.trainable_variables)
        for hook in self.hooks:
            gradients = hook.before(gradients, variables)
        result = self.apply(gradients, trainable_variables)
        for hook in self.hooks:
            hook.after()
        return result
