"""Frames of the simulator -> the messages that a robot's drivers would publish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from embodied_mem_msgs.msg import Caption
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from embodied_mem.geometry import quaternion_from_yaw
from embodied_mem.nodes.conversions import sensors
from embodied_mem.nodes.conversions.basics import extent, make_pose, ns_to_stamp
from embodied_mem.nodes.conversions.markers import color
from embodied_mem.nodes.sync import PoseSample

BASE, CAMERA, LIDAR, SCANNER = "base_link", "camera", "lidar", "scanner"


def messages_of(frame: Any) -> Iterator[tuple[str, Any]]:
    """Topic and message for all that a SimFrame or a PlayedFrame holds. The pose comes first, so that nothing has to
    wait for it: that of the base, or of the camera where the recording knows no base.
    """
    stamp = frame.stamp_ns
    if frame.base is None:
        pose = PoseSample(stamp, frame.position, frame.orientation, frame.covariance, frame.frame_id)
        yield "odom", sensors.odometry_msg(pose, CAMERA)
    else:
        x, y, yaw = frame.base
        pose = PoseSample(stamp, np.array([x, y, 0.0]), quaternion_from_yaw(yaw), frame.covariance, frame.frame_id)
        yield "odom", sensors.odometry_msg(pose, BASE)
    yield "camera_info", sensors.camera_info_msg(frame.camera, stamp, CAMERA)
    if frame.boxes is not None:
        yield "detections_2d", sensors.detections_msg(frame.boxes, frame.detector, frame.classes, stamp, CAMERA)
    if getattr(frame, "caption", ""):
        yield "image_caption", Caption(header=Header(stamp=ns_to_stamp(stamp), frame_id=CAMERA), text=frame.caption)
    yield "depth", sensors.image_msg(frame.depth, "32FC1", stamp, CAMERA)
    yield "image", sensors.image_msg(frame.rgb, "rgb8", stamp, CAMERA)
    if frame.lidar is not None:
        yield "points", sensors.cloud_msg(frame.lidar.points, stamp, LIDAR)
    if frame.scan is not None:
        scan = frame.scan
        angles = scan.angle_min + scan.angle_increment * np.arange(len(scan.ranges))
        yield "scan", sensors.scan_msg(angles, scan.ranges, (scan.range_min, scan.range_max), stamp, SCANNER)


def truth_markers(world: Any, stamp: Time) -> MarkerArray:
    """Where things really are now, as translucent boxes."""
    markers = []
    truth = getattr(world, "truth", None)
    for thing, stay in truth.present() if truth is not None else ():
        marker = Marker(ns=thing.label, id=thing.id, type=Marker.CUBE, scale=extent(stay.size))
        marker.pose, marker.color = make_pose(stay.center, (0.0, 0.0, 0.0, 1.0)), color(thing.label, 0.3)
        marker.header.frame_id, marker.header.stamp = "map", stamp
        markers.append(marker)
    return MarkerArray(markers=markers)
