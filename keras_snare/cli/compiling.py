"""How the model is compiled: as its file says, or as options say."""

import keras

# Names of metrics that `compile` finds out by the outputs.
_BY_OUTPUT = {"accuracy", "acc", "crossentropy", "ce"}


def compiled(
    model: keras.Model,
    optimizer: str | None = None,
    loss: str | None = None,
    metrics: list[str] | None = None,
    learning_rate: float | None = None,
) -> keras.Model:
    """Compiles a model by options, and returns it; without options it stays as it was.

    Args:
        model: as it was loaded.
        optimizer: name, `"adam"` where a loss is given without one.
        loss: name.
        metrics: names.
        learning_rate: of the new optimizer, or of the one that the model has.

    Raises:
        ValueError: when Keras knows no such name, or options are missing.
    """
    if learning_rate is not None and not learning_rate > 0:
        raise ValueError(f"--learning-rate is greater than 0. Received: {learning_rate}.")
    if loss is not None:
        try:
            made = keras.optimizers.get(optimizer or "adam")
            for one in set(metrics or []) - _BY_OUTPUT:
                keras.metrics.get(one)
            keras.losses.get(loss)
            model.compile(made, loss, metrics=metrics)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"Keras does not know what to compile with. Received: --optimizer "
                f"{optimizer or 'adam'}, --loss {loss}, --metrics {', '.join(metrics or [])}."
            ) from error
    elif optimizer is not None or metrics:
        raise ValueError("--optimizer and --metrics compile the model anew. Give --loss as well.")
    if learning_rate is not None:
        if getattr(model, "optimizer", None) is None:
            raise ValueError(
                "--learning-rate is of an optimizer. Give --loss to compile the model."
            )
        model.optimizer.learning_rate = learning_rate
    return model


def check_compiled(model: keras.Model) -> None:
    """Checks that a model can be trained.

    Raises:
        ValueError: when it is not compiled.
    """
    if not model.compiled or getattr(model, "optimizer", None) is None:
        raise ValueError(
            "Expected a model that is compiled in its file. Received: one that is not. Give "
            "--loss, and --optimizer and --metrics, such as --loss sparse_categorical_crossentropy "
            "--metrics accuracy."
        )
