"""Trials that can be made before the verdict on an earlier one is known."""

import copy
from collections.abc import Mapping

from keras_snare.policy.snare import Proposal, SnarePolicy
from keras_snare.records import GroupSize


class Speculation:
    """The trials of a policy on one network, each as if all before it were rejected.

    A rejected trial leaves the network as it was, so that the next one does not depend on it, and
    can be made at the same time. With the first accepted trial the network changes, and those that
    come after it were made in vain.

    Args:
        policy: as it is before the next trial; it stays so.
        sizes: the prunable groups, as `SnarePolicy.propose` takes them.
        total: the whole network.

    Example:

    >>> sizes = {"wide": GroupSize(100, 5000, 9000), "narrow": GroupSize(10, 500, 900)}
    >>> trials = Speculation(SnarePolicy(), sizes, GroupSize(120, 6000, 10000))
    >>> [proposal.remove for _, proposal in (trials.next(), trials.next())]
    [64, 32]
    """

    def __init__(
        self, policy: SnarePolicy, sizes: Mapping[str, GroupSize], total: GroupSize
    ) -> None:
        self._policy = copy.deepcopy(policy)
        self._sizes = dict(sizes)
        self._total = total

    def next(self) -> tuple[dict, Proposal] | None:
        """Returns the next trial and the policy's state before it, or None when there is none."""
        state = self._policy.state()
        proposal = self._policy.propose(self._sizes, self._total)
        if proposal is None:
            return None
        self._policy.reject()
        return state, proposal
