"""Which of Keras's own applications can be cut, how much of them, and whether the cut holds.

    python benchmarks/coverage.py --output benchmarks/results/coverage.json

Every family of `keras.applications` of the installed Keras stands for itself by its smallest
member, with random weights. Half of its channels are cut by `l1_in`, layer by layer and over all
layers, and the result is compared, trained for a step, saved, loaded and exported. Writes the
results, and `docs/coverage.md` from them.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pages
import results_files

import keras_snare
from keras_snare.graph import READER, ChannelGroups, axis_key
from keras_snare.surgery import remove, removed_channels

FAMILIES = (
    *("VGG16", "ResNet50", "ResNet50V2", "Xception", "InceptionV3", "InceptionResNetV2"),
    *("DenseNet121", "NASNetMobile", "MobileNet", "MobileNetV2", "MobileNetV3Small"),
    *("EfficientNetB0", "EfficientNetV2B0", "ConvNeXtTiny"),
)
SIZE = 96
PAGE = Path(__file__).parent.parent / "docs" / "coverage.md"


def build(name: str) -> keras.Model:
    """One of the applications, with random weights and statistics, giving logits."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(SIZE, SIZE, 3), classes=100, classifier_activation=None
    )
    random = np.random.default_rng(0)
    for weight in model.weights:
        # Untrained, biases and moving means are zero, and a channel lost would not be missed.
        if weight.name in ("bias", "beta", "moving_mean"):
            weight.assign(random.normal(0, 0.1, weight.shape))
    return model


def reachable(groups: ChannelGroups) -> float:
    """Share of the parameters that lie in weights of which a cut takes some."""
    held = {
        id(member.binding.variable): member.binding.variable
        for group in groups.prunable()
        for member in group.members
    }
    cut = sum(int(np.prod(variable.shape)) for variable in held.values())
    return cut / keras_snare.graph.model_cost(groups).params


def silence(groups: ChannelGroups, removed: np.ndarray) -> None:
    """Sets the weights that read the channels `removed` to zero."""
    for binding in groups.bindings:
        if binding.role == READER:
            value = np.array(keras.ops.convert_to_numpy(binding.variable))
            value = np.moveaxis(value, binding.axis, 0)
            value[~groups.kept(binding.labels, removed)] = 0
            binding.variable.assign(np.moveaxis(value, 0, binding.axis))


def kept_weights(model: keras.Model, groups: ChannelGroups, removed: np.ndarray) -> list:
    """The weights of an uncut model without the positions that go."""
    values = {id(weight): keras.ops.convert_to_numpy(weight) for weight in model.weights}
    cut: set[tuple[int, int]] = set()
    for binding in groups.bindings:
        key = axis_key(binding.variable, binding.axis)
        if key not in cut:
            cut.add(key)
            stays = groups.kept(binding.labels, removed)
            values[key[0]] = values[key[0]].compress(stays, axis=key[1])
    return [values[id(weight)] for weight in model.weights]


def difference(model: keras.Model, reference: keras.Model, images: np.ndarray) -> float:
    """Greatest difference of the logits, relative to the greatest logit."""
    found, expected = (np.asarray(one(images)) for one in (model, reference))
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def normalizes_channels(model: keras.Model) -> bool:
    """Whether some layer takes statistics over channels, so that zero is not the same as gone."""
    return any(isinstance(layer, keras.layers.LayerNormalization) for layer in model.layers)


def check(name: str, scope: str) -> dict[str, Any]:
    """Cuts half of a model and tries out what is left."""
    model, reference = build(name), build(name)
    images = np.random.default_rng(1).random((2, SIZE, SIZE, 3), dtype=np.float32) * 255
    report = keras_snare.prune(model, 0.5, criterion="l1_in", scope=scope)
    groups = keras_snare.channel_groups(reference)
    removed = removed_channels(groups, report.plan)
    if normalizes_channels(model):
        narrow = type(model).from_config(model.get_config())
        narrow.set_weights(kept_weights(reference, groups, removed))
        reference = narrow
    else:
        silence(groups, removed)
    found = {
        "difference": difference(model, reference, images),
        "params_ratio": report.params_ratio,
        "flops_ratio": report.flops_ratio,
    }
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    found["loss_after_a_step"] = float(model.train_on_batch(images, np.array([1, 2])))
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
        loaded = keras.models.load_model(f"{folder}/model.keras")
        found["difference_when_loaded"] = difference(loaded, model, images)
        model.export(f"{folder}/exported", verbose=False)
        served = keras.layers.TFSMLayer(f"{folder}/exported", call_endpoint="serve")
        found["difference_when_exported"] = difference(served, model, images)
    return found


