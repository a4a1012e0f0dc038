"""Whatever is in a file, reading it ends in a model or in CodecError."""

import json
import struct
import tracemalloc
import zlib

import keras
import numpy as np
import pytest
from keras import layers

import keras_snare
from keras_snare import CodecError, pack, unpack
from keras_snare.codec.configuration import compressed
from keras_snare.codec.container import MAGIC, VERSION, Container
from keras_snare.codec.unpack import unpacked

MOST = 10_000


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    keras.utils.set_random_seed(0)
    first = [keras.Input((6, 6)), layers.Flatten(), layers.BatchNormalization()]
    model = keras.Sequential([*first, layers.Dense(5, "relu"), layers.Dense(3)])
    metric = keras.metrics.MeanIoU(3)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=[metric])
    path = tmp_path_factory.mktemp("packed") / "model.snare"
    pack(model, path, quality=40, compiled=True)
    return path.read_bytes()


def sealed(body: bytes) -> bytes:
    """Puts a right checksum under anything, so that what is behind it is reached."""
    return body + struct.pack("<I", zlib.crc32(body))


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """A file with bytes changed, left out, doubled or put in; mostly with a right checksum."""
    body = bytearray(content[:-4])
    for _ in range(rng.integers(1, 4)):
        at, kind = int(rng.integers(len(body))), rng.integers(4)
        some = rng.bytes(int(rng.integers(1, 5)))
        if kind == 0:
            body[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            body[at : at + len(some)] = some
        elif kind == 2:
            del body[at : at + len(some)]
        else:
            body[at:at] = some
    return sealed(bytes(body)) if rng.random() < 0.95 else bytes(body) + content[-4:]


def with_configuration(content: bytes, change) -> bytes:
    """The file with another configuration, and everything else in order."""
    whole = Container.from_bytes(content)
    text = zlib.decompressobj(-15, _phrases()).decompress(whole.configuration)
    text = change(text.decode()).encode()
    return Container(
        compressed(text), len(text), whole.numbers, whole.descriptions, whole.coded
    ).to_bytes()


def _phrases() -> bytes:
    from keras_snare.codec.phrases import PHRASES

    return PHRASES


def _ends_well(content: bytes) -> bool:
    try:
        return isinstance(unpacked(content, MOST), keras.Model)
    except CodecError:
        return False


def test_the_file_itself_is_read(content):
    assert _ends_well(content)


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_files_end_in_a_model_or_in_codec_error(content, count):
    rng = np.random.default_rng(count)
    read = sum(_ends_well(mutated(content, rng)) for _ in range(count))
    # Changed weights make a model too.
    assert 0 < read < count


def test_every_shorter_file_is_refused(content):
    body = content[:-4]
    for end in range(0, len(body), 3):
        assert not _ends_well(content[:end])
        # The end of the coded weights may be zeros, which are not written.
        assert not _ends_well(sealed(body[:end]))


def _configured(old: str, new: str):
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


def _wide(text: str, units: int) -> str:
    text = _configured('"units":5', f'"units":{units}')(text)
    return text.replace('"input_shape":[null,5]', f'"input_shape":[null,{units}]')


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: _wide(text, 500_000_000_000), "numbers that are declared"),
        (_configured('"units":5', '"units":"many"'), "cannot build"),
        (_configured('"num_classes":3', '"num_classes":300000'), "up to 4096"),
        (_configured('"num_classes":3', '"num_classes":{}'), "cannot build"),
        (_configured('"Dense"', '"Lambda"'), "without code"),
        (_configured('"Dense"', '"TFSMLayer"'), "without code"),
        (_configured('"module":"keras.layers"', '"module":"subprocess"'), "without code"),
        (_configured('"module":"keras.layers",', ""), "without code"),
        (_configured('"class_name":"Dense"', '"class_name":"clone_model"'), "without code"),
        (_configured('"keras.initializers"', '"os"'), "without code"),
        (_configured('"Sequential"', '"Functional"'), "Received"),
        (lambda text: "[" * 100_000, "JSON"),
        (lambda text: json.dumps([1]), "Received: list"),
        (lambda text: text[:-1], "JSON"),
        (lambda text: '{"a":' * 200 + "1" + "}" * 200, "levels at most"),
        (lambda text: "{}", "Received"),
    ],
)
def test_configurations_that_ask_for_too_much_are_refused(content, change, message):
    with pytest.raises(CodecError, match=message):
        unpacked(with_configuration(content, change), MOST)


