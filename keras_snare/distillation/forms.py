"""What the numbers are that a model answers with, so that a temperature can soften them."""

from typing import Any

import keras

from keras_snare.distillation.outputs import Outputs

LOGITS, PROBABILITIES = "logits", "probabilities"
BINARY_LOGITS, BINARY_PROBABILITIES = "binary_logits", "binary_probabilities"
VALUES = "values"
FORMS = (LOGITS, PROBABILITIES, BINARY_LOGITS, BINARY_PROBABILITIES, VALUES)

_BY_ACTIVATION = {
    "softmax": PROBABILITIES,
    "log_softmax": LOGITS,
    "sigmoid": BINARY_PROBABILITIES,
}
_CATEGORICAL = (
    "categorical_crossentropy sparse_categorical_crossentropy categorical_focal_crossentropy "
    "kl_divergence"
).split()
_BINARY = "binary_crossentropy binary_focal_crossentropy".split()
_DISTANCES = (
    "mean_squared_error mean_absolute_error mean_absolute_percentage_error "
    "mean_squared_logarithmic_error huber log_cosh"
).split()


def model_forms(outputs: Outputs, given: Any) -> list[str]:
    """Returns the form of each output of a model in training, flat.

    Args:
        outputs: of the model, which is compiled.
        given: what its user says they are; `"auto"` to look at the last layers and the losses.

    Raises:
        ValueError: when an output's form is not to be told.
    """
    forms = outputs.spread(given, "outputs")
    for at, loss in enumerate(outputs.losses(len(forms))):
        if forms[at] != "auto":
            continue
        forms[at] = _BY_ACTIVATION.get(outputs.activation(at)) or _form_of_loss(loss)
        if forms[at] is None:
            raise ValueError(
                f"What output {at} of model {outputs.model.name!r} is cannot be told from its last "
                f"layer and its loss. Received: outputs='auto'. Say what it is: {_listed(FORMS)}."
            )
    return forms


def teacher_forms(outputs: Outputs, given: Any, taught: list[str]) -> list[str]:
    """Returns the form of each output of a teacher, flat.

    Args:
        outputs: of the teacher.
        given: what its user says they are, or `"auto"`.
        taught: forms of the model that it teaches. What a teacher without an activation there says
            are logits of them.

    Raises:
        ValueError: when an output's form is not to be told, or cannot teach the model's.
    """
    forms = [given] * len(taught)
    if outputs.graph is not None or not isinstance(given, str):
        forms = outputs.spread(given, "teacher_outputs")
    name = outputs.model.name
    if len(forms) != len(taught):
        raise ValueError(
            f"A teacher has the outputs of the model. Received: {len(forms)} of teacher {name!r}, "
            f"{len(taught)} of the model. Give a teacher for these outputs."
        )
    for at, loss in enumerate(outputs.losses(len(forms))):
        if forms[at] == "auto":
            forms[at] = _of_teacher(outputs.activation(at), loss, taught[at])
        if forms[at] is None or _family(forms[at]) != _family(taught[at]):
            raise ValueError(
                f"Output {at} of the model holds {taught[at]}, and what teacher {name!r} says of it"
                f" has to be of that kind. Received: {forms[at] or 'what cannot be told'}. Say what"
                f" both are with `outputs` and `teacher_outputs`: {_listed(FORMS)}."
            )
    return forms


def target_forms(outputs: Outputs, given: Any, taught: list[str]) -> list[str]:
    """Returns the form of answers that come with the targets, which cannot be looked at.

    Args:
        outputs: of the model that they teach.
        given: what its user says they are, or `"auto"`.
        taught: forms of the model's outputs.

    Raises:
        ValueError: when it is not said, or they cannot teach the model.
    """
    forms = outputs.spread(given, "teacher_outputs")
    for at, own in enumerate(taught):
        if forms[at] == "auto" and own == VALUES:
            forms[at] = VALUES
        elif forms[at] == "auto" or _family(forms[at]) != _family(own):
            kinds = [one for one in FORMS if _family(one) == _family(own)]
            raise ValueError(
                "teacher='targets' has to be told what the answers in the targets are. Received: "
                f"teacher_outputs={forms[at]!r}. Say what they are: {_listed(kinds)}."
            )
    return forms


def _of_teacher(activation: str, loss: Any, taught: str) -> str | None:
    if activation in _BY_ACTIVATION:
        return _BY_ACTIVATION[activation]
    if taught == VALUES:
        return VALUES
    return f"{_family(taught)}logits" if activation == "linear" else _form_of_loss(loss)


def _form_of_loss(loss: Any) -> str | None:
    loss = keras.losses.get(loss) if isinstance(loss, str) else loss
    name = getattr(getattr(loss, "fn", loss), "__name__", "")
    config = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    logits = bool(config.get("from_logits", False))
    if name in _CATEGORICAL:
        return LOGITS if logits else PROBABILITIES
    if name in _BINARY:
        return BINARY_LOGITS if logits else BINARY_PROBABILITIES
    return VALUES if name in _DISTANCES else None


def _family(form: str) -> str:
    """Forms of one family can teach each other."""
    return form.removesuffix("logits").removesuffix("probabilities")


def _listed(forms) -> str:
    return ", ".join(map(repr, forms))
