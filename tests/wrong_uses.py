"""Mistakes that users make: each is a function of a compiled model, which must stay as it is."""

import keras
import numpy as np
import tensorflow as tf
from small_fits import X, Y, fit

import keras_snare as ks

layers = keras.layers
DATA = (X, Y)
VALIDATED = {"validation_data": DATA}


def _plain():
    return keras.Sequential([keras.Input((8,)), layers.Dense(4, name="a")], name="plain")


def _unbuilt():
    return keras.Sequential([layers.Dense(4, name="a")], name="unbuilt")


def _other_inputs():
    return keras.Sequential([keras.Input((3,)), layers.Dense(4, name="a")], name="other")


class _NaN(ks.Criterion):
    def score(self, channels):
        return np.full(channels.group.width, np.nan)


class _Own(layers.Layer):
    def call(self, inputs):
        return inputs


def _file_in(name, content=b"no model"):
    def write(folder):
        path = folder / name
        path.write_bytes(content)
        return path

    return write


# Each: a function of the model and of an empty folder.
WRONG_USES = {
    # Models
    "a path in the place of a model": lambda model, folder: ks.prune("model.keras", 0.5),
    "layers in the place of a model": lambda model, folder: ks.cost(model.layers),
    "an unbuilt model to prune": lambda model, folder: ks.prune(_unbuilt(), 0.5),
    "an unbuilt model to measure": lambda model, folder: ks.cost(_unbuilt()),
    "an unbuilt model to pack": lambda model, folder: ks.pack(_unbuilt(), folder / "m.snare"),
    "an unbuilt model for LiteRT": lambda model, folder: ks.to_litert(
        _unbuilt(), folder / "m.tflite"
    ),
    "an unbuilt model to save": lambda model, folder: ks.save_model(_unbuilt(), folder / "m.keras"),
    "a model without units to cut": lambda model, folder: ks.prune(_plain(), 0.5),
    # Cuts
    "an amount in percent": lambda model, folder: ks.prune(model, 50),
    "an unknown criterion": lambda model, folder: ks.prune(model, 0.5, criterion="l1"),
    "a criterion without its data": lambda model, folder: ks.prune(model, 0.5, criterion="apoz"),
    "a criterion that gives NaN": lambda model, folder: ks.prune(model, 0.5, criterion=_NaN()),
    "a criterion as a class": lambda model, folder: ks.prune(model, 0.5, criterion=_NaN),
    "an unknown scope": lambda model, folder: ks.prune(model, 0.5, scope="all"),
    "a layer that is not there": lambda model, folder: ks.prune(model, 0.5, layers="conv"),
    "data of another shape": lambda model, folder: ks.prune(
        model, 0.5, criterion="activation", data=(X[:, :3],)
    ),
    "unlike numbers of examples": lambda model, folder: ks.prune(
        model, 0.5, criterion="taylor", data=(X, Y[:-1])
    ),
    "a plan for a layer that is not there": lambda model, folder: ks.shrink(model, {"conv": [0]}),
    "an empty plan": lambda model, folder: ks.shrink(model, {"a": []}),
    "a plan with an index too large": lambda model, folder: ks.shrink(model, {"a": [0, 16]}),
    "a plan with a negative index": lambda model, folder: ks.shrink(model, {"a": [-1]}),
    "a plan with an index twice": lambda model, folder: ks.shrink(model, {"a": [1, 1]}),
    "a plan as a mask": lambda model, folder: ks.shrink(model, {"a": [True] * 16}),
    "a plan for the model's output": lambda model, folder: ks.shrink(model, {"b": [0]}),
    "a layer instead of its class": lambda model, folder: ks.register_layer(_Own()),
    "a criterion without a name": lambda model, folder: ks.register_criterion("", _NaN),
    "a criterion of a known name": lambda model, folder: ks.register_criterion("taylor", _NaN),
    "a criterion that is none": lambda model, folder: ks.register_criterion("mine", dict),
    # SnareCallback
    "eps in percent": lambda model, folder: ks.SnareCallback(eps=5),
    "a negative eps": lambda model, folder: ks.SnareCallback(eps=-0.01),
    "a monitor of no clear direction": lambda model, folder: ks.SnareCallback(
        monitor="val_quality"
    ),
    "a first step of everything": lambda model, folder: ks.SnareCallback(first_step=1.0),
    "a smallest step above the first": lambda model, folder: ks.SnareCallback(min_step=0.9),
    "no validation data": lambda model, folder: fit(model, [ks.SnareCallback(eps=0.1)]),
    "a monitor that is not measured": lambda model, folder: fit(
        model, [ks.SnareCallback(eps=0.1, monitor="val_auc")], **VALIDATED
    ),
    "two searches in one fit": lambda model, folder: fit(
        model, [ks.SnareCallback(eps=0.1), ks.SnareCallback(eps=0.2)], **VALIDATED
    ),
    "a search beside held zeros": lambda model, folder: fit(
        model, [ks.SnareCallback(eps=0.1), ks.MagnitudePruneCallback(0.5)], **VALIDATED
    ),
    "a directory that is a file": lambda model, folder: fit(
        model,
        [ks.SnareCallback(eps=0.1, directory=_file_in("run")(folder))],
        **VALIDATED,
    ),
    "blocks without data": lambda model, folder: fit(
        model, [ks.SnareCallback(eps=0.1, retrain="blocks")], **VALIDATED
    ),
    "an unknown way to retrain": lambda model, folder: ks.SnareCallback(eps=0.1, retrain="block"),
    "widths to multiples of none": lambda model, folder: ks.SnareCallback(round_to=0),
    # compress
    "no data to train on": lambda model, folder: ks.compress(model, None, DATA),
    "no data to validate on": lambda model, folder: ks.compress(model, DATA, None),
    "an unknown engine": lambda model, folder: ks.compress(model, DATA, DATA, engine="dask"),
    "no workers": lambda model, folder: ks.compress(model, DATA, DATA, workers=0),
    "workers without Ray": lambda model, folder: ks.compress(model, DATA, DATA, workers=4),
    "a model that is not compiled": lambda model, folder: ks.compress(_plain(), DATA, DATA),
    "a candidate of no run": lambda model, folder: ks.load_candidate(folder, "smallest"),
    "a candidate called small": lambda model, folder: ks.load_candidate(folder, "small"),
    # Connections
    "a sparsity in percent": lambda model, folder: ks.MagnitudePruneCallback(80),
    "a sparsity of all": lambda model, folder: ks.sparsify(model, 1.0),
    "an unknown schedule": lambda model, folder: ks.MagnitudePruneCallback(0.5, schedule="slow"),
    "a pattern that keeps all": lambda model, folder: ks.MagnitudePruneCallback(pattern=(4, 4)),
    "an end before the beginning": lambda model, folder: ks.MagnitudePruneCallback(
        0.5, begin_epoch=5, end_epoch=2
    ),
    "snip without data": lambda model, folder: ks.sparsify(model, 0.5, criterion="snip"),
    "masks of another model": lambda model, folder: fit(
        model, [ks.HoldMasksCallback(ks.Masks.of(_other_inputs()))]
    ),
    "masks that are none": lambda model, folder: ks.HoldMasksCallback({"a": 1}),
    "a file without masks": lambda model, folder: ks.Masks.load(_file_in("m.npz")(folder)),
    "rounds of no epochs": lambda model, folder: ks.LotteryTicketCallback(
        rounds=2, epochs_per_round=0
    ),
    "more rounds than epochs": lambda model, folder: fit(
        model, [ks.LotteryTicketCallback(rounds=5, epochs_per_round=3)]
    ),
    "a ticket of no file": lambda model, folder: ks.Ticket.load(folder / "ticket"),
    "rounds of SynFlow": lambda model, folder: ks.SynFlowCallback(0.5, rounds=0),
    # Teachers
    "a teacher with other classes": lambda model, folder: fit(
        model,
        [ks.DistillationCallback(keras.Sequential([keras.Input((8,)), layers.Dense(7)]))],
    ),
    "a teacher with other inputs": lambda model, folder: fit(
        model, [ks.DistillationCallback(_other_inputs())]
    ),
    "the student as its teacher": lambda model, folder: fit(
        model, [ks.DistillationCallback(model)]
    ),
    "a temperature of none": lambda model, folder: ks.DistillationCallback(_plain(), temperature=0),
    "a teacher's path": lambda model, folder: ks.DistillationCallback("teacher.keras"),
    # Values, factors and layers
    "one cluster": lambda model, folder: ks.cluster_weights(model, 1),
    "a rank of a word": lambda model, folder: ks.factorize(model, "half"),
    "an energy above one": lambda model, folder: ks.factorize(model, "energy:1.5"),
    "an unknown method of factors": lambda model, folder: ks.factorize(model, 0.5, method="qr"),
    "a layer of no units": lambda model, folder: ks.layers.DCTDense(0),
    "frequencies that are none": lambda model, folder: ks.layers.DCTDense(4, coefficients=0),
    "a basis that is unknown": lambda model, folder: ks.to_basis(model, "wavelet"),
    "a callback for frequencies without any": lambda model, folder: fit(
        model, [ks.SpectralPruneCallback(0.5)]
    ),
    "ranks without factors": lambda model, folder: fit(
        model, [ks.RankReduceCallback(eps=0.1)], **VALIDATED
    ),
    "dead units by a word": lambda model, folder: ks.remove_dead(model, layers="conv"),
    # Integers and files
    "training for integers that ends before it begins": lambda model, folder: fit(
        model, [ks.QuantizeAwareCallback(epochs=9)]
    ),
    "a price of bits below none": lambda model, folder: ks.RateCallback(-1.0),
    "integers without data": lambda model, folder: ks.to_litert(model, folder / "m.tflite", "int8"),
    "an unknown way to quantize": lambda model, folder: ks.to_litert(
        model, folder / "m.tflite", "int4"
    ),
    "a missing folder for LiteRT": lambda model, folder: ks.to_litert(
        model, folder / "none" / "m.tflite"
    ),
    "data of NaN for integers": lambda model, folder: ks.to_litert(
        model, folder / "m.tflite", "int8", representative_data=np.full((4, 8), np.nan)
    ),
    "a missing folder for a packed file": lambda model, folder: ks.pack(
        model, folder / "none" / "m.snare"
    ),
    "a quality above 100": lambda model, folder: ks.pack(model, folder / "m.snare", quality=101),
    "a quality and a loss": lambda model, folder: ks.pack(
        model, folder / "m.snare", quality=50, max_loss=0.01, data=DATA
    ),
    "a loss without data": lambda model, folder: ks.pack(model, folder / "m.snare", max_loss=0.01),
    "a file that is not packed": lambda model, folder: ks.unpack(_file_in("m.snare")(folder)),
    "a packed file that is missing": lambda model, folder: ks.unpack(folder / "m.snare"),
    "a model file of another ending": lambda model, folder: ks.save_model(model, folder / "m.h5"),
    "clusters for a file without training": lambda model, folder: ks.deep_compress(
        model, folder / "m.snare", batch_size=8
    ),
    # Comparing
    "a path to compare": lambda model, folder: ks.compare("before.keras", model),
    "models of unlike inputs": lambda model, folder: ks.compare(model, _other_inputs()),
    "data without an end": lambda model, folder: ks.compare(
        model, model, tf.data.Dataset.from_tensor_slices(DATA).batch(8).repeat()
    ),
}
