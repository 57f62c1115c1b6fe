"""What happened where, and in which order, remembered within a budget.

Subscribes  records          follows the log; what it missed comes from the service get_records
Publishes   memory_events    a moment that is not what its place lets expect, as the type "surprising"
Serves      recall_episode

Threads: the executor follows the log; a worker brings the memory up to date and answers. Surprise ranks what is
forgotten first and admits or refuses no record.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from embodied_mem_msgs.msg import MemoryEvent
from embodied_mem_msgs.srv import RecallEpisode

from embodied_mem.episodes.view import EpisodeView
from embodied_mem.episodes.warm import warm_episodes
from embodied_mem.inference.select import default_embedder
from embodied_mem.nodes import qos
from embodied_mem.nodes.base import MemoryNode
from embodied_mem.nodes.conversions.basics import ns_to_stamp
from embodied_mem.nodes.conversions.episodes import asked_of, fill_recalled
from embodied_mem.nodes.log_reader import LogReader, Patience
from embodied_mem.nodes.settings import EpisodeSettings
from embodied_mem.nodes.spin import run
from embodied_mem.nodes.thinker import Thinker
from embodied_mem.recall.episodes import Episodes
from embodied_mem.records.view import RecordView


class EpisodicView(RecordView):
    """A `RecordView` with `episodes`, which are made of its index."""

    def __init__(self, settings: EpisodeSettings, clock: Callable[[], int]) -> None:
        super().__init__(clock=clock)
        self.episodes = EpisodeView(
            self.index, budget_mb=settings.budget_mb, rule=settings.rule, spacing=settings.spacing
        )


class EpisodeNode(MemoryNode):
    """See the module docstring."""

    Parameters = EpisodeSettings

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("episode", **kwargs)
        self._log: Any = None
        self._thinker: Any = None

    def configure(self) -> None:
        p: EpisodeSettings = self.parameters
        warm_episodes()
        self._told = 0  # surprising moments up to this record were published, or came before this node
        self._thinker = Thinker(self, "episode", p.queue)
        self._events = self.publish_to(MemoryEvent, "memory_events", qos.EVENTS)
        self._log = LogReader(
            self, lambda: EpisodicView(p, self.now_ns), Patience.of(p), advanced=lambda _: self._kick()
        )
        self.serve(RecallEpisode, "recall_episode", self._recall)

    def activate(self) -> None:
        self._log.poll()

    def cleanup(self) -> None:
        if self._log is not None:
            self._log.close()
        if self._thinker is not None:
            self._thinker.stop()
        self._log = self._thinker = None

    def diagnose(self) -> Mapping[str, object]:
        if self._log is None:
            return {}
        episodes: EpisodeView = self._log.view.episodes
        held = {"moments": len(episodes.memory), "room_for": episodes.capacity, "came": episodes.came}
        return {**self._log.diagnose(), **held}

    # --- the log -------------------------------------------------------------------------------------------------

    def _kick(self) -> None:
        """Let the worker take in what came, so that what was forgotten is gone from here too."""
        log, thinker = self._log, self._thinker
        if log is None or thinker is None or not log.follower.caught_up:
            return
        view: EpisodicView = log.view
        thinker.offer(view.episodes.refresh, lambda came: self._tell(view, came), "remembering")

    def _tell(self, view: EpisodicView, came: Any) -> None:
        """Publish the surprising ones of the records that came; those of a memory made anew were told before."""
        fresh = came[came > self._told]
        first, self._told = self._told == 0, max(self._told, int(came.max(initial=0)))
        if first:
            return
        limit = self.parameters.surprising
        for seq, surprise in zip(fresh.tolist(), view.episodes.surprise_of(fresh).tolist(), strict=True):
            if surprise >= limit:
                event = MemoryEvent(type="surprising", seq=seq, text=f"Surprise {surprise:.2f} of 1 at its place.")
                event.header.stamp = ns_to_stamp(self.now_ns())
                self._events.publish(event)
                self.counters["surprising"] += 1

    # --- the service ---------------------------------------------------------------------------------------------

    async def _recall(self, request: Any, response: Any) -> None:
        view: EpisodicView = await self._log.ready(request.read_to)
        asked = asked_of(request, self.now_ns(), lambda seq: view.get(seq).observation.stamp_ns)
        if asked.things and view.embedder is None:
            view.embedder = default_embedder(self.parameters.embedder)
        answer = await self._thinker.thought(lambda: Episodes(view, view.episodes).answer(asked))
        fill_recalled(response, answer)
        response.frame_id, response.watermark = str(self.parameters.frames[0]), view.watermark


def main() -> int:
    return run(lambda: [EpisodeNode()])


if __name__ == "__main__":
    sys.exit(main())
