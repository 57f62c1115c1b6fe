"""Observation, Detection, View and Record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from embodied_mem_msgs.msg import Detection as DetectionMsg
from embodied_mem_msgs.msg import Observation as ObservationMsg
from embodied_mem_msgs.msg import Record as RecordMsg
from embodied_mem_msgs.msg import View as ViewMsg
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3

from embodied_mem.errors import BadInputError, StorageError
from embodied_mem.geometry import quaternion_from_yaw, yaw_of
from embodied_mem.nodes.conversions.basics import (
    make_pose,
    ns_to_stamp,
    numbers,
    orientation_of,
    position_of,
    stamp_to_ns,
    typed_array,
)
from embodied_mem.records import commands
from embodied_mem.records.clouds import decode_cloud, encode_cloud
from embodied_mem.records.entry import Entry, Kind
from embodied_mem.records.observation import Detections, Observation, View

_DEFAULT_ROBOT = "robot"


def observation_from_msg(msg: ObservationMsg, *, blobs: bool = True) -> Observation:
    """Raises BadInputError when sizes disagree or the cloud is not an encoded one."""
    vector = numbers(msg.vector, "<f4") if len(msg.vector) else None
    cloud = None
    if blobs and len(msg.cloud):
        try:
            cloud = decode_cloud(bytes(msg.cloud))
        except StorageError as error:
            raise BadInputError(f"The observation's cloud cannot be read: {error}") from error
    pose = msg.pose.pose
    return Observation(
        stamp_ns=stamp_to_ns(msg.header.stamp),
        position=position_of(pose),
        orientation=orientation_of(pose),
        frame_id=msg.header.frame_id,
        map_id=msg.map_id,
        robot_id=msg.robot_id or _DEFAULT_ROBOT,
        session_id=msg.session_id,
        sensor_id=msg.sensor_id,
        covariance=np.array(msg.pose.covariance, dtype=np.float64).reshape(6, 6) if msg.has_covariance else None,
        caption=msg.caption,
        detections=detections_from_msg(msg.detections),
        view=view_from_msg(msg.view),
        vector=vector,
        vector_model=msg.vector_model,
        cloud=cloud,
        thumbnail=bytes(msg.thumbnail) if blobs else b"",
    )


def observation_to_msg(obs: Observation) -> ObservationMsg:
    """The cloud is encoded, at its standard resolution."""
    msg = ObservationMsg(
        map_id=obs.map_id,
        robot_id=obs.robot_id,
        session_id=obs.session_id,
        sensor_id=obs.sensor_id,
        has_covariance=obs.covariance is not None,
        caption=obs.caption,
        detections=detections_to_msg(obs.detections),
        view=view_to_msg(obs.view),
        vector_model=obs.vector_model,
    )
    msg.header.stamp, msg.header.frame_id = ns_to_stamp(obs.stamp_ns), obs.frame_id
    msg.pose.pose = make_pose(obs.position, obs.orientation)
    if obs.covariance is not None:
        msg.pose.covariance = np.asarray(obs.covariance, dtype=np.float64).ravel()
    if obs.vector is not None:
        msg.vector = typed_array("f", obs.vector)
    if obs.cloud is not None and len(obs.cloud):
        msg.cloud = typed_array("B", encode_cloud(obs.cloud))
    if obs.thumbnail:
        msg.thumbnail = typed_array("B", obs.thumbnail)
    return msg


def detections_from_msg(items: Sequence[DetectionMsg]) -> Detections:
    """Rows in the order of the messages."""
    if not items:
        return Detections()
    rows = np.empty((len(items), 11))
    for row, item in zip(rows, items, strict=True):
        place, turn, size = item.pose.position, item.pose.orientation, item.size
        row[:] = (
            item.score, place.x, place.y, place.z, size.x, size.y, size.z, turn.x, turn.y, turn.z, turn.w,
        )  # fmt: skip
    lengths = {len(item.vector) for item in items}
    if len(lengths) > 1:
        raise BadInputError(f"The detections' vectors have different lengths ({sorted(lengths)}): give all or none.")
    vectors = np.array([numbers(item.vector, "<f4") for item in items]) if lengths != {0} else None
    return Detections(
        labels=tuple(item.label for item in items),
        scores=rows[:, 0].copy(),
        centers=rows[:, 1:4].copy(),
        sizes=rows[:, 4:7].copy(),
        yaws=yaw_of(rows[:, 7:11]),
        vectors=vectors,
    )


def detections_to_msg(found: Detections) -> list[DetectionMsg]:
    turns = quaternion_from_yaw(found.yaws).tolist()
    items = []
    rows = zip(
        found.labels, found.scores.tolist(), found.centers.tolist(), found.sizes.tolist(), turns, strict=True
    )  # fmt: skip
    for label, score, (x, y, z), (sx, sy, sz), (qx, qy, qz, qw) in rows:
        pose = Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))
        items.append(DetectionMsg(label=label, score=score, pose=pose, size=Vector3(x=sx, y=sy, z=sz)))
    if found.vectors is not None:
        for item, vector in zip(items, found.vectors, strict=True):
            item.vector = typed_array("f", vector)
    return items


def view_from_msg(msg: ViewMsg) -> View:
    intrinsics = None
    if len(msg.intrinsics):
        if len(msg.intrinsics) != 6 or not np.isfinite(msg.intrinsics).all():
            raise BadInputError("The view's intrinsics must be 6 finite numbers: fx, fy, cx, cy, width, height.")
        fx, fy, cx, cy, width, height = msg.intrinsics
        intrinsics = (fx, fy, cx, cy, round(width), round(height))
    depth = None
    if len(msg.depth) or msg.depth_rows or msg.depth_cols:
        if not len(msg.depth) or len(msg.depth) != msg.depth_rows * msg.depth_cols:
            raise BadInputError(
                f"The view's depth has {len(msg.depth)} cells, not {msg.depth_rows} rows of {msg.depth_cols}."
            )
        depth = numbers(msg.depth, "<u2").reshape(msg.depth_rows, msg.depth_cols)
    values = (msg.fov_h, msg.fov_v, msg.min_range, msg.max_range)
    if not np.isfinite(values).all() or min(values) < 0:
        raise BadInputError("The view's field of view and ranges must be finite and not negative; 0 = unknown.")
    return View(
        kind=msg.kind or "none",
        fov_h=msg.fov_h,
        fov_v=msg.fov_v,
        min_range=msg.min_range,
        max_range=msg.max_range,
        intrinsics=intrinsics,
        detector=msg.detector,
        classes=tuple(msg.classes),
        depth=depth,
    )


def view_to_msg(view: View) -> ViewMsg:
    msg = ViewMsg(
        kind=view.kind,
        fov_h=float(view.fov_h),
        fov_v=float(view.fov_v),
        min_range=float(view.min_range),
        max_range=float(view.max_range),
        detector=view.detector,
        classes=list(view.classes),
    )
    if view.intrinsics is not None:
        msg.intrinsics = typed_array("d", view.intrinsics)
    if view.depth is not None:
        msg.depth_rows, msg.depth_cols = view.depth.shape
        msg.depth = typed_array("H", view.depth)
    return msg


def entry_to_msg(entry: Entry, epoch: int) -> RecordMsg:
    """An entry of the log as a Record message; `epoch` is the writer's (see Record.msg)."""
    msg = RecordMsg(seq=entry.seq, kind=int(entry.kind), logged=ns_to_stamp(entry.logged_ns), epoch=epoch)
    if entry.observation is not None:
        msg.observation = observation_to_msg(entry.observation)
    elif entry.kind is Kind.SEEN_AGAIN:
        msg.about = entry.about
        msg.observation.header.stamp = ns_to_stamp(entry.stamp_ns)
    elif entry.command is not None:
        msg.command = commands.to_json(entry.command)
    return msg


def entry_from_msg(msg: RecordMsg, *, blobs: bool = True) -> Entry:
    """Raises BadInputError for a kind or a command that this version does not know."""
    if msg.seq == 0 or msg.kind not in set(Kind):
        raise BadInputError(f"A record has number {msg.seq} and kind {msg.kind}: numbers start at 1, kinds are 1 to 4.")
    kind, logged = Kind(msg.kind), stamp_to_ns(msg.logged)
    if kind is Kind.OBSERVATION:
        return Entry(msg.seq, kind, logged, observation=observation_from_msg(msg.observation, blobs=blobs))
    if kind is Kind.SEEN_AGAIN:
        stamp = stamp_to_ns(msg.observation.header.stamp)
        return Entry(msg.seq, kind, logged, about=msg.about, stamp_ns=stamp)
    if kind is Kind.COMMAND:
        try:
            return Entry(msg.seq, kind, logged, command=commands.from_json(msg.command))
        except StorageError as error:
            raise BadInputError(str(error)) from error
    return Entry(msg.seq, kind, logged)
