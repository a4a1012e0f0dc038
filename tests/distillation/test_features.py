"""Features that are taught: their error by hand, projections, and what cuts leave of them."""

import keras
import numpy as np
import pytest
from distilling import LOSSES, identity, lesson
from training import compiled, conv_model, dense_model

import keras_snare
from keras_snare import UnsupportedModelError
from keras_snare.distillation.features import FeatureLesson, layer_pairs
from keras_snare.surgery import follow_cuts, leave_cuts
from keras_snare.surgery.followers import cut_followers

layers = keras.layers
X = np.array([[1, 2, 2], [0, 3, 4]], "float32")


def _features(model, teacher, pairs, weights=None, learned=False, seed=0):
    one = FeatureLesson(model, teacher, pairs, weights or [1.0] * len(pairs), learned, seed)
    one.attach()
    return one


def _run(one, model, teacher, x, weight=None):
    """The error of a batch, as the training step finds it."""
    x = keras.ops.convert_to_tensor(x)
    with one.taps.listening() as found, one.teacher_taps.listening() as taught:
        model(x, training=True)
        teacher(x, training=False)
    return float(one.error(taught, found, weight))


def _scaling(factor, width=3):
    """Answers with the first inputs times a factor."""
    inputs = keras.Input((3,))
    kernel = factor * np.eye(3, width)
    outputs = layers.Dense(width, kernel_initializer=lambda *_, **__: kernel, name="answer")(inputs)
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize(("learned", "weight"), [(False, None), (True, None), (False, [3.0, 1.0])])
def test_the_error_by_hand(learned, weight):
    """Relative to the teacher's size, so half of its answer is a quarter off."""
    model, teacher = _scaling(1.0), _scaling(np.array([2.0, 2.0, 4.0]))
    one = _features(model, teacher, [("answer", "answer")], [0.5], learned)
    differences = np.square(X * [1, 1, 3]).mean(1) / np.square(X * [2, 2, 4]).mean()
    tensor = None if weight is None else keras.ops.convert_to_tensor(weight)
    expected = 0.5 * (differences * (weight or [1, 1])).mean()
    assert _run(one, model, teacher, X, tensor) == pytest.approx(expected, rel=1e-5)
    one.detach()
    assert "call" not in vars(model.get_layer("answer"))


@pytest.mark.parametrize(("sign", "expected"), [(1, 34 / 128), (-1, 34 / 6)])
def test_a_silent_teacher_makes_no_error_explode(sign, expected):
    """An example on which its units say nothing counts as any other; a batch of these as it is."""
    silent = layers.Activation("relu", name="answer")
    teacher = keras.Sequential([keras.Input((3,)), layers.Rescaling(2.0), silent])
    model = _scaling(1.0)
    one = _features(model, teacher, [("answer", "answer")])
    x = np.array([[-1, -1, 0], [0, sign * 4, sign * 4]], "float32")
    assert _run(one, model, teacher, x) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("width", "taught"), [(2, 3), (3, 2), (3, 3)])
def test_projections_begin_orthogonal_and_by_their_seed(width, taught):
    model, teacher = _scaling(1.0, width), _scaling(1.0, taught)
    pairs = [("answer", "answer")]
    starts = [_features(model, teacher, pairs, seed=at).projections[0].start for at in (0, 0, 1)]
    assert starts[0].shape == (width, taught)
    short = min(width, taught)
    gram = starts[0] @ starts[0].T if width < taught else starts[0].T @ starts[0]
    np.testing.assert_allclose(gram, np.eye(short), atol=1e-6)
    assert np.array_equal(starts[0], starts[1])
    assert np.array_equal(starts[0], starts[2]) == (width == taught)


def test_a_learned_projection_finds_what_a_fixed_one_cannot():
    """The teacher's features are the model's, turned; the model itself is not trained here."""
    model, teacher = _scaling(1.0), _scaling(1.0)
    turned = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], "float32")
    teacher.get_layer("answer").kernel.assign(turned)
    errors = {}
    for learned in (False, True):
        one = _features(model, teacher, [("answer", "answer")], learned=learned)
        steps = [_run(one, model, teacher, X) for _ in range(30)]
        errors[learned] = steps[0], steps[-1]
        one.detach()
    assert errors[True][0] == pytest.approx(errors[False][0])
    assert errors[False][1] == errors[False][0]
    assert errors[True][1] < 0.95 * errors[True][0]


@pytest.mark.parametrize(
    ("layer", "learned"), [("conv1", True), ("norm", False), ("pool", True), ("conv2", False)]
)
def test_rows_of_channels_that_stay_are_used_and_come_back(layer, learned):
    model, teacher = compiled(conv_model()), conv_model()
    one = _features(model, teacher, [(layer, layer)], learned=learned)
    (projection,) = one.projections
    width = len(projection.start)
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 2)).astype("float32")
    cut = "conv2" if layer == "conv2" else "conv1"
    _run(one, model, teacher, x)
    undo = [
        keras_snare.shrink(model, {cut: list(range(1, width))}),
        keras_snare.shrink(model, {cut: [0, 2]}),
    ]
    assert projection.state().tolist() == [1, 3]
    assert np.isfinite(_run(one, model, teacher, x))
    undo[1].restore()
    assert projection.state().tolist() == list(range(1, width))
    undo[0].restore()
    assert projection.state().tolist() == list(range(width))
    one.detach()
    assert cut_followers(model) == ()


