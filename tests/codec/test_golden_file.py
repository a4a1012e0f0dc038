"""A file that was written once is read to the last bit, whatever has become of the coder."""

import base64
import hashlib

import keras
import numpy as np
import pytest

from keras_snare import pack
from keras_snare.codec.unpack import unpacked

# Three dense layers: a kernel as cosines, one of few values in half precision, one that is rounded.
FILE = """
S1NOUgFdsxajrLmdO0xb2WY6ZpS0sOncsB6eTWpQHFChME8cDMX4aDtkRBXhxlRJuUk0TrmGZkSkXPROYE5mXmpi0WjaHbZp
lyqjGMmDodA1GU26IyvpmkEGs3E2m8EtCsqbJAD6Ah0WBgY+AAAhAQIAuAAAADghAQAAAAI9gAEAAAAAANQBrlC9LAHKZZ22
20bHyM95OOeN/ke3o606rrnZ45M454H36q54w3FXlRr2nI4M6VTQ11fQFHQnO9joENwVVR9JlOa+KblyU64dKojwEaiy1r7u
wGQtFVR6jwKRPQi90Ci5/2bYsXXQILhyb3jQD9pxPWYuF6YDh5Q1pgX6exwXeI/gsmRQUJAGygmdwFoboenxTx6WWKeWYKH/
D3JySKqhcPlHt2Ecw+nc/5IWuN9Eb385vSXPUN9msiHb5fwSB7g81XFUdF9A+yoswfgYqRwzx+CzecnSRauo
"""
DIGEST = "3fb6a1899ccebb4144475a44e2df8079b59b2e21b7b3c49f8a8855a39870680c"


def _digest(model) -> str:
    values = [np.ascontiguousarray(one).tobytes() for one in model.get_weights()]
    return hashlib.sha256(b"".join(values)).hexdigest()


# Its configuration names an argument that the oldest Keras does not know.
@pytest.mark.skipif(
    "quantization_config" not in keras.layers.Dense(1).get_config(), reason="an older Keras"
)
def test_a_file_of_long_ago_gives_the_same_weights(tmp_path):
    found = unpacked(base64.b64decode(FILE), 1000)
    assert _digest(found) == DIGEST
    # What is written now is read so too.
    pack(found, tmp_path / "model.snare", quality=None)
    assert _digest(unpacked((tmp_path / "model.snare").read_bytes(), 1000)) == DIGEST
