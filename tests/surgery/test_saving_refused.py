"""`save_model` refuses what it cannot save, and writes nothing then."""

import composite_models
import keras
import models
import pytest

import keras_snare
from keras_snare import UnsupportedModelError

layers = keras.layers


@pytest.fixture(scope="module")
def model():
    return composite_models.build("block")


def listing(folder):
    return sorted((path.name, path.is_dir()) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("model.h5", r"`path` ends in '\.keras'\. Received: path='.*model\.h5'"),
        ("model", r"`path` ends in '\.keras'\. Received: path='.*model'"),
        ("model.keras.zip", r"Received: path='.*model\.keras\.zip'"),
        (".keras", r"Received: path='.*\.keras'"),
        ("no/model.keras", r"in a folder that exists\. Received: path='.*'\. Make '.*no' first\."),
        ("file/model.keras", "in a folder that exists"),
        ("folder.keras", r"`path` is a file\. Received the folder: path='.*folder\.keras'"),
    ],
    ids="ending none another only_an_ending missing_folder file_for_folder folder".split(),
)
def test_paths_that_are_no_place_for_the_file(model, tmp_path, path, message):
    (tmp_path / "folder.keras").mkdir()
    (tmp_path / "file").write_text("a file")
    before = listing(tmp_path)
    for given in (tmp_path / path, str(tmp_path / path)):
        with pytest.raises(ValueError, match=message):
            keras_snare.save_model(model, given)
    assert listing(tmp_path) == before


@pytest.mark.parametrize("path", [None, 3, b"model.keras", ["model.keras"]], ids=repr)
def test_what_is_no_path(model, path):
    with pytest.raises(TypeError, match="`path` is a path that ends in '.keras'. Received: path="):
        keras_snare.save_model(model, path)


@pytest.mark.parametrize(
    "thing", [None, "model", layers.Dense(2), keras.Model, [1]], ids=lambda one: type(one).__name__
)
def test_what_is_no_model(thing, tmp_path):
    message = f"`model` is a Keras 3 model. Received: {type(thing).__name__}"
    with pytest.raises(TypeError, match=message):
        keras_snare.save_model(thing, tmp_path / "model.keras")
    assert listing(tmp_path) == []


def test_a_model_without_weights_yet(tmp_path):
    model = keras.Sequential([layers.Dense(2)], name="later")
    with pytest.raises(UnsupportedModelError, match="'later' is not built.*model.build"):
        keras_snare.save_model(model, tmp_path / "model.keras")
    assert listing(tmp_path) == []
    model.build((None, 3))
    keras_snare.save_model(model, tmp_path / "model.keras")
    assert listing(tmp_path) == [("model.keras", False)]


@pytest.mark.parametrize("check", [None, 1, "no"], ids=repr)
def test_check_is_a_truth_value(model, tmp_path, check):
    with pytest.raises(ValueError, match="`check` is True or False. Received: "):
        keras_snare.save_model(model, tmp_path / "model.keras", check=check)
    assert listing(tmp_path) == []


def test_a_file_that_is_there_stays_when_saving_fails(tmp_path):
    path = tmp_path / "model.keras"
    keras_snare.save_model(models.build("residual"), path)
    before = path.read_bytes()
    narrow = composite_models.functional(Forgetful(name="block"))
    keras_snare.shrink(narrow, {"block/feed/up": [0, 2, 3]})
    with pytest.raises(UnsupportedModelError, match="cannot be built from its configuration"):
        keras_snare.save_model(narrow, path)
    assert path.read_bytes() == before
    assert listing(tmp_path) == [("model.keras", False)]


class Forgetful(composite_models.Block):
    """Does not tell how wide it is."""

    def get_config(self):
        return {**super().get_config(), "units": 1}
