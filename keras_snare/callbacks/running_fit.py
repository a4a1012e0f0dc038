"""What a callback has to know of the `fit` that it runs in, and Keras does not hand it."""

import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import keras

from keras_snare.surgery import optimizers


@dataclass(frozen=True, eq=False)
class RunningFit:
    """Arguments of the running `fit`, by their public names.

    Args:
        validation_data: what the training is validated on, or None.
        validation_freq: int or list, when it is validated.
        validation_steps, validation_batch_size: how it is validated.
        initial_epoch: int, epochs that were trained before.
        callbacks: the list of callbacks that `fit` calls; before it made one, what it was given.
    """

    validation_data: Any
    validation_freq: Any
    validation_steps: int | None
    validation_batch_size: int | None
    initial_epoch: int
    callbacks: Any

    def listed(self) -> list[Any]:
        """Returns the callbacks, also before `fit` has made its own list of them."""
        given = getattr(self.callbacks, "callbacks", self.callbacks)
        return list(given) if isinstance(given, (list, tuple)) else [given]

    def evaluate(self, model: keras.Model) -> dict[str, float] | None:
        """Evaluates the model before the first epoch.

        Returns the figures, or None where the data could be read only once, since `fit` needs
        them.
        """
        data = self.validation_data
        if data is None or hasattr(data, "__next__"):
            return None
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        return model.evaluate(
            x,
            y,
            sample_weight=weights,
            batch_size=self.validation_batch_size,
            steps=self.validation_steps,
            verbose=0,
            return_dict=True,
        )


def running_fit(model: keras.Model) -> RunningFit | None:
    """Finds the `fit` of `model` among the calls under way; None when there is none.

    Keras tells a callback neither the validation data nor the other callbacks, and both decide
    whether a search can run and what has to be tidied up after an exception.
    """
    frame = sys._getframe(1)
    while frame is not None:
        held = frame.f_locals
        if frame.f_code.co_name == "fit" and held.get("self") is model and "callbacks" in held:
            return RunningFit(
                held.get("validation_data"),
                held.get("validation_freq", 1),
                held.get("validation_steps"),
                held.get("validation_batch_size") or held.get("batch_size"),
                held.get("initial_epoch", 0),
                held["callbacks"],
            )
        frame = frame.f_back
    return None


def unknown_monitor(monitor: str, logs: Iterable[str]) -> str:
    """Says that a metric is not among those of an epoch or an evaluation."""
    return (
        "`monitor` is not among the logs of the epoch. Received: "
        f"monitor={monitor!r}. Logs: {', '.join(logs) or 'none'}."
    )


class EvaluateAgain:
    """Repeats the evaluation that `fit` makes at the end of an epoch, on the same data.

    While it is attached it stands in front of `model.evaluate` and remembers what `fit` passed.
    Where `fit` evaluates averages of the weights (`SwapEMAWeights`), so does this.

    Args:
        model: the model in training.
        metric: str, name of the metric in the evaluation's result, without `val_`.
        fit: the running `fit`, which tells how to evaluate before it did so itself.
    """

    def __init__(self, model: keras.Model, metric: str, fit: RunningFit | None) -> None:
        self.model = model
        self.metric = metric
        self.fit = fit
        self._arguments: tuple[tuple, dict] | None = None
        callbacks = fit.callbacks.callbacks if fit is not None else ()
        self._swaps = [one for one in callbacks if isinstance(one, keras.callbacks.SwapEMAWeights)]

    def attach(self) -> None:
        """Starts to watch."""
        evaluate = self.model.evaluate

        def remembered(*args: Any, **kwargs: Any):
            if _is_of_fit(kwargs.get("callbacks")):
                self._arguments = (args, kwargs)
            return evaluate(*args, **kwargs)

        self._evaluate = evaluate
        self.model.evaluate = remembered

    def detach(self) -> None:
        """Leaves the model as it was."""
        vars(self.model).pop("evaluate", None)
        self._arguments = self.fit = None

    def __call__(self) -> float | None:
        """Returns the metric of the model as it is now, or None where that is not to be had."""
        with ExitStack() as averaged:
            for one in self._swaps:
                optimizers.begin_averages(self.model)
                one.on_test_begin()
                averaged.callback(one.on_test_end)
            return self._metric()

    def _metric(self) -> float | None:
        if self._arguments is None:
            figures = self.fit.evaluate(self.model) if self.fit is not None else None
            if figures is not None and self.metric not in figures:
                names = [f"val_{name}" for name in figures]
                raise ValueError(unknown_monitor(f"val_{self.metric}", names))
            return None if figures is None else float(figures[self.metric])
        args, kwargs = self._arguments
        quiet = {"callbacks": None, "verbose": 0, "return_dict": True}
        return float(self._evaluate(*args, **{**kwargs, **quiet})[self.metric])


