"""Which reader reads a path."""

from __future__ import annotations

from pathlib import Path

from embodied_mem.errors import BadInputError
from embodied_mem.perception.readers.bags import BagReader
from embodied_mem.perception.readers.folder import FrameFolder
from embodied_mem.perception.readers.laser2d import LaserLog

Recording = BagReader | FrameFolder | LaserLog
_BAGS = (".mcap", ".db3", ".bag")


def open_recording(path: str | Path, *, map_id: str = "") -> Recording:
    """A bag (folder or file), a folder of RGB-D frames, or a laser log. Raises BadInputError for anything else."""
    where = Path(path)
    if not where.exists():
        raise BadInputError(f"There is nothing at {where}.")
    if where.is_dir():
        if any(where.glob("frame-*.pose.txt")):
            return FrameFolder(where, map_id=map_id)
        if (where / "metadata.yaml").is_file():
            return BagReader(where, map_id=map_id)
        inside = [file for file in where.iterdir() if file.suffix in _BAGS]
        if len(inside) == 1:
            return BagReader(inside[0], map_id=map_id)
        raise BadInputError(
            f"{where} is neither a bag (no metadata.yaml) nor a folder of frames (frame-000000.pose.txt)."
        )
    if where.suffix in _BAGS:
        return BagReader(where, map_id=map_id)
    if where.suffix == ".dat":
        return LaserLog(where, map_id=map_id)
    raise BadInputError(f"{where.name} is not a recording: bags (.mcap, .db3, .bag), laser logs (.dat), frame folders.")
