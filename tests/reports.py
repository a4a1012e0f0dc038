"""A report of a search, made by hand."""

from keras_snare.records import TrialRow
from keras_snare.report import CompressionReport, LayerFigures

# What would be a tag in a page, and a formula in a figure.
NAME = "<b>x</b> $\\frac$"


def trial(number, accepted, metric, params, layer=NAME):
    return TrialRow(
        trial=number,
        epoch=10 + number,
        layer=layer,
        width_before=64,
        width_after=32,
        share=0.5,
        epochs=2,
        metric=metric,
        best=0.92,
        accepted=accepted,
        params=params,
        flops=20 * params,
        reason="accepted" if accepted else "rejected",
    )


def report(**changed):
    rows = [
        trial(1, True, 0.91, 900),
        trial(2, False, float("nan"), 90),
        trial(3, True, 0.93, 1_000, "dense"),
    ]
    layers = [
        LayerFigures(NAME, 64, 16, 6_400, 800, 128_000, 16_000),
        LayerFigures("dense", 10, 10, 3_600, 200, 72_000, 4_000),
        LayerFigures("pool", None, None, 0, 0, 640, 160),
    ]
    figures = {
        "monitor": "val_accuracy",
        "eps": 0.01,
        "params_before": 10_000,
        "flops_before": 200_640,
        "params_after": 1_000,
        "flops_after": 20_160,
        "rows": rows,
        "baseline": 0.9,
        "best": 0.93,
        "metric": 0.93,
        "layers": layers,
    }
    return CompressionReport(**{**figures, **changed})
