"""What a viewer is shown of a record: standard messages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from embodied_mem.exchange.messages import MessageMaker
from embodied_mem.geometry import pose_matrix, quaternion_from_yaw, transform_points
from embodied_mem.records.observation import Observation, Record

_CUBE, _TEXT, _DELETE_ALL = 1, 9, 3


def viewer_messages(maker: MessageMaker, record: Record) -> Iterator[tuple[str, str, Any]]:
    """(topic, type, message) for each thing that can be shown."""
    obs = record.observation
    pose = maker.pose(obs.position, obs.orientation)
    header = maker.header(obs.stamp_ns, obs.frame_id)
    yield (
        "/pose",
        "geometry_msgs/msg/PoseStamped",
        maker.make("geometry_msgs/msg/PoseStamped", header=header, pose=pose),
    )
    if len(obs.detections) or obs.view.detector:
        kind = "visualization_msgs/msg/MarkerArray"
        yield "/detections", kind, maker.make(kind, markers=list(_markers(maker, obs)))
    if obs.cloud is not None:
        yield "/points", "sensor_msgs/msg/PointCloud2", _cloud(maker, obs)
    if obs.thumbnail:
        kind = "sensor_msgs/msg/CompressedImage"
        data = np.frombuffer(obs.thumbnail, dtype=np.uint8)
        yield "/thumbnail", kind, maker.make(kind, header=header, format="jpeg", data=data)


def label_color(label: str) -> tuple[float, float, float]:
    """A colour that stays the same for a label, in every output: red, green, blue in 0..1."""
    import colorsys

    hue = int.from_bytes(hashlib.sha256(label.encode()).digest()[:2], "big") / 65536
    return colorsys.hls_to_rgb(hue, 0.55, 0.65)


def _markers(maker: MessageMaker, obs: Observation) -> Iterator[Any]:
    found = obs.detections
    yield _marker(maker, obs, 0, action=_DELETE_ALL)
    for i, (label, turn) in enumerate(zip(found.labels, quaternion_from_yaw(found.yaws), strict=True)):
        pose = maker.pose(found.centers[i], turn)
        size = np.maximum(found.sizes[i], 0.01)
        yield _marker(maker, obs, 2 * i, ns="boxes", kind=_CUBE, pose=pose, scale=size, label=label, alpha=0.4)
        top = found.centers[i] + (0, 0, found.sizes[i, 2] / 2 + 0.1)
        above = maker.pose(top, (0, 0, 0, 1))
        yield _marker(
            maker, obs, 2 * i + 1, ns="labels", kind=_TEXT, pose=above, scale=(0, 0, 0.15), label=label, text=label
        )


def _marker(
    maker: MessageMaker,
    obs: Observation,
    number: int,
    *,
    ns: str = "",
    kind: int = _CUBE,
    action: int = 0,
    pose: Any = None,
    scale: Any = (1, 1, 1),
    label: str = "",
    alpha: float = 1.0,
    text: str = "",
) -> Any:
    red, green, blue = label_color(label)
    none = np.zeros(0, np.uint8)
    return maker.make(
        "visualization_msgs/msg/Marker",
        header=maker.header(obs.stamp_ns, obs.frame_id),
        ns=ns,
        id=number,
        type=kind,
        action=action,
        pose=pose if pose is not None else maker.pose((0, 0, 0), (0, 0, 0, 1)),
        scale=maker.vector3(scale),
        color=maker.make("std_msgs/msg/ColorRGBA", r=red, g=green, b=blue, a=alpha),
        lifetime=maker.make("builtin_interfaces/msg/Duration", sec=0, nanosec=0),
        frame_locked=False,
        points=[],
        colors=[],
        texture_resource="",
        texture=maker.make("sensor_msgs/msg/CompressedImage", header=maker.header(0, ""), format="", data=none),
        uv_coordinates=[],
        text=text,
        mesh_resource="",
        mesh_file=maker.make("visualization_msgs/msg/MeshFile", filename="", data=none),
        mesh_use_embedded_materials=False,
    )


def _cloud(maker: MessageMaker, obs: Observation) -> Any:
    assert obs.cloud is not None
    points = transform_points(pose_matrix(obs.position, obs.orientation), obs.cloud).astype("<f4")
    field = "sensor_msgs/msg/PointField"
    return maker.make(
        "sensor_msgs/msg/PointCloud2",
        header=maker.header(obs.stamp_ns, obs.frame_id),
        height=1,
        width=len(points),
        fields=[maker.make(field, name=name, offset=4 * i, datatype=7, count=1) for i, name in enumerate("xyz")],
        is_bigendian=False,
        point_step=12,
        row_step=12 * len(points),
        data=points.view(np.uint8).reshape(-1),
        is_dense=True,
    )
