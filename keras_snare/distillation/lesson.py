"""What a batch teaches a model: the distillation loss, of outputs and of features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_snare.distillation.features import FeatureLesson
from keras_snare.distillation.forms import VALUES, model_forms, target_forms, teacher_forms
from keras_snare.distillation.losses import example_weights, softened_divergence, squared_error
from keras_snare.distillation.outputs import Outputs
from keras_snare.distillation.softening import as_logits
from keras_snare.distillation.teachers import ModelTeacher, TargetTeacher, Teacher, same_shapes
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph.trace import mask_of

TARGETS = "targets"


@dataclass(frozen=True)
class LessonSettings:
    """How a model is taught, as `DistillationCallback` takes it.

    Args:
        temperature: float, what logits are divided by.
        outputs, teacher_outputs: forms of the outputs, or `"auto"`.
        output_weights: weights of the outputs, or None to go by the loss weights of the model.
        features: pairs of layers.
        feature_weights: one weight per pair.
        projection: `"learned"` or `"fixed"`.
        seed: int, for random projections.
    """

    temperature: float
    outputs: Any = "auto"
    teacher_outputs: Any = "auto"
    output_weights: Any = None
    features: Sequence[tuple[str, str]] = ()
    feature_weights: Sequence[float] = ()
    projection: str = "learned"
    seed: int = 0


class Lesson:
    """The distillation loss of a model in training.

    Args:
        model: the model, built and compiled.
        teachers: the models that teach, or `"targets"` where answers come with the targets.
        settings: how.

    Attributes:
        outputs: int, number of outputs.

    Raises:
        ValueError: when a teacher does not suit; nothing has changed then.
    """

    def __init__(self, model: keras.Model, teachers: Any, settings: LessonSettings) -> None:
        self.settings = settings
        outputs = Outputs(model)
        self.forms = model_forms(outputs, settings.outputs)
        self.outputs = len(self.forms)
        self.weights = _weights(outputs, settings.output_weights, self.outputs)
        models = [] if teachers == TARGETS else list(teachers)
        theirs = [Outputs(one) for one in models]
        for one in theirs:
            _check_teacher(outputs, one)
        self.features = FeatureLesson(
            model,
            models[0] if models else model,
            settings.features,
            settings.feature_weights,
            settings.projection == "learned",
            settings.seed,
        )
        if teachers == TARGETS:
            forms = target_forms(outputs, settings.teacher_outputs, self.forms)
            self.teacher: Teacher = TargetTeacher(forms)
        else:
            self.teacher = ModelTeacher(
                models,
                [teacher_forms(one, settings.teacher_outputs, self.forms) for one in theirs],
                settings.temperature,
                self.features.teacher_taps,
            )

    def loss(self, x: Any, taught: Any, found: Any, weights: Any, features: dict[int, Any]) -> Any:
        """Returns the distillation loss of a batch.

        Args:
            x: its inputs.
            taught: answers that came with the targets, or None.
            found: the model's outputs.
            weights: of the examples, as `fit` takes them: None, one tensor, or one per output.
            features: what the tapped layers of the model returned.
        """
        answers, theirs = self.teacher.answer(x, taught, found)
        by_output = self._by_output(found, weights)
        total = 0.0
        parts = zip(
            answers, keras.tree.flatten(found), self.forms, self.weights, by_output, strict=True
        )
        for answer, output, form, factor, weight in parts:
            if factor:
                total = total + factor * self._of_output(answer, output, form, weight)
        if self.settings.features:
            total = total + self.features.error(theirs, features, example_weights(by_output))
        return total

    def _of_output(self, answer: Any, output: Any, form: str, weight: Any) -> Any:
        mask = mask_of(output)
        if form == VALUES:
            output = keras.ops.cast(output, keras.config.floatx())
            return squared_error(answer, output, weight, mask)
        output = as_logits(output, form)
        return softened_divergence(answer, output, self.settings.temperature, weight, mask)

    def _by_output(self, found: Any, weights: Any) -> list[Any]:
        if isinstance(found, dict) and isinstance(weights, dict):
            return [weights.get(name) for name in sorted(found)]
        flat = keras.tree.flatten(weights)
        return flat * self.outputs if len(flat) == 1 else flat


def _weights(outputs: Outputs, given: Any, count: int) -> list[float]:
    if given is not None:
        return [float(one) for one in outputs.spread(given, "output_weights")]
    stated = None
    if count > 1:
        stated = (outputs.model.get_compile_config() or {}).get("loss_weights")
    return [1.0 if one is None else float(one) for one in outputs.compiled(stated, count)]


def _check_teacher(ours: Outputs, theirs: Outputs) -> None:
    model, teacher = ours.model, theirs.model
    if not teacher.built:
        raise UnsupportedModelError(
            f"Teacher {teacher.name!r} is not built. Give it a keras.Input, or call it on a batch "
            "of data, before fit."
        )
    own = {id(weight) for weight in model.weights}
    shared = [weight.path for weight in teacher.weights if id(weight) in own]
    if shared:
        raise ValueError(
            "A teacher stays as it is, so it shares no weights with the model in training. "
            f"Received: teacher {teacher.name!r}, which shares {shared[0]!r}. Give a copy of it, "
            "or teacher='self'."
        )
    if ours.graph is None or theirs.graph is None:
        return  # The first step compares what they return.
    for what in ("inputs", "outputs"):
        if not same_shapes(ours.shapes(what), theirs.shapes(what)):
            raise ValueError(
                f"The {what} of a teacher have the shapes of the model's. Received: "
                f"{theirs.shapes(what)} of teacher {teacher.name!r}, {ours.shapes(what)} of "
                f"{model.name!r}. Give a teacher for the same data and the same classes."
            )
