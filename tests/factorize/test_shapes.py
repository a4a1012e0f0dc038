"""What holds of factors for layers of any shape."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_snare

layers = keras.layers
KINDS = [layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D]
SMALL = st.integers(2, 5)


@st.composite
def shapes(draw):
    """Of a dense layer or a convolution, and what to begin random numbers with."""
    ndim, found = draw(st.integers(0, 3)), {"use_bias": draw(st.booleans())}
    if ndim:
        found["kernel_size"] = draw(st.lists(st.integers(1, 3), min_size=ndim, max_size=ndim))
        causal = ["causal"] if ndim == 1 else []
        found["padding"] = draw(st.sampled_from(["same", "valid", *causal]))
        found["strides"] = draw(st.integers(1, 2))
    return ndim, draw(SMALL), draw(SMALL), found, draw(st.integers(0, 99))


def network(ndim, channels, units, options, seed):
    """A model of one layer, and inputs whose neighbours are alike."""
    layer = KINDS[ndim](units, **options)
    model = keras.Sequential([keras.Input((*[5] * ndim, channels)), layer])
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(size=one.shape) for one in model.get_weights()])
    x = random.normal(size=(12, *[5] * ndim, channels)) @ random.normal(size=(channels, channels))
    for axis in range(1, ndim + 1):
        x = x.cumsum(axis=axis)
    return model, x.astype("float32") + 1


def check(shape, method):
    model, x = network(*shape)
    made = keras.ops.convert_to_numpy(model(x))
    size = np.abs(made).max()
    for data in (None, (x,)):
        full = keras_snare.factorize(model, "full", method=method, data=data)
        np.testing.assert_allclose(full(x), made, rtol=0, atol=1e-4 * size)
    lower = keras_snare.factorize(model, 1, method=method, data=(x,))
    (row,) = keras_snare.factorize_report(lower).rows
    (layer,) = model.layers
    axes = tuple(range(made.ndim - 1))
    middle = made.mean(axes) if layer.use_bias else 0.0
    error = np.linalg.norm(lower(x) - made) / max(np.linalg.norm(made - middle), 1e-12)
    assert row.error == pytest.approx(min(error, 1.0), rel=1e-2, abs=1e-3)


@settings(max_examples=5, derandomize=True, deadline=None)
@given(shapes(), st.sampled_from(["svd", "tucker", "spatial", "auto"]))
def test_full_ranks_lose_nothing_and_lower_ones_what_is_told(shape, method):
    check(shape, method)


@pytest.mark.slow
@settings(max_examples=100, derandomize=True, deadline=None)
@given(shapes(), st.sampled_from(["svd", "tucker", "spatial", "auto"]))
def test_the_same_of_many_more(shape, method):
    check(shape, method)
