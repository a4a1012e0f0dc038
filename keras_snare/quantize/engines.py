"""Who quantizes a network: TF-MOT, or this package with Keras alone."""

from typing import Any

from keras_snare.quantize.stand_in import StandIn

ENGINES = ("tfmot", "keras")


def check_engine(engine: Any, scheme: Any, configs: Any) -> None:
    """Checks the name of an engine, and that it takes what TF-MOT takes if there is any.

    Raises:
        ValueError: when it does not.
    """
    if engine not in ENGINES:
        raise ValueError(
            f"`engine` is one of {', '.join(map(repr, ENGINES))}. Received: engine={engine!r}"
        )
    given = {"scheme": None if scheme == "default" else scheme, "configs": configs}
    for name, value in given.items():
        if engine != "tfmot" and value is not None:
            raise ValueError(
                f"`{name}` is for engine='tfmot', whose objects it takes. Received: "
                f"{name}={value!r} with engine={engine!r}. Leave it out."
            )


def quantized_by(engine: str, model, layers: Any, scheme: Any, configs: dict) -> StandIn:
    """Returns the quantized network of a model.

    Args:
        engine: `"tfmot"` or `"keras"`.
        model: a built model.
        layers: which layers are quantized, as `QuantizeAwareCallback` takes them.
        scheme: a `QuantizeScheme` of TF-MOT, or None; for `"tfmot"` only.
        configs: `QuantizeConfig`s of TF-MOT by name of a layer; for `"tfmot"` only.

    Raises:
        Exception: what `AwareTwin` and `RoundedTwin` raise.
    """
    if engine == "keras":
        from keras_snare.quantize.rounding import RoundedTwin

        return RoundedTwin(model, layers)
    from keras_snare.quantize.aware import AwareTwin

    return AwareTwin(model, layers, scheme, configs)
