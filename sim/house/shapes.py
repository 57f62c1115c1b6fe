"""Small coloured triangle meshes: boxes, cylinders and ellipsoids, merged into furniture and objects.

Metres, z up. A colour is red, green, blue in 0..1, one for each triangle.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]
Colour = tuple[float, float, float]
Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """vertices (n, 3) float32, triangles (m, 3) int64 into them (counter-clockwise from outside), colours (m, 3)."""

    vertices: Float32Array
    triangles: NDArray[np.int64]
    colours: Float32Array

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest corner, (3,) each."""
        return self.vertices.min(axis=0).astype(np.float64), self.vertices.max(axis=0).astype(np.float64)

    def placed(self, position: FloatArray, yaw: float) -> Mesh:
        """The mesh turned about z by `yaw` and then moved by `position`."""
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        return Mesh((self.vertices @ turn + position).astype(np.float32), self.triangles, self.colours)


_CORNERS = np.array([[x, y, z] for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)], dtype=np.float64) / 2
_FACES = {  # counter-clockwise from outside, two triangles each
    "-x": [(0, 4, 6), (0, 6, 2)],
    "+x": [(1, 3, 7), (1, 7, 5)],
    "-y": [(0, 1, 5), (0, 5, 4)],
    "+y": [(2, 6, 7), (2, 7, 3)],
    "-z": [(0, 2, 3), (0, 3, 1)],
    "+z": [(4, 5, 7), (4, 7, 6)],
}
_BOX = np.array([triangle for face in _FACES.values() for triangle in face], dtype=np.int64)


def box(center: Vector, size: Vector, colour: Colour, faces: dict[str, Colour] | None = None) -> Mesh:
    """An axis-aligned box; `faces` gives single faces ("+x", "-z", ...) a colour of their own."""
    vertices = (_CORNERS * size + center).astype(np.float32)
    colours = np.tile(np.array(colour, dtype=np.float32), (12, 1))
    for name, other in (faces or {}).items():
        at = 2 * list(_FACES).index(name)
        colours[at : at + 2] = other
    return Mesh(vertices, _BOX, colours)


def block(base: Vector, size: Vector, colour: Colour, faces: dict[str, Colour] | None = None) -> Mesh:
    """A box that stands on `base` (the middle of its underside)."""
    return box((base[0], base[1], base[2] + size[2] / 2), size, colour, faces)


def cylinder(
    base: Vector, radius: float, height: float, colour: Colour, top_radius: float | None = None, sides: int = 14
) -> Mesh:
    """An upright cylinder, or a truncated cone, that stands on `base`."""
    angles = np.arange(sides) * (2 * np.pi / sides)
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros(sides)], axis=1)
    top = radius if top_radius is None else top_radius
    lift = np.array([0, 0, height])
    vertices = np.concatenate([ring * radius, ring * top + lift, [[0, 0, 0]], [lift]]) + base
    here = np.arange(sides)
    after = (here + 1) % sides
    low, high = np.full(sides, 2 * sides), np.full(sides, 2 * sides + 1)
    triangles = np.concatenate(
        [
            np.stack([here, after, after + sides], axis=1),
            np.stack([here, after + sides, here + sides], axis=1),
            np.stack([low, after, here], axis=1),
            np.stack([high, here + sides, after + sides], axis=1),
        ]
    )
    return Mesh(vertices.astype(np.float32), triangles, _one_colour(colour, len(triangles)))


def ellipsoid(center: Vector, radii: Vector, colour: Colour, sides: int = 12, rings: int = 7) -> Mesh:
    """An ellipsoid with its axes along x, y and z."""
    polar = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)
    around = np.arange(sides) * (2 * np.pi / sides)
    grid = np.stack(
        [
            np.cos(polar)[:, None] * np.cos(around),
            np.cos(polar)[:, None] * np.sin(around),
            np.broadcast_to(np.sin(polar)[:, None], (rings + 1, sides)),
        ],
        axis=-1,
    )
    vertices = grid.reshape(-1, 3) * radii + center
    row, column = np.meshgrid(np.arange(rings), np.arange(sides), indexing="ij")
    a, b = row * sides + column, row * sides + (column + 1) % sides
    c, d = b + sides, a + sides
    triangles = np.concatenate([np.stack([a, b, c], axis=-1), np.stack([a, c, d], axis=-1)]).reshape(-1, 3)
    return Mesh(vertices.astype(np.float32), triangles, _one_colour(colour, len(triangles)))


def _one_colour(colour: Colour, n: int) -> Float32Array:
    return np.tile(np.array(colour, dtype=np.float32), (n, 1))


def merge(meshes: Iterable[Mesh]) -> Mesh:
    """One mesh out of several; empty input gives an empty mesh."""
    parts = list(meshes)
    if not parts:
        return Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int64), np.zeros((0, 3), np.float32))
    starts = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    return Mesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.triangles + start for part, start in zip(parts, starts, strict=True)]),
        np.concatenate([part.colours for part in parts]),
    )


def shade(colour: Colour, factor: float) -> Colour:
    """A darker (< 1) or lighter (> 1) tone."""
    red, green, blue = (min(1.0, max(0.0, value * factor)) for value in colour)
    return red, green, blue
