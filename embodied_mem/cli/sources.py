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
    """A recording: what it is in words, how many items it has (None: unknown), and a way to read it.

    `read` counts the items that were read so far: not each of them becomes an observation. None: each does.
    `remarks` says, after reading, what was left out and why.
    """

    kind: str
    total: int | None
    observations: Callable[[], Iterator[Observation]]
    remarks: Callable[[], list[str]] = list
    read: Callable[[], int] | None = None


def source_of(path: Path, *, detector: Detector | None, map_id: str, robot_id: str, limit: int | None) -> Source:
    """The recording at `path`. Raises NotFoundError, BadInputError when it is none that is known."""
    if not path.exists():
        raise NotFoundError(f"There is no recording {path}.")
    found = _recognise(path, detector)

    def named() -> Iterator[Observation]:
        for number, obs in enumerate(found.observations()):
            if limit is not None and number >= limit:
                return
            yield replace(obs, map_id=map_id, robot_id=robot_id or obs.robot_id)

    return replace(found, observations=named)


def detector_of(model: Path | None, names: Path | None) -> Detector | None:
    """The ONNX detector of --detector; its class names are beside it unless --names says where."""
    if model is None:
        return None
    if not model.is_file():
        raise NotFoundError(f"There is no detector {model}.")
    from embodied_mem.perception.onnx_detector import OnnxDetector

    return OnnxDetector(model, names or names_beside(model))


def names_beside(model: Path) -> Path:
    """The text file beside a model that names its classes. Raises BadInputError when there is none, or several."""
    same = model.with_suffix(".names")
    found = [same] if same.is_file() else sorted([*model.parent.glob("*.names"), *model.parent.glob("*.txt")])
    if len(found) != 1:
        raise BadInputError(f"Which classes does {model.name} find? Name a text file with one a line by --names.")
    return found[0]


def _recognise(path: Path, detector: Detector | None) -> Source:
    if path.suffix.lower() == ".mcap" and path.is_file():
        from embodied_mem.exchange.mcap_file import has_records, read_mcap

        if has_records(path):
            return Source("records", None, lambda: (record.observation for record in read_mcap(path)))
    from embodied_mem.perception.readers.bags import BagReader
    from embodied_mem.perception.readers.folder import FrameFolder
    from embodied_mem.perception.readers.laser2d import LaserLog
    from embodied_mem.perception.readers.recording import open_recording
    from embodied_mem.perception.rgbd import RgbdFrame, RgbdObserver

    recording, observer = open_recording(path), RgbdObserver(detector)

    def observations() -> Iterator[Observation]:
        for item in recording:
            yield observer.observe(item) if isinstance(item, RgbdFrame) else item

    def remarks() -> list[str]:
        found = []
        if observer.without_depth:
            found.append(f"{observer.without_depth:,} detections had no usable depth and were left out.")
        if not isinstance(recording, FrameFolder) and recording.between:
            found.append(
                f"{recording.between:,} of {recording.read:,} measurements came from the place and direction of the "
                "last one kept and say nothing new."
            )
        if isinstance(recording, BagReader):
            found += recording.notes
            found += [f"Left out {count:,} messages: {why}." for why, count in recording.skipped.most_common(5)]
        return found

    if isinstance(recording, BagReader):
        kind = "bag"
    else:
        kind = "laser scans" if isinstance(recording, LaserLog) else "frames"
    return Source(kind, len(recording), observations, remarks, lambda: recording.read)
