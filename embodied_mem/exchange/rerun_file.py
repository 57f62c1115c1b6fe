"""Records as an .rrd file for the Rerun viewer: path, boxes with labels, clouds, pictures and captions over time.

The file holds a blueprint: a 3-D view beside the pictures and the captions. Timelines: `stamp` (ROS time) and `record`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embodied_mem.errors import UnavailableError
from embodied_mem.exchange.output import whole_file
from embodied_mem.exchange.viewing import label_color
from embodied_mem.geometry import FloatArray, pose_matrix, quaternion_from_yaw, transform_points
from embodied_mem.records.observation import Detections, Float32Array, Observation, Record

_PATH_COLOR = (31, 119, 180)


def write_rrd(records: Iterable[Record], path: Path, answers: Sequence[dict[str, Any]] = ()) -> int:
    """Write the file, whole or not at all; returns the number of records.

    `answers` are answers as cli/shape.py has them, with their `question`; they become labelled points and text.
    Raises StorageError, UnavailableError when rerun-sdk is not installed.
    """
    try:
        import rerun as rr
    except ImportError:
        raise UnavailableError("An .rrd file needs the package rerun-sdk: pip install rerun-sdk.") from None
    count = 0
    with whole_file(path) as temporary:
        stream = rr.RecordingStream("embodied_mem", recording_id=path.stem)
        try:
            stream.save(str(temporary), default_blueprint=_blueprint())
            stream.log("map", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
            paths: dict[tuple[str, str, str], list[FloatArray]] = {}
            for record in records:
                obs = record.observation
                paths.setdefault((obs.map_id, obs.robot_id, obs.session_id), []).append(obs.position)
                _log_record(stream, record)
                count += 1
            strips = [np.array(path, dtype=np.float32) for path in paths.values()]
            stream.log("map/path", rr.LineStrips3D(strips, colors=[_PATH_COLOR], radii=0.015), static=True)
            _log_answers(stream, answers)
            stream.flush()
        finally:
            stream.disconnect()
    return count


def _blueprint() -> Any:
    import rerun.blueprint as rrb

    beside = rrb.Vertical(
        rrb.Spatial2DView(origin="picture", name="what the camera saw"),
        rrb.TextLogView(origin="captions", name="captions"),
        rrb.TextLogView(origin="answers", name="answers"),
    )
    space = rrb.Spatial3DView(origin="map", name="memory")
    return rrb.Blueprint(rrb.Horizontal(space, beside, column_shares=[2, 1]), collapse_panels=True)


def _log_record(stream: Any, record: Record) -> None:
    import rerun as rr

    obs = record.observation
    stream.set_time("stamp", timestamp=np.datetime64(obs.stamp_ns, "ns"))
    stream.set_time("record", sequence=record.seq)
    pose = rr.Transform3D(translation=obs.position, quaternion=rr.Quaternion(xyzw=obs.orientation))
    stream.log("map/sensor", pose, rr.TransformAxes3D(0.3))
    stream.log(
        "map/records", rr.Points3D([obs.position], labels=[f"record {record.seq}"], show_labels=False, radii=0.04)
    )
    if obs.view.detector or len(obs.detections):
        stream.log("map/detections", _boxes(obs.detections))
    if obs.cloud is not None:
        stream.log("map/cloud", _cloud(obs, obs.cloud))
    if obs.thumbnail:
        stream.log("picture", rr.EncodedImage(contents=obs.thumbnail, media_type="image/jpeg"))
    if obs.caption:
        stream.log("captions", rr.TextLog(f"record {record.seq}: {obs.caption}", level="INFO"))


def _boxes(found: Detections) -> Any:
    import rerun as rr

    turns = quaternion_from_yaw(found.yaws)
    return rr.Boxes3D(
        centers=found.centers,
        sizes=np.maximum(found.sizes, 0.01),
        quaternions=[rr.Quaternion(xyzw=turn) for turn in turns],
        labels=[f"{label} {score:.2f}" for label, score in zip(found.labels, found.scores, strict=True)],
        colors=[label_color(label) for label in found.labels] or None,
    )


def _cloud(obs: Observation, cloud: Float32Array) -> Any:
    import rerun as rr

    points = transform_points(pose_matrix(obs.position, obs.orientation), cloud).astype(np.float32)
    low, high = (float(value) for value in np.percentile(points[:, 2], (2, 98))) if len(points) else (0.0, 1.0)
    shade = np.clip((points[:, 2] - low) / max(high - low, 1e-6), 0, 1)
    colors = np.stack([60 + 120 * shade, 90 + 120 * shade, 140 + 90 * shade], axis=1).astype(np.uint8)
    return rr.Points3D(points, colors=colors, radii=0.015)


def _log_answers(stream: Any, answers: Sequence[dict[str, Any]]) -> None:
    import rerun as rr

    placed = [item for item in answers if item.get("found") and item.get("pose")]
    if placed:
        stream.log(
            "map/answers",
            rr.Points3D(
                [item["pose"]["position"] for item in placed],
                labels=[f"{item['question']} {item['sentence']}" for item in placed],
                radii=0.08,
                colors=(230, 80, 40),
                show_labels=False,
            ),
            static=True,
        )
    for item in answers:
        text = f"{item['question']}\n{item['sentence']}"
        stream.log("answers", rr.TextLog(text, level="INFO" if item.get("right", True) else "WARN"))
