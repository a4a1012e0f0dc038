"""Mistakes that `SpectralPruneCallback` can see before any training."""

from typing import Any

import keras

from keras_snare.arguments import check_count, is_number, is_whole
from keras_snare.callbacks.calendar import warn_if_short
from keras_snare.callbacks.running_fit import RunningFit
from keras_snare.criteria import check_data, get_criterion
from keras_snare.errors import UnsupportedModelError
from keras_snare.masking import get_regrowth
from keras_snare.policy import check_layers
from keras_snare.schedules import Schedule


def check_spectral(settings: Any, schedule: Schedule) -> None:
    """Checks the callback's arguments.

    Raises:
        ValueError, TypeError: for the first one that is out of range.
    """
    asked = settings.coefficients
    share = is_number(asked) and not is_whole(asked) and 0 < asked <= 1
    if not (share or (is_whole(asked) and asked > 0)):
        raise ValueError(
            "`coefficients` is how many frequencies there are in the end: an integer, 1 or more, "
            f"or a share as a float. Received: coefficients={asked!r}"
        )
    end = settings.end_epoch
    given = {"begin_epoch": settings.begin_epoch} | ({} if end is None else {"end_epoch": end})
    for name, epoch in given.items():
        if not is_whole(epoch) or epoch < 0:
            raise ValueError(f"`{name}` is an integer, 0 or more. Received: {name}={epoch!r}")
    if end is not None and (schedule.once or end < settings.begin_epoch):
        why = f"not before begin_epoch={settings.begin_epoch}"
        why = "left out where all is done at once" if schedule.once else why
        raise ValueError(f"`end_epoch` is {why}. Received: end_epoch={end!r}")
    check_count("frequency", settings.frequency)
    check_layers(settings.layers)
    _check_exchange(settings, schedule)


def _check_exchange(settings: Any, schedule: Schedule) -> None:
    criterion, regrowth = get_criterion(settings.criterion), get_regrowth(settings.regrowth)
    if regrowth is not None and regrowth.dormant:
        raise ValueError(
            "Frequencies that are gone do not train on. Received: regrowth="
            f"{settings.regrowth!r}. Take 'rigl'."
        )
    if regrowth is not None and schedule.once:
        raise ValueError(
            "Frequencies change places at every update. Received: regrowth="
            f"{settings.regrowth!r} with a schedule of one update. Leave one of them out."
        )
    if settings.scoring_data is not None:
        labelled = regrowth is not None or criterion.needs_labels
        check_data(settings.scoring_data, "scoring_data", labelled)
    elif regrowth is not None or (criterion.needs_data and not criterion.live):
        what = criterion if regrowth is None else regrowth
        raise ValueError(
            f"{what!r} looks at data, and a callback does not see those of `fit`. Received: "
            "scoring_data=None. Give `scoring_data=(x, y)`."
        )


def check_backend() -> None:
    """Checks that the optimizer's state can follow the frequencies.

    Raises:
        UnsupportedModelError: on another backend than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise UnsupportedModelError(
            "Frequencies come and go inside of fit on the TensorFlow backend. Received: "
            f"{keras.backend.backend()}. Set KERAS_BACKEND=tensorflow, or take some at once by "
            "keras_snare.prune."
        )


def check_beginning(settings: Any, run: Any, fit: RunningFit | None, last: int) -> None:
    """Checks the updates against the model and the running `fit`.

    Raises:
        ValueError: when a layer is to gain frequencies without data to choose by, or is frozen and
            to get others, or there is nothing to score the first update by.
    """
    first, epochs = fit.initial_epoch if fit else 0, settings.params.get("epochs") or 1
    warn_if_short(epochs, last, "number of frequencies")
    if run.grows:
        if settings.scoring_data is None:
            raise ValueError(
                f"Layer {run.grows[0]!r} has {run.before[run.grows[0]]} frequencies and is to have "
                f"{run.target[run.grows[0]]}; new ones are chosen by the loss on examples. "
                "Received: scoring_data=None. Give `scoring_data=(x, y)`."
            )
        check_data(settings.scoring_data, "scoring_data", True)
    trained = {id(variable) for variable in settings.model.trainable_variables}
    frozen = [name for name, layer in run.layers.items() if id(layer.kernel) not in trained]
    if frozen and (run.grows or settings.regrowth is not None):
        raise ValueError(
            "Frequencies that come in begin at zero, and are trained from there. Received: frozen "
            f"layers {', '.join(frozen)}. Set their `trainable`, or leave them out with `layers=`."
        )
    if run.listens and first >= settings.begin_epoch:
        raise ValueError(
            f"criterion={settings.criterion!r} listens to training, and the first update comes "
            f"before the first step. Give begin_epoch={first + 1}, or scoring_data=(x, y)."
        )
