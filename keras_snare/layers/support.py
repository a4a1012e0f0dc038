"""What layers in a basis of cosines have in common: their frequencies."""

from typing import Any

import keras
import numpy as np

from keras_snare.layers.cosines import Grid, basis, checked_coefficients, support


class CosineSupport(keras.layers.Layer):
    """A layer whose kernel has one row of coefficients per chosen frequency.

    Attributes:
        coefficients: what the layer was told, or the frequencies that it was left with.
        frequencies: tuple, the flat numbers of its frequencies on `basis_grid`.
            Empty before the layer is built.
        fixed_basis: array (features, frequencies), which is no weight.
    """

    coefficients: Any
    frequencies: tuple[int, ...] = ()
    basis_grid: Grid

    def _begin_support(self, grid: Grid) -> None:
        self.basis_grid = grid
        self.frequencies = support(grid, self.coefficients)
        # NumPy has no bfloat16, and a float16 would lose what a sum needs.
        double = self.compute_dtype == "float64"
        self.fixed_basis = basis(grid, self.frequencies).astype("float64" if double else "float32")

    def save_own_variables(self, store: Any) -> None:
        keras.layers.Layer.save_own_variables(self, store)
        if self.built:
            store["frequencies"] = np.array(self.frequencies)

    def load_own_variables(self, store: Any) -> None:
        # A store of Keras's has keys, but cannot be iterated over by itself.
        names = list(store.keys())
        if "frequencies" not in names:  # The layer was not built, and has nothing to load.
            keras.layers.Layer.load_own_variables(self, store)
            return
        names.remove("frequencies")
        stored = tuple(np.asarray(store["frequencies"]).tolist())
        if len(stored) == len(self.frequencies) and stored != self.frequencies:
            raise ValueError(
                f"The stored coefficients of layer {self.name!r} are of the frequencies {stored}. "
                f"Received: a layer with {self.frequencies}. Build it with coefficients="
                f"{list(stored)}."
            )
        keras.layers.Layer.load_own_variables(self, {name: store[name] for name in names})


def stated(coefficients: Any) -> Any:
    """Returns the argument `coefficients` as a configuration holds it."""
    found = checked_coefficients(coefficients)
    return list(found) if isinstance(found, tuple) else found
