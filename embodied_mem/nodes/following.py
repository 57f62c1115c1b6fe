"""Follows the log of another process: in order, without gaps, and noticing when it is another log. No ROS here.

Entries arrive in two ways: pushed one by one (`entry`), which may miss some, and fetched in batches (`batch`), which
miss none. A fetch begins at the newest entry that is known already: is it no longer the same, then the writer has lost
a tail that it had published (a power cut before the disk had it) and the view is read anew. Pushed entries of another
epoch wait until such a fetch has said that what was read still stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from embodied_mem.records.entry import Entry, Kind
from embodied_mem.records.view import RecordView

_MOST_PENDING = 5000
View = TypeVar("View", bound=RecordView)


class Follower(Generic[View]):
    """Keeps `view` up to date.

    make_view  an empty view
    fetch      asks for the entries from a number on; answered by `batch` or `fetch_failed`, one at a time
    advanced   called when the view has read something, with its watermark
    """

    def __init__(
        self,
        make_view: Callable[[], View],
        fetch: Callable[[int], None],
        advanced: Callable[[int], None] = lambda watermark: None,
    ) -> None:
        self._make_view, self._fetch, self._advanced = make_view, fetch, advanced
        self.view = make_view()
        self.counters: Counter[str] = Counter(gaps=0, rebuilt=0, fetched=0, followed=0, fetches_unanswered=0)
        self.caught_up = False  # has it read the whole log once?
        self.log_watermark = 0  # newest number known to exist
        self._epoch = 0
        self._fetching = False
        self._pending: dict[int, tuple[Entry, int]] = {}

    def poll(self) -> None:
        """Look whether anything was missed."""
        if not self._fetching:
            self._fetching = True
            self._fetch(max(self.view.watermark, 1))

    def entry(self, entry: Entry, epoch: int) -> None:
        """An entry that was pushed."""
        self.log_watermark = max(self.log_watermark, entry.seq)
        known = self.view.watermark
        if epoch == self._epoch and not self._fetching and entry.seq <= known + 1:
            if entry.seq == known + 1:
                self.counters["followed"] += 1
                self._apply([entry])
            return
        if epoch == self._epoch and not self._fetching:
            self.counters["gaps"] += 1
        if len(self._pending) < _MOST_PENDING:
            self._pending[entry.seq] = (entry, epoch)
        self.poll()

    def batch(self, entries: Sequence[Entry], log_watermark: int, epoch: int) -> None:
        """The answer to a fetch."""
        self._fetching = False
        known = self.view.watermark
        if known and not self._still_stands(entries, known):
            self._start_again()
            return
        self._epoch, self.log_watermark = epoch, log_watermark
        fresh = [entry for entry in entries if entry.seq > known]
        self.counters["fetched"] += len(fresh)
        self._apply(fresh)
        self._apply_pending()
        if self.view.watermark < self.log_watermark:
            self.poll()
        elif not self.caught_up:
            self.caught_up = True
            self._advanced(self.view.watermark)

    def fetch_failed(self) -> None:
        """A fetch was not answered; the next `poll` or `entry` tries again."""
        self._fetching = False
        self.counters["fetches_unanswered"] += 1

    # --- inside ------------------------------------------------------------------------------------------------

    def _still_stands(self, entries: Sequence[Entry], known: int) -> bool:
        same = [entry for entry in entries if entry.seq == known]
        return bool(same) and same[0].logged_ns == int(self.view.index.logged.data[known])

    def _start_again(self) -> None:
        self.counters["rebuilt"] += 1
        self.view, self.caught_up = self._make_view(), False
        self._pending.clear()
        self._epoch = self.log_watermark = 0
        self.poll()

    def _apply_pending(self) -> None:
        run = []
        number = self.view.watermark + 1
        while number in self._pending and self._pending[number][1] == self._epoch:
            run.append(self._pending.pop(number)[0])
            number += 1
        self._apply(run)
        self._pending = {
            seq: (entry, epoch)
            for seq, (entry, epoch) in self._pending.items()
            if seq > self.view.watermark and epoch == self._epoch
        }
        self.log_watermark = max(self.log_watermark, *self._pending, self.view.watermark)

    def _apply(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        self.view.apply(entries)
        unembedded = [
            (entry.seq, entry.observation.caption)
            for entry in entries
            if entry.kind is Kind.OBSERVATION
            and entry.observation is not None
            and entry.observation.vector is None
            and entry.observation.caption.strip()
        ]
        self.view.embed_texts(unembedded)
        self._advanced(self.view.watermark)
