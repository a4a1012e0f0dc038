"""Scores of connections, checked."""

import numpy as np

from keras_snare.masking.criteria import ConnectionCriterion
from keras_snare.masking.kernels import Kernel


def score_connections(
    criterion: ConnectionCriterion,
    kernels: list[Kernel],
    weights: dict[str, np.ndarray],
    measured: dict[str, np.ndarray] | None,
) -> dict[str, np.ndarray]:
    """Scores every connection of kernels, by name.

    Args:
        criterion: what connections are ranked by.
        kernels: whose connections.
        weights: by name, what the kernels hold.
        measured: what the criterion found in the data, or in the network.

    Raises:
        ValueError: when the criterion returns another shape, or NaN.
    """
    scores = {}
    for one in kernels:
        own = None if measured is None else measured[one.name]
        found = np.asarray(criterion.score(one, weights[one.name], own))
        if found.shape != one.shape or np.isnan(found).any():
            raise ValueError(
                "A criterion returns one score per connection. Expected from "
                f"{criterion!r} for {one.name!r} the shape {one.shape}, without NaN. "
                f"Received: {found.shape}, {int(np.isnan(found).sum())} NaN."
            )
        scores[one.name] = found
    return scores