def times(name: str) -> dict[str, Any]:
    """Seconds of the analysis and of the cut, medians, on a compiled model."""
    seconds: dict[str, list[float]] = {"analysis": [], "surgery": []}
    model = build(name)
    model.compile("sgd", "mse")
    for _ in range(4):
        start = time.perf_counter()
        groups = keras_snare.channel_groups(model)
        seconds["analysis"].append(time.perf_counter() - start)
        half = [
            group.roots[group.first(group.free, group.width // 2)] for group in groups.prunable()
        ]
        start = time.perf_counter()
        undo = remove(model, groups, np.concatenate(half))
        seconds["surgery"].append(time.perf_counter() - start)
        undo.restore()
    return {name: float(np.median(values[1:])) for name, values in seconds.items()}


def run(name: str) -> dict[str, Any]:
    """All that is told of one model."""
    groups = keras_snare.channel_groups(build(name))
    reasons = Counter(group.reason for group in groups if not group.prunable)
    return {
        "groups": len(groups),
        "prunable": len(groups.prunable()),
        "reachable": reachable(groups),
        "reasons": dict(reasons),
        "seconds": times(name),
        **{scope: check(name, scope) for scope in ("local", "global")},
    }


def page(results: dict[str, Any]) -> str:
    """The results as a page."""
    lines = [
        "# Coverage",
        "",
        "Written by `python benchmarks/coverage.py` from `benchmarks/results/coverage.json`. Each",
        f"family of `keras.applications`, by its smallest member, {SIZE} x {SIZE} pixels, random",
        "weights. *Reachable* is the share of the parameters in weights of which a cut can take",
        "some. Half of the channels are cut by `l1_in`, layer by layer (`local`) and over all",
        "layers (`global`); *difference* is the greatest one, relative to the greatest logit, from",
        "the uncut model whose readers' weights are zero for those channels (with layer",
        "normalisation over channels: from a narrow model), and after saving and loading, and",
        "exporting. Each cut model was also trained for a step.",
        "",
        "| model | groups | of them prunable | reachable, % | PR, FR local | PR, FR global | "
        "difference | saved | exported | analysis, s | surgery, s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, found in results["models"].items():
        cuts = [found["local"], found["global"]]
        worst = [
            max(one[key] for one in cuts)
            for key in ("difference", "difference_when_loaded", "difference_when_exported")
        ]
        ratios = [f"{one['params_ratio']:.2f}, {one['flops_ratio']:.2f}" for one in cuts]
        lines.append(
            f"| {name} | {found['groups']} | {found['prunable']} | {100 * found['reachable']:.1f} "
            f"| {ratios[0]} | {ratios[1]} | {worst[0]:.1e} | {worst[1]:.1e} | {worst[2]:.1e} | "
            f"{found['seconds']['analysis']:.3f} | {found['seconds']['surgery']:.3f} |"
        )
    lines += ["", "What cannot be cut, and why:", ""]
    for name, found in results["models"].items():
        told = "; ".join(f"{reason} ({count})" for reason, count in found["reasons"].items())
        lines.append(f"- {name}: {told}")
    versions = ", ".join(f"{name} {one}" for name, one in results["versions"].items())
    lines += ["", f"On {results['machine']['processors']} processors. Versions: {versions}.", ""]
    return "\n".join(lines)


def main() -> None:
    """Runs the models named on the command line and adds them to the results."""
    parser = argparse.ArgumentParser(description="Coverage of keras.applications.")
    parser.add_argument("--models", nargs="+", default=list(FAMILIES))
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    known = json.loads(arguments.output.read_text()) if arguments.output.is_file() else {}
    models = known.get("models", {})
    for name in arguments.models:
        models[name] = run(name)
        print(name, json.dumps(models[name]), flush=True)
        results = {
            "models": {one: models[one] for one in FAMILIES if one in models},
            "command": "python benchmarks/coverage.py --output FILE",
            "machine": results_files.machine(),
            "versions": results_files.versions(),
        }
        results_files.write(arguments.output, results)
        pages.write_part(PAGE, "# Coverage", page(results))


if __name__ == "__main__":
    main()
