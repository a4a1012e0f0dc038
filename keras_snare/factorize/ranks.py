"""How ranks are chosen, layer by layer."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_snare.arguments import is_number, is_whole
from keras_snare.factorize.factors import Factors, Ranks
from keras_snare.factorize.vbmf import vbmf_rank

_TAKEN = (
    "a share of the layer's weights between 0 and 1, 'energy:0.9', 'vbmf', 'full', or an integer"
)


@dataclass(frozen=True)
class Rule:
    """How the ranks of a layer are found.

    Args:
        kind: `"share"`, `"energy"`, `"vbmf"`, `"full"` or `"exact"`.
        value: the share, or the ranks.
        named: whether it was given for one layer, by name.
    """

    kind: str
    value: Any = None
    named: bool = False

    @property
    def holds(self) -> bool:
        """Whether the ranks are those, even where they save nothing."""
        return self.kind in ("full", "exact")


def checked_rule(rank: Any, name: str | None = None) -> Rule:
    """Reads an argument `rank`, or what it says for one layer.

    Raises:
        ValueError: when it is out of range.
        TypeError: when it is something else.
    """
    named = name is not None
    if isinstance(rank, str):
        kind, _, share = rank.partition(":")
        if rank in ("vbmf", "full"):
            return Rule(rank, named=named)
        if kind == "energy" and _is_share(share):
            return Rule("energy", float(share), named)
        raise ValueError(_message(rank, name))
    if is_whole(rank):
        if rank < 1:
            raise ValueError(_message(rank, name))
        return Rule("exact", (int(rank),), named)
    if is_number(rank):
        if not 0 < rank < 1:
            raise ValueError(_message(rank, name))
        return Rule("share", float(rank), named)
    if named and isinstance(rank, (tuple, list)):
        if len(rank) != 2 or not all(is_whole(one) and one >= 1 for one in rank):
            raise ValueError(_message(rank, name))
        return Rule("exact", tuple(map(int, rank)), named)
    raise TypeError(_message(rank, name))


def _is_share(text: str) -> bool:
    try:
        return 0 < float(text) < 1
    except ValueError:
        return False


def _message(rank: Any, name: str | None) -> str:
    if name is None:
        return f"`rank` is {_TAKEN}, or a mapping from layer names. Received: rank={rank!r}"
    return f"The rank of layer {name!r} is {_TAKEN}, or two of them for Tucker. Received: {rank!r}"


def chosen(rule: Rule, ways: list[Factors]) -> tuple[Factors, Ranks] | None:
    """Returns how a layer is factorised, or None where no way saves weights.

    Args:
        rule: how ranks are found.
        ways: the ways that suit the layer.

    Raises:
        ValueError: when ranks are asked for that no way has.
    """
    if rule.holds:
        return _exact(rule, ways)
    found = [(way, ranks) for way in ways if (ranks := _ranks(rule, way)) is not None]
    found = [(way, ranks) for way, ranks in found if way.params(ranks) < way.kernel.size]
    if not found:
        return None
    if rule.kind == "energy":
        return min(found, key=lambda one: one[0].params(one[1]))
    return _best(found)


def spared(rule: Rule, ways: list[Factors]) -> str:
    """Returns why `chosen` found no way."""
    if rule.kind == "vbmf" and all(_ranks(rule, way) is None for way in ways):
        return "nothing of its kernel stands out of noise"
    return "factors of the ranks that were found would have no fewer weights"


def _best(found: list[tuple[Factors, Ranks]]) -> tuple[Factors, Ranks]:
    """The way that loses least; of those that lose the same but for rounding, the smallest."""
    return min(found, key=lambda one: (round(one[0].error(one[1]), 6), one[0].params(one[1])))


def _ranks(rule: Rule, way: Factors) -> Ranks | None:
    if rule.kind == "vbmf":
        pairs = [(one, np.linalg.svd(one, compute_uv=False)) for one in way.matrices()]
        ranks = tuple(vbmf_rank(values, matrix.shape) for matrix, values in pairs)
        return ranks if all(ranks) else None
    if rule.kind == "energy":
        # Full ranks lose nothing but for rounding.
        most, path = 1 - rule.value + 1e-12, way.path()[:-1]
        at = bisect_left(path, True, key=lambda one: way.lost(one) <= most)
        return path[at] if at < len(path) else way.full
    most = rule.value * way.kernel.size
    fitting = [one for one in way.path() if way.params(one) <= most]
    return fitting[-1] if fitting else None


def _exact(rule: Rule, ways: list[Factors]) -> tuple[Factors, Ranks]:
    if rule.kind == "full":
        return _best([(way, way.full) for way in ways])
    # One rank for a way that has two is meant for both.
    several = len(rule.value) > 1
    suiting = [way for way in ways if not several or len(way.full) == len(rule.value)]
    if not suiting:
        raise ValueError(
            f"Layer {ways[0].layer.name!r} has one rank, not two. Received: {rule.value}. Two are "
            "for method='tucker' and kernels of more than one tap."
        )
    found = []
    for way in suiting:
        asked = rule.value if several else rule.value * len(way.full)
        ranks = tuple(map(min, asked, way.full))
        # One number for both sides may be more than the shorter one has.
        kept = ranks == asked if several else max(ranks) == max(asked)
        if kept or not rule.named:
            found.append((way, ranks))
    if not found:
        most = suiting[0].full
        raise ValueError(
            f"Layer {suiting[0].layer.name!r} has ranks up to {_text(most)}. Received: "
            f"{_text(rule.value)}"
        )
    return _best(found)


def _text(ranks: Ranks) -> str:
    return str(ranks[0]) if len(ranks) == 1 else str(ranks)
