"""Answers questions about the robot's memory: exact search, where a thing is, and questions in words.

Subscribes  records              follows the log, and fetches what it missed through the service get_records
Publishes   answers, ~/markers   what ask and locate answered
Serves      query, locate, ask

Threads: the executor follows the log and answers searches; a worker thread answers questions, one after the other, so
that a long one holds up neither.

It holds a view of the log in memory, so it answers while the record node is being restarted. In one process with the
record node, that node's memory is used instead of a view.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from embodied_mem_msgs.msg import AnswerStamped
from embodied_mem_msgs.srv import Ask, Locate, Query
from visualization_msgs.msg import MarkerArray

from embodied_mem.errors import BadInputError
from embodied_mem.inference.select import default_embedder
from embodied_mem.nodes import qos
from embodied_mem.nodes.base import MemoryNode
from embodied_mem.nodes.conversions import answers, queries
from embodied_mem.nodes.conversions.markers import answer_markers
from embodied_mem.nodes.memory_reader import MemoryReader, Shared
from embodied_mem.nodes.settings import RecallSettings
from embodied_mem.nodes.spin import run
from embodied_mem.nodes.thinker import Thinker
from embodied_mem.nodes.warming import warm_memory, warm_objects
from embodied_mem.recall.forests import Forests
from embodied_mem.recall.objects import Objects
from embodied_mem.recall.recall import Recall
from embodied_mem.records.view import RecordView


class RecallNode(MemoryNode):
    """See the module docstring. `memory` gives the memory of a record node of the same process, `forests` those of a
    forest node, from which questions about regions are answered; else it grows one when the first of them is asked.
    `objects` gives the view of things of an object node; else one is kept here."""

    Parameters = RecallSettings

    def __init__(
        self,
        *,
        memory: Shared | None = None,
        forests: Callable[[], Forests] | None = None,
        objects: Callable[[], Objects] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__("recall", **kwargs)
        self._memory = memory
        own = Forests()
        self._forests = forests or (lambda: own)
        kept = Objects()
        self._objects = objects or (lambda: kept)
        self._reader: Any = None
        self._thinker: Any = None

    def configure(self) -> None:
        p: RecallSettings = self.parameters
        warm_memory()
        warm_objects()
        self._answers = self.publish_to(AnswerStamped, "answers", qos.ANSWERS)
        self._markers = self.publish_to(MarkerArray, "~/markers", qos.MARKERS)
        embedder = None if self._memory is not None else default_embedder(p.embedder)
        self._reader = MemoryReader(
            self, lambda: RecordView(embedder, clock=self.now_ns, threshold=p.threshold), self._memory
        )
        self._thinker = Thinker(self, "recall", p.queue)
        self.serve(Query, "query", self._query)
        self.serve(Locate, "locate", self._locate)
        self.serve(Ask, "ask", self._ask)

    def activate(self) -> None:
        self._reader.poll()

    def cleanup(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._thinker is not None:
            self._thinker.stop()
        self._reader = self._thinker = None

    def diagnose(self) -> Mapping[str, object]:
        return {} if self._reader is None else self._reader.diagnose()

    # --- services ----------------------------------------------------------------------------------------------

    async def _query(self, request: Any, response: Any) -> None:
        view = await self._reader.ready(request.read_to)
        query = queries.query_from_request(request, self.now_ns(), _stamps(view))
        if query.k > self.parameters.max_k:
            raise BadInputError(
                f"k is {query.k:,}; this node returns at most {self.parameters.max_k:,} hits (parameter max_k)."
            )
        answers.fill_query_response(response, view.query(query))

    async def _locate(self, request: Any, response: Any) -> None:
        view = await self._reader.ready(request.read_to)
        query = queries.query_from_filter(request.filter, self.now_ns(), _stamps(view))
        answer = await self._thinker.thought(lambda: Recall(view, objects=self._objects()).locate(request.label, query))
        self._publish_answer(f"where is the {request.label}?", answer, response)

    async def _ask(self, request: Any, response: Any) -> None:
        view = await self._reader.ready(request.read_to)
        robot = answers.robot_of(request.robot, self.parameters.frames)
        asked = {
            "robot_position": None if robot is None else robot[0], "map_id": request.map_id,
            "now_ns": self.now_ns(), "as_of": request.as_of or None,
        }  # fmt: skip

        def recall(memory: RecordView) -> Recall:
            return Recall(memory, forests=self._forests(), objects=self._objects())

        answer = await self._thinker.thought(lambda: recall(view).ask(request.question, **asked))
        self._publish_answer(request.question, answer, response)

    def _publish_answer(self, question: str, answer: Any, response: Any) -> None:
        response.answer = answers.answer_to_msg(answer, self.now_ns())
        message = AnswerStamped(question=question, answer=response.answer)
        message.header = response.answer.pose.header
        self._answers.publish(message)
        if self._markers.get_subscription_count():
            header = response.answer.pose.header
            self._markers.publish(answer_markers(response.answer, header.frame_id or "map", header.stamp))


def _stamps(view: RecordView) -> Callable[[int], int]:
    return lambda seq: view.get(seq).observation.stamp_ns


def main() -> int:
    return run(lambda: [RecallNode()])


if __name__ == "__main__":
    sys.exit(main())
