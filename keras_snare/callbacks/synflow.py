"""`SynFlowCallback`: a network that is pruned before its first step, and trained sparse."""

import os
from typing import Any

from keras_snare.callbacks.mask_run import check_fit, loaded
from keras_snare.callbacks.pruning import SparsityCallback
from keras_snare.callbacks.pruning_checks import needs_labels
from keras_snare.callbacks.synflow_checks import check_synflow
from keras_snare.callbacks.synflow_run import SynFlowRun
from keras_snare.callbacks.unit_run import UnitRun
from keras_snare.masking import ConnectionCriterion, Masks


class SynFlowCallback(SparsityCallback):
    """Prunes connections before the first step of `model.fit`, and keeps them at zero from then on.

    By default without any data: by synaptic flow, in many rounds, so that no layer is emptied while
    others keep plenty, however few connections are to be left. Give it a network with its initial
    weights; one that is trained already will do as well. The masks hold after every step, inside
    the compiled step, for any optimizer; when `fit` ends, a plain Keras model with zeros in its
    kernels remains. Biases and normalisations are left alone.

    Args:
        sparsity: float between 0 and 1, share of the connections (with `structured`, of the units)
            that is pruned; None means 0.9, or what `pattern` asks for.
        rounds: int. In each round the same share of what is left goes, and the rest is scored anew.
            The published forms of `"snip"` and `"grasp"` have one round.
        criterion: name or `ConnectionCriterion`: `"synflow"`, `"snip"`, `"grasp"`, `"magnitude"`,
            `"random"` or another; the lowest go. With `structured`, a criterion for units as
            `prune` takes it.
        scope: `"global"` prunes the lowest of all layers, `"layer"` the same share of every layer,
            `"erk"` a share by the shape of each kernel.
        pattern: `(n, m)`: of every m connections along the axis that is summed over, n are kept.
        block: `(rows, columns)`: blocks of the kernels' matrices are pruned whole.
        layers: names, regular expressions, layer classes, or a predicate on layers; None for all.
        scoring_data: `(x, y)`, tf.data.Dataset or keras.utils.PyDataset for criteria on data, such
            as `"snip"` and `"grasp"`, which take a few hundred examples.
        initial_masks: `keras_snare.Masks`, or the file of some, such as those of a `fit` that this
            one goes on with: what they prune stays pruned.
        structured: bool, whether units are removed for real instead of connections masked. Flows
            are compared as they are over layers, other scores as `prune` does.
        remove_dead: bool, whether units that are left without incoming or outgoing connections are
            removed for real when `fit` ends.

    Attributes:
        masks: `Masks` of the last run, None before and with `structured`.
        report: `PruneReport` of what was removed for real by the last run, or None.

    Raises:
        ValueError, TypeError: for arguments out of range; from `fit`, before any training, when the
            model or another callback does not suit.
        UnsupportedModelError: from `fit`, before any training, when the criterion cannot measure
            the model; nothing has changed then.
        SnapshotError: when the file of masks is missing or damaged.

    Logs:
        `sparsity`, and `sparsity_` with the name of a layer, for each layer that is pruned; with
        `structured`, `snare_params` and `snare_flops` too.

    Example:

    >>> synflow = keras_snare.SynFlowCallback(0.98)
    >>> model.fit(x, y, validation_split=0.1, epochs=20, callbacks=[synflow])
    >>> synflow.masks.save("masks.npz")

    Reference:
        Tanaka et al., "Pruning Neural Networks Without Any Data by Iteratively Conserving Synaptic
        Flow", NeurIPS 2020.
    """

    main_argument = "sparsity"

    def __init__(
        self,
        sparsity: float | None = None,
        *,
        rounds: int = 100,
        criterion: str | ConnectionCriterion | Any = "synflow",
        scope: str = "global",
        pattern: tuple[int, int] | None = None,
        block: tuple[int, int] | None = None,
        layers: Any = None,
        scoring_data: Any = None,
        initial_masks: Masks | str | os.PathLike[str] | None = None,
        structured: bool = False,
        remove_dead: bool = False,
    ) -> None:
        super().__init__()
        self.sparsity = sparsity
        self.rounds = rounds
        self.criterion = criterion
        self.scope = scope
        self.pattern = pattern
        self.block = block
        self.layers = layers
        self.scoring_data = scoring_data
        self.initial_masks = initial_masks
        self.structured = structured
        self.remove_dead = remove_dead
        self._final = check_synflow(self)
        self._begin_with = loaded(initial_masks)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._tidy_up()
        # Weights of any epoch of this `fit` are sparse, so that they may be brought back.
        fit = check_fit(self, 0, needs_labels(self))
        structured = self.structured
        self._begin(UnitRun(self, fit) if structured else SynFlowRun(self, fit, self._begin_with))
        self._begun = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        run = self._running()
        run.epoch_begins()
        if not self._begun:
            self._begun = True
            # Other callbacks may have put in other weights until now.
            run.update_in_rounds(self._final, self.rounds)
