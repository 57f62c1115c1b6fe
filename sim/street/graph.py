"""The Touchdown street graph (Chen et al., CVPR 2019): panorama nodes of Manhattan and the links between them.

Frames. `xy` is a local metric frame, x east and y north, with its origin in the middle of the graph; the data has no
altitude. Headings are compass degrees, clockwise from north, as in the files: the navigator's rules are made on them.
`yaw_of_heading` turns them into REP 103 yaws (radians, counter-clockwise from east).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError, NotFoundError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]

_EQUATOR, _FLATTENING = 6378137.0, 1 / 298.257223563  # WGS-84


@dataclass(frozen=True, eq=False)
class TouchdownGraph:
    """n nodes and m directed links, as arrays; the links stand ordered by their start, then as in the file.

    panoids   n names
    latlng    (n, 2) degrees, WGS-84
    xy        (n, 2) metres, east and north
    yaw       (n,) compass degrees: where the middle of the panorama looks
    links     (m, 2) int32 node numbers, from and to
    headings  (m,) int16 compass degrees, 0..359
    first     (n + 1,) the links of node i are first[i]:first[i + 1]
    """

    panoids: tuple[str, ...]
    latlng: FloatArray
    xy: FloatArray
    yaw: NDArray[np.int16]
    links: IntArray
    headings: NDArray[np.int16]
    first: IntArray

    def __len__(self) -> int:
        return len(self.panoids)

    @cached_property
    def lengths(self) -> FloatArray:
        """(m,) metres."""
        return np.asarray(np.linalg.norm(self.xy[self.links[:, 1]] - self.xy[self.links[:, 0]], axis=1))

    @cached_property
    def degrees(self) -> IntArray:
        """(n,) how many links leave each node."""
        return np.diff(self.first).astype(np.int32)

    @cached_property
    def number(self) -> dict[str, int]:
        """Panorama name -> node number."""
        return {name: i for i, name in enumerate(self.panoids)}

    def nodes_of(self, panoids: list[str]) -> IntArray:
        """Numbers of named nodes. Raises NotFoundError for a name that is not in the graph."""
        try:
            return np.array([self.number[name] for name in panoids], dtype=np.int32)
        except KeyError as error:
            raise NotFoundError(f"The street graph has no panorama {error}.") from None

    def to_xy(self, latlng: ArrayLike) -> FloatArray:
        """(..., 2) degrees -> (..., 2) metres in the frame of this graph."""
        return local_metres(latlng, self.latlng.mean(axis=0))


def load_touchdown(folder: str | Path) -> TouchdownGraph:
    """Read graph/nodes.txt and graph/links.txt below `folder`.

    Raises NotFoundError when they are missing, BadInputError for lines that say something else than a graph.
    """
    names, numbers = _columns(Path(folder) / "graph" / "nodes.txt", 4, named=(0,))
    ends, headings = _columns(Path(folder) / "graph" / "links.txt", 3, named=(0, 2))
    panoids = tuple(names[0])
    number = {name: i for i, name in enumerate(panoids)}
    if len(number) != len(panoids):
        raise BadInputError("nodes.txt names a panorama twice.")
    try:
        links = np.array([[number[name] for name in column] for column in ends], dtype=np.int32).T
    except KeyError as error:
        raise BadInputError(f"links.txt names the panorama {error}, which nodes.txt does not.") from None
    order = np.argsort(links[:, 0], kind="stable")
    links, turned = np.ascontiguousarray(links[order]), np.rint(headings[order, 0]).astype(np.int16) % 360
    latlng = np.ascontiguousarray(numbers[:, 1:])
    return TouchdownGraph(
        panoids=panoids,
        latlng=latlng,
        xy=local_metres(latlng, latlng.mean(axis=0)),
        yaw=np.rint(numbers[:, 0]).astype(np.int16),
        links=links,
        headings=turned,
        first=np.searchsorted(links[:, 0], np.arange(len(panoids) + 1)).astype(np.int32),
    )


def local_metres(latlng: ArrayLike, origin: ArrayLike) -> FloatArray:
    """(..., 2) degrees -> (..., 2) metres east and north of `origin` (2,), on the plane that touches WGS-84 there.

    Scaled by the ellipsoid's radii of curvature at the origin; the error is below 0.1 % within 10 km.
    """
    at, origin = np.asarray(latlng, dtype=np.float64), np.asarray(origin, dtype=np.float64)
    latitude = np.radians(origin[0])
    squared = _FLATTENING * (2 - _FLATTENING)  # of the eccentricity
    bend = 1 - squared * np.sin(latitude) ** 2
    north = _EQUATOR * (1 - squared) / bend**1.5
    east = _EQUATOR / np.sqrt(bend) * np.cos(latitude)
    away = np.radians(at - origin)
    return np.stack([away[..., 1] * east, away[..., 0] * north], axis=-1)


def yaw_of_heading(heading: ArrayLike) -> FloatArray:
    """Compass degrees -> radians counter-clockwise from east, in (-pi, pi]."""
    yaw = np.radians(90.0 - np.asarray(heading, dtype=np.float64))
    return np.asarray(-((-yaw + np.pi) % (2 * np.pi) - np.pi))


def heading_of_yaw(yaw: ArrayLike) -> FloatArray:
    """Radians counter-clockwise from east -> compass degrees in [0, 360)."""
    return np.asarray((90.0 - np.degrees(np.asarray(yaw, dtype=np.float64))) % 360.0)


def _columns(path: Path, width: int, named: tuple[int, ...]) -> tuple[list[list[str]], FloatArray]:
    """The named columns as strings, the others as one array (rows, width - named)."""
    try:
        rows = [line.split(",") for line in path.read_text(encoding="utf-8").split()]
    except OSError as error:
        raise NotFoundError(f"The street graph cannot be read ({error}): name the folder that holds graph/.") from error
    if not rows or any(len(row) != width for row in rows):
        raise BadInputError(f"{path} must have {width} fields in every line, parted by commas.")
    numeric = [i for i in range(width) if i not in named]
    try:
        numbers = np.array([[row[i] for i in numeric] for row in rows]).astype(np.float64)
    except ValueError as error:
        raise BadInputError(f"{path} has a field that is no number: {error}.") from error
    if not np.isfinite(numbers).all():
        raise BadInputError(f"{path} has a number that is not finite.")
    return [[row[i] for row in rows] for i in named], numbers
