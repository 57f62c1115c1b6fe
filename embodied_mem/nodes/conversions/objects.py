"""Things -> messages and markers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from embodied_mem_msgs.msg import ObjectState, ObjectStates
from geometry_msgs.msg import PoseWithCovariance
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from embodied_mem.nodes.conversions.basics import extent, make_pose, ns_to_stamp, typed_array
from embodied_mem.nodes.conversions.markers import MOST, marker_text, markers_cleared
from embodied_mem.objects.histories import Known

_UPRIGHT = (0.0, 0.0, 0.0, 1.0)
# By state: what is there is green, what was moved blue, shut in violet; what may have left is yellow, gone is grey.
_COLORS = {
    "observed": (0.2, 0.8, 0.3), "moved": (0.2, 0.5, 1.0), "inside": (0.7, 0.4, 0.9), "stale": (0.95, 0.8, 0.2),
    "gone": (0.55, 0.55, 0.55),
}  # fmt: skip


def object_msg(known: Known) -> ObjectState:
    thing = known.thing
    message = ObjectState(
        id=thing.id, label=thing.label, state=known.state, probability=thing.present, was_there=thing.was_there,
        extent=extent(thing.extent), inside=thing.inside, first_seen=ns_to_stamp(thing.first_seen),
        last_seen=ns_to_stamp(thing.last_seen), missed=ns_to_stamp(thing.missed_ns or 0), hits=thing.hits,
        looks=thing.looks, moved=thing.moved, records=typed_array("Q", thing.evidence),
    )  # fmt: skip
    message.pose = PoseWithCovariance(pose=make_pose(thing.position, _UPRIGHT))
    if thing.covariance is not None:
        full = np.zeros((6, 6))
        full[:3, :3] = thing.covariance
        message.pose.covariance = full.ravel()
    return message


def objects_msg(things: Iterable[Known], map_id: str, watermark: int, frame: str, now_ns: int) -> ObjectStates:
    """Where each thing is now or was last."""
    message = ObjectStates(map_id=map_id, watermark=watermark, objects=[object_msg(known) for known in things])
    message.header.stamp, message.header.frame_id = ns_to_stamp(now_ns), frame
    return message


def object_markers(things: Sequence[Known], frame: str, now_ns: int) -> MarkerArray:
    """A box for each thing in the colour of its state, the fainter the less sure, with what it is above it."""
    stamp = ns_to_stamp(now_ns)
    markers = [markers_cleared(frame, stamp)]
    for number, known in enumerate(things[: MOST // 2]):
        thing = known.thing
        red, green, blue = _COLORS[known.state]
        faint = 0.25 + 0.6 * thing.present if known.state != "gone" else 0.2
        box = Marker(ns=known.state, id=number, type=Marker.CUBE, color=ColorRGBA(r=red, g=green, b=blue, a=faint))
        box.pose, box.scale = make_pose(thing.position, _UPRIGHT), extent(np.maximum(thing.extent, 0.03))
        box.header.frame_id, box.header.stamp = frame, stamp
        above = thing.position + np.array([0.0, 0.0, thing.extent[2] / 2 + 0.12])
        words = thing.label if known.state == "observed" else f"{thing.label} ({known.state})"
        markers += [box, marker_text("names", number, frame, stamp, above, words)]
    return MarkerArray(markers=markers)


def detections_kind() -> Any:
    """The message type vision_msgs/Detection3DArray, None where vision_msgs is not installed."""
    return import_module("vision_msgs.msg").Detection3DArray if find_spec("vision_msgs") is not None else None


def detections_msg(things: Iterable[Known], frame: str, now_ns: int) -> Any:
    """The things that are believed to be there as vision_msgs/Detection3DArray."""
    vision = import_module("vision_msgs.msg")
    message = vision.Detection3DArray()
    message.header.stamp, message.header.frame_id = ns_to_stamp(now_ns), frame
    for known in things:
        thing = known.thing
        hypothesis = vision.ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = thing.label, float(thing.present)
        hypothesis.pose = object_msg(known).pose
        box = vision.BoundingBox3D(center=make_pose(thing.position, _UPRIGHT), size=extent(thing.extent))
        message.detections.append(
            vision.Detection3D(header=message.header, id=thing.id, bbox=box, results=[hypothesis])
        )
    return message
