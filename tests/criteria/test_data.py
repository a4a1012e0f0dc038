"""Which data a criterion takes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from training import compiled, dense_model, random_data

import keras_snare
from keras_snare.criteria import TaylorCriterion, check_data, get_criterion, statistics
from keras_snare.graph import channel_groups


class _Batches(keras.utils.PyDataset):
    def __init__(self, x, y, size, labelled=True):
        super().__init__()
        self.x, self.y, self.size, self.labelled = x, y, size, labelled

    def __len__(self):
        return -(-len(self.x) // self.size)

    def __getitem__(self, index):
        part = slice(index * self.size, (index + 1) * self.size)
        return (self.x[part], self.y[part]) if self.labelled else self.x[part]


_dataset = tf.data.Dataset.from_tensor_slices


def _forms(x, y):
    return {
        "tuple": (x, y),
        "list": [x, y],
        "tensors": (tf.constant(x), tf.constant(y)),
        "dataset": tf.data.Dataset.from_tensor_slices((x, y)).batch(5),
        "pydataset": _Batches(x, y, 5),
    }


@pytest.mark.parametrize("form", ["tuple", "list", "tensors", "dataset", "pydataset"])
def test_every_form_gives_the_same_scores(form):
    model = compiled(dense_model())
    x, y = random_data(model, 13)
    groups = channel_groups(model)
    expected = statistics(model, groups, groups.prunable(), TaylorCriterion(), (x, y))

    data = _forms(x, y)[form]
    check_data(data, "data", labelled=True)
    found = statistics(model, groups, groups.prunable(), TaylorCriterion(), data)

    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("form", ["array", "dataset", "pydataset"])
def test_activations_need_no_labels(form):
    model = dense_model()
    x, y = random_data(model, 13)
    data = {
        "array": (x,),
        "dataset": tf.data.Dataset.from_tensor_slices(x).batch(5),
        "pydataset": _Batches(x, y, 5, labelled=False),
    }[form]
    report = keras_snare.prune(model, 0.5, criterion="activation", data=data, scope="local")
    other = keras.models.clone_model(model)
    assert [change.after for change in report.changes] == [3, 3]
    assert other.count_params() == model.count_params()


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda x, y: iter([(x, y)]), "`data` is read several times. Received an iterator"),
        (lambda x, y: ((x, y) for _ in range(1)), r"iterator \(generator\)"),
        (lambda x, y: 3, r"`data` is `\(x, y\)` arrays.*Received: int"),
        (lambda x, y: (x,), r"needs labelled data: `data=\(x, y\)`. Received: 1 part"),
        (lambda x, y: (), "Received: 0 part"),
        (lambda x, y: (x[:0], y[:0]), "Received: none. Give at least one"),
        (lambda x, y: [], "Received: 0 part"),
        (lambda x, y: "digits.csv", r"`data` is `\(x, y\)` arrays.*Received: str"),
        (lambda x, y: {"x": x, "y": y}, r"`data` is `\(x, y\)` arrays.*Received: dict"),
        (lambda x, y: x, r"`data` is `\(x, y\)` arrays.*Received: an array of shape"),
        (lambda x, y: tf.constant(x), r"`data` is `\(x, y\)` arrays.*Received: an array of shape"),
        (lambda x, y: (x, None), "needs labelled data"),
        (lambda x, y: (None, y), r"one entry per example. Received: 2 parts, .*\[\(12,\)\]"),
        (lambda x, y: (x, y[:5]), r"one entry per example. .*\[\(12, 4\), \(5,\)\]"),
        (lambda x, y: (x, y, y, y), "one entry per example. Received: 4 parts"),
        (lambda x, y: (3, 4), r"one entry per example. Received: 2 parts, .*\[\(\), \(\)\]"),
        (lambda x, y: (x[:, :3], y), r"shapes \[\(None, 4\)\]. Received: \[\(12, 3\)\] .*`fit`"),
        (lambda x, y: (x[..., None], y), r"Received: \[\(12, 4, 1\)\]"),
        (lambda x, y: ([x, x], y), r"Received: \[\(12, 4\), \(12, 4\)\] .other shapes"),
        (lambda x, y: [(x, y), (x, y)], r"Received: \[\(12, 4\), \(12,\)\] .other shapes"),
        (
            lambda x, y: (np.full((12, 4), "a"), y),
            r"Received: \[\(12, 4\)\] .could not convert string",
        ),
        (lambda x, y: _dataset(x).batch(5), "Received: a batch without labels. Give batches"),
        (lambda x, y: _dataset((x, y)), r"shapes \[\(None, 4\)\]. Received: \[\(4,\)\]"),
        (lambda x, y: _Batches(x, y, 5, labelled=False), "a batch without labels"),
    ],
    ids=(
        "iterator generator number unlabelled nothing empty empty_list text mapping array tensor "
        "no_labels no_inputs fewer_labels four_parts numbers features rank two_inputs "
        "list_of_batches strings unlabelled_dataset unbatched unlabelled_pydataset"
    ).split(),
)
def test_bad_data_are_refused_before_anything_changes(make, error):
    model = compiled(dense_model())
    x, y = random_data(model)
    with pytest.raises(ValueError, match=error):
        keras_snare.prune(model, 0.5, criterion="taylor", data=make(x, y))
    assert model.get_layer("hidden1").units == 6


def test_sample_weights_are_not_looked_at():
    model = compiled(dense_model())
    x, y = random_data(model)
    groups = channel_groups(model)
    options = (groups, groups.prunable(), TaylorCriterion())
    expected = statistics(model, *options, (x, y))
    for data in ((x, y, np.zeros(12)), _dataset((x, y, np.zeros(12))).batch(12)):
        check_data(data, "data", labelled=True)
        found = statistics(model, *options, data)
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-4)


@pytest.mark.parametrize("criterion", ["taylor", "fisher", "hessian"])
@pytest.mark.parametrize("reduction", ["sum", "none", "sum_over_batch_size"])
def test_how_data_are_cut_up_changes_nothing(criterion, reduction):
    model = dense_model()
    loss = keras.losses.SparseCategoricalCrossentropy(reduction=reduction)
    model.compile("sgd", loss)
    x, y = random_data(model, 10)
    groups = channel_groups(model)
    chosen = get_criterion(criterion)
    found = [
        statistics(model, groups, groups.prunable(), chosen, (x, y), batch_size=size)
        for size in (10, 7)
    ]
    for name, expected in found[0].items():
        np.testing.assert_allclose(found[1][name], expected, rtol=1e-3, atol=1e-6)


def test_a_mean_beside_a_sum_is_refused():
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(3, name="hidden")(inputs)
    model = keras.Model(inputs, [keras.layers.Dense(2)(hidden), keras.layers.Dense(2)(hidden)])
    losses = [keras.losses.MeanSquaredError(reduction="sum", name="total"), "mse"]
    model.compile("sgd", losses)
    x, y = np.ones((5, 4)), [np.zeros((5, 2))] * 2
    with pytest.raises(keras_snare.UnsupportedModelError, match="2 losses, of which total sum"):
        keras_snare.prune(model, 0.5, criterion="taylor", data=(x, y))
