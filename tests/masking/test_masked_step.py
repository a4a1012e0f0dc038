"""Masks hold in every step: any optimizer, any way to train, and nothing is left behind."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from training import OwnStep, random_data

from keras_snare import Masks
from keras_snare.masking import MaskedStep, kernels_of

layers = keras.layers

OPTIMIZERS = {
    "sgd": lambda **o: keras.optimizers.SGD(0.1, **o),
    "momentum": lambda **o: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, **o),
    "rmsprop": lambda **o: keras.optimizers.RMSprop(0.01, momentum=0.9, centered=True, **o),
    "adam": lambda **o: keras.optimizers.Adam(0.01, amsgrad=True, **o),
    "adamw": lambda **o: keras.optimizers.AdamW(0.01, weight_decay=0.1, **o),
    "adadelta": lambda **o: keras.optimizers.Adadelta(1.0, **o),
    "adagrad": lambda **o: keras.optimizers.Adagrad(0.1, **o),
    "adamax": lambda **o: keras.optimizers.Adamax(0.01, **o),
    "adafactor": lambda **o: keras.optimizers.Adafactor(0.01, **o),
    "nadam": lambda **o: keras.optimizers.Nadam(0.01, **o),
    "ftrl": lambda **o: keras.optimizers.Ftrl(0.1, **o),
    "lion": lambda **o: keras.optimizers.Lion(0.01, **o),
    "lamb": lambda **o: keras.optimizers.Lamb(0.01, **o),
}
# The oldest Keras has not the one, and its Muon trains no variable of TensorFlow.
if hasattr(keras.optimizers, "ScheduleFreeAdamW"):
    OPTIMIZERS["muon"] = lambda **o: keras.optimizers.Muon(0.01, **o)
    OPTIMIZERS["schedule_free"] = lambda **o: keras.optimizers.ScheduleFreeAdamW(0.01, **o)


def _values(variable):
    return np.array(keras.ops.convert_to_numpy(variable))


def _model(model_class=keras.Model):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4,))
    tensor = layers.Dense(6, "tanh", name="a")(inputs)
    tensor = layers.BatchNormalization(name="norm")(tensor)
    return model_class(inputs, layers.Dense(3, "softmax", name="b")(tensor))


def _compiled(optimizer, model_class=keras.Model, **options):
    model = _model(model_class)
    options = {"jit_compile": False, **options}
    model.compile(optimizer, "sparse_categorical_crossentropy", **options)
    return model


def _some(kernels, seed=0, share=0.5):
    random = np.random.default_rng(seed)
    return Masks({one.name: random.random(one.shape) >= share for one in kernels})


class _AfterEveryStep(keras.callbacks.Callback):
    """Notes whether a pruned connection was ever anything but zero."""

    def __init__(self, step):
        super().__init__()
        self.step = step
        self.worst, self.steps, self.moved = 0.0, 0, 0.0
        self.first = [_values(one.variable) for one in step.kernels]

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        for kernel, first in zip(self.step.kernels, self.first, strict=True):
            weights, kept = _values(kernel.variable), self.step.masks[kernel.name]
            self.worst = np.maximum(self.worst, np.abs(weights[~kept]).max(initial=0))
            self.moved = max(self.moved, np.abs(weights - first)[kept].max())


def _train(model, **options):
    """Trains with masks that change once; returns what was seen of the pruned connections."""
    x, y = random_data(model, 32)
    step = MaskedStep(model, kernels_of(model), **options)
    seen = _AfterEveryStep(step)
    step.attach()
    for seed in range(2):
        step.set(_some(step.kernels, seed))
        model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[seen])
    step.detach()
    return seen


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_pruned_connections_stay_at_zero_with_every_optimizer(name):
    model = _compiled(OPTIMIZERS[name]())
    seen = _train(model)
    assert seen.worst == 0
    assert seen.moved > 0
    # As at the end of a `fit`: nothing is left that could bring them back without masks.
    seen.step.hold()
    slots = 0
    for kernel in seen.step.kernels:
        own = f"/{kernel.layer}_kernel_"
        for slot in [one for one in model.optimizer.variables if own in one.path]:
            if tuple(slot.shape) == kernel.shape:
                slots += 1
                gathered = _values(slot)[~seen.step.masks[kernel.name]]
                # Adagrad and Ftrl begin at a tenth; Adafactor's is made of rows and columns.
                assert (gathered == gathered[0]).all() or name == "adafactor", slot.path
                assert np.isfinite(gathered).all()
    assert (slots > 0) == (name != "sgd")


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        (OPTIMIZERS["adam"](), {"jit_compile": True}),
        (OPTIMIZERS["adam"](), {"run_eagerly": True}),
        (OPTIMIZERS["adam"](), {"steps_per_execution": 3}),
        (OPTIMIZERS["adam"](), {"model_class": OwnStep}),
        (OPTIMIZERS["adam"](gradient_accumulation_steps=2), {}),
        (OPTIMIZERS["momentum"](use_ema=True, ema_overwrite_frequency=3), {}),
        (OPTIMIZERS["adam"](global_clipnorm=0.01, loss_scale_factor=64.0), {}),
        (keras.optimizers.LossScaleOptimizer(OPTIMIZERS["adam"](use_ema=True)), {}),
    ],
    ids="jit eager steps_per_execution own_step accumulation ema clipped loss_scale".split(),
)
@pytest.mark.parametrize(
    "dormant", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["plain", "dormant"]
)
def test_masks_hold_in_every_way_to_train(optimizer, options, dormant):
    optimizer = optimizer.from_config(optimizer.get_config())
    model = _compiled(optimizer, **options)
    seen = _train(model, dormant=dormant)
    assert (seen.worst, seen.steps >= 6, seen.moved > 0) == (0, True, True)
    optimizer.finalize_variable_values(model.trainable_variables)
    assert all(
        (_values(one.variable)[~seen.step.masks[one.name]] == 0).all() for one in seen.step.kernels
    )


def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        seen = _train(_compiled("adam"), statistics={"size": lambda w, g: abs(w * g)})
    finally:
        keras.config.set_dtype_policy("float32")
    assert seen.worst == 0
    assert seen.moved > 0


def _eager_steps(model, masks, parts):
    """The same training by hand: gradients masked, a step, weights masked."""
    variables = {one.name: one.variable for one in kernels_of(model)}
    place = {id(one): at for at, one in enumerate(model.trainable_variables)}
    for x, y in parts:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(y=y, y_pred=model(x, training=True))
        slopes = tape.gradient(loss, [one.value for one in model.trainable_variables])
        for name, variable in variables.items():
            at = place[id(variable)]
            slopes[at] = slopes[at] * masks[name].astype("float32")
        model.optimizer.apply(slopes, model.trainable_variables)
        masks.apply(model)


def test_equals_masking_by_hand():
    one, other = _compiled(OPTIMIZERS["adam"]()), _compiled(OPTIMIZERS["adam"]())
    x, y = random_data(one, 24)
    step = MaskedStep(one, kernels_of(one))
    masks = _some(step.kernels)
    step.attach()
    step.set(masks)
    one.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    step.detach()
    masks.apply(other)
    _eager_steps(other, masks, [(x[at : at + 8], y[at : at + 8]) for at in (0, 8, 16)])
    for left, right in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


def test_masks_that_keep_all_change_nothing():
    one, other = _compiled(OPTIMIZERS["adamw"]()), _compiled(OPTIMIZERS["adamw"]())
    x, y = random_data(one, 24)
    step = MaskedStep(one, kernels_of(one))
    step.attach()
    for model in (one, other):
        model.fit(x, y, batch_size=8, shuffle=False, epochs=2, verbose=0)
    assert all(map(np.array_equal, one.get_weights(), other.get_weights()))


def test_statistics_are_means_over_steps_of_the_whole_gradient():
    model, reference = _compiled("sgd"), _compiled("sgd")
    x, y = random_data(model, 8)
    step = MaskedStep(
        model,
        kernels_of(model),
        statistics={"slope": lambda w, g: g, "product": lambda w, g: w * g},
        lasting=("product",),
    )
    assert step.statistics() == {}
    masks = _some(step.kernels)
    step.attach()
    step.set(masks)
    masks.apply(reference)
    kernels = kernels_of(reference)
    with tf.GradientTape() as tape:
        loss = reference.compute_loss(y=y, y_pred=reference(x, training=True))
    slopes = tape.gradient(loss, [one.variable.value for one in kernels])
    model.fit(x, y, batch_size=8, verbose=0)
    found = step.statistics()
    for kernel, slope in zip(kernels, slopes, strict=True):
        np.testing.assert_allclose(found["slope"][kernel.name], slope, atol=1e-6)
        product = slope * _values(kernel.variable)
        np.testing.assert_allclose(found["product"][kernel.name], product, atol=1e-6)
    step.reset()
    assert list(step.statistics()) == ["product"]


def test_dormant_connections_train_on_and_come_back():
    """Dynamic Network Surgery by hand: the step is taken by the dense weights."""
    model, reference = _compiled("sgd"), _compiled("sgd")
    model.optimizer.learning_rate = 0.5
    x, y = random_data(model, 8)
    step = MaskedStep(model, kernels_of(model), dormant=True)
    masks = _some(step.kernels)
    step.attach()
    step.set(masks)
    kernels = kernels_of(reference)
    dense = {one.name: _values(one.variable) for one in kernels}
    for _ in range(3):
        masks.apply(reference)
        with tf.GradientTape() as tape:
            loss = reference.compute_loss(y=y, y_pred=reference(x, training=True))
        slopes = tape.gradient(loss, [one.value for one in reference.trainable_variables])
        for variable, slope in zip(reference.trainable_variables, slopes, strict=True):
            variable.assign_sub(0.5 * slope)
            for name in [one.name for one in kernels if one.variable is variable]:
                dense[name] = dense[name] - 0.5 * slope
                variable.assign(dense[name])
    model.fit(x, y, batch_size=8, epochs=3, verbose=0)
    for kernel in step.kernels:
        np.testing.assert_allclose(step.weights(kernel), dense[kernel.name], atol=1e-5)
        assert (_values(kernel.variable)[~masks[kernel.name]] == 0).all()
    everything = Masks({name: np.ones_like(kept) for name, kept in masks.items()})
    step.set(everything)
    for kernel in step.kernels:
        np.testing.assert_allclose(_values(kernel.variable), dense[kernel.name], atol=1e-5)


def test_what_comes_back_begins_with_empty_momenta():
    model = _compiled(OPTIMIZERS["momentum"]())
    x, y = random_data(model, 8)
    step = MaskedStep(model, kernels_of(model))
    step.attach()
    model.fit(x, y, verbose=0)
    masks = _some(step.kernels)
    step.set(masks)
    model.fit(x, y, verbose=0)
    step.set(Masks({name: np.ones_like(kept) for name, kept in masks.items()}))
    momenta = {one.path.split("/")[-1]: _values(one) for one in model.optimizer.variables[2:]}
    for kernel in step.kernels:
        (momentum,) = [v for k, v in momenta.items() if f"{kernel.layer}_kernel" in k]
        kept = masks[kernel.name]
        assert (momentum[~kept] == 0).all()
        assert (_values(kernel.variable)[~kept] == 0).all()
        assert np.abs(momentum[kept]).min() > 0


def test_nothing_stays_with_model_optimizer_or_file(tmp_path):
    plain, masked = _compiled("adam"), _compiled("adam")
    for model in (plain, masked):
        x, y = random_data(model, 8)
        step = MaskedStep(model, kernels_of(model), dormant=True, statistics={"s": lambda w, g: g})
        if model is masked:
            step.attach()
        model.fit(x, y, verbose=0)
        step.detach()
        model.save(tmp_path / f"{model is masked}.keras")
    assert "apply" not in vars(masked.optimizer)
    assert masked.train_function is None
    assert len(masked.variables) == len(plain.variables)
    assert len(masked.optimizer.variables) == len(plain.optimizer.variables)
    loaded = [keras.models.load_model(tmp_path / f"{one}.keras") for one in (False, True)]
    for one, other in zip(loaded[0].layers[1:], loaded[1].layers[1:], strict=True):
        assert one.get_config() == other.get_config()


def test_two_hooks_at_once_and_taken_off_in_any_order():
    model = _compiled("sgd")
    x, y = random_data(model, 8)
    first = MaskedStep(model, kernels_of(model, "a"))
    second = MaskedStep(model, kernels_of(model, "b"))
    for step in (first, second):
        step.attach()
        step.set(_some(step.kernels))
    model.fit(x, y, verbose=0)
    first.detach()
    first.detach()
    model.fit(x, y, verbose=0)
    assert (_values(model.get_layer("b").kernel)[~second.masks["b/kernel"]] == 0).all()
    assert (_values(model.get_layer("a").kernel)[~first.masks["a/kernel"]] != 0).any()
    second.detach()
    assert "apply" not in vars(model.optimizer)
