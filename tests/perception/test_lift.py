"""Boxes lifted to 3-D in a scene that is known: a block on a table, a wall close behind it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from embodied_mem.perception.depth import Intrinsics
from embodied_mem.perception.detector import Boxes2D
from embodied_mem.perception.lift import lift
from embodied_mem.perception.surfaces import surfaces

CAMERA = Intrinsics(170.0, 170.0, 159.5, 119.5, 320, 240)
EYE = np.array([0.0, 0.0, 1.2])
LEVEL = np.array([0.0, 0.0, 0.0, 1.0])
TABLE = 0.75  # metres
Block = tuple[NDArray[np.float64], NDArray[np.float64]]


def look(blocks: list[Block], wall: float) -> NDArray[np.float32]:
    """(240, 320) depth seen from EYE along +x: axis-aligned blocks (low, high), a wall across and a floor."""
    v, u = np.mgrid[0:240, 0:320]
    ray = np.stack([np.ones(u.shape), -(u - CAMERA.cx) / CAMERA.fx, -(v - CAMERA.cy) / CAMERA.fy], axis=-1)
    depth = np.full(u.shape, wall)
    with np.errstate(divide="ignore", invalid="ignore"):
        floor = -EYE[2] / ray[..., 2]
        depth = np.where((floor > 0) & (floor < depth), floor, depth)
        for low, high in blocks:
            a, b = (low - EYE) / ray, (high - EYE) / ray
            enter, leave = np.minimum(a, b).max(axis=-1), np.maximum(a, b).min(axis=-1)
            depth = np.where((enter < leave) & (enter > 0) & (enter < depth), enter, depth)
    return depth.astype(np.float32)


def box_of(block: Block) -> NDArray[np.float64]:
    """The pixels that a block covers."""
    low, high = block
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    local = corners - EYE
    u = CAMERA.cx - local[:, 1] / local[:, 0] * CAMERA.fx
    v = CAMERA.cy - local[:, 2] / local[:, 0] * CAMERA.fy
    return np.array([u.min(), v.min(), u.max(), v.max()])


def block(x: float, y: float, size: tuple[float, float, float], bottom: float = TABLE) -> Block:
    sx, sy, sz = size
    return np.array([x - sx / 2, y - sy / 2, bottom]), np.array([x + sx / 2, y + sy / 2, bottom + sz])


TABLE_TOP = (np.array([1.2, -0.8, TABLE - 0.04]), np.array([2.6, 0.8, TABLE]))


@pytest.mark.parametrize("gap", [0.05, 0.12, 0.5])
@pytest.mark.parametrize("noise", [0.0, 0.006])
def test_neither_the_table_nor_the_wall_is_part_of_the_object(gap: float, noise: float) -> None:
    thing = block(2.0, 0.1, (0.15, 0.16, 0.3))
    depth = look([TABLE_TOP, thing], wall=float(thing[1][0]) + gap)
    depth += np.random.default_rng(0).normal(size=depth.shape).astype(np.float32) * noise
    found, lost = lift(Boxes2D(("vase",), np.array([0.9]), box_of(thing)[None]), depth, CAMERA, EYE, LEVEL)
    assert lost == 0
    center, size = found.centers[0], found.sizes[0]
    assert np.hypot(center[0] - 2.0, center[1] - 0.1) < 0.1  # of the side that is seen, at most half a depth off
    assert 0.1 < size[1] < 0.2 and size[0] < 0.25
    assert center[2] == pytest.approx(TABLE + 0.15, abs=0.04) and size[2] == pytest.approx(0.3, abs=0.06)


def test_a_flat_thing_is_not_taken_for_the_table() -> None:
    book = block(1.7, -0.2, (0.25, 0.2, 0.04))
    depth = look([TABLE_TOP, book], wall=4.0)
    found, _ = lift(Boxes2D(("book",), np.array([0.9]), box_of(book)[None]), depth, CAMERA, EYE, LEVEL)
    # Seen so flat, its farther rows are steps in depth and fall away: the centre comes up to a third of a depth nearer.
    assert np.linalg.norm(found.centers[0] - [1.7, -0.2, TABLE + 0.03]) < 0.09
    assert 0.08 < found.sizes[0][0] < 0.3 and found.sizes[0][1] == pytest.approx(0.2, abs=0.04)


def test_a_paper_thin_thing_keeps_the_place_where_it_lies() -> None:
    paper = block(1.7, 0.0, (0.3, 0.2, 0.003))
    depth = look([TABLE_TOP, paper], wall=4.0)
    found, _ = lift(Boxes2D(("paper",), np.array([0.9]), box_of(paper)[None]), depth, CAMERA, EYE, LEVEL)
    assert np.linalg.norm(found.centers[0] - [1.7, 0.0, TABLE]) < 0.05


def test_what_stands_before_it_is_not_taken_for_it() -> None:
    """A narrow post covers a third of the box; the object is what holds the middle's larger part."""
    thing, post = block(2.0, 0.0, (0.3, 0.4, 0.4)), block(1.4, 0.09, (0.03, 0.03, 0.6))
    depth = look([TABLE_TOP, thing, post], wall=4.0)
    found, _ = lift(Boxes2D(("box",), np.array([0.9]), box_of(thing)[None]), depth, CAMERA, EYE, LEVEL)
    assert abs(found.centers[0][0] - 1.9) < 0.12


