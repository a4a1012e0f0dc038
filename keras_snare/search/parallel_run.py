"""A search whose trials are made elsewhere, several at once."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

from keras_snare.policy import Proposal, Speculation
from keras_snare.records import TrialRow
from keras_snare.search.messages import sent
from keras_snare.search.remote_job import Job
from keras_snare.search.remote_trial import Accepted, Network, Order, network_of, take_over
from keras_snare.search.search_run import SearchRun
from keras_snare.search.session import UNDONE, SnareSearch


class Engine(Protocol):
    """Makes trials, several at once.

    Attributes:
        workers: int, trials that are made at once.
    """

    workers: int

    def check(self, job: Job) -> None:
        """Has a worker build the model.

        Raises:
            UnsupportedModelError: when it cannot.
        """
        ...

    def share(self, network: Network) -> Any:
        """Returns what stands for a network in `submit`, so that it is sent once."""
        ...

    def submit(self, network: Any, order: Order, name: str) -> Any:
        """Begins with a trial, and returns what stands for it."""
        ...

    def wait(self, trials: list[Any]) -> list[Any]:
        """Waits until a trial is made, and returns those that are."""
        ...

    def row(self, trial: Any) -> TrialRow:
        """Returns what is reported of a trial that was made."""
        ...

    def network(self, trial: Any) -> Accepted:
        """Returns the network that an accepted trial left."""
        ...

    def cancel(self, trial: Any) -> None:
        """Ends a trial that is not wanted any more."""
        ...


@dataclass(eq=False)
class _Sent:
    """A trial that is made elsewhere, until it has a row, or has failed."""

    proposal: Proposal
    trial: Any
    row: TrialRow | None = None
    error: Exception | None = None

    @property
    def under_way(self) -> bool:
        return self.row is None and self.error is None

    @property
    def is_last(self) -> bool:
        """Whether none after it counts."""
        return self.error is not None or (self.row is not None and self.row.accepted)


class ParallelRun(SearchRun):
    """A search whose trials an engine makes, with the result that it has by itself.

    Trials of one network are made at once, each as if those before it were rejected. Verdicts are
    taken in the order of the policy. With the first that is accepted the network changes; those
    after it were made in vain and are ended.

    Args:
        engine: makes the trials.
        job: what they have in common.
        max_epochs: int or None, epochs of training after which the search ends.
        settings: as `SearchRun` takes them, as all the rest.
    """

    def __init__(
        self, engine: Engine, job: Job, max_epochs: int | None, *settings, **options
    ) -> None:
        super().__init__(*settings, **options)
        self._engine = engine
        self._job = job
        self._max_epochs = max_epochs
        self._out_of_time = False

    def begin(self) -> None:
        if self._search is None:
            self._engine.check(self._job)
        super().begin()

    def _advance(self, search: SnareSearch) -> None:
        while not search.done and not self._out_of_time:
            self._trials_of_a_network(search)

    def _trials_of_a_network(self, search: SnareSearch) -> None:
        """Makes trials until one is accepted, or there is none left."""
        trials = Speculation(search.policy, *search.sizes())
        network, window = self._engine.share(network_of(search)), list[_Sent]()
        try:
            while not self._out_of_time:
                self._fill(window, trials, search, network)
                if not window:
                    search.advance(self._epoch)  # The policy says that it is over.
                    return
                self._wait(window)
                while window and not window[0].under_way:
                    if self._judged(search, window.pop(0)):
                        return
        finally:
            self._cancel(window)

    def _fill(self, window: list[_Sent], trials: Speculation, search: SnareSearch, network) -> None:
        """Has as many trials made at once as there are workers, unless one is known to be last."""
        while not any(one.is_last for one in window):
            busy = sum(one.under_way for one in window)
            following = trials.next() if busy < self._engine.workers else None
            if following is None:
                return
            policy, proposal = following
            epoch = self._epoch_of(window)
            order = Order(self._assumed(search, window), policy, epoch, self._left(epoch))
            number = len(search.report.rows) + len(window) + 1
            width = proposal.width - proposal.remove
            name = f"trial {number}: {proposal.layer} {proposal.width} -> {width}"
            window.append(_Sent(proposal, self._engine.submit(network, order, name)))
            self._teller.say(2, sent(self._epoch, name))

    def _assumed(self, search: SnareSearch, window: list[_Sent]) -> str:
        """The report if all trials under way were rejected."""
        report = search.report
        rows = [*report.rows, *(one.row or self._rejected(search, one) for one in window)]
        return replace(report, rows=rows).to_json()

    def _rejected(self, search: SnareSearch, one: _Sent) -> TrialRow:
        found = one.proposal
        return TrialRow(
            trial=0,
            epoch=0,
            layer=found.layer,
            width_before=found.width,
            width_after=found.width - found.remove,
            share=found.share,
            epochs=self.settings.retrain_epochs,
            metric=float("nan"),
            best=search.best,
            accepted=False,
            params=0,
            flops=0,
            reason="under way",
        )

    def _epoch_of(self, window: list[_Sent]) -> int:
        most = 0 if self.settings.retrain == "blocks" else self.settings.retrain_epochs
        return self._epoch + sum(most if one.row is None else one.row.epochs for one in window)

    def _left(self, epoch: int) -> int | None:
        return None if self._max_epochs is None else max(self._max_epochs - epoch, 0)

    def _wait(self, window: list[_Sent]) -> None:
        """Waits for a verdict; what comes after an accepted trial is ended."""
        under_way = {id(one.trial): one for one in window if one.under_way}
        for trial in self._engine.wait([one.trial for one in under_way.values()]):
            one = under_way[id(trial)]
            try:
                one.row = self._engine.row(trial)
            except Exception as error:  # It counts when those before it do not.
                one.error = error
        last = next((at for at, one in enumerate(window) if one.is_last), len(window))
        self._cancel(window[last + 1 :])
        del window[last + 1 :]

    def _cancel(self, window: list[_Sent]) -> None:
        for one in window:
            if one.under_way:
                self._engine.cancel(one.trial)

    def _judged(self, search: SnareSearch, one: _Sent) -> bool:
        """Takes the verdict over; returns whether those after it are in vain."""
        if one.error is not None:
            raise one.error
        row = one.row
        assert row is not None, "the trial is made"
        if row.reason == UNDONE:
            if row.epochs != self._left(self._epoch):
                return True  # Trials before it took fewer epochs than they might have.
            self._out_of_time = True
        self._epoch += row.epochs
        row = replace(row, trial=len(search.report.rows) + 1, epoch=self._epoch)
        if not row.accepted:
            search.adopt(row, None, None)
            return self._out_of_time
        found = self._engine.network(one.trial)
        take_over(self.model, search, found)
        search.adopt(row, found.plan, found.statistics)
        return True
