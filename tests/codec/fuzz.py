"""Feeds packed files that atheris changes to `unpack`; stops at whatever is no CodecError.

pip install atheris
python tests/codec/fuzz.py -max_total_time=600
"""

import os
import struct
import sys
import tempfile
import zlib
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import atheris
import keras
from keras import layers

with atheris.instrument_imports(include=["keras_snare.codec"]):
    from keras_snare import CodecError, pack
    from keras_snare.codec.container import Container
    from keras_snare.codec.unpack import unpacked

_MOST = 10_000


def _seed(folder: Path) -> None:
    shapes = [keras.Input((6, 6)), layers.Flatten(), layers.Dense(5, "relu")]
    model = keras.Sequential([*shapes, layers.BatchNormalization(), layers.Dense(3)])
    for name, quality in (("exact", None), ("rounded", 40)):
        pack(model, folder / name, quality=quality)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-4])


def _one(body: bytes) -> None:
    # The checksum is put right, so that what lies behind it is reached.
    try:
        unpacked(body + struct.pack("<I", zlib.crc32(body)), _MOST)
    except CodecError:
        return


def main() -> None:
    """Runs until a failure, or as long as the arguments of libFuzzer say."""
    with tempfile.TemporaryDirectory() as folder:
        _seed(Path(folder))
        for path in Path(folder).iterdir():
            content = path.read_bytes()
            Container.from_bytes(content + struct.pack("<I", zlib.crc32(content)))
        atheris.Setup([*sys.argv, "-max_len=4096", folder], _one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