def test_cuts_of_other_channels_leave_a_projection_alone():
    model, teacher = compiled(conv_model()), conv_model()
    one = _features(model, teacher, [("conv1", "conv1")])
    keras_snare.shrink(model, {"conv2": [0]})
    assert len(one.projections[0].state()) == 5


def test_a_cut_that_fails_changes_no_follower():
    class Failing:
        told, state_of = 0, "first"

        def cut(self, groups, removed):
            self.state_of = "second"
            raise RuntimeError("cannot follow")

        def state(self):
            return self.state_of

        def put_back(self, state):
            self.state_of = state

    model, follower = compiled(dense_model()), Failing()
    before = model.get_weights()
    follow_cuts(model, follower)
    with pytest.raises(RuntimeError, match="cannot follow"):
        keras_snare.shrink(model, {"hidden1": [0]})
    assert follower.state_of == "first"
    assert all(map(np.array_equal, model.get_weights(), before))
    leave_cuts(model, follower)
    leave_cuts(model, follower)
    keras_snare.shrink(model, {"hidden1": [0]})
    assert "keras_snare_followers" not in vars(model)


def test_only_cuts_that_were_seen_can_be_undone():
    model, teacher = compiled(dense_model()), dense_model()
    undo = keras_snare.shrink(model, {"hidden1": [0, 1]})
    one = _features(model, teacher, [("hidden1", "hidden1")])
    undo.restore()
    with pytest.raises(ValueError, match="'hidden1' returns 6 channels; 2 are left"):
        _run(one, model, teacher, np.zeros((1, 4), "float32"))


def _nested():
    inputs = keras.Input((4,))
    shared = layers.Dense(4, name="shared")
    hidden = shared(shared(inputs))
    return keras.Model(inputs, dense_model()(hidden))


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        ("hiden1", "hidden1", "`features` names a layer .* Received: 'hiden1', called 0 times. Th"),
        ("hidden1", "none", "Received: 'none', called 0 times. There are: hidden1, hidden2, digit"),
    ],
)
def test_layers_that_are_not_there(ours, theirs, message):
    with pytest.raises(ValueError, match=message):
        FeatureLesson(dense_model(), dense_model(), [(ours, theirs)], [1.0], True, 0)


def test_layers_that_do_not_match():
    model, teacher = conv_model(6), conv_model(8)
    with pytest.raises(ValueError, match="'conv1' has the shape .*6, 6, 5.* Only the last axis"):
        FeatureLesson(model, teacher, [("conv1", "conv1")], [1.0], True, 0)


def test_layers_of_nested_models():
    model, teacher = _nested(), dense_model()
    name = f"{model.layers[-1].name}/hidden1"
    one = _features(model, teacher, [(name, "hidden1")])
    assert _run(one, model, teacher, np.ones((1, 4), "float32")) > 0
    with pytest.raises(ValueError, match="'shared', called 2 times"):
        FeatureLesson(model, teacher, [("shared", "hidden1")], [1.0], True, 0)


def test_layers_that_do_not_run():
    model, teacher = dense_model(), dense_model()
    one = _features(model, teacher, [("hidden1", "hidden1")])
    x = keras.ops.ones((1, 4))
    with one.teacher_taps.listening() as taught:
        teacher(x)
    with pytest.raises(UnsupportedModelError, match="Layer 'hidden1' of `features` does not run"):
        one.error(taught, {}, None)


def test_sizes_that_only_data_tell():
    def around():
        inputs = keras.Input((None, 3))
        return keras.Model(inputs, layers.Conv1D(2, 2, name="conv")(inputs))

    model, teacher = around(), around()
    one = _features(model, teacher, [("conv", "conv")])
    with one.taps.listening() as found, one.teacher_taps.listening() as taught:
        model(keras.ops.ones((1, 5, 3)))
        teacher(keras.ops.ones((1, 4, 3)))
    with pytest.raises(ValueError, match=r"have the shape \(1, 4, 2\), those .* \(1, 3, 2\)"):
        one.error(taught, found, None)


def test_features_are_part_of_the_lesson():
    model, teacher = identity(2, LOSSES["values"]), identity(2, LOSSES["values"])
    teacher.get_layer("answer").bias.assign([1.0, 0.0])
    one = lesson(model, [teacher], features=[("answer", "answer")], output_weights=0.0)
    one.features.attach()
    x = keras.ops.convert_to_tensor([[1.0, 1.0]])
    with one.features.taps.listening() as found:
        output = model(x)
        loss = float(one.loss(x, None, output, None, found))
    assert loss == pytest.approx(0.5 / 2.5)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, []),
        ({"a": "b"}, [("a", "b")]),
        ([("a", "b"), ["a", "c"]], [("a", "b"), ("a", "c")]),
    ],
)
def test_pairs(given, expected):
    assert layer_pairs(given) == expected
