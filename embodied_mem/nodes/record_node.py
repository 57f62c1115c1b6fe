"""Writes the robot's memory: observations and commands in, numbered records out. The only writer of the log.

Subscribes  observations                          what was perceived, by perception or any other source
Publishes   records, current_map, memory_events, ~/markers
Serves      remember, correct, forget, undo, set_map, re_anchor, get_records, compact

Threads: the executor converts messages; one worker thread does everything that writes (gate, log, embedding,
publishing), in the order in which things came, in batches. What comes faster than it is written is dropped, oldest
first, and counted; services are never dropped.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from embodied_mem_msgs.msg import MapIdentity, MemoryEvent
from embodied_mem_msgs.msg import Observation as ObservationMsg
from embodied_mem_msgs.msg import Record as RecordMsg
from visualization_msgs.msg import MarkerArray

from embodied_mem.errors import EmbodiedMemError, UnavailableError
from embodied_mem.inference.select import default_embedder
from embodied_mem.nodes import qos
from embodied_mem.nodes.base import MemoryNode
from embodied_mem.nodes.conversions.basics import ns_to_stamp
from embodied_mem.nodes.conversions.markers import memory_markers
from embodied_mem.nodes.conversions.observations import entry_to_msg, observation_from_msg
from embodied_mem.nodes.maintenance import CompactService
from embodied_mem.nodes.memory_folder import memory_folder
from embodied_mem.nodes.record_services import RecordServices
from embodied_mem.nodes.recording import Event, Job, Recorder
from embodied_mem.nodes.settings import RecordSettings
from embodied_mem.nodes.spin import run
from embodied_mem.nodes.warming import warm_memory
from embodied_mem.nodes.worker import Worker
from embodied_mem.octree.view_durable import DurableMaps
from embodied_mem.records.compaction import VIEWS
from embodied_mem.records.entry import Entry
from embodied_mem.records.gate import GateLimits
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Observation
from embodied_mem.records.retention import dropped


class RecordNode(MemoryNode):
    """See the module docstring. `memory`, `recorder` and `worker` exist while it is configured."""

    Parameters = RecordSettings

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("record", **kwargs)
        self.memory: Any = None
        self.worker: Any = None

    def configure(self) -> None:
        p: RecordSettings = self.parameters
        warm_memory()
        self.memory = RecordMemory.open(
            memory_folder(p.memory),
            default_embedder(p.embedder),
            limits=GateLimits(
                p.max_position_std, p.max_yaw_std, p.require_covariance, p.frames, p.lateness, p.future
            ),
            clock=self.now_ns,
            threshold=p.threshold,
            session_id=p.session_id,
            disk_budget_mb=p.disk_budget_mb,
        )  # fmt: skip
        self.memory.retention.before_dropping = DurableMaps(self.memory, memory_folder(p.memory) / VIEWS).require
        self.epoch = time.time_ns()
        self.recorder = Recorder(self.memory, self._tell)
        self.memory.subscribe(self._publish)
        self._records = self.publish_to(RecordMsg, "records", qos.RECORDS)
        self._map = self.publish_to(MapIdentity, "current_map", qos.LATCHED)
        self._events = self.publish_to(MemoryEvent, "memory_events", qos.EVENTS)
        self._markers = self.publish_to(MarkerArray, "~/markers", qos.MARKERS)
        self._drawn = -1
        self.worker = Worker(
            "record", self.recorder.work, capacity=p.queue, batch=p.batch,
            on_error=lambda error: self.fault("writing", error),
            on_drop=lambda item: self._tell(Event("dropped", 0, "More came than can be written.", item.stamp_ns)),
        )  # fmt: skip
        self.subscribe(ObservationMsg, "observations", qos.OBSERVATIONS, self._observe)
        RecordServices(self, self.memory)
        CompactService(self, self.memory)
        self.every(p.marker_period, self._draw)

    def activate(self) -> None:
        self._publish_map()
        self._embed(self.memory.embed_missing())

    def deactivate(self) -> None:
        self.worker.wait_idle(10.0)

    def cleanup(self) -> None:
        worker, memory, self.worker, self.memory = self.worker, self.memory, None, None
        for item in worker.stop() if worker is not None else ():
            if isinstance(item, Job):
                item.failed(UnavailableError("The record node is stopping: ask again when it is back."))
        if memory is not None:
            memory.close()

    def observe(self, observation: Observation) -> None:
        """Take an observation from a node of the same process, or from `observations`."""
        worker = self.worker
        if worker is None or not self.active:
            self.counters["ignored_while_inactive"] += 1
            return
        self.notice_stamp(observation.stamp_ns)
        worker.offer(observation)

    def clock_jumped_back(self, by_ns: int) -> None:
        if self.worker is not None and by_ns > self.parameters.jump_starts_session * 1e9:
            self.worker.insist(Job(self.memory.start_session, lambda name: None, lambda error: None))

    def diagnose(self) -> Mapping[str, object]:
        if self.memory is None:
            return {}
        queue = {f"queue_{name}": count for name, count in self.worker.counters.items()}
        gate = {f"gate_{name}": count for name, count in self.memory.counters.items()}
        return {
            "watermark": self.memory.watermark, "records": len(self.memory.index), "map": self.memory.map_id,
            "model": self.memory.index.model, "queue": len(self.worker), **queue, **gate,
            **dropped(self.memory), "disk_budget": self.memory.retention.problem,
        }  # fmt: skip

    # --- inside ------------------------------------------------------------------------------------------------

    def _observe(self, message: ObservationMsg) -> None:
        try:
            observation = observation_from_msg(message)
        except EmbodiedMemError as error:
            self._tell(Event("refused", 0, str(error)))
            raise
        self.observe(observation)

    def _publish(self, entries: Sequence[Entry]) -> None:
        """What is in the log stays there, so an entry that cannot be published is a fault and no refusal."""
        for entry in entries:
            try:
                self._records.publish(entry_to_msg(entry, self.epoch))
            except Exception as error:
                self.fault(f"publishing record {entry.seq}", error)
        self.recorder.announce(entries)
        if any(entry.command is not None for entry in entries):
            self._publish_map()

    def _publish_map(self) -> None:
        message = MapIdentity(map_id=self.memory.map_id, known=self.memory.maps)
        message.header.stamp, message.header.frame_id = self.get_clock().now().to_msg(), self._frame()
        self._map.publish(message)

    def _tell(self, event: Event) -> None:
        message = MemoryEvent(type=event.type, seq=event.seq, text=event.text)
        message.header.stamp = ns_to_stamp(event.stamp_ns or self.now_ns())
        self._events.publish(message)

    def _embed(self, steps: Iterator[int]) -> None:
        """Make the vectors that a crash left missing, a batch at a time, between observations."""
        worker = self.worker
        if worker is not None:
            worker.insist(Job(
                lambda: next(steps, 0), lambda left: self._embed(steps) if left else None,
                lambda error: self.fault("embedding what a crash left without a vector", error),
            ))  # fmt: skip

    def _draw(self) -> None:
        if self.memory.watermark != self._drawn and self._markers.get_subscription_count():
            self._drawn = self.memory.watermark
            self._markers.publish(memory_markers(self.memory.index, self._frame(), self.get_clock().now().to_msg()))

    def _frame(self) -> str:
        return str(self.parameters.frames[0])


def main() -> int:
    return run(lambda: [RecordNode()])


if __name__ == "__main__":
    sys.exit(main())
