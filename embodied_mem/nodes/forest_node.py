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
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from embodied_mem_msgs.msg import SummaryForest
from embodied_mem_msgs.srv import Describe
from visualization_msgs.msg import MarkerArray

from embodied_mem.errors import NotFoundError, UnavailableError
from embodied_mem.forest.model_summaries import ModelSummariser, improve_forest
from embodied_mem.forest.regions import Described
from embodied_mem.forest.shown import Shown, highest
from embodied_mem.forest.view import ForestView
from embodied_mem.forest.warm import warm as warm_forest
from embodied_mem.nodes import qos
from embodied_mem.nodes.base import MemoryNode
from embodied_mem.nodes.conversions import answers, queries
from embodied_mem.nodes.conversions.forest import fill_described, forest_markers, forest_msg
from embodied_mem.nodes.log_reader import LogReader, Patience, late
from embodied_mem.nodes.recording import Job
from embodied_mem.nodes.settings import ForestSettings
from embodied_mem.nodes.spin import run
from embodied_mem.nodes.worker import Worker
from embodied_mem.recall.forests import Forests
from embodied_mem.recall.regions import Regions
from embodied_mem.records.query import Query
from embodied_mem.records.view import RecordView

_MOST_EVIDENCE = 50


class ForestNode(MemoryNode):
    """See the module docstring. `memory` gives the memory of a record node of the same process."""

    Parameters = ForestSettings

    def __init__(self, *, memory: Callable[[], RecordView | None] | None = None, **kwargs: Any) -> None:
        super().__init__("forest", **kwargs)
        p: ForestSettings = self.parameters
        self._memory = memory
        self._log: Any = None
        self._grower: Any = None
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
        self._patience = Patience(p.fetch, p.fetch_timeout, p.poll, p.read_to_timeout)
        if p.model_url:
            key = os.environ.get(p.model_key_variable, "") if p.model_key_variable else ""
            self._summariser = ModelSummariser(p.model_url, p.model, p.model_timeout, key)
            self._wording = Worker("wording", _run_all, capacity=1, on_error=lambda e: self.fault("wording", e))
            self.every(p.model_period, self._word)
        self._grower = Worker("forest", _run_all, capacity=p.queue, on_error=lambda e: self.fault("growing", e))
        self._forest = self.publish_to(SummaryForest, "forest", qos.LATCHED)
        self._markers = self.publish_to(MarkerArray, "~/markers", qos.MARKERS)
        if self._memory is None:
            self._log = LogReader(
                self, lambda: RecordView(clock=self.now_ns), self._patience, advanced=lambda _: self._kick()
            )
        self.serve(Describe, "describe", self._describe)
        self.every(p.publish_period, self._show)
        self.every(p.settle_after, self._settle)

    def activate(self) -> None:
        if self._log is not None:
            self._log.poll()

    def cleanup(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            log.close()
        workers, self._grower, self._wording = (self._grower, self._wording), None, None
        for worker in workers:
            for job in worker.stop() if worker is not None else ():
                job.failed(UnavailableError("The forest node is stopping: ask again when it is back."))

    def diagnose(self) -> Mapping[str, object]:
        memory = self._view()
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
        return {**values, **({} if self._log is None else self._log.diagnose())}

    # --- describe ----------------------------------------------------------------------------------------------

    async def _describe(self, request: Any, response: Any) -> None:
        memory = await self._read(request.read_to)

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

        told, evidence = await self._thought(tell)
        fill_described(response, told, evidence, now)
        response.map_id = memory.index.maps.resolve(area.map_id)
        response.frame_id, response.watermark = str(self.parameters.frames[0]), memory.watermark

    async def _thought(self, call: Callable[[], Any]) -> Any:
        """What the call returns, made on the worker's thread. UnavailableError when too many wait."""
        future = self.future()
        if not self._grower.insist(Job(call, future.set_result, future.set_exception)):
            raise UnavailableError("Too many questions wait for their answers: ask again in a moment.")
        return await future

    # --- following memory --------------------------------------------------------------------------------------

    def _view(self) -> RecordView | None:
        """The memory that is followed, where there is one."""
        if self._memory is not None:
            return self._memory()
        return None if self._log is None else self._log.view

    async def _read(self, read_to: int) -> RecordView:
        """The same, once it has read `read_to`. Raises UnavailableError."""
        if self._memory is None:
            return await self._log.ready(read_to)
        memory = self._memory()
        if memory is None:
            raise UnavailableError("The record node of this process is not configured: try again in a moment.")
        if memory.watermark < read_to:
            raise UnavailableError(late(read_to, self._patience))
        return memory

    def _kick(self) -> None:
        """Let the worker read on, unless it is busy anyway: the next thing that it does reads on too."""
        memory, grower = self._view(), self._grower
        if memory is not None and grower is not None and not len(grower):
            self._offer(lambda: self.forests.of(memory), lambda _: None, "growing the forest")

    def _settle(self) -> None:
        """When nothing came for a while, grow anew what was changed in the past."""
        memory = self._view()
        if memory is None:
            return
        forest = self.forests.held(memory)
        now = (id(memory), memory.watermark)
        idle, self._still = now == self._still, now
        if forest.watermark < memory.watermark:
            self._kick()
        elif idle and not forest.settled:
            self._offer(forest.settle, lambda _: None, "settling the forest")

    def _word(self) -> None:
        """Let the model word what has changed, within the budget of one period."""
        memory, wording, summariser = self._view(), self._wording, self._summariser
        if memory is None or summariser is None or wording is None or len(wording):
            return
        p, forest = self.parameters, self.forests.held(memory)

        def word() -> int:
            frame = forest.frame_of()
            return improve_forest(
                forest, frame, summariser, calls=p.model_calls, seconds=max(p.model_period, p.model_timeout)
            )

        def failed(error: Exception) -> None:
            if not isinstance(error, NotFoundError):  # there is nothing to word yet
                self.fault("wording summaries", error)

        wording.offer(Job(word, lambda _: None, failed))

    # --- what is published -------------------------------------------------------------------------------------

    def _show(self) -> None:
        """Publish what has changed and somebody looks at."""
        memory = self._view()
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

        self._offer(lambda: highest(forest, self.parameters.shown), publish, "showing the forest")

    def _offer(self, call: Callable[[], Any], done: Callable[[Any], None], doing: str) -> None:
        self._grower.offer(Job(call, done, lambda error: self.fault(doing, error)))


def _run_all(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.run()


def main() -> int:
    return run(lambda: [ForestNode()])


if __name__ == "__main__":
    sys.exit(main())
