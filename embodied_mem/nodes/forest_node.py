"""What the world is like at every scale: the semantic forest over all that is remembered.

Subscribes  records              follows the log; what it missed comes from the service get_records
Publishes   forest, ~/markers    the highest nodes of the current map's tree: as summaries, and above the map in RViz
Serves      describe

Threads: the executor follows the log; a worker grows the forest, answers, and makes what is published; another one
asks a language model to word summaries, where one is configured. In one process with the record node, that node's
memory is used instead of a view of the log, and recall answers from this node's forest.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from embodied_mem_msgs.msg import SummaryForest
from embodied_mem_msgs.srv import Describe
from visualization_msgs.msg import MarkerArray

from embodied_mem.errors import NotFoundError
from embodied_mem.forest.model_summaries import ModelSummariser, improve_forest
from embodied_mem.forest.regions import Described
from embodied_mem.forest.shown import Shown, highest
from embodied_mem.forest.view import ForestView
from embodied_mem.forest.warm import warm as warm_forest
from embodied_mem.nodes import qos
from embodied_mem.nodes.base import MemoryNode
from embodied_mem.nodes.conversions import answers, queries
from embodied_mem.nodes.conversions.forest import fill_described, forest_markers, forest_msg
from embodied_mem.nodes.memory_reader import MemoryReader, Shared
from embodied_mem.nodes.settings import ForestSettings
from embodied_mem.nodes.spin import run
from embodied_mem.nodes.thinker import Thinker
from embodied_mem.recall.forests import Forests
from embodied_mem.recall.regions import Regions
from embodied_mem.records.query import Query
from embodied_mem.records.view import RecordView

_MOST_EVIDENCE = 50


class ForestNode(MemoryNode):
    """See the module docstring. `memory` gives the memory of a record node of the same process."""

    Parameters = ForestSettings

    def __init__(self, *, memory: Shared | None = None, **kwargs: Any) -> None:
        super().__init__("forest", **kwargs)
        p: ForestSettings = self.parameters
        self._memory = memory
        self._reader: Any = None
        self._thinker: Any = None
        self._wording: Any = None
        self._summariser: ModelSummariser | None = None
        self.forests = Forests(
            lambda view: ForestView(view, weight=p.weight, fan_out=p.fan_out, vertical=p.vertical, geodesic=p.geodesic)
        )

    def configure(self) -> None:
        p: ForestSettings = self.parameters
        warm_forest()
        self._shown: tuple[Any, ...] = ()
        self._still = (0, 0)
        self._summariser = None
        if p.model_url:
            key = os.environ.get(p.model_key_variable, "") if p.model_key_variable else ""
            self._summariser = ModelSummariser(p.model_url, p.model, p.model_timeout, key)
            self._wording = Thinker(self, "wording", 1)
            self.every(p.model_period, self._word)
        self._thinker = Thinker(self, "forest", p.queue)
        self._forest = self.publish_to(SummaryForest, "forest", qos.LATCHED)
        self._markers = self.publish_to(MarkerArray, "~/markers", qos.MARKERS)
        self._reader = MemoryReader(self, lambda: RecordView(clock=self.now_ns), self._memory, self._kick)
        self.serve(Describe, "describe", self._describe)
        self.every(p.publish_period, self._show)
        self.every(p.settle_after, self._settle)

    def activate(self) -> None:
        self._reader.poll()

    def cleanup(self) -> None:
        if self._reader is not None:
            self._reader.close()
        for thinker in (self._thinker, self._wording):
            if thinker is not None:
                thinker.stop()
        self._reader = self._thinker = self._wording = None

    def diagnose(self) -> Mapping[str, object]:
        memory = self._held()
        if memory is None:
            return {}
        forest = self.forests.held(memory)
        trees = dict(forest.trees)
        values: dict[str, object] = {
            "forest_watermark": forest.watermark, "records": len(forest), "trees": len(trees),
            "megabytes": round(sum(tree.nbytes for tree in trees.values()) / 1e6, 1), "settled": forest.settled,
        }  # fmt: skip
        if self._summariser is not None:
            values |= {f"model_{name}": count for name, count in self._summariser.counters.items()}
        return {**values, **self._reader.diagnose()}

    # --- describe ----------------------------------------------------------------------------------------------

    async def _describe(self, request: Any, response: Any) -> None:
        memory = await self._reader.ready(request.read_to)

        def stamp_of(seq: int) -> int:
            return memory.get(seq).observation.stamp_ns

        now = self.now_ns()
        area = queries.query_from_filter(request.area, now, stamp_of)
        other = queries.query_from_filter(request.other, now, stamp_of) if request.use_other else None
        robot = answers.robot_of(request.robot, self.parameters.frames)
        regions, here = Regions(memory, self.forests), None if robot is None else robot[0]

        def tell() -> tuple[Described, list[Any]]:
            told = regions.describe(
                request.question, area, other, robot=here, now_ns=now, areas=int(request.areas)
            )  # fmt: skip
            seqs = told.evidence[:_MOST_EVIDENCE]
            hits = memory.query(Query(seqs=seqs, map_id=area.map_id, k=len(seqs))).hits if seqs else []
            return told, [answers.evidence_of_hit(hit) for hit in hits]

        told, evidence = await self._thinker.thought(tell)
        fill_described(response, told, evidence, now)
        response.map_id = memory.index.maps.resolve(area.map_id)
        response.frame_id, response.watermark = str(self.parameters.frames[0]), memory.watermark

    # --- following memory --------------------------------------------------------------------------------------

    def _held(self) -> RecordView | None:
        """The memory that is read, where there is one."""
        return None if self._reader is None else self._reader.held

    def _kick(self) -> None:
        """Let the worker read on, unless it is busy anyway: the next thing that it does reads on too."""
        memory, thinker = self._held(), self._thinker
        if memory is not None and thinker is not None and not len(thinker):
            self._thinker.offer(lambda: self.forests.of(memory), lambda _: None, "growing the forest")

    def _settle(self) -> None:
        """When nothing came for a while, grow anew what was changed in the past."""
        memory = self._held()
        if memory is None:
            return
        forest = self.forests.held(memory)
        now = (id(memory), memory.watermark)
        idle, self._still = now == self._still, now
        if forest.watermark < memory.watermark:
            self._kick()
        elif idle and not forest.settled:
            self._thinker.offer(forest.settle, lambda _: None, "settling the forest")

    def _word(self) -> None:
        """Let the model word what has changed, within the budget of one period."""
        memory, wording, summariser = self._held(), self._wording, self._summariser
        if memory is None or summariser is None or wording is None or len(wording):
            return
        p, forest = self.parameters, self.forests.held(memory)

        def word() -> int:
            try:
                frame = forest.frame_of()
            except NotFoundError:  # there is nothing to word yet
                return 0
            return improve_forest(
                forest, frame, summariser, calls=p.model_calls, seconds=max(p.model_period, p.model_timeout)
            )

        wording.offer(word, lambda _: None, "wording summaries")

    # --- what is published -------------------------------------------------------------------------------------

    def _show(self) -> None:
        """Publish what has changed and somebody looks at."""
        memory = self._held()
        looked_at = [out for out in (self._forest, self._markers) if out.get_subscription_count()]
        if memory is None or not looked_at:
            return
        forest, names = self.forests.held(memory), [out.topic_name for out in looked_at]
        if forest.watermark < memory.watermark:
            self._kick()
        state = (id(forest), forest.watermark, forest.settled, forest.worded, *names)
        if state == self._shown or not len(forest):
            return
        frame, now, height = str(self.parameters.frames[0]), self.now_ns(), self.parameters.marker_height

        def publish(shown: Shown) -> None:
            self._forest.publish(forest_msg(shown, frame, now))
            self._markers.publish(forest_markers(shown, height, frame, now))
            self._shown = state

        self._thinker.offer(lambda: highest(forest, self.parameters.shown), publish, "showing the forest")


def main() -> int:
    return run(lambda: [ForestNode()])


if __name__ == "__main__":
    sys.exit(main())
