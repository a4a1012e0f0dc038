"""Trained models with other layers in the place of some: in a basis, or in factors."""

from keras_snare.factorize.factorizing import factorize, factorize_report
from keras_snare.factorize.to_basis import to_basis

__all__ = ["factorize", "factorize_report", "to_basis"]
