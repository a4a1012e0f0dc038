"""`ClusterCallback`: training with few different weights."""

import warnings
from typing import Any

import keras

from keras_snare import step_hooks
from keras_snare.arguments import is_whole
from keras_snare.callbacks.describing import described
from keras_snare.callbacks.early_stopping import check_early_stopping
from keras_snare.callbacks.hold import HoldMasksCallback
from keras_snare.callbacks.pruning import PruningCallback
from keras_snare.callbacks.running_fit import Guard, RunningFit, running_fit
from keras_snare.clustering import ClusteredStep, Codebooks, cluster_weights
from keras_snare.clustering.codebooks import check_clusters
from keras_snare.errors import UnsupportedModelError
from keras_snare.masking import kernels_of
from keras_snare.policy import check_layers
from keras_snare.replicas import check_strategy


class ClusterCallback(keras.callbacks.Callback):
    """Has the weights of each kernel share a few values, and trains these values.

    From `start_epoch` on, each weight keeps to its cluster, and the clusters move, after every step
    inside the compiled step, for any optimizer. A model so trained needs a few bits for each weight
    in a file that is compressed. Zeros stay zeros. When `fit` ends, a plain Keras model remains.

    With a `QuantizeAwareCallback` in the same `fit`, kernels have as few values in the integer file
    as here, per output channel where that is how they are rounded. What prunes or cuts belongs in a
    `fit` before; `HoldMasksCallback` may be in the same.

    Args:
        clusters: int, values that a kernel may have, 2 or more; 16 need 4 bits each.
        start_epoch: int, the epoch, counted from 0, at whose beginning the weights are clustered.
        layers: names, regular expressions, layer classes, or a predicate on layers; None for all.

    Attributes:
        codebooks: `Codebooks` of the trained model, after `fit`; None before, and when `fit` was
            stopped before `start_epoch`, of which a warning tells.

    Raises:
        ValueError, TypeError: for arguments out of range; from `fit`, before any training, when
            another callback changes the network or brings back weights of an earlier epoch, or
            `fit` ends before `start_epoch`; at `start_epoch`, when training has led to weights
            that are not finite, which stay as they are.
        UnsupportedModelError: from `fit`, before any training, when the model is not built or has
            no kernels, or the backend is not TensorFlow.

    Logs:
        `clustered`, 1 in epochs that were trained with few values, and 0 in others.

    Example:

    >>> cluster = keras_snare.ClusterCallback(16)
    >>> model.fit(x, y, epochs=5, callbacks=[cluster])
    >>> cluster.codebooks["dense1/kernel"].values

    Reference:
        Han et al., "Deep Compression: Compressing Deep Neural Networks with Pruning, Trained
        Quantization and Huffman Coding", ICLR 2016.
    """

    def __init__(self, clusters: int = 16, *, start_epoch: int = 0, layers: Any = None) -> None:
        super().__init__()
        check_clusters(clusters)
        check_layers(layers)
        if not is_whole(start_epoch) or start_epoch < 0:
            raise ValueError(
                f"`start_epoch` is an integer, 0 or more. Received: start_epoch={start_epoch!r}"
            )
        self.clusters = clusters
        self.start_epoch = start_epoch
        self.layers = layers
        self.codebooks: Codebooks | None = None
        self._step: ClusteredStep | None = None
        self._guard: Guard | None = None

    def __repr__(self) -> str:
        return described(self, "clusters")

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._tidy_up()
        fit = running_fit(self.model)
        self._check(fit)
        self.codebooks = None
        self._guard = Guard(self.model, fit.callbacks if fit else None, self._tidy_up)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._step is None and epoch >= self.start_epoch:
            found = cluster_weights(self.model, self.clusters, layers=self.layers)
            kernels = kernels_of(self.model, self.layers)
            self._step = ClusteredStep(self.model, kernels, found)
            self._step.attach()
            self.model.make_train_function(force=True)
        if self._guard is not None:
            self._guard.watch_model()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._step is not None:
            step_hooks.check_called(self.model, "ClusterCallback")
        if logs is not None:
            logs["clustered"] = float(self._step is not None)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._step is not None:
            # Averages over the weights of epochs before may have been put in.
            self.codebooks = self._step.end()
        else:
            warnings.warn(
                f"fit ended before epoch {self.start_epoch}, the first to be clustered: nothing "
                "was. Begin earlier, or stop later.",
                UserWarning,
                stacklevel=2,
            )
        self._tidy_up()

    def _tidy_up(self) -> None:
        step, self._step = self._step, None
        guard, self._guard = self._guard, None
        if step is not None:
            step.detach()
        if guard is not None:
            guard.release()

    def _check(self, fit: RunningFit | None) -> None:
        callbacks: list[Any] = fit.callbacks.callbacks if fit is not None else []
        model, epochs = self.model, self.params.get("epochs") or 1
        if keras.backend.backend() != "tensorflow":
            raise UnsupportedModelError(
                "Clusters in the training step need the TensorFlow backend. Received: "
                f"{keras.backend.backend()}."
            )
        kernels_of(model, self.layers)
        check_strategy(model)
        if self.start_epoch >= epochs:
            raise ValueError(
                f"Expected a fit that reaches `start_epoch`, {self.start_epoch}, counted from 0. "
                f"Received: fit(epochs={epochs}). Give it epochs={self.start_epoch + 1} or more."
            )
        holds = [one for one in callbacks if isinstance(one, HoldMasksCallback)]
        changing = (ClusterCallback, PruningCallback)
        others = [
            one for one in callbacks if isinstance(one, changing) and one not in (self, *holds)
        ]
        if others:
            name = type(others[0]).__name__
            raise ValueError(
                "Expected a network that keeps its form and its zeros while its weights are "
                f"clustered. Received: ClusterCallback together with {name}. Call fit twice: first "
                f"with {name}, then, on the same model, with ClusterCallback."
            )
        if holds and callbacks.index(holds[0]) > callbacks.index(self):
            raise ValueError(
                "Expected HoldMasksCallback in front of ClusterCallback, which leaves the zeros "
                "alone that it finds. Received them the other way round. Change their order."
            )
        check_early_stopping(fit, self.start_epoch, "the weights are clustered")
