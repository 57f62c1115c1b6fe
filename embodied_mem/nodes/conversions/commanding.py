"""Requests that change memory -> arguments of `RecordMemory`."""

from __future__ import annotations

from typing import Any

import numpy as np
from nav_msgs.msg import Path
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.nodes.conversions.basics import (
    orientation_of,
    position_of,
    stamp_to_ns,
    transform_matrix,
)
from embodied_mem.objects.naming import detection
from embodied_mem.records.commands import PartThings, UniteThings

_TOLD: dict[str, type[UniteThings] | type[PartThings]] = {"unite": UniteThings, "part": PartThings}
_CORRECTABLE = ("caption", "pose", "labels")


def changes_of(request: Any) -> dict[str, Any]:
    """A Correct request -> keyword arguments of `correct`; only the fields that it names."""
    unknown = set(request.fields) - set(_CORRECTABLE)
    if unknown or not request.fields:
        raise BadInputError(
            f"Correct's `fields` must name what changes, out of {', '.join(_CORRECTABLE)}; "
            + (f"{', '.join(sorted(unknown))} is none of them." if unknown else "it is empty.")
        )
    changes: dict[str, Any] = {}
    if "caption" in request.fields:
        if not request.caption.strip():
            raise BadInputError("The corrected caption is empty: forget the record instead.")
        changes["caption"] = request.caption
    if "pose" in request.fields:
        changes["position"], changes["orientation"] = position_of(request.pose), orientation_of(request.pose)
    if "labels" in request.fields:
        changes["labels"] = tuple(request.labels)
    return changes


def told_of(request: Any) -> UniteThings | PartThings:
    """A ChangeObjects request -> a command. Raises BadInputError."""
    if request.action not in _TOLD:
        raise BadInputError(f"ChangeObjects' action is {request.action!r}: it is {' or '.join(sorted(_TOLD))}.")
    return _TOLD[request.action](tuple(detection(word) for word in request.detections))


def map_of(request: Any) -> dict[str, Any]:
    """A SetMap request -> keyword arguments of `set_map`."""
    if not request.use_transform:
        if request.parent_map_id:
            raise BadInputError("SetMap names a parent map without a transform: set use_transform and fill it.")
        return {}
    return {"parent": request.parent_map_id, "transform": transform_matrix(request.transform)}


def trajectory_of(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(n,) stamps in ns and (n, 7) poses x, y, z, qx, qy, qz, qw."""
    stamps = np.array([stamp_to_ns(item.header.stamp) for item in path.poses], dtype=np.int64)
    poses = np.array(
        [[*position_of(item.pose), *orientation_of(item.pose)] for item in path.poses], dtype=np.float64
    ).reshape(-1, 7)
    return stamps, poses
