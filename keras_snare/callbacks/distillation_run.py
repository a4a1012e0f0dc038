"""One `fit` with a `DistillationCallback`, from its beginning to whatever ends it."""

import math
from typing import Any

import keras

from keras_snare.callbacks.running_fit import Guard, running_fit
from keras_snare.callbacks.snare import SnareCallback
from keras_snare.distillation import (
    TARGETS,
    DistilledStep,
    Lesson,
    LessonSettings,
    copied,
    layer_pairs,
)
from keras_snare.errors import SnapshotError, UnsupportedModelError
from keras_snare.replicas import check_strategy

SELF = "self"


class DistillationRun:
    """Teaches a model from the hooks of a running `fit`.

    Args:
        settings: the callback, with the model that Keras gave it.

    Raises:
        SnareError, ValueError: when the model or the teacher do not suit; nothing has changed then.
    """

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.model = model = settings.model
        self._step: DistilledStep | None = None
        self._waits = isinstance(settings.teacher, str) and settings.teacher == SELF
        fit = running_fit(model)
        callbacks: list[Any] = fit.callbacks.callbacks if fit else []
        self._searched = any(isinstance(one, SnareCallback) for one in callbacks)
        _check_alone(settings, callbacks)
        _check_model(model)
        self._check_start()
        lesson = self._lesson(self._teachers())
        self._guard = Guard(model, fit.callbacks if fit else None, self.tidy_up)
        if not self._is_to_come(fit.initial_epoch if fit else 0):
            self._waits = False
            self._teach(lesson)

    def epoch_begins(self, epoch: int) -> None:
        """Counts anew."""
        if not self._is_to_come(epoch):
            self._learn_from_itself()
        if self._step is not None:
            self._step.reset()
        self._guard.watch_model()

    def search_begins(self, uncut: bool) -> None:
        """Takes the copy of the model before a search cuts it.

        Raises:
            SnapshotError: when a stored run goes on with a model that is cut already.
        """
        if not self._waits:
            return
        if not uncut:
            raise SnapshotError(
                "teacher='self' is the network that the stored run began with. Received: the model "
                f"{self.model.name!r} as that run cut it, of which no such copy can be made. Build "
                "the model anew, so that the run goes on from there, or give a model for the "
                "teacher."
            )
        self._learn_from_itself()

    def epoch_ended(self, epoch: int, logs: dict) -> None:
        """Puts the figures of the epoch into `logs`.

        Args:
            epoch: int, epochs of training so far.
            logs: of the epoch.
        """
        loss, share = (math.nan, math.nan) if self._step is None else self._step.figures()
        logs["distillation_loss"], logs["distillation_share"] = loss, share
        # Callbacks that prune may do so as the next epoch begins.
        if not self._is_to_come(epoch):
            self._learn_from_itself()

    def tidy_up(self) -> None:
        """Takes everything of ours off the model."""
        self._waits = False
        self._guard.release()
        if self._step is not None:
            self._step.detach()
            self._step = None

    def _check_start(self) -> None:
        if self._searched and self._waits and self.settings.start_epoch:
            raise ValueError(
                "With a SnareCallback, teacher='self' is the network that its search begins with. "
                f"Received: start_epoch={self.settings.start_epoch}. Leave it out, and give "
                "SnareCallback `warmup_epochs`."
            )

    def _teachers(self) -> Any:
        """Who teaches; for a teacher that is still to come, somebody like it."""
        teacher = self.settings.teacher
        if self._waits:
            return [self._copy()]
        if isinstance(teacher, (str, keras.Model)):
            return teacher if isinstance(teacher, str) else [teacher]
        return list(teacher)

    def _lesson(self, teachers: Any) -> Lesson:
        settings = self.settings
        pairs = layer_pairs(settings.features)
        weights = settings.feature_weights
        several = isinstance(weights, (list, tuple))
        return Lesson(
            self.model,
            teachers,
            LessonSettings(
                float(settings.temperature),
                settings.outputs,
                settings.teacher_outputs,
                settings.output_weights,
                pairs,
                list(weights) if several else [weights] * len(pairs),
                settings.projection,
                settings.seed,
            ),
        )

    def _is_to_come(self, epoch: int) -> bool:
        """Whether the model is not yet what it will learn from."""
        return self._waits and (self._searched or epoch < self.settings.start_epoch)

    def _learn_from_itself(self) -> None:
        if self._waits:
            self._waits = False
            self._teach(self._lesson([self._copy()]))

    def _copy(self) -> keras.Model:
        with self.model.distribute_strategy.scope():
            return copied(self.model)

    def _teach(self, lesson: Lesson) -> None:
        settings = self.settings
        pairs = isinstance(settings.teacher, str) and settings.teacher == TARGETS
        step = DistilledStep(self.model, lesson, float(settings.alpha), pairs)
        self._step = step
        try:
            step.attach()
        except BaseException:
            step.detach()
            self._guard.release()
            raise


def _check_alone(settings: Any, callbacks: list[Any]) -> None:
    several = sum(isinstance(one, type(settings)) for one in callbacks)
    if several > 1:
        raise ValueError(
            f"One {type(settings).__name__} teaches in a fit. Received: {several} of them. Give one"
            " a list of teachers, or call fit once with each."
        )


def _check_model(model: keras.Model) -> None:
    if keras.backend.backend() != "tensorflow":
        raise UnsupportedModelError(
            "Distillation runs in the training step of the TensorFlow backend. Received: "
            f"{keras.backend.backend()}. Set KERAS_BACKEND=tensorflow, or use "
            "keras.distillation.Distiller."
        )
    if not model.built:
        raise UnsupportedModelError(
            f"Model {model.name!r} is not built. Call model.build(...) or give it a keras.Input "
            "before fit."
        )
    check_strategy(model)
