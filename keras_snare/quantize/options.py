"""Options of quantization-aware training, checked before any of it."""

import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.masking import kernels_of
from keras_snare.policy import check_layers
from keras_snare.quantize.integer_file import TYPES

# Of a kernel; fewer may be zero by chance.
_MANY_ZEROS = 0.1


def check_options(settings: Any) -> None:
    """Checks the options that every way to train quantized has.

    Args:
        settings: has them as attributes: `path`, `input_type`, `output_type`, `layers`, `scheme`
            and `configs`.

    Raises:
        ValueError, TypeError: for the first one that is out of range.
    """
    path = settings.path
    if not isinstance(path, (str, os.PathLike, type(None))) or path == "":
        raise TypeError(f"`path` is the path of a file, or None for no file. Received: {path!r}")
    for name in ("input_type", "output_type"):
        if getattr(settings, name) not in TYPES:
            raise ValueError(
                f"`{name}` is one of {', '.join(map(repr, TYPES))}. Received: "
                f"{name}={getattr(settings, name)!r}"
            )
    check_layers(settings.layers)
    _check_of_tf_mot(settings.scheme, settings.configs)


def check_path(path: Any) -> None:
    """Checks that a file can be written, without touching what is there.

    Raises:
        TypeError, OSError: when it is no path, or of a place where nothing can be written.
    """
    if not isinstance(path, (str, os.PathLike)) or path == "":
        raise TypeError(f"`path` is the path of a file. Received: {path!r}. Give 'model.tflite'.")
    if not Path(path).absolute().parent.is_dir():
        raise NotADirectoryError(
            f"Expected `path` in a folder that is there. Received: path={str(path)!r}. "
            "Make the folder first."
        )
    if Path(path).is_dir():
        raise IsADirectoryError(
            f"Expected `path` of a file. Received: path={str(path)!r}, a folder. Add a name, such "
            "as model.tflite."
        )
    if not os.access(Path(path).absolute().parent, os.W_OK):
        raise PermissionError(
            f"Expected `path` in a folder that may be written to. Received: path={str(path)!r}. "
            "Give another one."
        )


def quantizers_given(settings: Any) -> bool:
    """Tells whether the options have quantizers of the user's."""
    return bool(settings.configs) or settings.scheme != "default"


def warn_of_late(late: list[str]) -> None:
    """Warns of layers whose kernels are rounded in the file only."""
    if late:
        warnings.warn(
            f"TF-MOT does not round the kernels of {', '.join(late)} while they train: their "
            "outputs are, and their kernels only when the file is written.",
            UserWarning,
            stacklevel=3,
        )


def warn_of_zeros(model, scheme: Any) -> None:
    """Warns of pruned connections that training without masks would bring back."""
    sparse = []
    with suppress(UnsupportedModelError):  # There may be no kernels that are trained.
        for one in kernels_of(model):
            zero = keras.ops.convert_to_numpy(one.variable.value) == 0
            sparse += [one.name] if zero.mean() >= _MANY_ZEROS else []
    if sparse and scheme == "default":
        warnings.warn(
            f"Zeros of {', '.join(sparse)} train on with the default scheme of TF-MOT, and are "
            "lost. Give scheme=tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme() "
            "to keep them, or take QuantizeAwareCallback with HoldMasksCallback.",
            UserWarning,
            stacklevel=3,
        )


def _check_of_tf_mot(scheme: Any, configs: Any) -> None:
    if scheme != "default" and not hasattr(scheme, "get_quantize_registry"):
        raise ValueError(
            "`scheme` is 'default' or a QuantizeScheme of TF-MOT, such as tfmot.quantization.keras."
            f"default_8bit.Default8BitQuantizeScheme(). Received: scheme={scheme!r}"
        )
    if configs is not None and not (
        isinstance(configs, dict)
        and all(isinstance(name, str) for name in configs)
        and all(hasattr(one, "get_weights_and_quantizers") for one in configs.values())
    ):
        raise TypeError(
            "`configs` is a dictionary from the name of a layer to a QuantizeConfig of TF-MOT, or "
            f"None. Received: {configs!r}"
        )
