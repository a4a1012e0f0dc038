"""A lesson inside the compiled training step: the loss that `fit` minimises, for a while."""

import inspect
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_snare.distillation.lesson import Lesson
from keras_snare.errors import UnsupportedModelError
from keras_snare.replacing import Replacement

# What Keras gives `compute_loss`, in this order.
_NAMES = ("x", "y", "y_pred", "sample_weight", "training")


@dataclass
class _Batch:
    """What the training step works on while its graph is made."""

    x: Any
    taught: Any
    features: dict[int, Any]
    mixed: bool = False


class DistilledStep:
    """Mixes a lesson into the loss of a model's training step, and counts what it makes of it.

    `compute_loss` of the model is replaced, which every training step of Keras calls, and
    `train_step`, which knows the batch and tells training from evaluation. `attach` and `detach`
    have the training step compiled anew; nothing of it is saved with the model.

    Args:
        model: a compiled model.
        lesson: the distillation loss.
        alpha: float, its share; the model's own loss has the rest.
        pairs: bool, whether targets are pairs, the answers of the teacher behind those of the data.
    """

    def __init__(self, model: keras.Model, lesson: Lesson, alpha: float, pairs: bool) -> None:
        self.model = model
        self.lesson = lesson
        self.alpha = alpha
        self.pairs = pairs
        self._local = threading.local()  # tf.distribute makes the replicas' graphs in turns.
        self._replaced: list[Replacement] = []
        self._totals: list[Any] = []

    def attach(self) -> None:
        """Begins to teach; the training step is made anew."""
        model = self.model
        with model.distribute_strategy.scope():
            self._totals = [_zero() for _ in range(3)]
            self.lesson.features.attach()
        self._replaced = [
            Replacement(model, "train_step", self._train_step),
            Replacement(model, "compute_loss", self._compute_loss),
        ]
        if self.pairs:
            self._replaced.append(Replacement(model, "test_step", self._test_step))
            model.test_function = None
        model.make_train_function(force=True)

    def detach(self) -> None:
        """Leaves the model as it was, and drops the compiled steps that still teach."""
        if self._replaced:
            self.model.train_function = None
            if self.pairs:
                self.model.test_function = None
        while self._replaced:
            self._replaced.pop().end()
        self.lesson.features.detach()

    def reset(self) -> None:
        """Forgets what was counted."""
        for total in self._totals:
            total.assign(ops.zeros_like(total))

    def figures(self) -> tuple[float, float]:
        """Returns the mean distillation loss since `reset`, and its share of the whole loss."""
        distilled, whole, examples = (float(one.numpy()) for one in self._totals)
        mean = distilled / examples if examples else math.nan
        return mean, self.alpha * distilled / whole if whole else math.nan

    def _train_step(self, step: Callable) -> Callable:
        def train_step(data):
            if not self._replaced:
                return step(data)
            x, taught = keras.utils.unpack_x_y_sample_weight(data)[0], None
            if self.pairs:
                data, taught = self._apart(data)
            with self._batch(x, taught) as batch:
                logs = step(data)
            if not batch.mixed:
                raise UnsupportedModelError(
                    f"{type(self.model).__name__}.train_step does not call self.compute_loss, which"
                    " distillation adds to. Compute the loss with "
                    "self.compute_loss(x, y, y_pred, sample_weight, training=True)."
                )
            return logs

        return train_step

    def _test_step(self, step: Callable) -> Callable:
        def test_step(data):
            y = keras.utils.unpack_x_y_sample_weight(data)[1]
            return step(self._apart(data)[0] if self._replaced and self._is_pair(y) else data)

        return test_step

    def _compute_loss(self, compute: Callable) -> Callable:
        signature = inspect.signature(compute)

        def compute_loss(*args: Any, **kwargs: Any):
            loss = compute(*args, **kwargs)
            batch: _Batch | None = getattr(self._local, "batch", None)
            given = _by_name(signature, args, kwargs)
            if batch is None or not given.get("training", True):
                return loss
            batch.mixed = True
            return self._mixed(loss, batch, given)

        return compute_loss

    @contextmanager
    def _batch(self, x: Any, taught: Any) -> Iterator[_Batch]:
        before = getattr(self._local, "batch", None)
        with self.lesson.features.taps.listening() as features:
            self._local.batch = _Batch(x, taught, features)
            try:
                yield self._local.batch
            finally:
                self._local.batch = before

    def _mixed(self, loss: Any, batch: _Batch, given: dict[str, Any]) -> Any:
        if given.get("y_pred") is None:
            raise UnsupportedModelError(
                f"{type(self.model).__name__}.compute_loss is called without `y_pred`, which "
                "distillation compares with the teacher's. Pass it: "
                "self.compute_loss(x, y, y_pred, sample_weight, training=True)."
            )
        x = batch.x if given.get("x") is None else given["x"]
        # A layer that the teacher shares with the model, one without weights, is noted once more.
        distilled = self.lesson.loss(
            x, batch.taught, given["y_pred"], given.get("sample_weight"), dict(batch.features)
        )
        distilled = ops.cast(distilled, loss.dtype)
        mixed = (1.0 - self.alpha) * loss + self.alpha * distilled
        self._count(x, distilled, mixed)
        return mixed

    def _count(self, x: Any, distilled: Any, mixed: Any) -> None:
        # Losses are divided by the number of replicas, which are summed.
        replicas = self.model.distribute_strategy.num_replicas_in_sync
        first = next(one for one in keras.tree.flatten(x) if one is not None)
        examples = ops.cast(ops.shape(first)[0], "float32")
        for total, value in zip(self._totals, (distilled, mixed, 1.0 / replicas), strict=True):
            total.assign_add(ops.cast(value, "float32") * replicas * examples)

    def _apart(self, data: Any) -> tuple[Any, Any]:
        """Returns a batch without the teacher's answers, and these."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        if not self._is_pair(y):
            raise ValueError(
                "teacher='targets' takes the targets of fit for pairs: fit(x, (y, answers)), or a "
                "dataset of (x, (y, answers)). Received targets of another structure: "
                f"{keras.tree.map_structure(lambda one: getattr(one, 'shape', None), y)}."
            )
        if self._is_pair(weight):  # Keras gives arrays of targets a weight each.
            weight = weight[0]
        return keras.utils.pack_x_y_sample_weight(x, y[0], weight), y[1]

    def _is_pair(self, given: Any) -> bool:
        return (
            isinstance(given, (tuple, list))
            and len(given) == 2
            and all(len(keras.tree.flatten(one)) == self.lesson.outputs for one in given)
        )


def _by_name(signature: inspect.Signature, args: tuple, kwargs: dict) -> dict[str, Any]:
    """Arguments of `compute_loss`, also of one that takes any and hands them on to Keras's."""
    given = signature.bind(*args, **kwargs).arguments
    for at, one in enumerate(signature.parameters.values()):
        if one.kind is one.VAR_POSITIONAL:
            given.update(zip(_NAMES[at:], given.pop(one.name, ()), strict=False))
        elif one.kind is one.VAR_KEYWORD:
            given.update(given.pop(one.name, {}))
    return given


def _zero() -> keras.Variable:
    # Each replica adds to its own; reading sums them.
    options = {"aggregation": "sum", "synchronization": "on_read"}
    return keras.Variable(0.0, dtype="float32", trainable=False, **options)
