"""One file of NNCodec and what it gives back; run by `codec.py` in an environment of its own.

python benchmarks/codec_nncodec.py weights.npz -30 decoded.npz
"""

import sys
import tempfile

import nncodec.nn
import numpy as np


def main() -> None:
    """Codes the arrays of a file at a quantization parameter, and prints the bytes."""
    source, parameter, target = sys.argv[1:]
    with np.load(source) as stored:
        weights = {name: stored[name] for name in stored.files}
    with tempfile.TemporaryDirectory() as folder:
        settings = {"qp": int(parameter), "results": folder, "verbose": False}
        stream = nncodec.nn.encode(weights, args=settings)
        found = nncodec.nn.decode(stream, args=settings)
    np.savez(target, **{name: np.asarray(one) for name, one in found.items()})
    print("bytes", len(stream))


if __name__ == "__main__":
    main()
