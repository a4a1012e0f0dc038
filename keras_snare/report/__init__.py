"""Rows, tables and figures of what was done."""

from keras_snare.report.compression import CompressionReport

__all__ = ["CompressionReport"]
