"""KerasHub's transformers at the sizes of their smallest presets, with half of every group cut.

    python benchmarks/kerashub.py --output benchmarks/results/kerashub.json

Needs the extra `hub`, and 16 GB of memory for the largest. Weights are random, nothing is
downloaded. Writes the results, and the table in `docs/kerashub.md` from them.
"""

import argparse
import gc
import importlib.metadata
import json
import time
from pathlib import Path
from typing import Any

import coverage
import keras
import keras_hub
import numpy as np
import results_files

import keras_snare
from keras_snare.surgery import remove

PAGE = Path(__file__).parent.parent / "docs" / "kerashub.md"
BEGIN, END = "<!-- table: python benchmarks/kerashub.py -->\n", "<!-- end of table -->\n"
LENGTH = 16
GEMMA_2 = {
    "vocabulary_size": 256_000,
    "num_query_heads": 8,
    "num_key_value_heads": 4,
    "hidden_dim": 2304,
    "intermediate_dim": 18_432,
    "head_dim": 256,
    "use_post_ffw_norm": True,
    "use_post_attention_norm": True,
    "attention_logit_soft_cap": 50,
    "final_logit_soft_cap": 30,
    "use_sliding_window_attention": True,
    "sliding_window_size": 4096,
}
# What the presets' configurations say.
PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert_tiny_en_uncased": (
        "BertBackbone",
        {
            "vocabulary_size": 30_522,
            "num_layers": 2,
            "num_heads": 2,
            "hidden_dim": 128,
            "intermediate_dim": 512,
        },
    ),
    "gpt2_base_en": (
        "GPT2Backbone",
        {
            "vocabulary_size": 50_257,
            "num_layers": 12,
            "num_heads": 12,
            "hidden_dim": 768,
            "intermediate_dim": 3072,
        },
    ),
    "vit_base_patch16_224_imagenet": (
        "ViTBackbone",
        {
            "image_shape": (224, 224, 3),
            "patch_size": 16,
            "num_layers": 12,
            "num_heads": 12,
            "hidden_dim": 768,
            "mlp_dim": 3072,
        },
    ),
    "whisper_tiny_en": (
        "WhisperBackbone",
        {
            "vocabulary_size": 51_864,
            "num_layers": 4,
            "num_heads": 6,
            "hidden_dim": 384,
            "intermediate_dim": 1536,
        },
    ),
    "vault_gemma_1b_en": (
        "GemmaBackbone",
        {
            "vocabulary_size": 256_000,
            "num_layers": 26,
            "num_query_heads": 4,
            "num_key_value_heads": 4,
            "hidden_dim": 1152,
            "intermediate_dim": 13_824,
            "head_dim": 256,
        },
    ),
    "gemma2_2b_en, 6 of 26 layers": ("GemmaBackbone", {**GEMMA_2, "num_layers": 6}),
}


def inputs_for(model: keras.Model) -> Any:
    """Random inputs: tokens, masks that hide nothing, images or sound."""
    random = np.random.default_rng(0)

    def values(tensor):
        shape = [2, *(size or LENGTH for size in tensor.shape[1:])]
        if "mask" in tensor.name:
            return np.ones(shape, tensor.dtype)
        if "int" in tensor.dtype:
            return random.integers(0, 2 if "segment" in tensor.name else 1000, shape).astype(
                tensor.dtype
            )
        return random.random(shape, dtype=np.float32)

    return keras.tree.map_structure(values, model.input)


def outputs(model: keras.Model, inputs: Any) -> list[np.ndarray]:
    """What the model returns, flat."""
    return [np.asarray(one) for one in keras.tree.flatten(model(inputs))]


def run(name: str) -> dict[str, Any]:
    """Cuts half of every group of a preset, compares, and undoes it."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    kind, arguments = PRESETS[name]
    model = getattr(keras_hub.models, kind)(**arguments)
    analysis = []
    for _ in range(3):
        start = time.perf_counter()
        groups = keras_snare.channel_groups(model)
        analysis.append(time.perf_counter() - start)
    before, share = keras_snare.graph.model_cost(groups), coverage.reachable(groups)
    half = [group.roots[group.first(group.free, group.width // 2)] for group in groups.prunable()]
    removed = np.concatenate(half)
    coverage.silence(groups, removed)
    inputs = inputs_for(model)
    expected = outputs(model, inputs)
    start = time.perf_counter()
    undo = remove(model, groups, removed)
    surgery = time.perf_counter() - start
    pairs = zip(outputs(model, inputs), expected, strict=True)
    found = max(float(np.abs(one - other).max() / np.abs(other).max()) for one, other in pairs)
    after = keras_snare.cost(model)
    undo.restore()
    back = zip(outputs(model, inputs), expected, strict=True)
    return {
        "parameters": before.params,
        "groups": len(groups),
        "prunable": len(groups.prunable()),
        "reachable": share,
        "params_ratio": before.params / after.params,
        "flops_ratio": before.flops / after.flops,
        "difference": found,
        "undone_to_the_bit": all(np.array_equal(one, other) for one, other in back),
        "seconds": {"analysis": float(np.median(analysis)), "surgery": surgery},
    }


def table(results: dict[str, Any]) -> str:
    """The results as a table."""
    lines = [
        "| preset | parameters | groups | prunable | reachable, % | PR, FR | difference | "
        "analysis, s | surgery, s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, found in results["presets"].items():
        seconds = found["seconds"]
        lines.append(
            f"| {name} | {found['parameters']:,} | {found['groups']} | {found['prunable']} | "
            f"{100 * found['reachable']:.1f} | {found['params_ratio']:.2f}, "
            f"{found['flops_ratio']:.2f} | {found['difference']:.1e} | {seconds['analysis']:.2f} | "
            f"{seconds['surgery']:.2f} |"
        )
    versions = ", ".join(f"{name} {one}" for name, one in results["versions"].items())
    lines += ["", f"On {results['machine']['processors']} processors. Versions: {versions}.", ""]
    return "\n".join(lines)


def write_page(results: dict[str, Any]) -> None:
    """Puts the table into the page."""
    text = PAGE.read_text()
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(f"{head}{BEGIN}\n{table(results)}\n{END}{tail}")


def main() -> None:
    """Runs the presets named on the command line and adds them to the results."""
    parser = argparse.ArgumentParser(description="KerasHub's smallest presets, cut in half.")
    parser.add_argument("presets", nargs="*", default=list(PRESETS))
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    kept = json.loads(arguments.output.read_text())["presets"] if arguments.output.exists() else {}
    for name in arguments.presets:
        kept[name] = run(name)
        print(name, kept[name], flush=True)
        gc.collect()
        hub = {"keras_hub": importlib.metadata.version("keras-hub")}
        results = {
            "presets": {one: kept[one] for one in PRESETS if one in kept},
            "command": "python benchmarks/kerashub.py --output FILE",
            "machine": results_files.machine(),
            "versions": {**results_files.versions(), **hub},
        }
        results_files.write(arguments.output, results)
        write_page(results)


if __name__ == "__main__":
    main()
