"""The space that was seen: where something stands, what is free, which places there are, and how to get to them.

Subscribes  records               follows the log, clouds included; what it missed comes from the service get_records
Publishes   occupancy_grid, occupied_voxels, topology
Serves      query_volume, cast_rays, nearest_obstacle; plan_route, recall_place, goal_near, follow_instruction;
            recall_nearby

Threads: the executor follows the log and answers; a worker folds clouds into the maps, and makes what is published;
another one thinks about poses to go to. A killed node goes on from its checkpoints, in the memory's folder.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from embodied_mem_msgs.msg import TopologyGraph
from nav_msgs.msg import OccupancyGrid
from sensor_msgs.msg import PointCloud2

from embodied_mem.errors import EmbodiedMemError, NotFoundError, UnavailableError
from embodied_mem.nodes import qos
from embodied_mem.nodes.base import MemoryNode
from embodied_mem.nodes.conversions import volumes
from embodied_mem.nodes.conversions.places import graph_msg
from embodied_mem.nodes.log_reader import LogReader, Patience, late
from embodied_mem.nodes.place_services import PlaceServices
from embodied_mem.nodes.route_services import RouteServices
from embodied_mem.nodes.settings import SpatialSettings
from embodied_mem.nodes.spatial_view import SpatialView
from embodied_mem.nodes.spin import run
from embodied_mem.nodes.thinker import Thinker
from embodied_mem.nodes.volume_services import VolumeServices
from embodied_mem.nodes.warming import warm_space, warm_tokens

_QUESTIONS = 50  # that may wait
_EVERYWHERE = (float("inf"),) * 3


class SpatialNode(MemoryNode):
    """See the module docstring."""

    Parameters = SpatialSettings

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("spatial", **kwargs)
        self._log: Any = None
        self._mapper: Any = None
        self._thinker: Any = None
        self._whole: Any = None  # the view whose maps were made of everything once

    @property
    def frame(self) -> str:
        """The frame of every coordinate that is given out."""
        return str(self.parameters.frames[0])

    def configure(self) -> None:
        p: SpatialSettings = self.parameters
        warm_space()
        if p.place_tokens_kb:
            warm_tokens()
        self._patience = Patience.of(p)
        self._reading = False
        self._waiting: list[tuple[int, Any]] = []
        self._shown: dict[str, tuple[Any, ...]] = {}
        self._mapper = Thinker(self, "map", 8)
        self._thinker = Thinker(self, "goal", _QUESTIONS)
        self._grid = self.publish_to(OccupancyGrid, "occupancy_grid", qos.LATCHED)
        self._voxels = self.publish_to(PointCloud2, "occupied_voxels", qos.LATCHED)
        self._topology = self.publish_to(TopologyGraph, "topology", qos.LATCHED)
        self._log = LogReader(
            self, lambda: SpatialView(p, self.now_ns), self._patience, advanced=lambda _: self._kick(), clouds=True
        )
        VolumeServices(self)
        RouteServices(self)
        PlaceServices(self)
        self.every(p.publish_period, self._show)

    def activate(self) -> None:
        self._log.poll()

    def deactivate(self) -> None:
        self._mapper.wait_idle(10.0)

    def cleanup(self) -> None:
        log, self._log = self._log, None
        for thinker in (self._mapper, self._thinker):
            if thinker is not None:
                thinker.stop()
        self._mapper = self._thinker = self._whole = None
        if log is not None:
            log.close()
            log.view.occupancy.save()

    def diagnose(self) -> Mapping[str, object]:
        if self._log is None:
            return {}
        view: SpatialView = self._log.view
        hits = view.surroundings.hits
        nearby: dict[str, object] = {"nearby_asked": hits.asked, "nearby_short": hits.short, "nearby_long": hits.long}
        nearby["nearby_hit_rate"] = round(hits.rate, 3) if hits.asked else 0.0
        return {**self._log.diagnose(), "clouds_behind": view.occupancy.behind, **view.occupancy.counters, **nearby}

    # --- for the services --------------------------------------------------------------------------------------

    async def settled(self, read_to: int) -> SpatialView:
        """The view, once its maps are made of everything up to `read_to`. Raises UnavailableError."""
        view: SpatialView = await self._log.ready(read_to)
        if self._whole is not view:
            raise UnavailableError(
                f"The maps are still being made ({view.occupancy.behind} clouds are left): try again in a moment."
            )
        if read_to and view.occupancy.behind:
            waiting = (read_to, self.future())
            self._waiting.append(waiting)
            self._kick()
            try:
                await self.within(waiting[1], self._patience.read_to_timeout, late(read_to, self._patience))
            finally:
                if waiting in self._waiting:
                    self._waiting.remove(waiting)
        return view

    async def thought(self, call: Callable[[], Any]) -> Any:
        """What the call returns, made on a thread of its own. Raises UnavailableError when too many wait."""
        return await self._thinker.thought(call)

    # --- folding clouds in -------------------------------------------------------------------------------------

    def _kick(self) -> None:
        """Let the mapper fold in what is due; then read the clouds that it lacks."""
        log, mapper = self._log, self._mapper
        if log is None or mapper is None or not log.follower.caught_up:
            return  # checkpoints are of the whole log
        view = log.view
        mapper.offer(view.occupancy.work, lambda due: self._worked(view, due), "mapping")

    def _worked(self, view: SpatialView, due: tuple[int, int] | None) -> None:
        if due is not None:
            self.executor.create_task(self._read_clouds, view, due)
            return
        if self._log is not None and self._log.follower.caught_up:  # else more of the log is yet to come
            self._whole = view
        for waiting in [waiting for waiting in self._waiting if waiting[0] <= view.occupancy.watermark]:
            waiting[1].set_result(None)

    async def _read_clouds(self, view: SpatialView, due: tuple[int, int]) -> None:
        log = self._log
        if log is None or self._reading:
            return
        self._reading = True
        try:
            view.occupancy.give(await log.entries(*due, blobs=True))
        except EmbodiedMemError as error:
            self.get_logger().info(f"Clouds cannot be read yet: {error}", throttle_duration_sec=5.0)
            return  # the next poll of the log tries again
        finally:
            self._reading = False
        if view is log.view:
            self._kick()

    # --- what is published -------------------------------------------------------------------------------------

    def _show(self) -> None:
        """Publish what has changed and somebody looks at."""
        view: SpatialView = self._log.view
        if view.occupancy.behind:
            self._kick()  # a read of clouds may have failed
        makers = ((self._grid, self._grid_msg), (self._voxels, self._voxels_msg), (self._topology, self._graph_msg))
        for publisher, make in makers:
            state = (id(view), view.watermark, view.occupancy.behind, view.map_id)
            name, looking = publisher.topic_name, publisher.get_subscription_count()
            if looking and self._shown.get(name) != state:
                self._shown[name] = state
                self._mapper.offer(
                    lambda make=make: make(view), lambda message, out=publisher: message and out.publish(message),
                    "showing the map",
                )  # fmt: skip

    def _grid_msg(self, view: SpatialView) -> Any:
        tree = _map(view)
        bounds = None if tree is None else tree.bounds()
        if bounds is None:
            return None
        p: SpatialSettings = self.parameters
        return volumes.grid_msg(tree.project(p.grid_min_z, p.grid_max_z, *bounds), self.now_ns(), self.frame)

    def _voxels_msg(self, view: SpatialView) -> Any:
        tree = _map(view)
        if tree is None:
            return None
        low = tuple(-far for far in _EVERYWHERE)
        return volumes.voxels_msg(tree.box(low, _EVERYWHERE), self.now_ns(), self.frame)

    def _graph_msg(self, view: SpatialView) -> Any:
        return graph_msg(view.places.graph, view.map_id, view.watermark, self.frame, self.now_ns())


def _map(view: SpatialView) -> Any:
    try:
        return view.occupancy.map(view.map_id)
    except NotFoundError:
        return None


def main() -> int:
    return run(lambda: [SpatialNode()])


if __name__ == "__main__":
    sys.exit(main())
