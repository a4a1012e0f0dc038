"""`Ticket`: a sparse network at the point from which it can be trained."""

import os
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from keras_snare.errors import InvalidPlanError, UnsupportedModelError
from keras_snare.masking.archive import MAX_BYTES, load_arrays, save_arrays
from keras_snare.masking.initial_values import initial_values
from keras_snare.masking.masks import Masks
from keras_snare.masking.training_state import TrainingState

_KIND = "ticket 1"


@dataclass(frozen=True, eq=False)
class Ticket:
    """A sparse network before its training: which connections are kept, and the values they had.

    `LotteryTicketCallback` finds tickets. To train one elsewhere, build and compile the model as it
    was, apply the ticket, and hold its masks.

    Args:
        masks: `Masks`, the connections that are kept.
        state: values of all weights and of the optimizer at the point of rewinding.
        places: by name of the kernel, its place among the weights.
        round: int, round of the callback that began with it; 0 is the whole network.

    Example:

    >>> lottery.tickets[-1].save("ticket.npz")
    >>> ticket = keras_snare.Ticket.load("ticket.npz")  # in another process
    >>> ticket.apply(model)
    >>> model.fit(x, y, epochs=10, callbacks=[keras_snare.HoldMasksCallback(ticket.masks)])

    Reference:
        Frankle and Carbin, "The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural
        Networks", ICLR 2019.
    """

    masks: Masks
    state: TrainingState
    places: dict[str, int]
    round: int = 0

    @classmethod
    def of(
        cls, model: keras.Model, masks: Masks, state: TrainingState, number: int = 0
    ) -> "Ticket":
        """Makes a ticket for a model.

        Args:
            model: a built Keras model.
            masks: of its kernels.
            state: what its weights are to begin with.
            number: int, the round.
        """
        order = {id(variable): at for at, variable in enumerate(model.weights)}
        places = {one.name: order[id(one.variable)] for one in masks.kernels(model)}
        return cls(masks, state, places, number)

    @property
    def sparsity(self) -> float:
        """Share of the connections that are pruned."""
        return self.masks.sparsity

    @property
    def weights(self) -> list[np.ndarray]:
        """Values of all weights, in the order of `model.weights`, with pruned ones at zero."""
        return list(self._masked().weights)

    def apply(self, model: keras.Model, *, optimizer: bool = False) -> None:
        """Gives a model the ticket's weights, with zeros for the pruned ones.

        Args:
            model: a Keras model that was built as the one of the ticket, with the same names of
                layers.
            optimizer: bool, whether its optimizer gets the state of the point of rewinding too:
                momenta, count of iterations and learning rate. Training then goes on as it did in
                the callback; it matters for tickets of a later epoch or step.

        Raises:
            TypeError: when `model` is no Keras model.
            UnsupportedModelError: when `optimizer` is True and the model is not compiled.
            InvalidPlanError: when model or optimizer are others; nothing has changed.
        """
        self.masks.kernels(model)
        if optimizer and getattr(model, "optimizer", None) is None:
            raise UnsupportedModelError(
                f"optimizer=True needs a model with an optimizer. Received: {model.name!r} without "
                "one. Call model.compile(...) first."
            )
        self.state.check(model, optimizer=optimizer)
        self._masked().put(model)
        if optimizer:
            self.state.put_optimizer(model)

    def with_masks(self, masks: Masks) -> "Ticket":
        """Returns a ticket with the same values and other masks, such as `masks.shuffled()`.

        Args:
            masks: they keep only connections that this ticket keeps; the ticket of round 0 keeps
                all.

        Raises:
            InvalidPlanError: when they keep another one, whose value is not known here.
        """
        for name, kept in masks.items():
            own = self.masks.get(name)
            if own is None or own.shape != kept.shape or (kept & ~own).any():
                raise InvalidPlanError(
                    f"The masks for a ticket keep connections that it keeps. Received for {name!r} "
                    "others, whose initial values this ticket does not have. Take the ticket of "
                    "round 0, which has all."
                )
        return replace(self, masks=Masks({**self.masks, **masks}))

    def reinitialized(self, model: keras.Model, seed: int = 0) -> "Ticket":
        """Returns a ticket with the same masks and fresh values from the layers' initializers.

        It is the control for what it is worth to go back to the values that were drawn first.
        Weights that are not trained stay as in the ticket.

        Args:
            model: a built Keras model like that of the ticket; it stays as it is.
            seed: int, of the values.

        Raises:
            UnsupportedModelError: when the model cannot be built anew from its configuration.
            InvalidPlanError: when the ticket is that of another model.
        """
        self.masks.kernels(model)
        self.state.check(model, optimizer=False)
        fresh = initial_values(model, seed)
        weights = tuple(fresh.get(at, value) for at, value in enumerate(self.state.weights))
        return replace(self, state=replace(self.state, weights=weights))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the ticket into an `.npz` file; pruned connections take next to no room.

        Raises:
            SnapshotError: when the file cannot be written.
        """
        places = {f"place/{name}": np.array(at) for name, at in self.places.items()}
        arrays = {**self.masks.to_arrays(), **self._masked().to_arrays(), **places}
        save_arrays(path, _KIND, {"round": np.array(self.round), **arrays})

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> "Ticket":
        """Reads a ticket that `save` wrote.

        Args:
            path: the file.
            max_bytes: int, how many bytes of it may be unpacked; a file of people whom you do not
                know may claim any size.

        Raises:
            SnapshotError: when the file is missing, damaged, too large, or holds something else.
        """
        arrays: dict[str, Any] = load_arrays(path, _KIND, max_bytes)
        marker = "place/"
        places = {
            name.removeprefix(marker): int(one)
            for name, one in arrays.items()
            if name.startswith(marker)
        }
        state = TrainingState.from_arrays(arrays)
        return cls(Masks.from_arrays(arrays), state, places, int(arrays["round"]))

    def _masked(self) -> TrainingState:
        weights = list(self.state.weights)
        for name, kept in self.masks.items():
            at = self.places[name]
            weights[at] = np.where(kept, weights[at], np.zeros((), weights[at].dtype))
        return replace(self.state, weights=tuple(weights))

    def __repr__(self) -> str:
        counts = f"{self.masks.kept:,} connections kept, {self.sparsity:.4f} pruned"
        return f"Ticket(round {self.round}, {counts})"
