"""The same on two replicas and without a strategy.

TensorFlow's devices are made before it begins, so two of them take another process. A process has
one strategy: the reductions of a second would meet those of the first.
"""

import contextlib
import functools
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

_TWO_DEVICES = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
"""


def script(file: str, call: str, first: str = _TWO_DEVICES) -> list[str]:
    """A command that calls a function of a test file, after what has to come first."""
    paths = [str(Path(__file__).parent), str(Path(file).parent)]
    name = Path(file).stem
    code = f"{first}\nimport sys\nsys.path[:0] = {paths}\nimport {name}\n{name}.{call}\n"
    return [sys.executable, "-c", code]


def in_another_process(file: str, call: str, first: str = _TWO_DEVICES) -> None:
    """Calls a function of a test file in a process of its own, with two devices."""
    run = subprocess.run(script(file, call, first), capture_output=True, text=True, timeout=1800)
    assert run.returncode == 0, run.stdout + run.stderr


@functools.cache
def strategy():
    """The strategy of this process, over two devices."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def made(make, replicas: int):
    """A model, seeded, made in the scope of two replicas, or outside of any (1)."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
    with strategy().scope() if replicas > 1 else contextlib.nullcontext():
        return make()


def assert_alike(found, expected, tolerance: float = 1e-4) -> None:
    """Compares what may be nested: floats within a tolerance, the rest exactly."""
    found, expected = keras.tree.flatten(found), keras.tree.flatten(expected)
    assert len(found) == len(expected), (found, expected)
    for one, other in zip(found, expected, strict=True):
        if isinstance(one, (float, np.ndarray)):
            np.testing.assert_allclose(one, other, atol=tolerance, rtol=tolerance)
        else:
            assert one == other, (found, expected)


def assert_replicas_agree(model) -> None:
    """Every replica has the same weights and slots, to the bit, in the shape that is stated."""
    if model.distribute_strategy.num_replicas_in_sync == 1:
        return
    for variable in (*model.weights, *model.optimizer.variables):
        values = strategy().experimental_local_results(variable.value)
        assert len(values) == 2, variable.path
        assert values[0].shape == values[1].shape == variable.shape, variable.path
        np.testing.assert_array_equal(values[0].numpy(), values[1].numpy(), variable.path)
