"""`DistillationCallback`: a teacher's answers in the loss of `model.fit`."""

import math
from typing import Any

import keras

from keras_snare.arguments import is_number, is_whole
from keras_snare.callbacks.describing import described
from keras_snare.callbacks.distillation_run import SELF, DistillationRun
from keras_snare.distillation import FORMS, TARGETS, layer_pairs


class DistillationCallback(keras.callbacks.Callback):
    """Trains a model, during `model.fit`, on what a teacher says as well as on the targets.

    Use it to get back what pruning lost, or to train a small model with the help of a large one.
    The loss of every training step becomes `(1 - alpha) * loss + alpha * distillation`, where the
    first is the model's own loss, regularisation included, and the second is that of
    `keras.distillation.LogitsDistillation`: the Kullback-Leibler divergence between the answers of
    teacher and model, both softened by `temperature`, times `temperature ** 2`, which keeps the
    gradients of the same size at every temperature. It is computed inside the compiled step, with
    the teacher in inference mode. Validation, metrics and `evaluate` see plain loss and targets.
    Sample and class weights weigh both parts. Nothing is left on the model after `fit`, and the
    callback serves again.

    With a `SnareCallback` in the same `fit`, in any order, the model is taught while it is cut;
    criteria that listen to the training step then score by the whole loss.

    Args:
        teacher: who teaches:

            - a built `keras.Model` with inputs and outputs like the model's, of any width;
            - a list of them, whose softened probabilities are averaged;
            - `"self"`: a copy of the model itself. With a `SnareCallback` it is the trained, uncut
              network that the search begins with, and distillation begins with the first cut, also
              where a stored run goes on; otherwise it is the model when `start_epoch` begins.
            - `"targets"`: answers that were computed before. Targets are then pairs,
              `fit(x, (y, answers))` or a dataset of `(x, (y, answers))`, which is shuffled and
              batched as ever. Losses and metrics are given `y` alone. Validation data may be pairs
              or not. Keras takes no `class_weight` for pairs; give `sample_weight`. Under a
              `tf.distribute` strategy it looks at the targets before any callback; evaluate the
              model once before.
        temperature: float, greater than 0; the higher, the more the less likely classes count.
        alpha: float, 0 to 1, share of the distillation in the loss.
        outputs: what the model's outputs are: `"probabilities"` or `"logits"` of classes along the
            last axis, `"binary_probabilities"` or `"binary_logits"` of independent yes or no,
            `"values"` of a regression, which are compared by their mean squared difference; for
            several outputs, a list or dictionary of these. `"auto"` goes by the last layer's
            activation and by the loss. In mixed precision have probabilities in float32, as Keras
            advises: float16 has no small ones.
        teacher_outputs: the same of the teacher, which may answer in logits where the model has
            probabilities. `"auto"` does not do for `"targets"`, which cannot be looked at.
        output_weights: float, list or dictionary, weights of the outputs in the distillation; None
            for those of `compile(loss_weights=...)`. An output with 0 is not taught.
        features: dictionary or list of pairs, names of layers of the model and of those of the
            teacher that teach them: `{"conv2": "conv4"}`. The squared difference, over the mean
            square of the teacher's feature in the batch, is added to the distillation. Only the
            last axis, that of the channels, may differ. A layer in a nested model is named
            `"encoder/conv1"`.
        feature_weights: float, or one per pair.
        projection: how features come to the teacher's width: by a matrix that is `"learned"` in
            the training step, or `"fixed"`; it begins as the identity, or as a random orthogonal
            matrix. When a cut makes the layer narrower, the rows of its remaining channels stay.
            Every `fit` begins with a new one, also where a stored run goes on.
        start_epoch: int, for `"self"` without a `SnareCallback`: the epoch, counted from 0, at
            whose beginning the copy is taken.
        seed: int, for random projections.

    Raises:
        ValueError, TypeError: for arguments out of range; from `fit`, before any training, when the
            teacher does not suit the model.
        UnsupportedModelError: from `fit`, when the model cannot be taught or copied.
        SnapshotError: from `fit`, when `"self"` is asked of a stored run that was given the model
            as it was cut.

    Logs:
        `distillation_loss`, the mean over the epoch, and `distillation_share`, which part of the
        loss comes from it; not a number in epochs without distillation.

    Example:

    >>> snare = keras_snare.SnareCallback(eps=0.005, warmup_epochs=10)
    >>> taught = keras_snare.DistillationCallback("self", temperature=4.0)
    >>> model.fit(x, y, validation_split=0.1, epochs=60, callbacks=[snare, taught])

    With answers that were computed once:

    >>> answers = teacher.predict(x)
    >>> taught = keras_snare.DistillationCallback("targets", teacher_outputs="probabilities")
    >>> model.fit(x, (y, answers), validation_data=(x_val, y_val), callbacks=[taught])

    Reference:
        Hinton et al., "Distilling the Knowledge in a Neural Network", 2015; for features Romero et
        al., "FitNets", ICLR 2015.
    """

    def __init__(
        self,
        teacher: Any,
        *,
        temperature: float = 3.0,
        alpha: float = 0.7,
        outputs: Any = "auto",
        teacher_outputs: Any = "auto",
        output_weights: Any = None,
        features: Any = None,
        feature_weights: Any = 1.0,
        projection: str = "learned",
        start_epoch: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.teacher = teacher
        self.temperature = temperature
        self.alpha = alpha
        self.outputs = outputs
        self.teacher_outputs = teacher_outputs
        self.output_weights = output_weights
        self.features = features
        self.feature_weights = feature_weights
        self.projection = projection
        self.start_epoch = start_epoch
        self.seed = seed
        _check_teacher(teacher)
        _check_numbers(self)
        _check_outputs(self)
        _check_features(self)
        self._run: DistillationRun | None = None

    def __repr__(self) -> str:
        return described(self, "teacher")

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._run is not None:
            self._run.tidy_up()
        self._run = DistillationRun(self)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._running().epoch_begins(epoch)

    def on_search_begin(self, uncut: bool) -> None:
        """Called by a `SnareCallback` in the same `fit` before its first cut."""
        self._running().search_begins(uncut)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._running().epoch_ended(epoch + 1, {} if logs is None else logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._running().tidy_up()
        self._run = None

    def _running(self) -> DistillationRun:
        assert self._run is not None, "on_train_begin comes first"
        return self._run


def _is_number(value: Any) -> bool:
    return is_number(value) and 0 <= value < math.inf


def _check_teacher(teacher: Any) -> None:
    if isinstance(teacher, str) and teacher in (SELF, TARGETS):
        return
    several = isinstance(teacher, (list, tuple))
    if not (several and teacher) and not isinstance(teacher, keras.Model):
        raise TypeError(
            "`teacher` is a Keras 3 model, a list of them, 'self' or 'targets'. Received: "
            f"teacher={teacher!r}"
        )
    for one in teacher if several else ():
        if not isinstance(one, keras.Model):
            raise TypeError(
                "The teachers of an ensemble are Keras 3 models. Received: "
                f"{type(one).__module__}.{type(one).__name__}"
            )


def _check_numbers(settings: Any) -> None:
    if not _is_number(settings.temperature) or not settings.temperature:
        raise ValueError(
            "`temperature` is a number greater than 0. Received: "
            f"temperature={settings.temperature!r}"
        )
    if not _is_number(settings.alpha) or settings.alpha > 1:
        raise ValueError(
            "`alpha` is the share of the distillation in the loss, 0 to 1. Received: "
            f"alpha={settings.alpha!r}"
        )
    for name in ("start_epoch", "seed"):
        count = getattr(settings, name)
        if not is_whole(count) or count < 0:
            raise ValueError(f"`{name}` is an integer, 0 or more. Received: {name}={count!r}")
    if settings.start_epoch and not (
        isinstance(settings.teacher, str) and settings.teacher == SELF
    ):
        raise ValueError(
            "`start_epoch` says when teacher='self' is copied; other teachers teach from the "
            f"beginning. Received: start_epoch={settings.start_epoch}. Leave it out."
        )


def _check_outputs(settings: Any) -> None:
    for name in ("outputs", "teacher_outputs"):
        given = getattr(settings, name)
        wrong = [one for one in keras.tree.flatten(given) if one not in ("auto", *FORMS)]
        if wrong:
            raise ValueError(
                f"`{name}` is 'auto' or one of {', '.join(map(repr, FORMS))}, for all outputs or "
                f"for each. Received: {name}={given!r}"
            )
    weights = settings.output_weights
    if weights is not None and not all(map(_is_number, keras.tree.flatten(weights))):
        raise ValueError(
            "`output_weights` are numbers of 0 or more, one per output or one for all. Received: "
            f"output_weights={weights!r}"
        )


def _check_features(settings: Any) -> None:
    pairs, weights = layer_pairs(settings.features), settings.feature_weights
    several = isinstance(weights, (list, tuple))
    if not all(map(_is_number, weights if several else [weights])) or (
        several and len(weights) != len(pairs)
    ):
        raise ValueError(
            "`feature_weights` is a number of 0 or more, or one per pair of `features`. Received: "
            f"feature_weights={weights!r} for {len(pairs)} pairs."
        )
    if settings.projection not in ("learned", "fixed"):
        raise ValueError(
            f"`projection` is 'learned' or 'fixed'. Received: projection={settings.projection!r}"
        )
    one_model = isinstance(settings.teacher, keras.Model) or (
        isinstance(settings.teacher, str) and settings.teacher == SELF
    )
    if pairs and not one_model:
        raise ValueError(
            "`features` come from one teacher that is a model. Received: "
            f"teacher={settings.teacher!r}. Leave `features` out, or give one model."
        )
