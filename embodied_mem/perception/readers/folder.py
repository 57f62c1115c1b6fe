"""A folder of RGB-D frames in the layout of 7-Scenes.

`frame-NNNNNN.color.jpg` (or .png), `frame-NNNNNN.depth.png` (16-bit millimetres), `frame-NNNNNN.pose.txt` (4 x 4 camera
to world, optical frame) and, once, `camera-intrinsics.txt` (3 x 3).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.perception.depth import Intrinsics
from embodied_mem.perception.frames import body_pose
from embodied_mem.perception.readers.images import decode_depth, decode_rgb
from embodied_mem.perception.rgbd import RgbdFrame

_START_NS = 1_700_000_000_000_000_000


class FrameFolder:
    """The frames of a folder, in order; stamps are made from the numbers in the names.

    rate      frames a second of the original recording (7-Scenes: 30)
    start_ns  stamp of number 0
    `read`: frames so far, of len().
    """

    def __init__(self, folder: str | Path, *, rate: float = 30.0, start_ns: int = _START_NS, map_id: str = "") -> None:
        self._folder, self._rate, self._start, self._map = Path(folder), rate, start_ns, map_id
        if not self._folder.is_dir():
            raise BadInputError(f"There is no folder {folder}.")
        self._poses = sorted(self._folder.glob("frame-*.pose.txt"))
        if not self._poses:
            raise BadInputError(
                f"{folder} holds no frames: files named frame-000000.pose.txt, .color.jpg and .depth.png."
            )
        self.read = 0
        self._matrix = _numbers(self._folder / "camera-intrinsics.txt", (3, 3))

    def __len__(self) -> int:
        return len(self._poses)

    def __iter__(self) -> Iterator[RgbdFrame]:
        self.read = 0
        for pose in self._poses:
            self.read += 1
            yield self._frame(pose)

    def _frame(self, pose: Path) -> RgbdFrame:
        stem = pose.name.removesuffix(".pose.txt")
        color = next(
            (path for end in ("jpg", "png") if (path := pose.with_name(f"{stem}.color.{end}")).is_file()), None
        )
        depth_file = pose.with_name(f"{stem}.depth.png")
        if color is None or not depth_file.is_file():
            raise BadInputError(f"The frame {stem} in {self._folder} lacks its colour or depth image.")
        depth = decode_depth(depth_file.read_bytes(), str(depth_file))
        position, orientation = body_pose(_numbers(pose, (4, 4)))
        k = self._matrix
        number = int(stem.rsplit("-", 1)[-1]) if stem.rsplit("-", 1)[-1].isdigit() else self._poses.index(pose)
        return RgbdFrame(
            stamp_ns=self._start + round(number / self._rate * 1e9),
            rgb=decode_rgb(color.read_bytes(), str(color)),
            depth=depth,
            camera=Intrinsics(k[0, 0], k[1, 1], k[0, 2], k[1, 2], depth.shape[1], depth.shape[0]),
            position=position,
            orientation=orientation,
            map_id=self._map,
        )


def _numbers(path: Path, shape: tuple[int, int]) -> NDArray[np.float64]:
    try:
        values = np.loadtxt(path)
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path} cannot be read as numbers ({error}).") from error
    if values.shape != shape:
        raise BadInputError(f"{path} must hold a matrix of {shape[0]} x {shape[1]} numbers, not {values.shape}.")
    return values
