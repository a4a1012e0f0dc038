"""How much of one layer goes when a point of accuracy may be lost and retraining brings it back."""

from collections.abc import Callable
from typing import Any

import keras
from prunable_share import EPS, Bench

import keras_snare
from keras_snare.graph import ChannelGroup, channel_groups
from keras_snare.masking import Masks, get_connection_criterion, kernels_of

EPOCHS = 5


def retrained(bench: Bench, cut: Callable[[Any, float], list], shares: list[float]) -> dict:
    """Prunes one layer further and further, retraining in between, as far as the accuracy returns.

    Args:
        bench: The network.
        cut: Prunes a model up to a share and returns callbacks that hold what it did.
        shares: To be tried in this order; the first that fails ends it.
    """
    model, last, epochs = bench.fresh(), 0.0, 0
    for share in shares:
        callbacks = cut(model, share)
        back = _Back(bench.reference)
        history = model.fit(
            bench.data.x_train,
            bench.data.y_train,
            batch_size=bench.base.recipe.batch_size,
            epochs=EPOCHS,
            validation_data=(bench.data.x_validation, bench.data.y_validation),
            callbacks=[*callbacks, back],
            verbose=0,
        )
        epochs += len(history.epoch)
        if not back.found:
            break
        last = share
    return {"share": last, "epochs": epochs}


class _Back(keras.callbacks.Callback):
    """Ends a training when the accuracy is back within a point."""

    def __init__(self, reference: float):
        super().__init__()
        self.reference = reference
        self.found = False

    def on_epoch_end(self, epoch, logs=None):
        self.found = self.reference - (logs or {})["val_accuracy"] < EPS
        self.model.stop_training = self.found


def retrained_connections(bench: Bench, layer: str, name: str) -> dict[str, Any]:
    """Table 4.4: the share of what is left that goes grows from step to step."""
    criterion = get_connection_criterion(name)
    data = bench.scoring if criterion.needs != "weights" else None
    size = kernels_of(bench.model, layer)[0].size
    left = [0.3, 0.15, 0.07, 0.05, 0.035, 0.025, 0.018, 0.013, 0.009, 0.006, 0.004]

    def cut(model, share: float) -> list:
        before = Masks.of(model, layer)
        prune = keras_snare.MagnitudePruneCallback(
            share,
            schedule="one_shot",
            criterion=name,
            layers=layer,
            scoring_data=data,
            initial_masks=before,
        )
        return [prune]

    shares = [1 - one for one in left if one * size >= 1]
    found = retrained(bench, cut, shares)
    # Where the first step loses too much, the network begins anew with smaller ones.
    return found if found["share"] else retrained(bench, cut, [0.15, 0.3, 0.4, 0.5, 0.6, *shares])


def retrained_units(bench: Bench, group: ChannelGroup, name: str) -> dict[str, Any]:
    """Table 4.6: units go for real, a sixth of what the layer has, and at least one, at a time."""
    width, counts = group.width, []
    while width > 1:
        width -= max(1, width // 6)
        counts.append(group.width - width)

    def cut(model, share: float) -> list:
        groups = channel_groups(model)
        width = groups[group.name].width
        goes = 1 - (1 - share) * group.width / width
        keras_snare.prune(
            model, goes + 1e-6, criterion=name, scope="local", layers=group.name, data=bench.scoring
        )
        return []

    return retrained(bench, cut, [count / group.width for count in counts])
