"""Which accepted networks stay in a directory that may not become larger than it is told."""

import math
from typing import Any

from keras_snare.search.run_directory import RunDirectory


def best_of(accepted: list[dict], mode: str) -> int:
    """Returns the number of the network with the best metric; of equals, of the smaller one."""
    sign = 1 if mode == "max" else -1

    def rank(at: int) -> tuple:
        metric = accepted[at]["metric"]
        return metric is not None, sign * (metric or 0), -accepted[at]["params"]

    return max(range(len(accepted)), key=rank)


def with_less(record: dict, directory: RunDirectory, room: int) -> dict | None:
    """Returns the record with fewer networks, so that its arrays have room; None if they have it.

    Networks that refer to the same arrays go together. Those go first whose neighbours in size are
    closest to each other, so that those that stay are spread over all sizes. The first, the best
    and the last stay in any case, and so does the network to go on from.

    Args:
        record: the record of a run.
        directory: of the run.
        room: int, bytes for arrays.
    """
    accepted = record["accepted"]
    always = {0, best_of(accepted, record["settings"]["mode"]), len(accepted) - 1}
    families = _families(accepted)
    sizes = [math.log(max(accepted[family[-1]]["params"], 1)) for family in families]
    less = record
    while directory.size(less) > room:
        inner = [at for at, family in enumerate(families) if not always & set(family)]
        if not inner:
            break
        closest = min(inner, key=lambda at: sizes[at - 1] - sizes[at + 1])
        gone = families.pop(closest)
        sizes.pop(closest)
        kept = [
            {**one, "names": None, "values": None} if at in gone else one
            for at, one in enumerate(less["accepted"])
        ]
        less = {**less, "accepted": kept}
    return None if less is record else less


def _families(accepted: list[dict]) -> list[list[int]]:
    """Numbers of the networks whose weights are there, those with the same arrays together."""
    families: list[list[int]] = []
    for at, one in enumerate(accepted):
        if one["values"] is None:
            continue
        if families and _arrays(accepted[families[-1][-1]]) == _arrays(one):
            families[-1].append(at)
        else:
            families.append([at])
    return families


def _arrays(one: dict[str, Any]) -> set[str]:
    return {reference["array"] for reference in one["values"]}
