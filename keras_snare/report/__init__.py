"""Rows, tables and figures of what was done."""

from keras_snare.report.comparison import CompareReport, Latency, ModelFigures
from keras_snare.report.compression import CompressionReport
from keras_snare.report.factorization import FactorizeReport, FactorRow
from keras_snare.report.layers import LayerFigures, figures_after, layer_figures
from keras_snare.report.litert import LiteRTReport
from keras_snare.report.lottery import LotteryReport, RoundRow
from keras_snare.report.packing import PackedVariable, PackReport

__all__ = [
    "CompareReport",
    "CompressionReport",
    "FactorRow",
    "FactorizeReport",
    "Latency",
    "LayerFigures",
    "LiteRTReport",
    "LotteryReport",
    "ModelFigures",
    "PackReport",
    "PackedVariable",
    "RoundRow",
    "figures_after",
    "layer_figures",
]
