"""Files of cut models whose own configuration does not know the new widths."""

import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras

from keras_snare.arguments import check_flag
from keras_snare.errors import UnsupportedModelError
from keras_snare.graph.trace import is_made_of_layers, parts_of, states_its_graph
from keras_snare.surgery.rebuilding import CutObject, shapes_of

_CONFIG = "config.json"


def save_model(model: keras.Model, path: str | os.PathLike[str], *, check: bool = True) -> None:
    """Saves a cut model to a `.keras` file, also when its configuration holds the old widths.

    A Sequential or functional model of Keras's layers states its widths itself, so that this does
    what `model.save` does. A model class with a constructor of its own, such as KerasHub's, is
    built with the widths that the constructor was told; so are layers made of layers. Their file
    also says to what they have to be cut, and `keras.models.load_model` does so where this package
    is imported.

    Args:
        model: a built Keras model.
        path: of the file, which ends in `.keras`.
        check: bool, whether to build the model from the file's configuration once, to be sure that
            it can be loaded. It takes the time and the memory of a second model.

    Raises:
        TypeError: when `model` is no Keras model, or `path` no path.
        ValueError: when the path has another ending, or is a folder, or its folder is missing;
            nothing was written then.
        UnsupportedModelError: when the model is not built, or the file could not be loaded; nothing
            was written then.

    Example:

    >>> backbone = keras_hub.models.BertBackbone(vocabulary_size=100, num_layers=1, num_heads=2,
    ...                                          hidden_dim=16, intermediate_dim=8)
    >>> report = keras_snare.prune(backbone, 0.5)
    >>> keras_snare.save_model(backbone, "small.keras")
    >>> backbone = keras.models.load_model("small.keras")
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` is a Keras 3 model. Received: {type(model).__name__}")
    if not model.built:
        raise UnsupportedModelError(
            f"Model {model.name!r} is not built, so it has no weights to save. Give it a "
            "keras.Input, or call model.build(input_shape)."
        )
    check_flag("check", check)
    path = _checked(path)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        plain, changed = Path(folder) / "plain.keras", Path(folder) / "changed.keras"
        model.save(plain)
        with zipfile.ZipFile(plain) as file:
            stated = json.loads(file.read(_CONFIG))
        config = _described(model, stated)
        if config == stated:
            os.replace(plain, path)
            return
        if check:
            _check(model, config)
        _rewrite(plain, changed, config)
        os.replace(changed, path)


def _checked(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"`path` is a path that ends in '.keras'. Received: path={path!r}")
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(f"`path` ends in '.keras'. Received: path={str(path)!r}")
    if path.is_dir():
        raise ValueError(f"`path` is a file. Received the folder: path={str(path)!r}")
    if not path.parent.is_dir():
        raise ValueError(
            f"`path` lies in a folder that exists. Received: path={str(path)!r}. Make "
            f"{str(path.parent)!r} first."
        )
    return path


def _described(thing, entry: dict[str, Any]) -> dict[str, Any]:
    """A configuration in which what is built with the old widths is cut right afterwards."""
    if states_its_graph(thing):
        by_name = {layer.name: layer for layer in thing.layers}
        inner = [
            _described(by_name.get(one.get("name") or one["config"].get("name")), one)
            for one in entry["config"]["layers"]
        ]
        return {**entry, "config": {**entry["config"], "layers": inner}}
    if not isinstance(thing, keras.Model) and not is_made_of_layers(thing):
        return entry
    outside = ("name", "inbound_nodes", "compile_config")
    kept = {name: entry[name] for name in outside if name in entry}
    stated = {name: one for name, one in entry.items() if name not in outside}
    return {**CutObject.entry(stated, kept.get("inbound_nodes"), shapes_of(thing)), **kept}


def _rewrite(plain: Path, changed: Path, config: dict[str, Any]) -> None:
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            if name == _CONFIG:
                target.writestr(name, json.dumps(config))
            else:  # Weights, of which there may be many.
                with source.open(name) as old, target.open(name, "w", force_zip64=True) as new:
                    shutil.copyfileobj(old, new)


def _check(model: keras.Model, config: dict[str, Any]) -> None:
    kinds = {type(one).__name__: type(one) for one in (model, *parts_of(model))}
    config = json.loads(json.dumps(config))  # Keras takes it apart.
    config.pop("compile_config", None)
    try:
        with keras.saving.custom_object_scope(kinds):
            again: Any = keras.saving.deserialize_keras_object(config)
        if shapes_of(again) != shapes_of(model):
            raise ValueError("its weights have other shapes")
    except Exception as error:  # Constructors of a user's classes may fail in any way.
        raise UnsupportedModelError(
            f"Model {model.name!r} cannot be built from its configuration and then cut "
            f"({type(error).__name__}: {error}). Save its weights instead, "
            "model.save_weights(path), with the plan of the cut; to load them, build the model "
            "anew and call keras_snare.shrink(model, plan), then model.load_weights(path)."
        ) from error
