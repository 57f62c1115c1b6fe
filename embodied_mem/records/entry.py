"""An entry of the log, and how it is packed into a row."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, NamedTuple

import msgpack
import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import StorageError
from embodied_mem.records import commands
from embodied_mem.records.clouds import decode_cloud, encode_cloud
from embodied_mem.records.observation import Detections, Observation, View

_BLOBS = ("cloud", "thumbnail")  # keys of a body that name a blob
_COMPRESS_FROM = 512  # bytes; below, zlib costs more than it saves


class Kind(IntEnum):
    """What an entry is (the numbers are those of msg/Record)."""

    OBSERVATION = 1
    SEEN_AGAIN = 2
    COMMAND = 3
    TOMBSTONE = 4


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One entry. `observation` is set for OBSERVATION, `about` and `stamp_ns` for SEEN_AGAIN, `command` for COMMAND.

    cloud  the name of the observation's cloud in the store, also where `observation.cloud` was left out; "" when the
           log keeps none (it had none, or retention dropped it)
    """

    seq: int
    kind: Kind
    logged_ns: int
    observation: Observation | None = None
    about: int = 0
    stamp_ns: int = 0
    command: commands.Command | None = None
    cloud: str = ""

    @property
    def has_cloud(self) -> bool:
        """Whether there is a cloud, here or in the log."""
        return bool(self.cloud) or (self.observation is not None and self.observation.cloud is not None)


class Row(NamedTuple):
    """An entry as the log stores it: readable columns, the packed rest, and the blobs that it names by their hash."""

    seq: int
    kind: int
    stamp_ns: int
    logged_ns: int
    robot: str
    session: str
    sensor: str
    map: str
    x: float
    y: float
    z: float
    caption: str
    body: bytes

    def crc(self) -> int:
        """CRC-32 over every column, so that a flipped bit in any of them is found."""
        return zlib.crc32(msgpack.packb(self))


def blob_name(data: bytes) -> str:
    """The name of a blob is its content: SHA-256 in hex; "" for an empty one."""
    return hashlib.sha256(data).hexdigest() if data else ""


def pack(entry: Entry) -> tuple[Row, dict[str, bytes]]:
    """An entry as a row, and its blobs by name."""
    if entry.kind is Kind.OBSERVATION:
        assert entry.observation is not None
        return _pack_observation(entry, entry.observation)
    if entry.kind is Kind.COMMAND:
        assert entry.command is not None
        body = commands.to_json(entry.command).encode()
    else:
        body = msgpack.packb(entry.about)
    row = Row(entry.seq, int(entry.kind), entry.stamp_ns, entry.logged_ns, "", "", "", "", 0.0, 0.0, 0.0, "", body)
    return row, {}


def unpack(row: Row, blobs: dict[str, bytes] | None = None) -> Entry:
    """The entry of a row; without `blobs`, its cloud and thumbnail are left out. Raises StorageError."""
    kind = Kind(row.kind)
    if kind is Kind.COMMAND:
        return Entry(row.seq, kind, row.logged_ns, command=commands.from_json(row.body.decode()))
    if kind is Kind.SEEN_AGAIN:
        return Entry(row.seq, kind, row.logged_ns, about=msgpack.unpackb(row.body), stamp_ns=row.stamp_ns)
    if kind is Kind.TOMBSTONE:
        return Entry(row.seq, kind, row.logged_ns)
    try:
        observation, cloud = _unpack_observation(row, blobs or {})
        return Entry(row.seq, kind, row.logged_ns, observation=observation, cloud=cloud)
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise StorageError(
            f"Entry {row.seq} of the log cannot be unpacked ({error}): run `embodied-mem check`."
        ) from error


def as_logged(observation: Observation) -> Observation:
    """The observation as the log will give it back: the cloud is quantised, so that live views equal rebuilt ones."""
    if observation.cloud is None:
        return observation
    return replace(observation, cloud=decode_cloud(encode_cloud(observation.cloud)))


def tombstone(seq: int, logged_ns: int) -> Row:
    """The row of a number whose content is gone."""
    return pack(Entry(seq, Kind.TOMBSTONE, logged_ns))[0]


def without_cloud(entry: Entry) -> Entry:
    """The entry with its cloud and thumbnail left out, and the name of the cloud in its place."""
    obs = entry.observation
    if obs is None or (obs.cloud is None and not obs.thumbnail):
        return entry
    name = entry.cloud if obs.cloud is None else blob_name(encode_cloud(obs.cloud))
    return replace(entry, observation=replace(obs, cloud=None, thumbnail=b""), cloud=name)


def without_blobs(row: Row, names: Collection[str] | None = None) -> Row:
    """The row of an observation without its cloud and thumbnail (or those of these names); any other as it is."""
    if row.kind != Kind.OBSERVATION:
        return row
    body = _inflate(row.body)
    kept = {
        key: value for key, value in body.items() if key not in _BLOBS or (names is not None and value not in names)
    }
    return row._replace(body=_deflate(kept))


