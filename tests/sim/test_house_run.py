"""A run of the house: the same for a seed, without collisions, everywhere, and with the changes that it reports."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from embodied_mem.errors import BadInputError
from embodied_mem.geometry import rotation_matrices
from sim.house.config import LidarConfig, ScanConfig, SimConfig
from sim.house.simulator import HouseSimulator, SimFrame
from tests.sim.conftest import SMALL, Whole, path_of, steady

WITH_RANGES = replace(SMALL, lidar=LidarConfig(enabled=True, columns=128), scan=ScanConfig(enabled=True))


def bytes_of(frame: SimFrame) -> list[bytes]:
    """All that a frame holds, NaN and signs of zero included."""
    assert frame.lidar is not None and frame.scan is not None
    arrays: list[np.ndarray] = [
        frame.rgb, frame.depth, frame.boxes.boxes, frame.boxes.scores, frame.position, frame.orientation,
        frame.covariance, np.array(frame.base), frame.lidar.points, frame.scan.ranges,
    ]  # fmt: skip
    return [array.tobytes() for array in arrays] + [repr((frame.stamp_ns, frame.boxes.labels, frame.odometry)).encode()]


def test_the_same_seed_gives_the_same_run_bit_by_bit() -> None:
    one, two = HouseSimulator(WITH_RANGES, seed=5), HouseSimulator(WITH_RANGES, seed=5)
    for number in range(24):
        if number == 12:
            assert [event.sentence for event in one.change_now()] == [event.sentence for event in two.change_now()]
        assert bytes_of(one.step()) == bytes_of(two.step()), f"frame {number}"


def test_another_seed_gives_another_house() -> None:
    one, two = HouseSimulator(SMALL, seed=5), HouseSimulator(SMALL, seed=6)
    assert {t.label for t in one.house.objects} != {t.label for t in two.house.objects}
    assert not np.array_equal(one.step().rgb, two.step().rgb)


def test_the_robot_never_touches_anything(whole: Whole) -> None:
    stamps, path = path_of(whole.world)
    changed = whole.world.events[0].stamp_ns
    radius = whole.world.config.robot.radius
    for rects, when in ((whole.before, stamps < changed), (whole.after, stamps >= changed)):
        x, y = path[when, 0, None], path[when, 1, None]
        corners = np.array([(r.x0, r.y0, r.x1, r.y1) for r in rects])
        dx = np.maximum(np.maximum(corners[:, 0] - x, x - corners[:, 2]), 0)
        dy = np.maximum(np.maximum(corners[:, 1] - y, y - corners[:, 3]), 0)
        # The robot knows its surroundings by cells of 5 cm.
        assert np.hypot(dx, dy).min() > radius - 0.05


@pytest.mark.parametrize("speed", [0.8, -0.8])
def test_a_robot_that_is_driven_into_a_wall_stops_there(speed: float) -> None:
    world = HouseSimulator(steady(), seed=2)
    rects = world.house.obstacles()
    world.drive(speed, 0.0)
    places = np.array([world.step().base[:2] for _ in range(40)])
    assert np.allclose(places[-1], places[-6]), "it stands still in the end"
    assert not any(rect.grown(0.1).contains(*places[-1]) for rect in rects)
    assert any(rect.grown(0.4).contains(*places[-1]) for rect in rects), "and right before what stopped it"


def test_exploring_covers_the_house(whole: Whole) -> None:
    world = whole.world
    assert world.truth.coverage(fewest=3) >= 0.9
    stamps, path = path_of(world)
    first = stamps < world.events[0].stamp_ns
    rooms = {room.name for room in world.house.plan.rooms}
    for half in (first, ~first):
        assert {world.house.plan.room_at(x, y) for x, y, _ in path[half]} >= rooms, "each sweep enters every room"
    assert world.done and world.progress == 1.0 and len(world.sweep_durations_s) == 2
    assert max(world.sweep_durations_s) < world.config.script.max_sweep_s, "no sweep was cut off"


def test_the_run_ends_and_says_so(whole: Whole) -> None:
    with pytest.raises(BadInputError, match="has ended"):
        whole.world.step()


def test_things_change_half_way_out_of_sight(whole: Whole) -> None:
    world, script = whole.world, whole.world.config.script
    kinds = [event.kind for event in world.events]
    assert [kinds.count(kind) for kind in ("moved", "removed", "added")] == [script.moved, script.removed, script.added]
    stamps, path = path_of(world)
    (when,) = {event.stamp_ns for event in world.events}
    at = int(np.searchsorted(stamps, when))
    assert 0.3 < at / len(stamps) < 0.7
    room = world.house.plan.room_at(*path[at - 1, :2])
    for event in world.events:
        truth = world.truth.things[event.id]
        assert truth.stays[0].room != room and truth.stays[-1].room != room
        assert stamps[at - 1] not in truth.seen_ns, f"the robot saw how {event.sentence}"
        if event.kind == "moved":
            assert np.linalg.norm(np.subtract(event.from_ or (), event.to or ())) > 2
            assert truth.frames_seen(truth.stays[0]) >= 6, "what moves was known before"


def test_the_truth_says_where_everything_is(whole: Whole) -> None:
    world = whole.world
    present = {truth.id: stay for truth, stay in world.truth.present()}
    assert present.keys() == world.house.things.keys()
    for identity, stay in present.items():
        assert np.allclose(stay.center, world.house.things[identity].center)
    for event in world.events:
        truth = world.truth.things[event.id]
        just_before, now = truth.stay_at(event.stamp_ns - 1), truth.stay_at(event.stamp_ns)
        assert (just_before and just_before.center) == event.from_
        assert (now and now.center) == event.to and (truth.now is None) == (event.kind == "removed")
    assert world.truth.start_ns == whole.frames[0].stamp_ns and world.truth.end_ns == whole.frames[-1].stamp_ns


def test_what_the_truth_calls_seen_was_in_the_picture(whole: Whole) -> None:
    world, camera = whole.world, whole.world.intrinsics
    stamps, path = path_of(world)
    checked = 0
    for truth in world.truth.things.values():
        if truth.furniture:
            continue  # of which a picture often shows a part only
        for stamp, distance in zip(truth.seen_ns[::5], truth.seen_distance[::5], strict=True):
            x, y, yaw = path[np.searchsorted(stamps, stamp)]
            position, orientation = world.camera_mount.pose(np.array([x, y]), yaw)
            stay = truth.stay_at(stamp)
            assert stay is not None
            local = rotation_matrices(orientation).T @ (np.array(stay.center) - position)
            assert np.linalg.norm(local) == pytest.approx(distance, abs=0.02)
            u, v = camera.cx - local[1] / local[0] * camera.fx, camera.cy - local[2] / local[0] * camera.fy
            slack = 0.5 * max(stay.size) / local[0] * camera.fx
            assert -slack <= u <= camera.width + slack and -slack <= v <= camera.height + slack
            checked += 1
    assert checked > 50


def test_a_robot_that_is_driven_goes_where_it_is_told() -> None:
    world = HouseSimulator(steady(), seed=4)
    world.drive(0.0, 0.5)
    yaws = [world.step().base[2] for _ in range(6)]
    assert np.diff(np.unwrap(yaws))[2:] == pytest.approx(0.25, abs=1e-6), "0.5 rad/s at 2 frames a second"
    world.drive(0.0, 0.0)
    for _ in range(3):
        still = world.step()
    assert world.step().base == still.base and not world.done
    with pytest.raises(BadInputError, match="finite"):
        world.drive(float("nan"), 0.0)
    world.explore()
    moved = [world.step().base for _ in range(20)]
    assert moved[-1] != still.base


def test_a_house_has_what_the_settings_ask_for() -> None:
    config = SimConfig(house=replace(SMALL.house, min_objects=12, max_objects=12))
    house = HouseSimulator(config, seed=8).house
    assert len(house.objects) == 12
    extent = house.plan.extent
    assert config.house.min_area <= (extent.x1 - extent.x0) * (extent.y1 - extent.y0) <= config.house.max_area
    assert {thing.label for thing in house.things.values()} <= set(house.vocabulary())
    pairs = [(a, b) for a in house.objects for b in house.objects if a.id < b.id and a.label == b.label]
    assert all(np.linalg.norm(a.center - b.center) >= config.house.same_label_gap - 0.01 for a, b in pairs)
