"""Accuracy with kernels in 4 bits: rounded after training, and trained for it, beside float.

Fake-quantized by TF-MOT's own quantizers: kernels in 4 bits, by channel of a convolution and whole
of a dense layer; everything else in 8, also the kernels of depthwise convolutions. LiteRT's
converter makes 8 bits of these 4, so the networks are evaluated as TF-MOT has them, not as files.
"After training" is the same wrapped network, calibrated, and not trained: its learning rate is
zero, and normalisations stand still. The test set is told once and chooses nothing.

    python benchmarks/four_bits.py --output benchmarks/results/four_bits.json
"""

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

import keras
import results_files
from quantization import CASES, Case, accuracy, entry, go_on

import keras_snare
from keras_snare.quantize.environment import tf_mot

BITS = 4
KINDS = (
    "tensorflow_model_optimization.python.core.quantization.keras.default_8bit."
    "default_8bit_quantize_registry"
)


def configs(model: keras.Model) -> dict[str, Any]:
    """TF-MOT's configurations of 8 bits for convolutions and dense layers, with other kernels."""
    tf_mot()
    kinds = importlib.import_module(KINDS)
    found = {}
    for layer in model.layers:
        if not isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            continue
        of_conv = isinstance(layer, keras.layers.Conv2D)
        kind = kinds.Default8BitConvQuantizeConfig if of_conv else kinds.Default8BitQuantizeConfig
        config = kind(["kernel"], ["activation"], False)
        config.weight_quantizer.num_bits = BITS
        found[layer.name] = config
    return found


def trained(case: Case, given: keras.Model, seed: int, *, still: bool) -> Any:
    """Returns the network of TF-MOT, after the last epochs or before them."""
    examples = case.held_out()[0][0][:256]
    quantize = keras_snare.QuantizeAwareCallback(
        0, path=None, configs=configs(given), representative_data=examples
    )
    go_on(case, given, seed, [quantize], still=still)
    return quantize.quantized_model


def figures(case: Case, model: Any) -> dict[str, float]:
    """Accuracy of a network."""
    (x, y), (x_test, y_test) = case.held_out()
    return {
        "validation": accuracy(model.predict(x, verbose=0), y),
        "test": accuracy(model.predict(x_test, verbose=0), y_test),
    }


def run(case: Case, seed: int) -> dict[str, Any]:
    """Trains a network, and goes on with it in every way."""
    given = case.build(seed)
    after = go_on(case, given, seed, [])
    rows = {
        "float": figures(case, after),
        "4 bits after training": figures(case, trained(case, after, seed, still=True)),
        "4 bits in training": figures(case, trained(case, given, seed, still=False)),
    }
    return {"seed": seed, "parameters": given.count_params(), "rows": rows}


def main() -> None:
    """Runs one seed after the other and writes the results after each network."""
    parser = argparse.ArgumentParser(description="Accuracy with kernels in 4 bits.")
    names = [one for one in CASES if not one.startswith("ResNet")]
    parser.add_argument("--networks", nargs="+", choices=names, default=names)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    path = arguments.output
    results = json.loads(path.read_text()) if path.is_file() else {}
    for name in arguments.networks:
        runs = []
        for seed in arguments.seeds:
            runs.append(run(CASES[name], seed))
            print(name, seed, json.dumps(runs[-1]["rows"]), flush=True)
        results[name] = entry("benchmarks/four_bits.py", name, runs)
        results_files.write(path, results)


if __name__ == "__main__":
    main()
