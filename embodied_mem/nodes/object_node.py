"""The memory of things: which there are, where each is and was, and how sure that is.

Subscribes  records               follows the log; what it missed comes from the service get_records
Publishes   objects, ~/markers    the things of the current map, and their boxes coloured by state
            objects_vision        those that are there, as vision_msgs/Detection3DArray, where vision_msgs is installed
Serves      object_history, locate_object

Threads: the executor follows the log; a worker folds frames into the view of things, answers, and makes what is
published. In one process with the record node, that node's memory is used instead of a view of the log, and recall
answers from this node's view. What people say of things (unite, part) goes to the record node's change_objects.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from embodied_mem_msgs.msg import ObjectStates
from embodied_mem_msgs.srv import Locate, ObjectHistory
from visualization_msgs.msg import MarkerArray

from embodied_mem.nodes import qos
from embodied_mem.nodes.base import MemoryNode
from embodied_mem.nodes.conversions import answers, queries
from embodied_mem.nodes.conversions import objects as messages
from embodied_mem.nodes.memory_reader import MemoryReader, Shared
from embodied_mem.nodes.object_view import ThingsView, make_objects
from embodied_mem.nodes.settings import ObjectSettings
from embodied_mem.nodes.spin import run
from embodied_mem.nodes.thinker import Thinker
from embodied_mem.nodes.warming import warm_memory, warm_objects
from embodied_mem.objects.histories import Known, histories, history
from embodied_mem.objects.locate import PRESENT
from embodied_mem.recall.objects import Objects
from embodied_mem.recall.recall import Recall
from embodied_mem.records.view import RecordView


class ObjectNode(MemoryNode):
    """See the module docstring. `memory` gives the memory of a record node of the same process."""

    Parameters = ObjectSettings

    def __init__(self, *, memory: Shared | None = None, **kwargs: Any) -> None:
        super().__init__("object", **kwargs)
        self._memory = memory
        self._reader: Any = None
        self._thinker: Any = None
        self.objects = Objects(make_objects)

    def configure(self) -> None:
        p: ObjectSettings = self.parameters
        warm_memory()
        warm_objects()
        self._shown: tuple[Any, ...] = ()
        self._thinker = Thinker(self, "objects", p.queue)
        self._states = self.publish_to(ObjectStates, "objects", qos.LATCHED)
        self._markers = self.publish_to(MarkerArray, "~/markers", qos.MARKERS)
        kind = messages.detections_kind()
        self._vision = None if kind is None else self.publish_to(kind, "objects_vision", qos.LATCHED)
        self._reader = MemoryReader(self, lambda: ThingsView(clock=self.now_ns), self._memory, self._kick)
        self.serve(ObjectHistory, "object_history", self._history)
        self.serve(Locate, "locate_object", self._locate)
        self.every(p.publish_period, self._show)

    def activate(self) -> None:
        self._reader.poll()

    def cleanup(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._thinker is not None:
            self._thinker.stop()
        self._reader = self._thinker = None

    def diagnose(self) -> Mapping[str, object]:
        memory = self._held()
        if memory is None:
            return {}
        read = self.objects.of(memory).watermark
        values: dict[str, object] = {"object_watermark": read, "entries_behind": memory.watermark - read}
        return {**values, **self._reader.diagnose()}

    # --- services ----------------------------------------------------------------------------------------------

    async def _history(self, request: Any, response: Any) -> None:
        memory = await self._reader.ready(request.read_to)
        asked = {"id_": request.id, "label": request.label.strip().lower(), "map_id": request.map_id}
        now = self.now_ns()

        def find() -> tuple[list[list[Known]], int]:
            view = self.objects.of(memory)
            return history(view, now_ns=now, **asked), view.watermark

        stays, response.watermark = await self._thinker.thought(find)
        told = [each[:1] for each in stays] if request.now_only else stays
        response.objects = [messages.object_msg(known) for each in told for known in each]
        response.found = bool(stays)
        if not stays:
            what = f"called {request.label!r} " if request.label else ""
            response.reason = f"Not found: nothing {what}was seen often enough to be believed in."
        response.map_id = memory.index.maps.resolve(request.map_id)
        response.frame_id = self.frame

    async def _locate(self, request: Any, response: Any) -> None:
        memory = await self._reader.ready(request.read_to)
        query = queries.query_from_filter(
            request.filter, self.now_ns(), lambda seq: memory.get(seq).observation.stamp_ns
        )
        answer = await self._thinker.thought(lambda: Recall(memory, objects=self.objects).locate(request.label, query))
        response.answer = answers.answer_to_msg(answer, self.now_ns())

    # --- following memory --------------------------------------------------------------------------------------

    @property
    def frame(self) -> str:
        """The frame of every coordinate that is given out."""
        return str(self.parameters.frames[0])

    def _held(self) -> RecordView | None:
        """The memory that is read, where there is one."""
        return None if self._reader is None else self._reader.held

    def _kick(self) -> None:
        """Let the worker read on, unless it is busy anyway: the next thing that it does reads on too."""
        memory, thinker = self._held(), self._thinker
        if memory is not None and thinker is not None and not len(thinker):
            self._thinker.offer(lambda: self.objects.of(memory).catch_up(), lambda _: None, "reading on")

    # --- what is published -------------------------------------------------------------------------------------

    def _show(self) -> None:
        """Publish what has changed and somebody looks at; fold what came meanwhile."""
        memory = self._held()
        outputs = [out for out in (self._states, self._markers, self._vision) if out is not None]
        looking = tuple(out.get_subscription_count() for out in outputs)
        if memory is None:
            return
        state = (id(memory), memory.watermark, memory.index.maps.current, looking)
        if not any(looking) or state == self._shown:
            self._kick()
            return
        now = self.now_ns()

        def made() -> tuple[list[Known], int]:
            view = self.objects.of(memory)
            return [stays[0] for stays in histories(view.locate_all(now_ns=now))], view.watermark

        def publish(found: tuple[list[Known], int]) -> None:
            things, watermark = found
            self._shown = state
            self._states.publish(messages.objects_msg(things, state[2], watermark, self.frame, now))
            self._markers.publish(messages.object_markers(things, self.frame, now))
            if self._vision is not None:
                here = [known for known in things if known.thing.present >= PRESENT]
                self._vision.publish(messages.detections_msg(here, self.frame, now))

        self._thinker.offer(made, publish, "showing things")


def main() -> int:
    return run(lambda: [ObjectNode()])


if __name__ == "__main__":
    sys.exit(main())
