"""The first batches of a running `fit`, looked at before it trains on them."""

from collections.abc import Callable, Iterator
from typing import Any

import keras


class FirstBatches:
    """Stands before a training function, which it hands every batch in its turn.

    At the first step it takes a few batches off the data of `fit`, shows them, and gives them back
    one step after the other, so that none is lost, seen twice or out of order.

    Args:
        function: `model.train_function`.
        steps: int, batches that it takes at a time, `model.steps_per_execution`.
        count: int, batches to show.
        show: called once with a list of batches.
    """

    def __init__(
        self, function: Callable, steps: int, count: int, show: Callable[[list], None]
    ) -> None:
        self.function = function
        self._steps = steps
        self._count = max(count, steps)
        self._show: Callable[[list], None] | None = show
        self._kept: list[Any] = []

    def __call__(self, iterator):
        if self._show is not None:
            show, self._show = self._show, None
            self._kept = list(_first(iterator, self._count))
            if self._kept:
                show(self._kept)
        if not self._kept:
            return self.function(iterator)
        while len(self._kept) < self._steps and (more := list(_first(iterator, 1))):
            self._kept += more
        batches, self._kept = self._kept[: self._steps], self._kept[self._steps :]
        return self.function(_iterator_like(iterator, batches))


def _first(iterator, count: int) -> Iterator[Any]:
    """The next batches, as many as there are."""
    for _ in range(count):
        try:
            yield next(iterator)
        except StopIteration:
            return


def _iterator_like(iterator, batches: list[Any]) -> Iterator[Any]:
    """An iterator over batches that the compiled step takes for the one that it was made for."""
    import tensorflow as tf

    spec = getattr(iterator, "element_spec", None)
    known = spec is not None and all(
        isinstance(one, tf.TensorSpec) for one in keras.tree.flatten(spec)
    )
    if not known:
        return iter(batches)
    return iter(tf.data.Dataset.from_generator(lambda: batches, output_signature=spec))
