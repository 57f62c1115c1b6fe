"""Compiles the kernels of objects once, on a few made-up frames, so that the first real one is not late."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embodied_mem.objects.locate import locate
from embodied_mem.objects.view import ObjectView
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Detections, Observation, View
from embodied_mem.records.query import Query

_SECOND = 1_000_000_000
_FRAMES = 60
_VIEW = View("camera", 1.5, 1.2, 0.1, 10.0, detector="made up", classes=("cup", "chair"))


def warm() -> None:
    """Two things, seen from a robot that goes by; one is carried off, seen elsewhere and looked for in vain."""
    memory = RecordMemory.in_memory(clock=lambda: 2 * _FRAMES * _SECOND)
    memory.remember_many([_frame(i) for i in range(_FRAMES)])
    things = ObjectView(memory.index)
    things.catch_up()
    things.locate("cup")
    things.locate_all()
    memory.forget([5, 40])
    things.locate("chair")
    locate(memory.index, "cup", Query())
    memory.close()


def _frame(number: int) -> Observation:
    """From 3 m beside a chair and, at first, a cup; later the cup stands further on."""
    upright = np.array([0.0, 0.0, 0.0, 1.0])
    cup = np.array([3.0, 0.3, 0.8]) if number < _FRAMES // 2 else np.array([3.5, -1.2, 0.8])
    seen = Detections(
        ("cup", "chair"), np.array([0.8, 0.9]), np.array([cup, [3.2, 0.9, 0.5]]),
        np.array([[0.1, 0.1, 0.1], [0.5, 0.5, 0.9]]), np.zeros(2),
    )  # fmt: skip
    if number % 5 == 4:
        seen = Detections(("chair",), seen.scores[1:], seen.centers[1:], seen.sizes[1:], seen.yaws[1:])
    depth = np.full((12, 16), 3500, dtype=np.uint16)
    position = np.array([0.1 * (number % 7), 0.05 * (number % 11), 1.2])
    return Observation(number * _SECOND, position, upright, detections=seen, view=replace(_VIEW, depth=depth))


if __name__ == "__main__":
    warm()
