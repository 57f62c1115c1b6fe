"""The catalogue of furniture, and which rooms have which pieces.

Own frame of a piece: origin in the middle of its footprint on the floor, x to the right, y out of its front, so that
its back (y = -depth / 2) stands against a wall.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim.house.shapes import Colour, Mesh, block, box, cylinder, ellipsoid, merge, shade
from sim.house.thing import Surface

Rng = np.random.Generator

OAK, WALNUT, PINE, WHITE = (0.72, 0.53, 0.32), (0.38, 0.24, 0.15), (0.86, 0.7, 0.46), (0.92, 0.92, 0.9)
WOODS = (OAK, WALNUT, PINE)
FABRICS = ((0.25, 0.38, 0.52), (0.5, 0.27, 0.27), (0.35, 0.45, 0.35), (0.55, 0.5, 0.45), (0.42, 0.32, 0.5))
STEEL, DARK = (0.72, 0.74, 0.77), (0.12, 0.12, 0.14)


@dataclass(frozen=True)
class Piece:
    """A built piece: its mesh, its footprint (width, depth) in metres and the surfaces on which things may stand."""

    mesh: Mesh
    footprint: tuple[float, float]
    surfaces: tuple[Surface, ...] = ()


Builder = Callable[[Rng], Piece]


def _pick(rng: Rng, colours: tuple[Colour, ...]) -> Colour:
    return colours[int(rng.integers(len(colours)))]


def _top(width: float, depth: float, height: float, margin: float = 0.03, headroom: float = 1.0) -> Surface:
    half = (width / 2 - margin, depth / 2 - margin)
    return Surface((-half[0], -half[1]), half, height, headroom)


def _legged(width: float, depth: float, height: float, c: Colour, leg: float = 0.06, plate: float = 0.04) -> Mesh:
    x, y = width / 2 - leg, depth / 2 - leg
    legs = [block((i * x, j * y, 0), (leg, leg, height - plate), shade(c, 0.75)) for i in (-1, 1) for j in (-1, 1)]
    return merge([box((0, 0, height - plate / 2), (width, depth, plate), c), *legs])


def _table(rng: Rng) -> Piece:
    w, d = rng.uniform(1.15, 1.35), rng.uniform(0.75, 0.85)
    return Piece(_legged(w, d, 0.75, _pick(rng, WOODS)), (w, d), (_top(w, d, 0.75),))


def _coffee_table(rng: Rng) -> Piece:
    w, d = rng.uniform(0.9, 1.05), rng.uniform(0.5, 0.6)
    return Piece(_legged(w, d, 0.42, _pick(rng, WOODS)), (w, d), (_top(w, d, 0.42),))


def _desk(rng: Rng) -> Piece:
    w, d, c = rng.uniform(1.3, 1.5), 0.7, _pick(rng, WOODS)
    drawers = box((w / 2 - 0.22, 0, 0.32), (0.38, d - 0.1, 0.6), shade(c, 0.85), {"+y": shade(c, 1.15)})
    return Piece(merge([_legged(w, d, 0.74, c), drawers]), (w, d), (_top(w, d, 0.74),))


def _chair(rng: Rng) -> Piece:
    c = _pick(rng, (*WOODS, (0.75, 0.2, 0.2), (0.2, 0.4, 0.65)))
    seat = _legged(0.44, 0.44, 0.46, c, 0.045, 0.05)
    return Piece(merge([seat, box((0, -0.2, 0.7), (0.44, 0.045, 0.48), shade(c, 0.9))]), (0.44, 0.44))


def _counter(rng: Rng) -> Piece:
    w, d, c = rng.uniform(1.6, 2.0), 0.6, _pick(rng, (WHITE, (0.55, 0.66, 0.62), OAK))
    doors = [
        box((x, d / 2 + 0.008, 0.46), (w / 4 - 0.03, 0.016, 0.7), shade(c, 0.92)) for x in w * (np.arange(4) - 1.5) / 4
    ]
    body = [block((0, 0, 0.08), (w, d - 0.02, 0.78), c), block((0, -0.03, 0), (w, d - 0.08, 0.08), DARK)]
    return Piece(
        merge([*body, block((0, 0, 0.86), (w, d, 0.04), (0.3, 0.3, 0.33)), *doors]), (w, d), (_top(w, d, 0.9),)
    )


def _stove(rng: Rng) -> Piece:
    plates = [cylinder((x, y, 0.9), 0.09, 0.01, DARK) for x in (-0.14, 0.14) for y in (-0.13, 0.13)]
    body = box((0, 0, 0.45), (0.6, 0.6, 0.9), STEEL)
    return Piece(merge([body, *plates, box((0, 0.305, 0.42), (0.48, 0.01, 0.4), DARK)]), (0.6, 0.6))


def _fridge(rng: Rng) -> Piece:
    c = _pick(rng, (WHITE, STEEL, (0.65, 0.15, 0.15)))
    doors = [
        box((0, 0.33, 0.42), (0.66, 0.02, 0.78), shade(c, 0.94)),
        box((0, 0.33, 1.3), (0.66, 0.02, 0.92), shade(c, 0.94)),
    ]
    handles = [box((-0.27, 0.35, z), (0.03, 0.03, 0.3), DARK) for z in (0.62, 1.1)]
    return Piece(merge([block((0, -0.01, 0), (0.7, 0.64, 1.8), c), *doors, *handles]), (0.7, 0.66))


def _sofa(rng: Rng) -> Piece:
    w, d, c = rng.uniform(1.8, 2.1), 0.9, _pick(rng, FABRICS)
    arms = [block((s * (w / 2 - 0.1), 0, 0.08), (0.2, d, 0.52), shade(c, 0.9)) for s in (-1, 1)]
    cushions = [block((s * (w - 0.4) / 4, 0.11, 0.3), ((w - 0.44) / 2, 0.64, 0.14), shade(c, 1.15)) for s in (-1, 1)]
    mesh = merge(
        [
            block((0, 0, 0.08), (w, d, 0.22), c),
            block((0, -0.33, 0.08), (w, 0.24, 0.74), shade(c, 0.95)),
            *arms,
            *cushions,
        ]
    )
    seat = Surface((-w / 2 + 0.24, -0.18), (w / 2 - 0.24, d / 2 - 0.06), 0.44)
    return Piece(mesh, (w, d), (seat,))


def _armchair(rng: Rng) -> Piece:
    c = _pick(rng, FABRICS)
    arms = [block((s * 0.35, 0, 0.06), (0.14, 0.8, 0.52), shade(c, 0.9)) for s in (-1, 1)]
    mesh = merge(
        [block((0, 0, 0.06), (0.84, 0.8, 0.36), c), block((0, -0.3, 0.06), (0.84, 0.2, 0.8), shade(c, 0.95)), *arms]
    )
    return Piece(mesh, (0.84, 0.8), (Surface((-0.26, -0.18), (0.26, 0.36), 0.42),))


def _tv_stand(rng: Rng) -> Piece:
    w, d, c = rng.uniform(1.5, 1.7), 0.42, _pick(rng, WOODS)
    fronts = [
        box((x, d / 2 + 0.005, 0.25), (w / 3 - 0.04, 0.01, 0.36), shade(c, 1.12)) for x in w * (np.arange(3) - 1) / 3
    ]
    sides = [
        Surface((s * (w / 2 - 0.17) - 0.15, -d / 2 + 0.03), (s * (w / 2 - 0.17) + 0.15, d / 2 - 0.03), 0.5)
        for s in (-1, 1)
    ]
    return Piece(merge([block((0, 0, 0.06), (w, d, 0.44), c), *fronts]), (w, d), tuple(sides))


def _tv(rng: Rng) -> Piece:
    w = rng.uniform(0.88, 0.95)
    foot = block((0, 0, 0), (0.3, 0.2, 0.02), DARK)
    neck = block((0, 0, 0.02), (0.08, 0.05, 0.06), DARK)
    return Piece(merge([foot, neck, box((0, 0, 0.35), (w, 0.06, 0.54), DARK, {"+y": (0.16, 0.2, 0.3)})]), (w, 0.2))


def _bookshelf(rng: Rng) -> Piece:
    w, d, h, c = rng.uniform(0.9, 1.1), 0.36, 1.55, _pick(rng, WOODS)
    levels = (0.3, 0.72, 1.14)
    sides = [block((s * (w / 2 - 0.015), 0, 0), (0.03, d, h), c) for s in (-1, 1)]
    boards = [box((0, 0, z - 0.015), (w, d, 0.03), shade(c, 1.1)) for z in (*levels, h)]
    back = box((0, -d / 2 + 0.01, h / 2), (w, 0.02, h), shade(c, 0.75))
    spots = tuple(Surface((-w / 2 + 0.05, -0.02), (w / 2 - 0.05, d / 2 - 0.01), z, 0.37) for z in levels[1:])
    return Piece(merge([*sides, *boards, back, block((0, 0, 0), (w, d, 0.27), shade(c, 0.9))]), (w, d), spots)


def _bed(rng: Rng) -> Piece:
    w, d, c, wood = rng.uniform(1.4, 1.6), 2.0, _pick(rng, FABRICS), _pick(rng, WOODS)
    mesh = [block((0, 0, 0.1), (w, d, 0.18), wood), block((0, 0.03, 0.28), (w - 0.06, d - 0.1, 0.2), WHITE)]
    mesh += [block((0, 0.3, 0.47), (w - 0.02, d - 0.62, 0.04), c), block((0, -d / 2 + 0.03, 0), (w, 0.06, 0.95), wood)]
    mesh += [ellipsoid((s * w / 4, -0.68, 0.52), (0.28, 0.2, 0.07), WHITE) for s in (-1, 1)]
    return Piece(merge(mesh), (w, d), (Surface((-w / 2 + 0.1, -0.3), (w / 2 - 0.1, d / 2 - 0.12), 0.51),))


def _drawers(width: float, depth: float, height: float, rows: int, c: Colour) -> Mesh:
    step = (height - 0.1) / rows
    fronts = [
        box((0, depth / 2 + 0.005, 0.08 + step * (i + 0.5)), (width - 0.08, 0.01, step - 0.05), shade(c, 1.15))
        for i in range(rows)
    ]
    knobs = [box((0, depth / 2 + 0.02, 0.08 + step * (i + 0.5)), (0.1, 0.03, 0.03), DARK) for i in range(rows)]
    return merge([block((0, 0, 0), (width, depth, height), c), *fronts, *knobs])


def _nightstand(rng: Rng) -> Piece:
    return Piece(_drawers(0.46, 0.42, 0.52, 2, _pick(rng, WOODS)), (0.46, 0.42), (_top(0.46, 0.42, 0.52, 0.01),))


def _dresser(rng: Rng) -> Piece:
    w = rng.uniform(1.0, 1.2)
    return Piece(_drawers(w, 0.48, 0.82, 3, _pick(rng, WOODS)), (w, 0.48), (_top(w, 0.48, 0.82),))


def _cabinet(rng: Rng) -> Piece:
    w = rng.uniform(0.8, 0.95)
    return Piece(_drawers(w, 0.44, 0.88, 4, _pick(rng, (STEEL, *WOODS))), (w, 0.44), (_top(w, 0.44, 0.88),))


def _sideboard(rng: Rng) -> Piece:
    w = rng.uniform(0.9, 1.05)
    return Piece(_drawers(w, 0.34, 0.8, 2, _pick(rng, WOODS)), (w, 0.34), (_top(w, 0.34, 0.8, 0.01),))


def _wardrobe(rng: Rng) -> Piece:
    w, c = rng.uniform(1.1, 1.3), _pick(rng, (WHITE, OAK, WALNUT))
    doors = [box((s * w / 4, 0.3, 1.0), (w / 2 - 0.03, 0.02, 1.86), shade(c, 0.92)) for s in (-1, 1)]
    handles = [box((s * 0.06, 0.325, 1.0), (0.03, 0.03, 0.25), DARK) for s in (-1, 1)]
    return Piece(merge([block((0, -0.01, 0), (w, 0.6, 2.0), c), *doors, *handles]), (w, 0.62))


def _toilet(rng: Rng) -> Piece:
    bowl = [cylinder((0, 0.06, 0), 0.14, 0.38, WHITE, 0.2), cylinder((0, 0.06, 0.38), 0.21, 0.035, shade(WHITE, 0.9))]
    return Piece(
        merge([block((0, -0.22, 0.32), (0.4, 0.2, 0.46), WHITE), block((0, -0.2, 0), (0.26, 0.2, 0.34), WHITE), *bowl]),
        (0.42, 0.64),
    )


def _sink(rng: Rng) -> Piece:
    tap = [block((0, -0.16, 0.86), (0.04, 0.04, 0.16), STEEL), box((0, -0.1, 1.0), (0.03, 0.14, 0.03), STEEL)]
    basin = [box((0, 0, 0.79), (0.6, 0.44, 0.14), WHITE), cylinder((0, 0.04, 0.861), 0.15, 0.004, shade(WHITE, 0.75))]
    return Piece(merge([block((0, -0.04, 0), (0.5, 0.34, 0.72), (0.45, 0.6, 0.66)), *basin, *tap]), (0.6, 0.44))


def _bathtub(rng: Rng) -> Piece:
    water = box((0, 0, 0.521), (1.4, 0.5, 0.01), (0.55, 0.8, 0.88))
    return Piece(merge([box((0, 0, 0.26), (1.6, 0.7, 0.52), WHITE), water]), (1.6, 0.7))


def _washing_machine(rng: Rng) -> Piece:
    door = ellipsoid((0, 0.3, 0.42), (0.19, 0.03, 0.19), DARK)
    panel = box((0, 0.301, 0.78), (0.54, 0.01, 0.1), (0.6, 0.62, 0.66))
    return Piece(merge([box((0, 0, 0.43), (0.6, 0.6, 0.86), WHITE), door, panel]), (0.6, 0.62), (_top(0.6, 0.6, 0.86),))


FURNITURE: dict[str, Builder] = {
    "table": _table, "coffee table": _coffee_table, "desk": _desk, "chair": _chair, "counter": _counter,
    "stove": _stove, "fridge": _fridge, "sofa": _sofa, "armchair": _armchair, "tv stand": _tv_stand, "tv": _tv,
    "bookshelf": _bookshelf, "bed": _bed, "nightstand": _nightstand, "dresser": _dresser, "cabinet": _cabinet,
    "sideboard": _sideboard, "wardrobe": _wardrobe, "toilet": _toilet, "sink": _sink, "bathtub": _bathtub,
    "washing machine": _washing_machine,
}  # fmt: skip

# What stands in a room, most important first: "wall" with its back to one, "open" away from them, "front of X" and
# "beside X" relative to another piece, "on X" on top of it. A "?" means: left out when there is no space.
ROOMS: dict[str, tuple[tuple[str, str], ...]] = {
    "kitchen": (
        ("counter", "wall"), ("fridge", "wall"), ("stove", "wall?"), ("table", "open"),
        ("chair", "side of table"), ("chair", "side of table"),
    ),
    "living room": (
        ("sofa", "wall"), ("coffee table", "front of sofa"), ("tv stand", "wall"), ("tv", "on tv stand"),
        ("bookshelf", "wall"), ("armchair", "wall?"),
    ),
    "bedroom": (("bed", "wall"), ("nightstand", "beside bed"), ("wardrobe", "wall"), ("dresser", "wall")),
    "bathroom": (("toilet", "wall"), ("sink", "wall"), ("washing machine", "wall"), ("bathtub", "wall?")),
    "office": (("desk", "wall"), ("chair", "front of desk"), ("cabinet", "wall"), ("bookshelf", "wall?")),
    "hallway": (("sideboard", "wall"),),
}  # fmt: skip
