"""The services of the spatial node about what is where in space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from embodied_mem_msgs.srv import CastRays, NearestObstacle, QueryVolume

from embodied_mem.errors import BadInputError
from embodied_mem.nodes.conversions import volumes
from embodied_mem.octree.morton import HALF
from embodied_mem.octree.tree import Octree

if TYPE_CHECKING:
    from embodied_mem.nodes.spatial_node import SpatialNode


class VolumeServices:
    """Each answers at once, from the map as it is; its kernels run beside the interpreter."""

    def __init__(self, node: SpatialNode) -> None:
        self._node = node
        node.serve(QueryVolume, "query_volume", self._query_volume)
        node.serve(CastRays, "cast_rays", self._cast_rays)
        node.serve(NearestObstacle, "nearest_obstacle", self._nearest_obstacle)

    async def _query_volume(self, request: Any, response: Any) -> None:
        tree = await self._map(request, response)
        found = volumes.voxels_asked_for(tree, request)
        volumes.fill_volume(response, found, tree.resolution * 2**request.level)

    async def _cast_rays(self, request: Any, response: Any) -> None:
        starts, ways, reach = volumes.rays_asked_for(request)
        tree = await self._map(request, response)
        if (np.abs(starts) >= HALF * tree.resolution).any():
            raise BadInputError(f"An origin lies outside of the map, which reaches {HALF * tree.resolution:,.0f} m.")
        volumes.fill_rays(response, tree.cast(starts, ways, reach, unknown_blocks=request.unknown_blocks))

    async def _nearest_obstacle(self, request: Any, response: Any) -> None:
        points = volumes.points_of(request.points, "points")
        if not np.isfinite(points).all() or not request.max_distance > 0:
            raise BadInputError("Points must be finite, and max_distance above 0 m.")
        tree = await self._map(request, response)
        volumes.fill_nearest(response, tree.nearest(points, max_distance=request.max_distance))

    async def _map(self, request: Any, response: Any) -> Octree:
        """The map that a request is about; says in the response which it is."""
        view = await self._node.settled(request.read_to)
        map_id = view.index.maps.resolve(request.map_id)
        tree = view.occupancy.map(map_id)
        response.map_id, response.frame_id = map_id, self._node.frame
        response.watermark, response.behind = view.watermark, view.occupancy.behind
        return tree
