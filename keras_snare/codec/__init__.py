"""Weights as few bytes, and back."""

from keras_snare.codec.coding import Coding, from_integers, to_integers
from keras_snare.codec.entropy import coded_bytes
from keras_snare.codec.grids import check_grids
from keras_snare.codec.pack import pack
from keras_snare.codec.pack_checks import check_packable
from keras_snare.codec.unpack import unpack

__all__ = [
    "Coding",
    "check_grids",
    "check_packable",
    "coded_bytes",
    "from_integers",
    "pack",
    "to_integers",
    "unpack",
]
