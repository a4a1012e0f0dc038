"""One file of NNCodec and what it gives back; run by `codec.py` in an environment of its own.

Arrays go in as PyTorch has them, with the outputs first. With `opt_qp`, NNCodec sets the step of
each by its own statistics.

    python benchmarks/codec_nncodec.py weights.npz -30 decoded.npz [opt_qp]
"""

import sys
import tempfile

import nncodec.nn
import numpy as np


def main() -> None:
    """Codes the arrays of a file at a quantization parameter, and prints the bytes."""
    source, parameter, target, *ways = sys.argv[1:]
    with np.load(source) as stored:
        weights = {name: _turned(stored[name]) for name in stored.files}
    with tempfile.TemporaryDirectory() as folder:
        settings = {"qp": int(parameter), "results": folder, "verbose": False}
        settings["opt_qp"] = "opt_qp" in ways
        stream = nncodec.nn.encode(weights, args=settings)
        found = nncodec.nn.decode(stream, args=settings)
    back = {name: _turned(np.asarray(one)) for name, one in found.items()}
    np.savez(target, **back)
    print("bytes", len(stream))


def _turned(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.T)


if __name__ == "__main__":
    main()