def blob_names(row: Row) -> list[str]:
    """The blobs that a row refers to."""
    if row.kind != Kind.OBSERVATION:
        return []
    body = _inflate(row.body)
    return [body[key] for key in _BLOBS if body.get(key)]


def has_cloud(row: Row) -> bool:
    """Whether a row names a cloud."""
    return row.kind == Kind.OBSERVATION and bool(_inflate(row.body).get("cloud"))


def _pack_observation(entry: Entry, obs: Observation) -> tuple[Row, dict[str, bytes]]:
    cloud = b"" if obs.cloud is None else encode_cloud(obs.cloud)
    found, view = obs.detections, obs.view
    body: dict[str, Any] = {"frame": obs.frame_id, "orientation": _raw(obs.orientation)}
    if obs.covariance is not None:
        body["covariance"] = _raw(obs.covariance)
    if len(found):
        boxes = np.column_stack([found.scores, found.centers, found.sizes, found.yaws])
        body["labels"], body["boxes"] = found.labels, _raw(boxes)
        if found.vectors is not None:
            body["vectors"] = np.asarray(found.vectors, dtype="<f4").tobytes()
    if view.kind != "none" or view.detector:
        pinhole = view.intrinsics and (*map(float, view.intrinsics[:4]), *map(int, view.intrinsics[4:]))
        body["view"] = (
            view.kind, float(view.fov_h), float(view.fov_v), float(view.min_range), float(view.max_range), pinhole,
            view.detector, view.classes,
        )  # fmt: skip
    if view.depth is not None:
        body["depth"] = (*view.depth.shape, np.asarray(view.depth, dtype="<u2").tobytes())
    if obs.cloud is not None:
        body["cloud"] = blob_name(cloud)
    elif entry.cloud:
        body["cloud"] = entry.cloud
    if obs.thumbnail:
        body["thumbnail"] = blob_name(obs.thumbnail)
    x, y, z = map(float, obs.position)
    row = Row(
        entry.seq, int(entry.kind), obs.stamp_ns, entry.logged_ns,
        obs.robot_id, obs.session_id, obs.sensor_id, obs.map_id,
        x, y, z, obs.caption, _deflate(body),
    )  # fmt: skip
    blobs = {blob_name(data): data for data in (cloud, obs.thumbnail) if data}
    return row, blobs


def _unpack_observation(row: Row, blobs: dict[str, bytes]) -> tuple[Observation, str]:
    """The observation, and the name of its cloud."""
    body = _inflate(row.body)
    detections, view = Detections(), View()
    if "labels" in body:
        labels = tuple(body["labels"])
        boxes = _array(body["boxes"], "<f8", (len(labels), 8))
        vectors = _array(body["vectors"], "<f4", (len(labels), -1)) if "vectors" in body else None
        detections = Detections(labels, boxes[:, 0], boxes[:, 1:4], boxes[:, 4:7], boxes[:, 7], vectors)
    if "view" in body:
        kind, fov_h, fov_v, near, far, intrinsics, detector, classes = body["view"]
        pinhole = None if intrinsics is None else tuple(intrinsics)
        depth = None
        if "depth" in body:
            rows, cols, raw = body["depth"]
            depth = _array(raw, "<u2", (rows, cols))
        view = View(kind, fov_h, fov_v, near, far, pinhole, detector, tuple(classes), depth)
    name = body.get("cloud", "")
    cloud = blobs.get(name)
    observation = Observation(
        stamp_ns=row.stamp_ns,
        position=np.array([row.x, row.y, row.z]),
        orientation=_array(body["orientation"], "<f8", (4,)),
        frame_id=body["frame"],
        map_id=row.map,
        robot_id=row.robot,
        session_id=row.session,
        sensor_id=row.sensor,
        covariance=_array(body["covariance"], "<f8", (6, 6)) if "covariance" in body else None,
        caption=row.caption,
        detections=detections,
        view=view,
        cloud=None if cloud is None else decode_cloud(cloud),
        thumbnail=blobs.get(body.get("thumbnail", ""), b""),
    )
    return observation, name


def _raw(values: NDArray[np.float64]) -> bytes:
    return np.asarray(values, dtype="<f8").tobytes()


def _array(raw: bytes, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    return np.frombuffer(raw, dtype=dtype).reshape(shape)


def _deflate(body: dict[str, Any]) -> bytes:
    packed = msgpack.packb(body)
    return b"z" + zlib.compress(packed, 1) if len(packed) >= _COMPRESS_FROM else b"m" + packed


def _inflate(body: bytes) -> dict[str, Any]:
    packed = zlib.decompress(body[1:]) if body[:1] == b"z" else body[1:]
    return dict(msgpack.unpackb(packed))
