"""Rows, tables and figures of what was done."""

from keras_snare.report.compression import CompressionReport
from keras_snare.report.litert import LiteRTReport
from keras_snare.report.lottery import LotteryReport, RoundRow

__all__ = ["CompressionReport", "LiteRTReport", "LotteryReport", "RoundRow"]
