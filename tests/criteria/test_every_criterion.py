"""The suite that every registered criterion passes, on every shape of network."""

import keras
import numpy as np
import pytest
from training import MODELS, compiled, random_data

import keras_snare
from keras_snare.criteria import CRITERIA, get_criterion, score_groups, statistics
from keras_snare.graph import channel_groups

# What they estimate, the change of the loss, may be a fall.
SIGNED = ("hessian", "obd")
each_criterion = pytest.mark.parametrize("name", CRITERIA.names())
each_model = pytest.mark.parametrize("kind", MODELS)


def network(kind, name):
    """A network that a criterion can rank: what counts zeros needs some, scales must differ."""
    model = compiled(MODELS[kind]())
    for layer in model.layers if name == "apoz" else ():
        if getattr(layer, "activation", None) is keras.activations.tanh:
            layer.activation = keras.activations.relu
    if name == "batchnorm_scale":
        model = keras.Model(model.inputs, model.outputs[0])
        model = compiled(keras.models.clone_model(model, call_function=_normalized))
        random = np.random.default_rng(0)
        for weight in model.weights:
            if weight.name == "gamma":
                weight.assign(random.normal(size=weight.shape))
    return model


def _normalized(layer, *args, **kwargs):
    outputs = layer(*args, **kwargs)
    has_units = hasattr(layer, "kernel") and layer.name != "digit"
    return keras.layers.BatchNormalization()(outputs) if has_units else outputs


def _scores(model, criterion, data):
    groups = channel_groups(model)
    chosen = groups.prunable()
    found = None
    if criterion.needs != "weights":
        found = statistics(model, groups, chosen, criterion, data)
    return score_groups(chosen, criterion, found)


@each_criterion
@each_model
def test_gives_one_finite_score_per_channel(name, kind):
    model = network(kind, name)
    data = random_data(model)
    widths = {group.name: group.width for group in channel_groups(model).prunable()}

    scores = _scores(model, get_criterion(name), data)

    assert {layer: found.shape for layer, found in scores.items()} == {
        layer: (width,) for layer, width in widths.items()
    }
    for layer, found in scores.items():
        assert np.isfinite(found).all()
        assert (found >= 0).all() or name in SIGNED
        # Where readers see averages over all positions, hardly any is zero.
        assert len(set(found)) > 1 or name == "apoz", f"{layer}: equal scores rank nothing"


@each_criterion
@each_model
def test_prune_removes_the_channels_with_the_lowest_scores(name, kind):
    model = network(kind, name)
    data = random_data(model)
    groups = channel_groups(model)
    scores = _scores(model, get_criterion(name), data)
    expected = {}
    for group in groups.prunable():
        lowest = np.argsort(scores[group.name], kind="stable")[: group.width // 2]
        for layer in group.layers:
            kept = ~np.isin(groups.units(layer), group.roots[lowest])
            expected[layer] = tuple(np.flatnonzero(kept).tolist())

    report = keras_snare.prune(model, 0.5, criterion=name, scope="local", data=data)

    assert report.plan.keep == expected
    assert np.isfinite(model.predict(data[0], verbose=0)).all()


@each_criterion
def test_scores_leave_the_model_alone_and_come_again(name):
    model = network("conv", name)
    data = random_data(model)
    before = [np.array(value) for value in model.get_weights()]
    scores, again = (_scores(model, get_criterion(name), data) for _ in range(2))
    assert all(map(np.array_equal, before, model.get_weights()))
    assert all(np.array_equal(scores[layer], again[layer]) for layer in scores)


class _Wrong(keras_snare.Criterion):
    def __init__(self, result):
        self.result = result

    def score(self, channels):
        return self.result


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.zeros(5), r"Expected from _Wrong\(.*\) for layer 'hidden1' the shape \(6,\).*\(5,\)"),
        (np.zeros((6, 1)), r"shape \(6,\). Received: \(6, 1\)"),
        (1.0, r"Received: \(\)"),
        (np.array([1, 2, np.nan, 4, 5, 6]), "returned NaN for layer 'hidden1'. Check its weights"),
    ],
    ids=["too_few", "two_axes", "scalar", "nan"],
)
def test_a_wrong_result_is_refused(result, message):
    model = MODELS["dense"]()
    with pytest.raises(ValueError, match=message):
        keras_snare.prune(model, 0.5, criterion=_Wrong(result))
    assert model.get_layer("hidden1").units == 6


def test_infinite_scores_mean_never():
    model = MODELS["dense"]()
    model.get_layer("hidden1").kernel.assign(keras.ops.ones((4, 6)))
    first = _Wrong(np.array([np.inf, 1, 2, 3, 4, np.inf]))
    report = keras_snare.prune(model, 0.5, criterion=first, layers="hidden1", scope="local")
    assert report.plan.keep["hidden1"] == (0, 4, 5)


@pytest.mark.parametrize("name", ["activation", "apoz", "fisher", "hessian", "obd", "taylor"])
def test_a_criterion_on_data_asks_for_them(name):
    with pytest.raises(ValueError, match="looks at data. Received: data=None. Give `data="):
        keras_snare.prune(MODELS["dense"](), 0.5, criterion=name)


def test_a_criterion_on_data_has_to_implement_statistic():
    class Forgotten(keras_snare.Criterion):
        needs = "activations"

        def score(self, channels):
            return channels.statistic

    model = MODELS["dense"]()
    with pytest.raises(NotImplementedError, match="Forgotten needs activations.*`statistic`"):
        keras_snare.prune(model, 0.5, criterion=Forgotten(), data=random_data(model))
