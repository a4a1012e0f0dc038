"""From a Keras 3 model to the bytes of a .tflite file, after training."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from keras_snare.errors import UnsupportedModelError
from keras_snare.quantize.interpreter import check_integers, without_warnings
from keras_snare.quantize.representative import examples
from keras_snare.quantize.serving import Served, recurrent

# Modes whose ranges are measured, and in which the converter takes no loop.
INTEGER = ("int8", "int16x8")
_CURE = (
    "Replace these layers, or their activations, by others, such as relu for elu, or write the "
    'file with quantize="dynamic".'
)


def converted(
    served: Served, quantize: str | None, batches: list, ends: tuple[str | None, str | None]
) -> bytes:
    """Returns a file.

    Args:
        served: the model, set up.
        quantize: as `to_litert` takes it.
        batches: representative data, for ranges.
        ends: `input_type` and `output_type` of `to_litert`.

    Raises:
        UnsupportedModelError: when the converter refuses, or leaves something in float that was to
            be an integer.
    """
    content = _content(served, quantize, batches, ends)
    if quantize in INTEGER:
        check_integers(content, served.layers_named, _CURE)
    return content


def _content(
    served: Served, quantize: str | None, batches: list, ends: tuple[str | None, str | None]
) -> bytes:
    cure = "or give it shapes that are known in full."
    # from_concrete_functions would leave the weights out of the file.
    with (
        explained(served.model.name, f"with quantize={quantize!r}", cure),
        tempfile.TemporaryDirectory() as folder,
        without_warnings(),
    ):
        write_saved_model(served, folder, quantize)
        converter = _converter(served, folder, quantize, batches)
        _set_ends(converter, ends)
        return converter.convert()


@contextmanager
def explained(name: str, how: str, cure: str) -> Iterator[None]:
    """Says what the converter refuses in words of our own.

    Args:
        name: of the model.
        how: what it is to be converted to.
        cure: what else to do than to replace the layer.

    Raises:
        UnsupportedModelError: for whatever is raised inside.
    """
    try:
        yield
    except UnsupportedModelError:
        raise
    except Exception as error:  # The converter's own error, and whatever its Python parts raise.
        raise UnsupportedModelError(
            f"Expected a model that LiteRT's converter takes {how}. Received: {name!r}, of which "
            f"it says {type(error).__name__}: {_shortened(error)} Replace the layer that it names, "
            f"{cure}"
        ) from error


def write_saved_model(served: Served, folder: str, quantize: str | None = None) -> None:
    """Exports what a file is made of; its signature is called `"serving_default"`.

    Raises:
        UnsupportedModelError: when it has a loop and is to be of integers.
    """
    if quantize in INTEGER:
        _check_loops(served)
    archive = keras.export.ExportArchive()
    archive.track(served.model)
    archive.add_endpoint("serve", served.traced)
    archive.write_out(folder, verbose=False)


def _converter(served: Served, folder: str, quantize: str | None, batches: list) -> Any:
    import tensorflow as tf

    lite = tf.lite
    converter = lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serving_default"])
    if quantize is not None:
        converter.optimizations = [lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif quantize in INTEGER:
        kinds = lite.OpsSet
        converter.target_spec.supported_ops = [
            kinds.TFLITE_BUILTINS_INT8
            if quantize == "int8"
            else kinds.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
        # Of gates that are split the newer one leaves parts in float at one time, rounds them badly
        # at another, by the order in which it happens to look at them.
        converter.experimental_new_quantizer = not recurrent(served.model)
        converter.representative_dataset = lambda: (
            dict(zip(served.inputs, one, strict=True))
            for one in examples(batches, served.batch_size)
        )
    return converter


def _set_ends(converter: Any, ends: tuple[str | None, str | None]) -> None:
    import tensorflow as tf

    for name, kind in zip(("inference_input_type", "inference_output_type"), ends, strict=True):
        if kind is not None:
            setattr(converter, name, getattr(tf, kind))


def _check_loops(served: Served) -> None:
    """On a loop of integers the converter ends the process, so that nothing could tell of it."""
    loops = loops_in(served.traced.get_concrete_function())
    if loops:
        raise UnsupportedModelError(
            "Expected a model without loops, which LiteRT's converter does not take in integers. "
            f"Received: a loop in {', '.join(served.layers_named(loops) or loops)}. "
            'Compute it without, or write the file with quantize="dynamic".'
        )


def loops_in(concrete: Any) -> list[str]:
    """Returns the names of the loops in a concrete function."""
    graph = concrete.graph.as_graph_def()
    nodes = [*graph.node, *(node for one in graph.library.function for node in one.node_def)]
    return [node.name for node in nodes if node.op in ("While", "StatelessWhile")]


def _shortened(error: Exception) -> str:
    """The first of what is often a page of the compiler's notes, without Keras's colours."""
    lines = dict.fromkeys(re.sub(r"\x1b\[\d+m", "", str(error)).splitlines())
    text = " ".join(" ".join(lines).split())
    return text if len(text) <= 400 else f"{text[:400]} ..."