def test_no_memory_is_used_for_what_is_only_declared(content):
    bomb = Container.from_bytes(content)
    text = b" " * 50_000_000
    bomb = Container(compressed(text), len(text), bomb.numbers, b"", b"").to_bytes()
    wide = with_configuration(content, lambda text: _wide(text, 50_000_000))
    tracemalloc.start()
    try:
        for one in (bomb, wide):
            assert not _ends_well(one)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("settings", "message"),
    [({}, "Received: one with 2000000000001"), ({"mean": 0.0, "variance": 1.0}, "constants of")],
    ids=["adapted", "given"],
)
def test_no_memory_is_used_for_normalization(content, settings, message):
    model = keras.Sequential([keras.Input((7,)), layers.Normalization(**settings)])
    text = json.dumps(keras.saving.serialize_keras_object(model))
    wide = text.replace("[null, 7]", f"[null, {10**12}]")
    with pytest.raises(CodecError, match=message):
        unpacked(with_configuration(content, lambda _: wide), MOST)


def test_no_memory_is_used_for_a_basis_of_cosines(content):
    form = keras_snare.layers.DCTDense(3, coefficients=500, name="form")
    model = keras.Sequential([keras.Input((600,)), form])
    text = json.dumps(keras.saving.serialize_keras_object(model))
    wide = text.replace("[null, 600]", "[null, 600000]").replace('"units": 3', '"units": 1')
    tracemalloc.start()
    try:
        with pytest.raises(CodecError, match="basis of cosines"):
            unpacked(with_configuration(content, lambda _: wide), MOST)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


def test_limits_and_foreign_files_are_told(content, tmp_path):
    with pytest.raises(CodecError, match="raise `max_numbers`"):
        unpacked(content, 100)
    with pytest.raises(CodecError, match="begins with"):
        unpacked(b"PK\x03\x04" + content, MOST)
    with pytest.raises(CodecError, match="version 99"):
        unpacked(sealed(MAGIC + bytes([99]) + content[len(MAGIC) + 1 : -4]), MOST)
    assert content[len(MAGIC)] == VERSION
    with pytest.raises(ValueError, match="max_numbers"):
        unpack(tmp_path / "model.snare", max_numbers=0)
    with pytest.raises(FileNotFoundError):
        unpack(tmp_path / "model.snare")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_configured('"indices_or_sections":2', '"indices_or_sections":1000000'), "at most 1024"),
        (
            _configured('"indices_or_sections":2', '"indices_or_sections":' + str([1] * 2000)),
            "2000",
        ),
        (_configured('"num":4', '"num":9999'), "Unstack with `num`"),
        (_configured('"num":4', '"num":null'), "Received: None"),
    ],
)
def test_lists_without_end_are_refused(change, message, tmp_path):
    inputs = keras.Input((4, 3))
    parts = keras.ops.split(inputs, 2, axis=1)
    rows = keras.ops.unstack(inputs, num=4, axis=1)
    model = keras.Model(inputs, [keras.layers.Dense(2)(parts[1]), rows[0]])
    keras_snare.pack(model, tmp_path / "split.snare")
    whole = (tmp_path / "split.snare").read_bytes()
    assert _ends_well(whole)
    with pytest.raises(CodecError, match=message):
        unpacked(with_configuration(whole, change), MOST)
