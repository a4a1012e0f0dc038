"""How positions along an axis are arranged by channel."""

import numpy as np
import pytest
from keras import layers
from training import concatenate_model, flatten_model

import keras_snare
from keras_snare.criteria import ChannelEvidence
from keras_snare.criteria.evidence import by_channel, columns
from keras_snare.graph import channel_groups


def _ragged(positions, valid):
    return [row[mask].tolist() for row, mask in zip(positions, valid, strict=True)]


@pytest.mark.parametrize(
    ("channels", "width", "expected"),
    [
        ([0, 1, 2], 3, [[0], [1], [2]]),
        ([2, 0, 1], 3, [[1], [2], [0]]),
        ([0, 1, 0, 1, 0, 1], 2, [[0, 2, 4], [1, 3, 5]]),
        ([0, 1, 1, 1, 2, 0], 3, [[0, 5], [1, 2, 3], [4]]),
        ([-1, 1, -1, 0, 1], 2, [[3], [1, 4]]),
        ([0, 2, 2], 4, [[0], [], [1, 2], []]),
        ([-1, -1], 2, [[], []]),
        ([], 2, [[], []]),
    ],
    ids="plain shuffled flatten unequal others absent none empty".split(),
)
def test_columns(channels, width, expected):
    positions, valid = columns(np.array(channels, dtype=np.int64), width)
    assert positions.shape == valid.shape
    assert positions.shape[0] == width
    assert positions.shape[1] >= 1
    assert _ragged(positions, valid) == expected


def test_by_channel_puts_everything_of_a_channel_in_its_row():
    kernel = np.arange(12).reshape(2, 6)
    found = by_channel(kernel, 1, np.array([0, 1, 0, 1, 0, 1]), 2)
    assert sorted(found[0]) == [0, 2, 4, 6, 8, 10]
    assert sorted(found[1]) == [1, 3, 5, 7, 9, 11]


def test_by_channel_fills_with_zeros_and_leaves_other_channels_out():
    kernel = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    found = by_channel(kernel, 0, np.array([1, -1, 0, 1]), 2)
    assert sorted(found[0]) == [0, 0, 5, 6]
    assert sorted(found[1]) == [1, 2, 7, 8]


def test_flatten_scatters_a_filter_over_the_rows_of_the_next_kernel():
    model = flatten_model()
    kernel = model.get_layer("hidden1").kernel.numpy()
    evidence = ChannelEvidence(channel_groups(model)["conv1"])
    (found,) = evidence.weights("reader")
    assert found.shape == (4, 4 * 5)
    for channel in range(4):
        expected = kernel.reshape(4, 4, 5)[:, channel].ravel()
        np.testing.assert_allclose(sorted(found[channel]), sorted(expected))


@pytest.mark.parametrize(("layer", "rows"), [("left", slice(0, 3)), ("right", slice(3, 7))])
def test_concatenate_gives_each_branch_its_own_rows(layer, rows):
    model = concatenate_model()
    evidence = ChannelEvidence(channel_groups(model)[layer])
    (found,) = evidence.weights("reader")
    kernel = np.moveaxis(model.get_layer("after").kernel.numpy(), 2, 0)[rows]
    np.testing.assert_allclose(np.sort(found), np.sort(kernel.reshape(len(kernel), -1)))


def test_kernels_come_without_biases_and_normalisations():
    model = flatten_model()
    evidence = ChannelEvidence(channel_groups(model)["hidden1"])
    (producer,) = evidence.weights("producer")
    np.testing.assert_allclose(producer, model.get_layer("hidden1").kernel.numpy().T)
    assert evidence.width == 5
    with pytest.raises(ValueError, match="Nothing was measured for layer 'hidden1'"):
        _ = evidence.statistic


def test_a_users_criterion_sees_the_same():
    class LargestWeight(keras_snare.Criterion):
        def score(self, channels):
            return max(abs(weights).max(axis=1) for weights in channels.weights("producer"))

    model = flatten_model()
    largest = abs(model.get_layer("hidden1").kernel.numpy()).max(axis=0)
    report = keras_snare.prune(model, 0.4, criterion=LargestWeight(), layers=layers.Dense)
    assert set(report.plan.keep["hidden1"]) == set(np.argsort(largest)[2:].tolist())
