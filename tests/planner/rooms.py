"""A flat of two rooms with a door between them, for tests."""

from __future__ import annotations

from embodied_mem.planner.places import Door, Place, PlaceBook


def _place(name: str, room: str, x: float, y: float, *, surface: bool = True, container: bool = False) -> Place:
    return Place(
        name, name, room, (x, y - 0.9, 1.57), (x - 0.4, y - 0.3, 0.0), (x + 0.4, y + 0.3, 0.8), surface, container
    )


def book() -> PlaceBook:
    """desk and dresser in the study; counter and fridge in the kitchen, behind the kitchen door."""
    return PlaceBook(
        (
            _place("desk", "study", 0, 2), _place("dresser", "study", 2, 2, container=True),
            _place("counter", "kitchen", 6, 2), _place("fridge", "kitchen", 8, 2, surface=False, container=True),
        ),
        (Door("kitchen door", ("study", "kitchen"), ((3.4, 0.0, 0.0), (4.6, 0.0, 3.14))),),
    )  # fmt: skip


THINGS = ("mug", "apple", "book", "teddy bear")
