"""The catalogue of small things: what they look like, how many there may be and where they stand.

A `Kind` builds a mesh from a random generator, so that two mugs differ in size and colour. Sizes are those of real
things, at least about 10 cm across, so that a small depth camera has pixels on them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim.house.shapes import Colour, Mesh, block, box, cylinder, ellipsoid, merge, shade

Rng = np.random.Generator
Builder = Callable[[Rng, Colour], Mesh]

TABLES = ("table", "desk", "counter", "coffee table", "sideboard", "dresser", "cabinet", "tv stand")
LOW = ("coffee table", "nightstand", "tv stand", "dresser", "sideboard", "cabinet")
SOFT = ("sofa", "bed", "armchair")
SHELF = ("bookshelf",)
FLOOR = ("floor",)

WHITE, BLACK, GREY = (0.93, 0.93, 0.9), (0.08, 0.08, 0.09), (0.5, 0.5, 0.53)
RED, BLUE, GREEN, YELLOW = (0.82, 0.13, 0.12), (0.12, 0.3, 0.78), (0.15, 0.58, 0.22), (0.95, 0.78, 0.1)
ORANGE, PURPLE, TEAL, PINK = (0.94, 0.48, 0.1), (0.5, 0.2, 0.62), (0.05, 0.6, 0.6), (0.93, 0.45, 0.6)
BROWN, GOLD, SAND = (0.45, 0.27, 0.13), (0.85, 0.65, 0.13), (0.85, 0.72, 0.5)
BRIGHT = (RED, BLUE, GREEN, YELLOW, ORANGE, PURPLE, TEAL, PINK)


@dataclass(frozen=True)
class Kind:
    """A sort of small thing. `most` > 1: there may be several; `places` are furniture labels or "floor"."""

    label: str
    build: Builder
    places: tuple[str, ...]
    colours: tuple[Colour, ...] = BRIGHT
    most: int = 1


def _mug(rng: Rng, c: Colour) -> Mesh:
    return merge([cylinder((0, 0, 0), 0.055, 0.13, c), box((0.08, 0, 0.065), (0.055, 0.025, 0.08), shade(c, 0.8))])


def _book(rng: Rng, c: Colour) -> Mesh:
    return merge([block((0, 0, 0), (0.19, 0.27, 0.065), c), block((0.005, 0, 0.008), (0.19, 0.26, 0.05), WHITE)])


def _bottle(rng: Rng, c: Colour) -> Mesh:
    parts = [cylinder((0, 0, 0), 0.05, 0.19, c), cylinder((0, 0, 0.19), 0.05, 0.06, c, 0.02)]
    return merge([*parts, cylinder((0, 0, 0.25), 0.02, 0.06, WHITE)])


def _bowl(rng: Rng, c: Colour) -> Mesh:
    return merge([cylinder((0, 0, 0), 0.06, 0.11, c, 0.12), cylinder((0, 0, 0.11), 0.1, 0.003, shade(c, 0.6))])


def _laptop(rng: Rng, c: Colour) -> Mesh:
    base = block((0, 0, 0), (0.36, 0.25, 0.025), GREY)
    return merge([base, box((0, -0.125, 0.13), (0.36, 0.02, 0.23), GREY, {"+y": (0.15, 0.35, 0.75)})])


def _plant(rng: Rng, c: Colour) -> Mesh:
    leaves = [
        ellipsoid((0.05 * np.cos(a), 0.05 * np.sin(a), h), (0.11, 0.11, 0.1), shade(c, f))
        for a, h, f in ((0.3, 0.26, 1.0), (2.4, 0.3, 0.85), (4.5, 0.24, 1.15))
    ]
    return merge([cylinder((0, 0, 0), 0.08, 0.16, (0.72, 0.36, 0.2), 0.1), *leaves])


def _lamp(rng: Rng, c: Colour) -> Mesh:
    stem = [cylinder((0, 0, 0), 0.08, 0.025, BLACK), cylinder((0, 0, 0.02), 0.018, 0.26, BLACK, sides=8)]
    return merge([*stem, cylinder((0, 0, 0.24), 0.14, 0.18, c, 0.09)])


def _vase(rng: Rng, c: Colour) -> Mesh:
    parts = [cylinder((0, 0, 0), 0.06, 0.13, c, 0.1), cylinder((0, 0, 0.13), 0.1, 0.09, c, 0.045)]
    return merge([*parts, cylinder((0, 0, 0.22), 0.045, 0.05, shade(c, 0.7), 0.065)])


def _remote(rng: Rng, c: Colour) -> Mesh:
    return merge([block((0, 0, 0), (0.09, 0.26, 0.06), c), block((0, 0.08, 0.06), (0.05, 0.05, 0.006), RED)])


def _backpack(rng: Rng, c: Colour) -> Mesh:
    parts = [block((0, 0, 0), (0.34, 0.2, 0.36), c), ellipsoid((0, 0, 0.36), (0.17, 0.1, 0.1), c)]
    return merge([*parts, block((0, 0.13, 0.05), (0.24, 0.08, 0.18), shade(c, 0.65))])


def _teddy_bear(rng: Rng, c: Colour) -> Mesh:
    limbs = [ellipsoid((x, 0.08, 0.05), (0.05, 0.1, 0.05), shade(c, 0.8)) for x in (-0.09, 0.09)]
    ears = [ellipsoid((x, 0, 0.38), (0.035, 0.025, 0.035), shade(c, 0.7)) for x in (-0.07, 0.07)]
    return merge(
        [ellipsoid((0, 0, 0.13), (0.12, 0.1, 0.13), c), ellipsoid((0, 0, 0.31), (0.09, 0.085, 0.085), c), *limbs, *ears]
    )


def _clock(rng: Rng, c: Colour) -> Mesh:
    return merge(
        [box((0, 0, 0.12), (0.24, 0.08, 0.24), c, {"+y": WHITE}), box((0, 0.045, 0.15), (0.015, 0.01, 0.08), BLACK)]
    )


def _shoe(rng: Rng, c: Colour) -> Mesh:
    parts = [block((0, 0, 0), (0.12, 0.3, 0.04), WHITE), block((0, 0.02, 0.04), (0.115, 0.26, 0.05), c)]
    return merge([*parts, block((0, -0.07, 0.09), (0.11, 0.13, 0.06), shade(c, 0.8))])


def _toolbox(rng: Rng, c: Colour) -> Mesh:
    return merge([block((0, 0, 0), (0.4, 0.2, 0.18), c), block((0, 0, 0.18), (0.2, 0.03, 0.05), BLACK)])


def _basketball(rng: Rng, c: Colour) -> Mesh:
    return ellipsoid((0, 0, 0.12), (0.12, 0.12, 0.12), c, 14, 9)


def _toaster(rng: Rng, c: Colour) -> Mesh:
    slots = [block((0, y, 0.19), (0.22, 0.03, 0.005), BLACK) for y in (-0.04, 0.04)]
    return merge([block((0, 0, 0), (0.3, 0.18, 0.19), c), *slots, box((0.16, 0, 0.12), (0.03, 0.04, 0.03), BLACK)])


def _kettle(rng: Rng, c: Colour) -> Mesh:
    body = cylinder((0, 0, 0), 0.095, 0.2, c, 0.065)
    return merge([body, box((-0.11, 0, 0.13), (0.03, 0.03, 0.15), BLACK), box((0.09, 0, 0.16), (0.07, 0.04, 0.04), c)])


def _microwave(rng: Rng, c: Colour) -> Mesh:
    return merge(
        [box((0, 0, 0.14), (0.46, 0.32, 0.28), c, {"+y": BLACK}), box((0.17, 0.165, 0.14), (0.08, 0.01, 0.22), GREY)]
    )


def _keyboard(rng: Rng, c: Colour) -> Mesh:
    return merge([block((0, 0, 0), (0.44, 0.16, 0.03), c), block((0, 0, 0.03), (0.41, 0.13, 0.008), shade(c, 2.4))])


def _monitor(rng: Rng, c: Colour) -> Mesh:
    stand = [block((0, 0, 0), (0.22, 0.18, 0.02), BLACK), block((0, -0.03, 0.02), (0.05, 0.04, 0.12), BLACK)]
    return merge([*stand, box((0, 0, 0.28), (0.54, 0.04, 0.33), BLACK, {"+y": c})])


def _guitar(rng: Rng, c: Colour) -> Mesh:
    body = [ellipsoid((0, 0, 0.2), (0.2, 0.06, 0.2), c), ellipsoid((0, 0, 0.42), (0.15, 0.055, 0.15), c)]
    return merge([*body, block((0, 0, 0.5), (0.055, 0.04, 0.42), BROWN), block((0, 0, 0.9), (0.09, 0.04, 0.12), BLACK)])


def _suitcase(rng: Rng, c: Colour) -> Mesh:
    return merge(
        [
            block((0, 0, 0.03), (0.42, 0.24, 0.56), c),
            block((0, 0, 0.59), (0.2, 0.04, 0.05), BLACK),
            block((0, 0, 0), (0.36, 0.2, 0.03), BLACK),
        ]
    )


def _umbrella(rng: Rng, c: Colour) -> Mesh:
    return merge([cylinder((0, 0, 0), 0.03, 0.62, c, 0.07), cylinder((0, 0, 0.62), 0.02, 0.22, BROWN)])


def _hat(rng: Rng, c: Colour) -> Mesh:
    return merge(
        [
            cylinder((0, 0, 0), 0.19, 0.02, c),
            cylinder((0, 0, 0.02), 0.11, 0.12, c, 0.09),
            cylinder((0, 0, 0.02), 0.113, 0.03, BLACK, 0.11),
        ]
    )


def _radio(rng: Rng, c: Colour) -> Mesh:
    return merge(
        [
            block((0, 0, 0), (0.32, 0.12, 0.19), c),
            box((-0.08, 0.065, 0.1), (0.12, 0.01, 0.12), BLACK),
            box((0.14, -0.03, 0.28), (0.012, 0.012, 0.2), GREY),
        ]
    )


def _camera(rng: Rng, c: Colour) -> Mesh:
    return merge(
        [
            block((0, 0, 0), (0.19, 0.1, 0.13), c),
            box((0, 0.09, 0.065), (0.09, 0.09, 0.09), GREY),
            block((0.05, 0, 0.13), (0.06, 0.05, 0.03), GREY),
        ]
    )


def _trophy(rng: Rng, c: Colour) -> Mesh:
    return merge(
        [
            block((0, 0, 0), (0.14, 0.14, 0.06), BROWN),
            cylinder((0, 0, 0.06), 0.025, 0.1, c),
            cylinder((0, 0, 0.16), 0.04, 0.15, c, 0.1),
        ]
    )


def _globe(rng: Rng, c: Colour) -> Mesh:
    land = ellipsoid((0.02, 0.02, 0.24), (0.125, 0.11, 0.1), GREEN)
    return merge(
        [
            cylinder((0, 0, 0), 0.1, 0.03, BROWN),
            cylinder((0, 0, 0.03), 0.02, 0.1, GOLD),
            ellipsoid((0, 0, 0.24), (0.13, 0.13, 0.13), c),
            land,
        ]
    )


def _basket(rng: Rng, c: Colour) -> Mesh:
    return merge([cylinder((0, 0, 0), 0.17, 0.3, c, 0.21), cylinder((0, 0, 0.3), 0.19, 0.004, shade(c, 0.5))])


def _pillow(rng: Rng, c: Colour) -> Mesh:
    return ellipsoid((0, 0, 0.09), (0.24, 0.2, 0.09), c)


def _toy_car(rng: Rng, c: Colour) -> Mesh:
    wheels = [box((x, y, 0.035), (0.07, 0.03, 0.07), BLACK) for x in (-0.09, 0.09) for y in (-0.075, 0.075)]
    return merge(
        [box((0, 0, 0.08), (0.32, 0.15, 0.08), c), box((-0.02, 0, 0.15), (0.16, 0.13, 0.07), shade(c, 1.4)), *wheels]
    )


def _apple(rng: Rng, c: Colour) -> Mesh:
    return merge(
        [ellipsoid((0, 0, 0.06), (0.065, 0.065, 0.06), c), cylinder((0, 0, 0.115), 0.01, 0.03, BROWN, sides=6)]
    )


def _candle(rng: Rng, c: Colour) -> Mesh:
    return merge(
        [
            cylinder((0, 0, 0), 0.07, 0.02, GOLD),
            cylinder((0, 0, 0.02), 0.05, 0.19, c),
            cylinder((0, 0, 0.21), 0.015, 0.03, YELLOW),
        ]
    )


def _helmet(rng: Rng, c: Colour) -> Mesh:
    return merge([ellipsoid((0, 0, 0.1), (0.13, 0.16, 0.13), c), block((0, 0, 0.1), (0.06, 0.3, 0.14), shade(c, 0.5))])


def _watering_can(rng: Rng, c: Colour) -> Mesh:
    spout = [box((0.14 + 0.035 * i, 0, 0.1 + 0.035 * i), (0.06, 0.035, 0.05), c) for i in range(4)]
    return merge([cylinder((0, 0, 0), 0.11, 0.22, c), *spout, box((-0.14, 0, 0.15), (0.04, 0.03, 0.18), shade(c, 0.7))])


def _fan(rng: Rng, c: Colour) -> Mesh:
    foot = [cylinder((0, 0, 0), 0.11, 0.03, WHITE), cylinder((0, 0, 0.03), 0.025, 0.16, WHITE)]
    return merge(
        [*foot, ellipsoid((0, 0, 0.32), (0.16, 0.05, 0.16), c), ellipsoid((0, 0.04, 0.32), (0.04, 0.03, 0.04), BLACK)]
    )


def _scale(rng: Rng, c: Colour) -> Mesh:
    return merge([block((0, 0, 0), (0.32, 0.32, 0.07), c), block((0, 0.1, 0.07), (0.12, 0.06, 0.004), BLACK)])


def _towel(rng: Rng, c: Colour) -> Mesh:
    return merge(
        [block((0, 0, 0.05 * i), (0.34, 0.25 - 0.01 * i, 0.05), shade(c, 1 - 0.12 * (i % 2))) for i in range(3)]
    )


KINDS: tuple[Kind, ...] = (
    Kind("mug", _mug, (*TABLES, "nightstand"), most=2),
    Kind("book", _book, (*TABLES, *SHELF, "nightstand"), most=3),
    Kind("bottle", _bottle, (*TABLES, "washing machine"), (GREEN, TEAL, BLUE, RED), most=3),
    Kind("bowl", _bowl, ("table", "counter", "coffee table", "sideboard"), most=2),
    Kind("plant", _plant, ("floor", *TABLES, "washing machine"), (GREEN, (0.25, 0.5, 0.12)), most=3),
    Kind("lamp", _lamp, (*LOW, "desk"), (SAND, YELLOW, WHITE, ORANGE), most=2),
    Kind("shoe", _shoe, FLOOR, (RED, BLUE, BROWN, BLACK), most=2),
    Kind("pillow", _pillow, SOFT, most=2),
    Kind("laptop", _laptop, ("table", "desk", "coffee table", "sofa", "bed", "dresser")),
    Kind("vase", _vase, (*TABLES, *SHELF)),
    Kind("remote", _remote, ("coffee table", "tv stand", "sofa", "armchair", "nightstand"), (BLACK, GREY)),
    Kind("backpack", _backpack, (*FLOOR, "bed", "sofa", "armchair")),
    Kind("teddy bear", _teddy_bear, (*SOFT, "dresser"), (BROWN, SAND)),
    Kind("clock", _clock, (*LOW, "desk", *SHELF), (RED, BLUE, BLACK, ORANGE)),
    Kind("toolbox", _toolbox, (*FLOOR, "counter", "washing machine", "cabinet"), (RED, BLUE)),
    Kind("basketball", _basketball, (*FLOOR, "bed"), (ORANGE,)),
    Kind("toaster", _toaster, ("counter", "table", "cabinet"), (RED, GREY, TEAL)),
    Kind("kettle", _kettle, ("counter", "table", "sideboard"), (RED, BLUE, WHITE)),
    Kind("microwave", _microwave, ("counter", "cabinet"), (WHITE, GREY)),
    Kind("keyboard", _keyboard, ("desk", "table", "coffee table"), ((0.2, 0.2, 0.22), WHITE)),
    Kind("monitor", _monitor, ("desk", "dresser"), (TEAL, BLUE, GREEN)),
    Kind("guitar", _guitar, FLOOR, ((0.8, 0.45, 0.15), RED)),
    Kind("suitcase", _suitcase, FLOOR),
    Kind("umbrella", _umbrella, FLOOR),
    Kind("hat", _hat, (*TABLES, "bed", "armchair")),
    Kind("radio", _radio, (*TABLES, *SHELF)),
    Kind("camera", _camera, (*TABLES, *SHELF), ((0.15, 0.15, 0.17),)),
    Kind("trophy", _trophy, (*TABLES, *SHELF), (GOLD,)),
    Kind("globe", _globe, (*TABLES, *SHELF), (BLUE,)),
    Kind("basket", _basket, FLOOR, (SAND, BROWN)),
    Kind("toy car", _toy_car, (*FLOOR, "bed", "coffee table", "dresser")),
    Kind("apple", _apple, ("table", "counter", "desk", "coffee table"), (RED, GREEN)),
    Kind("candle", _candle, (*TABLES, "nightstand", *SHELF), (RED, WHITE, PURPLE)),
    Kind("helmet", _helmet, (*FLOOR, "sideboard", "cabinet", "washing machine")),
    Kind("watering can", _watering_can, (*FLOOR, "counter", "washing machine")),
    Kind("fan", _fan, (*FLOOR, "desk", "dresser"), (WHITE, TEAL)),
    Kind("bathroom scale", _scale, FLOOR, (WHITE, TEAL, PINK)),
    Kind("towel", _towel, ("washing machine", "bed", "dresser", "sideboard")),
)

BY_LABEL = {kind.label: kind for kind in KINDS}

# What a detector takes one thing for: the similar label is drawn from these.
SIMILAR: dict[str, tuple[str, ...]] = {
    "mug": ("bowl", "candle"), "bowl": ("mug", "hat"), "bottle": ("vase", "candle"), "vase": ("bottle", "trophy"),
    "book": ("towel", "remote"), "plant": ("basket", "vase"), "lamp": ("fan", "trophy"), "shoe": ("toy car", "hat"),
    "pillow": ("teddy bear", "towel"), "laptop": ("monitor", "book"), "remote": ("book", "keyboard"),
    "backpack": ("suitcase", "basket"), "teddy bear": ("pillow", "backpack"), "clock": ("radio", "camera"),
    "toolbox": ("suitcase", "radio"), "basketball": ("globe", "helmet"), "toaster": ("microwave", "radio"),
    "kettle": ("watering can", "vase"), "microwave": ("toaster", "radio"), "keyboard": ("laptop", "remote"),
    "monitor": ("tv", "laptop"), "guitar": ("umbrella", "suitcase"), "suitcase": ("backpack", "toolbox"),
    "umbrella": ("guitar", "lamp"), "hat": ("bowl", "helmet"), "radio": ("toaster", "camera"),
    "camera": ("radio", "clock"), "trophy": ("vase", "candle"), "globe": ("basketball", "lamp"),
    "basket": ("backpack", "plant"), "toy car": ("shoe", "toolbox"), "apple": ("basketball", "mug"),
    "candle": ("bottle", "mug"), "helmet": ("basketball", "hat"), "watering can": ("kettle", "toolbox"),
    "fan": ("clock", "lamp"), "bathroom scale": ("book", "towel"), "towel": ("pillow", "book"),
    "chair": ("armchair",), "armchair": ("sofa", "chair"), "sofa": ("bed", "armchair"), "bed": ("sofa",),
    "table": ("desk",), "desk": ("table",), "coffee table": ("table", "tv stand"), "sideboard": ("dresser", "cabinet"),
    "dresser": ("cabinet", "sideboard"), "cabinet": ("dresser",), "tv stand": ("sideboard",), "tv": ("monitor",),
    "wardrobe": ("fridge", "bookshelf"), "fridge": ("wardrobe",), "bookshelf": ("wardrobe",),
    "counter": ("sideboard",), "stove": ("washing machine",), "washing machine": ("stove",), "toilet": ("sink",),
    "sink": ("toilet",), "bathtub": ("bed",), "nightstand": ("cabinet",),
}  # fmt: skip
