"""What RViz shows of a memory: LIST markers, because thousands of single ones would stall it."""

from __future__ import annotations

import colorsys
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from embodied_mem.nodes.conversions.basics import extent, make_pose, point
from embodied_mem.records.index import RecordIndex
from embodied_mem.records.query import Query

MOST = 1500  # points of a marker; the newest are shown
_UPRIGHT = (0.0, 0.0, 0.0, 1.0)


def memory_markers(index: RecordIndex, frame: str, stamp: Time) -> MarkerArray:
    """Where the sensor was at each record of the current map, each detection in its label's colour, and the labels."""
    found = index.detections(query=Query())
    newest = np.argsort(found.last_seen_ns, kind="stable")[-MOST:]
    centers = found.center[newest]
    names = [found.names[code] for code in found.label[newest].tolist()]
    poses = marker_list(Marker.POINTS, "records", frame, stamp, _sensor_positions(index), 0.05, color("record"))
    things = marker_list(Marker.SPHERE_LIST, "detections", frame, stamp, centers, 0.12, color("thing"))
    things.colors = [color(name) for name in names]
    last = {name: i for i, name in enumerate(names)}  # the newest of each label bears its name
    texts = [
        marker_text("labels", number, frame, stamp, centers[i] + (0.0, 0.0, 0.2), name)
        for number, (name, i) in enumerate(last.items())
    ]
    return MarkerArray(markers=[markers_cleared(frame, stamp), poses, things, *texts])


def answer_markers(answer: Any, frame: str, stamp: Time) -> MarkerArray:
    """An Answer message: the thing as a box with the sentence above it, and lines from the records it rests on."""
    markers = [markers_cleared(frame, stamp)]
    points: list[Point] = []
    for item in answer.evidence[:50]:
        points += [item.pose.position, item.position]
    if points:
        lines = Marker(ns="evidence", type=Marker.LINE_LIST, points=points, color=color("evidence"))
        lines.scale.x, lines.pose = 0.02, make_pose((0, 0, 0), _UPRIGHT)
        markers.append(_head(lines, frame, stamp))
    if answer.found and answer.pose.header.frame_id:
        box = Marker(ns="answer", type=Marker.CUBE, pose=answer.pose.pose, color=color("answer", 0.5))
        size = (answer.extent.x, answer.extent.y, answer.extent.z)
        box.scale = extent(np.maximum(size, 0.1))
        place = answer.pose.pose.position
        above = (place.x, place.y, place.z + max(answer.extent.z, 0.1) / 2 + 0.3)
        markers += [_head(box, frame, stamp), marker_text("sentence", 0, frame, stamp, above, answer.sentence)]
    return MarkerArray(markers=markers)


def color(name: str, alpha: float = 0.9) -> ColorRGBA:
    """The same colour for the same word everywhere."""
    red, green, blue = colorsys.hsv_to_rgb(zlib.crc32(name.encode()) % 360 / 360, 0.65, 0.95)
    return ColorRGBA(r=red, g=green, b=blue, a=alpha)


def _sensor_positions(index: RecordIndex) -> NDArray[np.float64]:
    with index.lock:
        rows = index.table.current_row.data
        rows = rows[rows >= 0]
        rows = rows[index.table.hidden.data[rows] == 0]
        here = index.map_names.find(index.maps.current)
        rows = rows[index.table.codes.data[rows, 0] == (-1 if here is None else here)]
        return np.array(index.table.positions.data[rows[-MOST:]])


def marker_list(
    kind: int, namespace: str, frame: str, stamp: Time, places: NDArray[np.float64], size: float, tint: ColorRGBA
) -> Marker:
    """Places (n, 3) in metres as one marker; without any, what was shown is taken away."""
    marker = Marker(ns=namespace, type=kind, scale=extent((size, size, size)), color=tint)
    marker.pose = make_pose((0, 0, 0), _UPRIGHT)
    marker.points = [Point(x=x, y=y, z=z) for x, y, z in places.tolist()]
    if not marker.points:
        marker.action = Marker.DELETE
    return _head(marker, frame, stamp)


def marker_text(namespace: str, number: int, frame: str, stamp: Time, place: Sequence[float], words: str) -> Marker:
    """Words that face whoever looks."""
    marker = Marker(ns=namespace, id=number, type=Marker.TEXT_VIEW_FACING, text=words, color=ColorRGBA(a=1.0))
    marker.color.r = marker.color.g = marker.color.b = 1.0
    marker.scale.z = 0.18
    marker.pose = make_pose((0, 0, 0), _UPRIGHT)
    marker.pose.position = point(place)
    return _head(marker, frame, stamp)


def markers_cleared(frame: str, stamp: Time) -> Marker:
    """Takes away what was shown before."""
    return _head(Marker(action=Marker.DELETEALL), frame, stamp)


def _head(marker: Marker, frame: str, stamp: Time) -> Marker:
    marker.header.frame_id, marker.header.stamp = frame, stamp
    return marker
