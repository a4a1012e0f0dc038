"""What holds for every test: quiet, seeded, one thread, a fresh Keras state."""

import gc
import os

# Before TensorFlow is imported, which reads these once. Subprocesses inherit them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# One thread adds floats in the same order every time and loses nothing on tiny models.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import hypothesis
import keras
import pytest
from tensorflow.python.eager import context

# No deadline: the first example of a shape traces a graph. Derandomized: a failure repeats.
hypothesis.settings.register_profile(
    "keras_snare", deadline=None, derandomize=True, max_examples=20, print_blob=True
)
hypothesis.settings.load_profile("keras_snare")


# Clearing the session and setting a seed also drop TensorFlow's kernels, the code of its single
# operations: a quarter of the time of all tests would go into making them anew. They hold no state
# that a test looks at: Keras draws random numbers from states of its own.
context.pywrap_tfe.TFE_ContextClearCaches = lambda handle: None


@pytest.fixture(autouse=True, scope="module")
def _nothing_of_before_is_garbage():
    """Every trial of a search collects garbage; what earlier files have left is not looked at."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _fresh_keras_state():
    """Give each test the same seed, layer names that start anew and the default dtype policy."""
    keras.utils.set_random_seed(0)
    yield
    # Collecting garbage as well would cost more than most tests.
    keras.utils.clear_session(free_memory=False)
