"""Records as JSON lines: a header line, then a record a line. Everything that an observation holds survives the trip.

    {"format": "embodied_mem.records", "version": 1}
    {"seq": 1, "stamp_ns": ..., "position": [x, y, z], "orientation": [x, y, z, w], "caption": "...", ...}

Units and frames are those of records/observation.py. Binary parts (cloud, thumbnail, depth grid) are base64.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from embodied_mem.errors import BadInputError, StorageError
from embodied_mem.exchange.textfile import lines_of
from embodied_mem.records.clouds import decode_cloud, encode_cloud
from embodied_mem.records.observation import Detections, Observation, Record, View

FORMAT = "embodied_mem.records"
VERSION = 1


def write_records(records: Iterable[Record], file: TextIO) -> int:
    """Write a header and the records; returns how many."""
    file.write(json.dumps({"format": FORMAT, "version": VERSION}) + "\n")
    count = 0
    for record in records:
        file.write(json.dumps(record_to_json(record), ensure_ascii=False, allow_nan=False) + "\n")
        count += 1
    return count


def is_records_file(path: Path) -> bool:
    """Whether the file begins with the header of an export."""
    try:
        with open(path, "rb") as file:
            head = json.loads(file.readline(1000))
    except (ValueError, OSError):
        return False
    return isinstance(head, dict) and head.get("format") == FORMAT


def read_records(path: Path) -> Iterator[Record]:
    """The records of an exported file, in order. Raises StorageError and BadInputError with the line."""
    for number, line in enumerate(lines_of(path), start=1):
        try:
            fields = json.loads(line)
        except ValueError as error:
            raise StorageError(f"{path}, line {number} is not JSON ({error}): is the file truncated?") from None
        if number == 1:
            _check_header(path, fields)
            continue
        try:
            yield record_from_json(fields)
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
            raise BadInputError(f"{path}, line {number} is not a record of embodied_mem ({_why(error)}).") from None


def record_to_json(record: Record) -> dict[str, Any]:
    """One record as a dictionary of plain values; what is empty is left out."""
    obs = record.observation
    out: dict[str, Any] = {
        "seq": record.seq,
        "logged_ns": record.logged_ns,
        "seen_count": record.seen_count,
        "last_seen_ns": record.last_seen_ns,
        "stamp_ns": obs.stamp_ns,
        "frame_id": obs.frame_id,
        "map_id": obs.map_id,
        "robot_id": obs.robot_id,
        "session_id": obs.session_id,
        "sensor_id": obs.sensor_id,
        "position": _numbers(obs.position),
        "orientation": _numbers(obs.orientation),
        "caption": obs.caption,
    }
    if obs.covariance is not None:
        out["covariance"] = _numbers(obs.covariance)
    if len(obs.detections):
        out["detections"] = _detections_to_json(obs.detections)
    if obs.view.kind != "none" or obs.view.detector:
        out["view"] = _view_to_json(obs.view)
    if obs.vector is not None:
        out["vector"], out["vector_model"] = _numbers(obs.vector), obs.vector_model
    if obs.cloud is not None:
        out["cloud"] = _text(encode_cloud(obs.cloud))
    if obs.thumbnail:
        out["thumbnail"] = _text(obs.thumbnail)
    return out


def record_from_json(fields: dict[str, Any]) -> Record:
    """The record that `record_to_json` wrote. Raises KeyError, TypeError, ValueError where it is not one."""
    vector = fields.get("vector")
    covariance = fields.get("covariance")
    observation = Observation(
        stamp_ns=int(fields["stamp_ns"]),
        position=_array(fields["position"], (3,)),
        orientation=_array(fields["orientation"], (4,)),
        frame_id=str(fields["frame_id"]),
        map_id=str(fields["map_id"]),
        robot_id=str(fields["robot_id"]),
        session_id=str(fields["session_id"]),
        sensor_id=str(fields["sensor_id"]),
        covariance=None if covariance is None else _array(covariance, (6, 6)),
        caption=str(fields["caption"]),
        detections=_detections_from_json(fields["detections"]) if "detections" in fields else Detections(),
        view=_view_from_json(fields["view"]) if "view" in fields else View(),
        vector=None if vector is None else np.asarray(vector, dtype=np.float32),
        vector_model=str(fields.get("vector_model", "")),
        cloud=decode_cloud(_bytes(fields["cloud"])) if "cloud" in fields else None,
        thumbnail=_bytes(fields["thumbnail"]) if "thumbnail" in fields else b"",
    )
    return Record(
        int(fields["seq"]),
        observation,
        int(fields["logged_ns"]),
        int(fields["seen_count"]),
        int(fields["last_seen_ns"]),
    )


def _detections_to_json(found: Detections) -> dict[str, Any]:
    out = {"labels": list(found.labels), "scores": _numbers(found.scores), "centers": _numbers(found.centers)}
    out |= {"sizes": _numbers(found.sizes), "yaws": _numbers(found.yaws)}
    if found.vectors is not None:
        out["vectors"] = _numbers(found.vectors)
    return out


def _detections_from_json(fields: dict[str, Any]) -> Detections:
    labels = tuple(str(label) for label in fields["labels"])
    n = len(labels)
    vectors = np.asarray(fields["vectors"], dtype=np.float32) if "vectors" in fields else None
    return Detections(
        labels,
        _array(fields["scores"], (n,)),
        _array(fields["centers"], (n, 3)),
        _array(fields["sizes"], (n, 3)),
        _array(fields["yaws"], (n,)),
        vectors,
    )


def _view_to_json(view: View) -> dict[str, Any]:
    out: dict[str, Any] = {"kind": view.kind, "fov_h": view.fov_h, "fov_v": view.fov_v}
    out |= {
        "min_range": view.min_range,
        "max_range": view.max_range,
        "detector": view.detector,
        "classes": list(view.classes),
    }
    if view.intrinsics is not None:
        out["intrinsics"] = list(view.intrinsics)
    if view.depth is not None:
        out["depth"] = {
            "shape": list(view.depth.shape),
            "millimetres": _text(np.asarray(view.depth, dtype="<u2").tobytes()),
        }
    return out


def _view_from_json(fields: dict[str, Any]) -> View:
    intrinsics, depth = None, None
    if "intrinsics" in fields:
        fx, fy, cx, cy, width, height = fields["intrinsics"]
        intrinsics = (float(fx), float(fy), float(cx), float(cy), int(width), int(height))
    if "depth" in fields:
        rows, cols = (int(value) for value in fields["depth"]["shape"])
        depth = np.frombuffer(_bytes(fields["depth"]["millimetres"]), dtype="<u2").reshape(rows, cols).astype(np.uint16)
    return View(
        kind=str(fields["kind"]),
        fov_h=float(fields["fov_h"]),
        fov_v=float(fields["fov_v"]),
        min_range=float(fields["min_range"]),
        max_range=float(fields["max_range"]),
        intrinsics=intrinsics,
        detector=str(fields["detector"]),
        classes=tuple(str(name) for name in fields["classes"]),
        depth=depth,
    )


def _check_header(path: Path, fields: Any) -> None:
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise BadInputError(f"{path} is not an export of embodied_mem: its first line names no format.")
    if fields.get("version") != VERSION:
        raise BadInputError(f"{path} has version {fields.get('version')} of the format, this program reads {VERSION}.")


def _array(values: Any, shape: tuple[int, ...]) -> Any:
    array = np.asarray(values, dtype=np.float64)
    return array.reshape(shape) if array.size == 0 or array.shape != shape else array


def _numbers(values: Any) -> Any:
    """An array as nested lists; float32 keeps its shortest decimal form."""
    array = np.asarray(values)
    if array.dtype == np.float32:
        return [float(str(value)) for value in array] if array.ndim == 1 else [_numbers(row) for row in array]
    return array.tolist()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: Any) -> bytes:
    return base64.b64decode(str(text), validate=True)


def _why(error: BaseException) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