@pytest.mark.parametrize("bad", [0.0, np.nan])
def test_a_box_without_depth_is_counted_and_left_out(bad: float) -> None:
    depth = np.zeros((240, 320), dtype=np.float32) if bad == 0 else np.full((240, 320), bad, dtype=np.float32)
    found, lost = lift(Boxes2D(("mug",), np.array([0.9]), np.array([[100.0, 90, 140, 140]])), depth, CAMERA, EYE, LEVEL)
    assert len(found) == 0 and lost == 1


def test_boxes_below_the_score_or_without_pixels_are_left_out() -> None:
    depth = look([TABLE_TOP], wall=3.0)
    boxes = Boxes2D(("a", "b"), np.array([0.2, 0.9]), np.array([[10.0, 10, 50, 50], [400, 300, 500, 400]]))
    found, lost = lift(boxes, depth, CAMERA, EYE, LEVEL, min_score=0.3)
    assert len(found) == 0 and lost == 1


def test_surfaces_end_at_steps_and_bridge_single_holes() -> None:
    reach = np.array([[1, 1, 0, 1.01, 2, 2, 0, 0, 2]], dtype=np.float32)
    assert surfaces(reach, reach > 0, 0.05, 0.0)[0].tolist() == [1, 1, 0, 1, 2, 2, 0, 0, 3]
    slope = np.linspace(1, 2, 40, dtype=np.float32)[None]
    assert surfaces(slope, slope > 0, 0.03, 0.0).max() == 1  # a slope is one surface however far it reaches
    assert surfaces(slope, np.zeros_like(slope, dtype=bool), 0.03, 0.0).max() == 0


def test_a_table_that_reaches_out_of_the_box_is_not_the_chair_behind_it() -> None:
    """The chair shows above and below the table's edge; the edge crosses the middle of its box."""
    chair = [block(2.6, 0.0, (0.04, 0.44, 0.5), 0.45), block(2.45, 0.0, (0.4, 0.44, 0.45), 0.0)]
    edge = np.array([1.6, -0.9, 0.5]), np.array([1.9, 0.9, 0.75])
    whole = np.array([2.25, -0.22, 0.0]), np.array([2.62, 0.22, 0.95])
    depth = look([*chair, edge], wall=4.5)
    found, _ = lift(Boxes2D(("chair",), np.array([0.9]), box_of(whole)[None]), depth, CAMERA, EYE, LEVEL)
    assert 2.1 < found.centers[0][0] < 2.7


def test_a_smaller_box_keeps_its_pixels() -> None:
    """A vase before a microwave: neither takes the other's place."""
    microwave, vase = block(2.2, 0.0, (0.35, 0.5, 0.3)), block(1.7, 0.03, (0.12, 0.12, 0.25))
    depth = look([TABLE_TOP, microwave, vase], wall=4.0)
    boxes = Boxes2D(("microwave", "vase"), np.array([0.9, 0.9]), np.stack([box_of(microwave), box_of(vase)]))
    found, lost = lift(boxes, depth, CAMERA, EYE, LEVEL)
    assert found.labels == ("microwave", "vase") and lost == 0
    assert abs(found.centers[0][0] - 2.1) < 0.15 and abs(found.centers[1][0] - 1.7) < 0.08


def test_a_thing_beyond_the_sensor_has_no_place() -> None:
    """Through a door frame, of which a sliver lies in the box, nothing else has depth."""
    frame = np.array([1.0, 0.16, 0.0]), np.array([1.1, 0.3, 2.2])
    depth = look([frame], wall=9.0)
    depth[depth > 6] = 0
    box = np.array([[130.0, 100, 175, 140]])
    found, lost = lift(Boxes2D(("tv",), np.array([0.9]), box), depth, CAMERA, EYE, LEVEL)
    assert len(found) == 0 and lost == 1
