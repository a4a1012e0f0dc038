"""tf_keras and TF-MOT, imported late: they are slow, and have to fit to TensorFlow."""

import os
import re
import sys
from typing import Any

from keras_snare.errors import SnareError

_LEGACY = "TF_USE_LEGACY_KERAS"
# Those before it build on Keras as TensorFlow holds it, not on tf_keras.
_OLDEST = (0, 8)
_NAMED = ".".join(map(str, _OLDEST))


def tf_keras() -> Any:
    """Imports tf_keras.

    Raises:
        ImportError: when it is not installed.
        SnareError: when it was made for another TensorFlow, or `tf.keras` is Keras 2 by choice.
    """
    # TF-MOT sets the variable too, for itself; that it did so changes nothing here.
    by_choice = "tensorflow_model_optimization" not in sys.modules
    if by_choice and os.environ.get(_LEGACY) in ("1", "True", "true"):
        raise SnareError(
            f"Expected tf.keras to be Keras 3. Received: {_LEGACY}={os.environ[_LEGACY]}, which "
            f"turns it into Keras 2. Start Python without it: unset {_LEGACY}"
        )
    import tensorflow

    release = ".".join(tensorflow.__version__.split(".")[:2])
    cure = f"pip install 'tf-keras~={release}.0'"
    try:
        import tf_keras as found
    except ImportError as error:
        raise ImportError(
            f"Expected the package tf-keras, on which TF-MOT builds. Received: {error}. Install "
            f"it: {cure}"
        ) from error
    if found.__version__.split(".")[:2] != release.split("."):
        raise SnareError(
            f"Expected tf-keras of the same release as TensorFlow {tensorflow.__version__}. "
            f"Received: {found.__version__}. Install the other one: {cure}"
        )
    return found


def tf_mot() -> Any:
    """Imports tensorflow_model_optimization, and leaves the process as it was.

    Raises:
        ImportError: when it, or tf_keras, is not installed.
        SnareError: as `tf_keras` does; when it is too old, or cannot be imported.
    """
    tf_keras()
    import tensorflow

    # A tf.keras that was not used yet would become Keras 2; looking at it makes it Keras 3.
    tensorflow.keras.Model  # noqa: B018
    before = os.environ.get(_LEGACY)
    try:
        import tensorflow_model_optimization as found
    except ImportError as error:
        raise ImportError(
            f"Expected the package tensorflow-model-optimization. Received: {error}. Install it: "
            "pip install tensorflow-model-optimization setuptools"
        ) from error
    except Exception as error:  # An old one dies in many ways of what is newer than it is.
        raise _unfit(f"{type(error).__name__}: {error}, as it was imported") from error
    finally:
        if before is None:
            os.environ.pop(_LEGACY, None)
        else:
            os.environ[_LEGACY] = before
    if _release(found.__version__) < _OLDEST:
        raise _unfit(found.__version__)
    return found


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _unfit(received: str) -> SnareError:
    return SnareError(
        f"Expected tensorflow-model-optimization {_NAMED} or later. Received: {received}. Install "
        f"it: pip install 'tensorflow-model-optimization>={_NAMED}' setuptools"
    )
