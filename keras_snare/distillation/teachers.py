"""Who teaches: models in inference mode, or answers that were computed before."""

from contextlib import ExitStack
from typing import Any, Protocol

import keras
from keras import ops

from keras_snare.distillation.forms import VALUES
from keras_snare.distillation.softening import as_logits, mean_logits
from keras_snare.distillation.taps import OutputTaps


class Teacher(Protocol):
    """Answers a batch as the model should."""

    def answer(self, x: Any, taught: Any, found: Any) -> tuple[list[Any], dict[int, Any]]:
        """Returns the answers.

        Args:
            x: the inputs of the batch.
            taught: answers that came with the targets, or None.
            found: what the model answered, in its structure.

        Returns:
            Per output the logits, or the values; and the tapped features by number.
        """
        ...


class ModelTeacher:
    """One model or an ensemble, whose softened probabilities count as their mean.

    Args:
        models: the models.
        forms: per model, the form of each output.
        temperature: float, at which an ensemble is averaged.
        taps: on layers of the first model.
    """

    def __init__(
        self, models: list[Any], forms: list[list[str]], temperature: float, taps: OutputTaps
    ) -> None:
        self.models = models
        self.forms = forms
        self.temperature = temperature
        self.taps = taps

    def answer(self, x: Any, taught: Any, found: Any) -> tuple[list[Any], dict[int, Any]]:
        """Runs the models on the batch, in inference mode."""
        with ExitStack() as stack:
            features = stack.enter_context(self.taps.listening())
            answers = [model(x, training=False) for model in self.models]
        by_model = [
            _logits(_matching(answer, found, f"teacher {model.name!r}"), forms)
            for answer, model, forms in zip(answers, self.models, self.forms, strict=True)
        ]
        taught = [
            self._mean(list(several), form)
            for *several, form in zip(*by_model, self.forms[0], strict=True)
        ]
        return [ops.stop_gradient(one) for one in taught], {
            at: ops.stop_gradient(one) for at, one in features.items()
        }

    def _mean(self, answers: list[Any], form: str) -> Any:
        if form == VALUES:
            return sum(answers) / len(answers)
        return mean_logits(answers, self.temperature)


class TargetTeacher:
    """Answers that come with the targets of `fit`.

    Args:
        forms: of each output's answers.
    """

    def __init__(self, forms: list[str]) -> None:
        self.forms = forms

    def answer(self, x: Any, taught: Any, found: Any) -> tuple[list[Any], dict[int, Any]]:
        """Takes the answers of the batch."""
        return _logits(_matching(taught, found, "answers in the targets"), self.forms), {}


def _logits(answers: list[Any], forms: list[str]) -> list[Any]:
    return [
        ops.cast(one, keras.config.floatx()) if form == VALUES else as_logits(one, form)
        for one, form in zip(answers, forms, strict=True)
    ]


def _matching(answers: Any, found: Any, source: str) -> list[Any]:
    """Answers in the order of the model's, flat, if they are of the same structure and shapes."""
    flat, own = keras.tree.flatten(answers), keras.tree.flatten(found)
    keys = [set(one) if isinstance(one, dict) else None for one in (answers, found)]
    shapes = [[tuple(one.shape) for one in several] for several in (flat, own)]
    if keys[0] != keys[1] or not same_shapes(*shapes):
        raise ValueError(
            f"What the {source} say has the structure and the shapes of the model's outputs. "
            f"Received: {_told(answers)} for outputs {_told(found)}. Give answers to the same "
            "question: the same classes, and the same names of outputs."
        )
    return flat


def same_shapes(ours: list[tuple], theirs: list[tuple]) -> bool:
    """Tells whether shapes are equal wherever both are known."""
    return len(ours) == len(theirs) and all(
        len(one) == len(other)
        and all(None in pair or pair[0] == pair[1] for pair in zip(one, other, strict=True))
        for one, other in zip(ours, theirs, strict=True)
    )


def _told(outputs: Any) -> str:
    return str(keras.tree.map_structure(lambda one: _Shape(one.shape), outputs))


class _Shape:
    """A shape that is no structure of its own."""

    def __init__(self, shape) -> None:
        self.shape = tuple(shape)

    def __repr__(self) -> str:
        return str(self.shape)
