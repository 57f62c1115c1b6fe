"""Requests about space -> arrays, and what an octree answers -> messages."""

from __future__ import annotations

from typing import Any

import numpy as np
from embodied_mem_msgs.srv import CastRays, QueryVolume
from nav_msgs.msg import OccupancyGrid
from numpy.typing import ArrayLike, NDArray
from sensor_msgs.msg import PointCloud2, PointField

from embodied_mem.errors import BadInputError
from embodied_mem.geometry import pose_matrix
from embodied_mem.nodes.conversions.basics import (
    make_pose,
    ns_to_stamp,
    numbers,
    orientation_of,
    position_of,
    typed_array,
    vector3,
)
from embodied_mem.octree.answers import Grid, Hits, Nearest, Voxels
from embodied_mem.octree.tree import Octree

_UPRIGHT = (0.0, 0.0, 0.0, 1.0)


def voxels_asked_for(tree: Octree, request: Any) -> Voxels:
    """What a QueryVolume request wants. Raises BadInputError."""
    occupied_only = not request.with_free
    if request.shape == QueryVolume.Request.BOX:
        low, high = vector3(request.box_min), vector3(request.box_max)
        found = tree.box(low, high, level=request.level, occupied_only=occupied_only)
    elif request.level:
        raise BadInputError("Levels above 0 are for boxes: ask for a box, or for level 0.")
    elif request.shape == QueryVolume.Request.BALL:
        found = tree.radius(position_of(request.pose), request.radius, occupied_only=occupied_only)
    elif request.shape == QueryVolume.Request.VIEW:
        pose = pose_matrix(position_of(request.pose), unit(orientation_of(request.pose)))
        found = tree.frustum(pose, request.fov_h, request.fov_v, request.near, request.far, occupied_only=occupied_only)
    else:
        raise BadInputError(f"QueryVolume's shape is {request.shape}: it is BOX (0), BALL (1) or VIEW (2).")
    if len(found) > request.limit:
        raise BadInputError(
            f"{len(found):,} voxels are there, over the limit of {request.limit:,}: ask for less space, "
            "a higher level, or raise the limit."
        )
    return found


def fill_volume(response: Any, found: Voxels, size: float) -> None:
    """A QueryVolume response."""
    response.centers = typed_array("f", found.centers.ravel())
    response.occupancy = typed_array("f", probabilities(found.log_odds))
    response.last_seen = typed_array("q", found.last_seen)
    response.records = typed_array("Q", found.records[:, 1])
    response.size = size


def rays_asked_for(request: Any) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Origins and directions (n, 3), reaches (n,) of a CastRays request. Raises BadInputError."""
    ways = points_of(request.directions, "directions")
    starts = points_of(request.origins, "origins")
    reach = numbers(request.max_ranges, "<f8")
    for what, given in (("origins", starts), ("max_ranges", reach)):
        if len(given) not in (1, len(ways)):
            raise BadInputError(f"{len(ways)} directions need as many {what}, or one for all; {len(given)} were given.")
    if not (np.isfinite(reach) & (reach > 0)).all():
        raise BadInputError("max_ranges must be finite and above 0 m.")
    if not np.isfinite(ways).all() or not ways.any(axis=1).all() or not np.isfinite(starts).all():
        raise BadInputError("Origins and directions must be finite, and no direction zero.")
    ways = ways / np.abs(ways).max(axis=1, keepdims=True)  # their length says nothing, and may be anything
    return np.broadcast_to(starts, ways.shape), ways, np.broadcast_to(reach, len(ways))


def fill_rays(response: Any, hits: Hits) -> None:
    """A CastRays response; what began outside of the map has seen nothing."""
    kinds = CastRays.Response
    states = np.select([hits.state == 1, hits.state == 0], [kinds.HIT, kinds.FREE], kinds.UNKNOWN)
    response.states = typed_array("B", states)
    response.distances = typed_array("f", hits.distance)
    response.ends = typed_array("d", hits.position.ravel())


def fill_nearest(response: Any, nearest: Nearest) -> None:
    """A NearestObstacle response."""
    response.found = np.isfinite(nearest.distance[:, 0]).tolist()
    response.distances = typed_array("f", nearest.distance[:, 0])
    response.obstacles = typed_array("d", nearest.center[:, 0].ravel())


def points_of(field: Any, name: str) -> NDArray[np.float64]:
    """A flat field x, y, z, x, y, z ... -> (n, 3). Raises BadInputError."""
    flat = numbers(field, "<f8")
    if not len(flat) or len(flat) % 3:
        raise BadInputError(f"{name} holds {len(flat)} numbers: give x, y and z of each, and at least one.")
    return flat.reshape(-1, 3)


def unit(orientation: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4,) as it is. Raises BadInputError when it is no unit quaternion."""
    if not np.isfinite(orientation).all() or abs(np.linalg.norm(orientation) - 1) > 1e-3:
        raise BadInputError(f"The orientation {orientation.tolist()} is no unit quaternion (x, y, z, w).")
    return orientation


def probabilities(log_odds: ArrayLike) -> NDArray[np.float64]:
    """log(p / (1 - p)) -> p."""
    return 1.0 / (1.0 + np.exp(-np.asarray(log_odds, dtype=np.float64)))


def grid_msg(grid: Grid, stamp_ns: int, frame: str) -> OccupancyGrid:
    """A projected map, as Nav2 reads it."""
    message = OccupancyGrid()
    message.header.stamp, message.header.frame_id = ns_to_stamp(stamp_ns), frame
    message.info.map_load_time = message.header.stamp
    message.info.resolution = grid.resolution
    message.info.height, message.info.width = grid.cells.shape
    message.info.origin = make_pose((*grid.origin, 0.0), _UPRIGHT)
    message.data = typed_array("b", grid.cells.ravel())
    return message


def voxels_msg(found: Voxels, stamp_ns: int, frame: str) -> PointCloud2:
    """Occupied voxels as x, y, z and `occupancy` (probability)."""
    columns = np.column_stack([found.centers, probabilities(found.log_odds)]).astype("<f4")
    message = PointCloud2(height=1, width=len(columns), point_step=16, row_step=16 * len(columns), is_dense=True)
    message.header.stamp, message.header.frame_id = ns_to_stamp(stamp_ns), frame
    message.fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate(("x", "y", "z", "occupancy"))
    ]
    message.data = typed_array("B", columns.tobytes())
    return message