class Guard:
    """Calls `tidy_up` when an exception leaves the training, from wherever it comes.

    Keras calls no hook of a callback then. So the functions that `fit` spends its time in - the
    training step, the evaluation, the hooks of all callbacks - are watched while `fit` runs. The
    guards of one `fit` watch together: an exception has each of them tidy up, and when the last one
    is released, everything is as it was.

    The hooks are watched from the beginning, the rest from `watch_model` on.

    Args:
        model: the model in training.
        callbacks: the list of callbacks that `fit` calls, or None.
        tidy_up: called without arguments; the exception goes on afterwards.
    """

    def __init__(self, model: keras.Model, callbacks: Any, tidy_up: Callable[[], None]) -> None:
        self.tidy_up = tidy_up
        found = getattr(callbacks, "keras_snare_watch", None)
        self._watch = _Watch(model, callbacks) if found is None else found
        self._watch.guards.append(self)

    def watch_model(self) -> None:
        """Watches the evaluation, and the training step, which may have been made anew."""
        self._watch.watch_model()

    def failed(self) -> None:
        """Has every guard of this `fit` tidy up, where an exception passes by what is watched."""
        self._watch.tidy_up()

    def release(self) -> None:
        """Watches no more; with the last guard, everything becomes as it was."""
        if self in self._watch.guards:
            self._watch.guards.remove(self)
            if not self._watch.guards:
                self._watch.end()


class _Watch:
    """What the guards of one `fit` watch."""

    def __init__(self, model: keras.Model, callbacks: Any) -> None:
        self.model = model
        self.callbacks = callbacks
        self.guards: list[Guard] = []
        self._watched: list[tuple[Any, str, Any]] = []
        if callbacks is None:
            return
        callbacks.keras_snare_watch = self
        for name in dir(callbacks):
            if name.startswith("on_") and name != "on_train_begin":
                self._stand_before(callbacks, name)
        # That hook is under way, but it still has callbacks to call.
        for callback in getattr(callbacks, "callbacks", ()):
            self._stand_before(callback, "on_train_begin")

    def watch_model(self) -> None:
        if not isinstance(self.model.evaluate, _Guarded):
            # Callbacks may call it as well, and handle what it raises; their hooks are watched.
            self._stand_before(
                self.model, "evaluate", lambda given: _is_of_fit(given.get("callbacks"))
            )
        function = self.model.train_function
        if function is not None and not isinstance(function, _Guarded):
            self.model.train_function = _Guarded(function, self)

    def tidy_up(self) -> None:
        with ExitStack() as every:  # Also those behind one that fails.
            for guard in self.guards:
                every.callback(guard.tidy_up)

    def end(self) -> None:
        for holder, name, before in reversed(self._watched):
            if not isinstance(vars(holder).get(name), _Guarded):
                continue  # Somebody took it away together with what stood behind it.
            if before is None:
                vars(holder).pop(name)
            else:
                setattr(holder, name, before)
        self._watched = []
        if self.callbacks is not None:
            vars(self.callbacks).pop("keras_snare_watch", None)
        if isinstance(self.model.train_function, _Guarded):
            self.model.train_function = self.model.train_function.function

    def _stand_before(
        self, holder: Any, name: str, when: Callable[[dict], bool] | None = None
    ) -> None:
        function, before = getattr(holder, name), vars(holder).get(name)
        if callable(function):
            setattr(holder, name, _Guarded(function, self, when))
            self._watched.append((holder, name, before))


def _is_of_fit(callbacks: Any) -> bool:
    return isinstance(callbacks, keras.callbacks.CallbackList)


class _Guarded:
    """A function that tidies up when it raises, unless it says that the data are at their end."""

    def __init__(
        self, function: Callable, watch: _Watch, when: Callable[[dict], bool] | None = None
    ) -> None:
        self.function = function
        self.watch = watch
        self.when = when

    def __call__(self, *args: Any, **kwargs: Any):
        try:
            return self.function(*args, **kwargs)
        except BaseException as error:
            # The second is TensorFlow's, for data of unknown length; both end an epoch, not `fit`.
            ends_data = type(error).__name__ in ("StopIteration", "OutOfRangeError")
            if not ends_data and (self.when is None or self.when(kwargs)):
                self.watch.tidy_up()
            raise
