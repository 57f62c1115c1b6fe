"""Images, depth and poses of one moment find each other, whatever order and gaps they come with."""

from __future__ import annotations

import numpy as np
import pytest

from embodied_mem.nodes.sync import FrameSync, PoseSample, PoseTrack

MS = 1_000_000
SECOND = 1000 * MS
SLOP = 200 * MS


def pose(stamp_ms: float, x: float = 0.0, frame: str = "map") -> PoseSample:
    turn = np.array([0.0, 0.0, 0.0, 1.0])
    return PoseSample(round(stamp_ms * MS), np.array([x, 0.0, 0.0]), turn, None, frame)


def track(*poses: PoseSample) -> PoseTrack:
    made = PoseTrack()
    for each in poses:
        made.add(each)
    return made


def sync(depth: int = 30) -> FrameSync:
    return FrameSync(("depth",), 20 * MS, 0.5, depth)


def test_a_frame_waits_for_its_depth_and_pose_then_leaves_once() -> None:
    frames, poses = sync(), track(pose(0, 0.0))
    frames.lead(50 * MS, "image", 0.0)
    assert not frames.complete(0.0, poses, SLOP)
    frames.other("depth", 55 * MS, "depth")
    assert not frames.complete(0.0, poses, SLOP)  # no pose behind it yet
    poses.add(pose(100, 1.0))
    ((stamp, message, parts, found),) = frames.complete(0.0, poses, SLOP)
    assert (stamp, message, parts) == (50 * MS, "image", {"depth": "depth"})
    assert found.position[0] == pytest.approx(0.5)
    assert not frames.complete(0.0, poses, SLOP)


def test_the_nearest_partner_is_taken_and_none_too_far() -> None:
    frames, poses = sync(), track(pose(0), pose(1000))
    for stamp in (30, 48, 75):
        frames.other("depth", stamp * MS, f"depth {stamp}")
    frames.lead(50 * MS, "image", 0.0)
    frames.lead(110 * MS, "later", 0.0)
    ((_, _, parts, _),) = frames.complete(0.1, poses, SLOP)
    assert parts["depth"] == "depth 48"
    assert not frames.complete(0.6, poses, SLOP) and frames.counters["without_depth"] == 1


def test_a_frame_without_a_pose_in_time_is_given_up_and_counted() -> None:
    frames, poses = sync(), track(pose(0))
    frames.lead(10 * SECOND, "image", 0.0)
    frames.other("depth", 10 * SECOND, "depth")
    assert not frames.complete(0.4, poses, SLOP) and len(frames) == 1
    assert not frames.complete(0.6, poses, SLOP) and len(frames) == 0
    assert frames.counters["without_pose"] == 1


def test_a_partner_that_cannot_come_any_more_is_not_waited_for() -> None:
    frames, poses = sync(), track(pose(0), pose(4000))
    frames.lead(50 * MS, "image", 0.0)
    frames.other("depth", 2 * SECOND, "depth")
    assert not frames.complete(0.0, poses, SLOP)
    assert len(frames) == 0 and frames.counters["without_depth"] == 1


def test_a_bag_that_begins_again_is_followed_without_a_clock() -> None:
    frames, poses = sync(), PoseTrack()
    for lap in range(2):
        done = []
        for step in range(100):  # 10 s, image first, depth and pose behind it
            stamp = step * 100 * MS
            frames.lead(stamp, (lap, step), lap * 10 + step * 0.1)
            done += frames.complete(lap * 10 + step * 0.1, poses, SLOP)
            frames.other("depth", stamp, (lap, step))
            done += frames.complete(lap * 10 + step * 0.1, poses, SLOP)
            poses.add(pose(step * 100, lap))
            done += frames.complete(lap * 10 + step * 0.1, poses, SLOP)
        assert [message for _, message, _, _ in done] == [(lap, step) for step in range(100)]
        assert all(parts["depth"] == message for _, message, parts, _ in done)
        assert {found.position[0] for *_, found in done[1:]} == {lap}
    assert not +frames.counters


def test_a_full_queue_drops_its_oldest_frame_and_counts() -> None:
    frames = sync(depth=2)
    for number in range(5):
        frames.lead(number * MS, number, 0.0)
    assert len(frames) == 2 and frames.counters["sync_dropped"] == 3
    frames.clear()
    assert len(frames) == 0 and frames.counters["cleared_dropped"] == 2


def test_poses_may_come_out_of_order_and_frames_are_not_mixed() -> None:
    poses = track(pose(100, 1.0), pose(0, 0.0), pose(200, 2.0, "odom"))
    middle = poses.at(50 * MS, SLOP)
    assert middle is not None and middle.position[0] == pytest.approx(0.5)
    across = poses.at(160 * MS, SLOP)  # between two frames, the nearer one counts
    assert across is not None and across.frame_id == "odom" and across.position[0] == 2.0
    assert poses.at(900 * MS, SLOP) is None
