"""What `replay` can read, recognised by what it is, as a stream of observations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from embodied_mem.errors import BadInputError, NotFoundError

if TYPE_CHECKING:
    from embodied_mem.perception.detector import Detector
    from embodied_mem.records.observation import Observation


@dataclass(frozen=True)
class Source:
    """A recording: what it is in words, how many observations at most (None: unknown), and a way to read it.

    `remarks` says, after reading, what was left out and why.
    """

    kind: str
    total: int | None
    observations: Callable[[], Iterator[Observation]]
    remarks: Callable[[], list[str]] = list


def source_of(path: Path, *, detector: Detector | None, map_id: str, robot_id: str, limit: int | None) -> Source:
    """The recording at `path`. Raises NotFoundError, BadInputError when it is none that is known."""
    if not path.exists():
        raise NotFoundError(f"There is no recording {path}.")
    found = _recognise(path, detector, map_id)

    def named() -> Iterator[Observation]:
        for number, obs in enumerate(found.observations()):
            if limit is not None and number >= limit:
                return
            yield replace(obs, map_id=map_id, robot_id=robot_id or obs.robot_id)

    total = found.total if limit is None or found.total is None else min(found.total, limit)
    return Source(found.kind, total, named, found.remarks)


def detector_of(model: Path | None, names: Path | None) -> Detector | None:
    """The ONNX detector of --detector; its class names are beside it unless --names says where."""
    if model is None:
        return None
    if not model.is_file():
        raise NotFoundError(f"There is no detector {model}.")
    from embodied_mem.perception.onnx_detector import OnnxDetector

    return OnnxDetector(model, names or _names_beside(model))


def _names_beside(model: Path) -> Path:
    same = model.with_suffix(".names")
    found = [same] if same.is_file() else sorted([*model.parent.glob("*.names"), *model.parent.glob("*.txt")])
    if len(found) != 1:
        raise BadInputError(f"Which classes does {model.name} find? Name a text file with one a line by --names.")
    return found[0]


def _recognise(path: Path, detector: Detector | None, map_id: str) -> Source:
    if path.is_dir() and any(path.glob("frame-*.pose.txt")):
        return _frames(path, detector)
    if path.suffix.lower() == ".dat":
        return _laser(path)
    if path.suffix.lower() == ".mcap" and path.is_file():
        from embodied_mem.exchange.mcap_file import has_records, read_mcap

        if has_records(path):
            return Source("records", None, lambda: (record.observation for record in read_mcap(path)))
    bag_endings = (".bag", ".mcap", ".db3")
    if path.suffix.lower() in bag_endings or (path.is_dir() and (path / "metadata.yaml").is_file()):
        return _bag(path, detector)
    raise BadInputError(
        f"{path} is no recording that is known: a bag (.bag, .mcap, .db3, or a folder with metadata.yaml), a folder of "
        "frame-*.pose.txt, or a laser log (.dat)."
    )


def _frames(path: Path, detector: Detector | None) -> Source:
    from embodied_mem.perception.readers.folder import FrameFolder
    from embodied_mem.perception.rgbd import RgbdObserver

    folder, observer = FrameFolder(path), RgbdObserver(detector)

    def remarks() -> list[str]:
        lost = observer.without_depth
        return [f"{lost} detections had no usable depth and were left out."] if lost else []

    return Source("RGB-D frames", len(folder), lambda: (observer.observe(frame) for frame in folder), remarks)


def _laser(path: Path) -> Source:
    from embodied_mem.perception.readers.laser2d import LaserLog

    log = LaserLog(path)
    return Source("laser scans", len(log), lambda: iter(log))


def _bag(path: Path, detector: Detector | None) -> Source:
    raise BadInputError("bags: soon")
