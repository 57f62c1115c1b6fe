"""The services of the record node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from embodied_mem_msgs.srv import ChangeObjects, Correct, Forget, GetRecords, ReAnchor, Remember, SetMap, Undo

from embodied_mem.errors import BadInputError, UnavailableError
from embodied_mem.nodes.conversions import commanding, observations, packed, queries
from embodied_mem.nodes.recording import Job
from embodied_mem.records.query import Query

if TYPE_CHECKING:
    from embodied_mem.nodes.record_node import RecordNode
    from embodied_mem.records.memory import RecordMemory

_MOST_ENTRIES = 4096


class RecordServices:
    """What changes memory goes through the worker, behind the observations that came before it."""

    def __init__(self, node: RecordNode, memory: RecordMemory) -> None:
        self._node, self._memory = node, memory
        node.serve(Remember, "remember", self._remember)
        node.serve(Correct, "correct", self._correct)
        node.serve(Forget, "forget", self._forget)
        node.serve(ChangeObjects, "change_objects", self._change_objects)
        node.serve(Undo, "undo", self._undo)
        node.serve(SetMap, "set_map", self._set_map)
        node.serve(ReAnchor, "re_anchor", self._re_anchor)
        node.serve(GetRecords, "get_records", self._get_records)

    async def _in_order(self, call: Callable[[], Any]) -> Any:
        future = self._node.future()
        if not self._node.worker.insist(Job(call, future.set_result, future.set_exception)):
            raise UnavailableError("The record node has too many requests waiting: try again in a moment.")
        return await future

    async def _remember(self, request: Any, response: Any) -> None:
        observation = observations.observation_from_msg(request.observation)
        if request.ack not in (Remember.Request.ACK_MEMORY, Remember.Request.ACK_DISK):
            raise BadInputError(f"Remember's ack is {request.ack}: it is ACK_MEMORY (0) or ACK_DISK (1).")
        if not observation.stamp_ns:  # "now", by the node's clock, which may be a simulator's
            observation = replace(observation, stamp_ns=self._node.now_ns())
        self._node.notice_stamp(observation.stamp_ns)
        durable = request.ack == Remember.Request.ACK_DISK
        admitted = await self._in_order(lambda: self._node.recorder.remember(observation, durable=durable))
        response.seq, response.folded = admitted.seq, admitted.folded

    async def _correct(self, request: Any, response: Any) -> None:
        changes = commanding.changes_of(request)
        response.command_seq = await self._in_order(lambda: self._memory.correct(request.seq, **changes))

    async def _forget(self, request: Any, response: Any) -> None:
        def forget() -> tuple[int, int]:
            seqs = list(request.seqs) or self._chosen(request.filter)
            if request.dry_run or not seqs:
                for seq in seqs:
                    self._memory.index.row_of(seq)
                return 0, len(seqs)
            return self._memory.forget(seqs), len(set(seqs))

        response.command_seq, response.count = await self._in_order(forget)

    def _chosen(self, message: Any) -> list[int]:
        if queries.is_empty(message):
            raise BadInputError("An empty filter would forget everything: name records or restrict the filter.")
        query: Query = queries.query_from_filter(message, self._node.now_ns(), self._stamp_of)
        return [int(seq) for seq in self._memory.select(query)]

    def _stamp_of(self, seq: int) -> int:
        return self._memory.get(seq).observation.stamp_ns

    async def _change_objects(self, request: Any, response: Any) -> None:
        told = commanding.told_of(request)
        response.command_seq = await self._in_order(lambda: self._memory.change_things(told))

    async def _undo(self, request: Any, response: Any) -> None:
        number = request.command_seq or None
        response.undone, response.undo_seq = await self._in_order(lambda: self._memory.undo(number))

    async def _set_map(self, request: Any, response: Any) -> None:
        extra = commanding.map_of(request)

        def set_map() -> tuple[str, int]:
            return self._memory.map_id, self._memory.set_map(request.map_id, **extra)

        response.previous, response.command_seq = await self._in_order(set_map)

    async def _re_anchor(self, request: Any, response: Any) -> None:
        stamps, before = commanding.trajectory_of(request.before)
        _, after = commanding.trajectory_of(request.after)

        def re_anchor() -> tuple[int, int]:
            command = self._memory.reanchor(request.map_id, stamps, before, after)
            return command, len(self._memory.select(Query(map_id=request.map_id)))

        response.command_seq, response.moved = await self._in_order(re_anchor)

    def _get_records(self, request: Any, response: Any) -> None:
        """Read at once, beside the worker: the log has its own lock."""
        limit = min(request.limit or 256, _MOST_ENTRIES)
        entries = self._memory.entries(max(request.first, 1), limit, blobs=request.include_blobs)
        if request.packed:
            response.packed = packed.pack_entries(entries, blobs=request.include_blobs)
        else:
            response.records = [observations.entry_to_msg(entry, self._node.epoch) for entry in entries]
        response.watermark, response.epoch = self._memory.watermark, self._node.epoch
