"""A recording as a world: the RGB-D frames of a folder, played to the nodes one by one as if a robot made them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.perception.depth import Intrinsics
from embodied_mem.perception.readers.folder import FrameFolder
from embodied_mem.perception.rgbd import RgbdFrame

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PlayedFrame:
    """One recorded frame, with the fields of sim.house.simulator.SimFrame that a recording has.

    rgb                    (h, w, 3) uint8
    depth                  (h, w) float32 metres along the optical axis; 0: nothing measured
    position, orientation  (3,) metres and (4,) x, y, z, w of the *camera's* body-convention frame in `frame_id`
    base                   None: nothing is known of the robot that held the camera, so odometry is the camera's own
    boxes                  None: no detector ran while it was recorded
    """

    index: int
    stamp_ns: int
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    camera: Intrinsics
    position: FloatArray
    orientation: FloatArray
    covariance: FloatArray | None = None
    base: None = None
    boxes: None = None
    lidar: None = None
    scan: None = None
    frame_id: str = "map"


class FramePlayer:
    """Plays a folder of frames (embodied_mem.perception.readers.folder) once, from first to last.

    Raises BadInputError for a folder without frames; `step` raises it for a frame that cannot be read.
    """

    def __init__(self, folder: str | Path) -> None:
        self._frames = FrameFolder(folder)
        self._iterator: Iterator[RgbdFrame] = iter(self._frames)
        self._index = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def done(self) -> bool:
        """Whether the last frame was played."""
        return self._index >= len(self._frames)

    @property
    def progress(self) -> float:
        """0..1 of the frames that were played."""
        return self._index / len(self._frames)

    def step(self) -> PlayedFrame:
        """The next frame. Raises BadInputError after the last one (see `done`)."""
        if self.done:
            raise BadInputError("The recording has ended: make a new FramePlayer to play it again.")
        frame = next(self._iterator)
        played = PlayedFrame(
            index=self._index,
            stamp_ns=frame.stamp_ns,
            rgb=frame.rgb,
            depth=frame.depth,
            camera=frame.camera,
            position=frame.position,
            orientation=frame.orientation,
            covariance=frame.covariance,
            frame_id=frame.frame_id,
        )
        self._index += 1
        return played
