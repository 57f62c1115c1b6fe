"""Small, quick houses, and one that was driven through to the end."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

pytest.importorskip("open3d", reason="Open3D is not installed: pip install .[sim]")

from sim.house.config import CameraConfig, LocalisationConfig, ScriptConfig, SensorConfig, SimConfig
from sim.house.floorplan import Rect
from sim.house.simulator import HouseSimulator, SimFrame

# A picture of a tenth of the pixels, twice a second: a run takes seconds, and covers the house all the same.
SMALL = SimConfig(
    camera=CameraConfig(width=128, height_px=96),
    sensor=SensorConfig(min_pixels=8),
    script=ScriptConfig(frame_rate=2.0),
)
STEADY = LocalisationConfig(position_std=0.0, yaw_std=0.0, odometry_slip=0.0, odometry_turn=0.0, jumps_per_minute=0.0)


def steady(config: SimConfig = SMALL) -> SimConfig:
    """The same without any error of localisation."""
    return replace(config, localisation=STEADY)


@dataclass
class Whole:
    """A run to its end: its frames, and what stood on the floor before and after things were moved."""

    world: HouseSimulator
    frames: list[SimFrame]
    before: list[Rect]
    after: list[Rect]


@pytest.fixture(scope="package")
def whole() -> Whole:
    world = HouseSimulator(SMALL, seed=3)
    before = world.house.obstacles()
    frames = []
    while not world.done:
        frames.append(world.step())
    return Whole(world, frames, before, world.house.obstacles())


def path_of(world: HouseSimulator) -> tuple[np.ndarray, np.ndarray]:
    """Where the robot really was: stamps (n,) and x, y, yaw (n, 3)."""
    rows = world.truth.path
    return np.array([row[0] for row in rows]), np.array([row[1:] for row in rows])
