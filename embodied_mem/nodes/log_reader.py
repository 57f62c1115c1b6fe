"""How a node reads the log of the record node: it follows the topic `records`, and fetches what it missed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic

from embodied_mem_msgs.msg import Record as RecordMsg
from embodied_mem_msgs.srv import GetRecords

from embodied_mem.errors import EmbodiedMemError, UnavailableError
from embodied_mem.nodes import qos
from embodied_mem.nodes.base import MemoryNode
from embodied_mem.nodes.conversions.observations import entry_from_msg
from embodied_mem.nodes.conversions.packed import unpack_entries
from embodied_mem.nodes.following import Follower, View
from embodied_mem.records.entry import Entry


@dataclass(frozen=True, slots=True)
class Patience:
    """Entries fetched at once; seconds to wait for them, between looks, and for an entry that a request names."""

    fetch: int
    fetch_timeout: float
    poll: float
    read_to_timeout: float

    @classmethod
    def of(cls, parameters: Any) -> Patience:
        """From a node's parameters of the same names."""
        return cls(*(getattr(parameters, field.name) for field in fields(cls)))


class LogReader(Generic[View]):
    """Keeps a view up to date while its node is configured. Everything runs on the node's executor.

    advanced  called with the watermark when the view has read something
    clouds    whether the entries of the topic are to bring their clouds; fetched ones come without
    """

    def __init__(
        self,
        node: MemoryNode,
        make_view: Callable[[], View],
        patience: Patience,
        *,
        advanced: Callable[[int], None] = lambda watermark: None,
        clouds: bool = False,
    ) -> None:
        self._node, self._patience, self._told, self._clouds = node, patience, advanced, clouds
        self.follower = Follower(make_view, self._fetch, self._advanced)
        self._failures = 0  # fetches in a row that were not answered
        self._waiting: list[tuple[int, Any]] = []  # number to be read, future
        self._closed = False
        self._client = node.client_of(GetRecords, "get_records")
        node.subscribe(RecordMsg, "records", qos.RECORDS, self._follow)
        node.every(patience.poll, self.follower.poll)

    @property
    def view(self) -> View:
        """The view as it is now; another object after the log turned out to be another one."""
        return self.follower.view

    def poll(self) -> None:
        """Look whether anything was missed."""
        self.follower.poll()

    def close(self) -> None:
        """Answers that are still under way are not used."""
        self._closed = True

    async def ready(self, read_to: int) -> View:
        """The view, once it has read `read_to` and has caught up with the log. Raises UnavailableError."""
        follower = self.follower
        if not follower.caught_up:
            raise UnavailableError(
                f"Memory is still being read ({follower.view.watermark} of "
                f"{follower.log_watermark or 'an unknown number of'} entries): try again in a moment."
            )
        if follower.view.watermark < read_to:
            waiting = (read_to, self._node.future())
            self._waiting.append(waiting)
            follower.poll()
            try:
                await self._node.within(waiting[1], self._patience.read_to_timeout, late(read_to, self._patience))
            finally:
                if waiting in self._waiting:
                    self._waiting.remove(waiting)
        return follower.view

    async def entries(self, first: int, limit: int, *, blobs: bool = False) -> Sequence[Entry]:
        """Entries of the log from a number on. Raises UnavailableError, BadInputError."""
        request = GetRecords.Request(first=first, limit=limit, include_blobs=blobs, packed=True)
        return unpack_entries((await self._request(request)).packed)

    def diagnose(self) -> Mapping[str, object]:
        """Values for /diagnostics."""
        follower = self.follower
        values = {"watermark": follower.view.watermark, "log_watermark": follower.log_watermark}
        return {**values, "caught_up": follower.caught_up, **follower.counters}

    # --- inside ------------------------------------------------------------------------------------------------

    def _follow(self, message: RecordMsg) -> None:
        entry = entry_from_msg(message, blobs=self._clouds)
        if entry.observation is not None:
            self._node.notice_stamp(entry.observation.stamp_ns)
        self.follower.entry(entry, message.epoch)

    def _fetch(self, first: int) -> None:
        self._node.executor.create_task(self._fetch_from, first)

    async def _fetch_from(self, first: int) -> None:
        try:
            response = await self._request(GetRecords.Request(first=first, limit=self._patience.fetch, packed=True))
            entries = unpack_entries(response.packed)
            if not self._closed:
                self._node.notice_stamp(entries[-1].logged_ns if entries else 0)
                self.follower.batch(entries, response.watermark, response.epoch)
            self._failures = 0
        except EmbodiedMemError as error:
            self._failures += 1
            self._node.get_logger().info(f"The log cannot be read yet: {error}", throttle_duration_sec=5.0)
            self.follower.fetch_failed()
        except Exception as error:
            self._node.fault("reading the log", error)
            self.follower.fetch_failed()

    async def _request(self, request: Any) -> Any:
        patience = self._patience.fetch_timeout * 2 ** min(self._failures, 4)  # a long batch takes its time
        return await self._node.call(self._client, request, patience)

    def _advanced(self, watermark: int) -> None:
        self._told(watermark)
        for number, future in [item for item in self._waiting if item[0] <= watermark]:
            self._waiting.remove((number, future))
            future.set_result(None)


def late(read_to: int, patience: Patience) -> str:
    """The sentence for an entry that did not come in time."""
    return f"Entry {read_to} was not read within {patience.read_to_timeout:g} s: does it exist?"
