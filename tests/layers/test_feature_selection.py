"""`FeatureSelection` by itself; how it is put into a model is tested with surgery."""

import keras
import numpy as np
import pytest

from keras_snare.layers import FeatureSelection


@pytest.mark.parametrize(
    "indices",
    [[3, 0], (3, 0), np.array([3, 0]), np.array([3, 0], "int8"), iter([3, 0])],
    ids="list tuple array small_integers iterator".split(),
)
def test_features_are_passed_on_in_the_order_told(indices):
    layer = FeatureSelection(indices)
    x = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(layer(x), x[..., [3, 0]])
    assert layer.compute_output_shape((None, 3, 4)) == (None, 3, 2)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.indices == (3, 0)


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([], ValueError, r"one or more distinct indices, none negative. Received: indices=\(\)"),
        ([-1], ValueError, "Received: indices=.-1"),
        ([1, 1], ValueError, "Received: indices=.1, 1"),
        (None, TypeError, "takes a sequence of integers. Received: indices=None"),
        (3, TypeError, "Received: indices=3"),
        ("12", TypeError, "Received: indices='12'"),
        ([1.5], TypeError, r"Received: indices=\[1.5\]"),
        ([True], TypeError, "True and False are no indices.*flatnonzero"),
        (np.array([True, False]), TypeError, "takes a sequence of integers.*flatnonzero"),
        (np.ones((2, 1), int), TypeError, "takes a sequence of integers"),
    ],
    ids="none negative twice None number text fraction bools mask table".split(),
)
def test_wrong_indices_are_refused(indices, error, message):
    with pytest.raises(error, match=message):
        FeatureSelection(indices)


@pytest.mark.parametrize("shape", [(None, 5), (None, None)], ids=str)
def test_features_that_the_input_lacks_are_refused(shape):
    with pytest.raises(ValueError, match="selects feature 5, so its input needs at least 6"):
        FeatureSelection([0, 5]).build(shape)
