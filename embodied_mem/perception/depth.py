"""Depth images: decoding, and points from pixels. What a depth camera could not measure never becomes a point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError

_NOTHING = 65535  # what 16-bit depth cameras write besides 0


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A pinhole camera in pixels; the centre of pixel (0, 0) is at (0, 0), as in ROS.

    Raises BadInputError for impossible values.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def __post_init__(self) -> None:
        finite = np.isfinite([self.fx, self.fy, self.cx, self.cy]).all()
        if not finite or min(self.fx, self.fy, self.width, self.height) <= 0:
            raise BadInputError(
                f"The camera's intrinsics are impossible (fx {self.fx}, fy {self.fy}, {self.width} x {self.height}): "
                "is camera_info filled in?"
            )

    @property
    def fov_h(self) -> float:
        """Horizontal field of view about the optical axis, radians: twice the larger half."""
        return float(2 * np.arctan(max(self.cx + 0.5, self.width - 0.5 - self.cx) / self.fx))

    @property
    def fov_v(self) -> float:
        """Vertical field of view, radians: twice the larger half."""
        return float(2 * np.arctan(max(self.cy + 0.5, self.height - 0.5 - self.cy) / self.fy))

    def scaled(self, width: int, height: int) -> Intrinsics:
        """The same camera at another resolution."""
        sx, sy = width / self.width, height / self.height
        return Intrinsics(self.fx * sx, self.fy * sy, self.cx * sx, self.cy * sy, width, height)


def metres(depth: NDArray[np.generic]) -> NDArray[np.float32]:
    """A depth image (h, w), uint16 millimetres or float metres -> float32 metres, 0 where nothing was measured.

    0, 65535, NaN, infinity and negative values mean "nothing". Raises BadInputError for another shape or type.
    """
    image = np.asarray(depth)
    if image.ndim != 2 or not image.size:
        raise BadInputError(f"A depth image must be (height, width), not {image.shape}.")
    if image.dtype == np.uint16:
        return np.where(image == _NOTHING, 0, image).astype(np.float32) * np.float32(0.001)
    if np.issubdtype(image.dtype, np.floating):
        with np.errstate(invalid="ignore"):
            return np.where(np.isfinite(image) & (image > 0), image, 0).astype(np.float32)
    raise BadInputError(f"A depth image must be uint16 millimetres or float metres, not {image.dtype}.")


def back_project(
    depth: NDArray[np.float32], camera: Intrinsics, *, stride: int = 1, max_range: float = np.inf
) -> NDArray[np.float32]:
    """Every measured pixel (of each `stride`-th row and column) as a point: (n, 3) metres in the body-convention frame.

    depth (h, w) metres along the optical axis, 0 = nothing.
    """
    part = depth[::stride, ::stride]
    rows, cols = np.nonzero((part > 0) & (part < max_range))
    forward = part[rows, cols]
    left = (camera.cx - cols * stride) / camera.fx
    up = (camera.cy - rows * stride) / camera.fy
    return np.column_stack([forward, left * forward, up * forward]).astype(np.float32)
