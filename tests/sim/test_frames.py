"""Recorded frames as a world: each comes once, in order, and the nodes get the camera where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from embodied_mem.cli.simulated import played_parameters
from embodied_mem.errors import BadInputError
from embodied_mem.geometry import rotation_matrices
from embodied_mem.nodes.perceiving import Perceiver
from embodied_mem.nodes.settings import PerceptionSettings, SimSettings
from embodied_mem.nodes.simulating import Run, make_world
from embodied_mem.nodes.stack import stack
from embodied_mem.nodes.sync import PoseSample
from embodied_mem.perception.readers.folder import FrameFolder
from sim.frames import FramePlayer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three frames of 40 x 30 pixels of a wall, from a camera that moves along x and looks along z (y is down)."""
    np.savetxt(tmp_path / "camera-intrinsics.txt", np.array([[40, 0, 19.5], [0, 40, 14.5], [0, 0, 1.0]]))
    for number in range(3):
        stem = tmp_path / f"frame-{15 * number:06d}"
        pose = np.eye(4)
        pose[0, 3] = number
        np.savetxt(f"{stem}.pose.txt", pose)
        Image.fromarray(np.full((30, 40, 3), 50 * number, np.uint8)).save(f"{stem}.color.png")
        Image.fromarray(np.full((30, 40), 2000 + number, np.uint16)).save(f"{stem}.depth.png")
    return tmp_path


def test_frames_are_played_once_and_in_order(folder: Path) -> None:
    player = FramePlayer(folder)
    assert len(player) == 3 and player.progress == 0 and not player.done
    frames = [player.step() for _ in range(3)]
    assert player.done and player.progress == 1
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [int(frame.rgb[0, 0, 0]) for frame in frames] == [0, 50, 100]
    assert np.diff([frame.stamp_ns for frame in frames]).tolist() == [500_000_000, 500_000_000], "15 of 30 a second"
    with pytest.raises(BadInputError, match="has ended"):
        player.step()


def test_the_pose_is_that_of_the_camera(folder: Path) -> None:
    frame = [player.step() for player in [FramePlayer(folder)] for _ in range(2)][1]
    assert frame.position.tolist() == [1, 0, 0]
    turn = rotation_matrices(frame.orientation)
    assert np.allclose(turn[:, 0], [0, 0, 1]), "ahead"
    assert np.allclose(turn[:, 2], [0, -1, 0]), "up"


def test_the_nodes_reach_the_camera_through_the_stack_s_parameters(folder: Path) -> None:
    given = {"sim": {"world": "frames", "frames": str(folder)}}
    (perception,) = [p for p in stack(("record", "perception", "sim"), parameters=given) if p.name == "perception"]
    said = " ".join(perception.arguments)
    assert "mount" not in said and "external_detections" not in said, "odom is the camera's own pose"
    (house,) = [p for p in stack(("record", "perception", "sim")) if p.name == "perception"]
    assert "mount:=" in " ".join(house.arguments)

    player = FramePlayer(folder)
    player.step()
    frame = player.step()
    pose = PoseSample(frame.stamp_ns, frame.position, frame.orientation, frame.covariance, frame.frame_id)
    seen = Perceiver(PerceptionSettings()).camera(frame.stamp_ns, frame.rgb, frame.depth, frame.camera, pose)
    assert seen is not None and seen.cloud is not None and not seen.view.detector, "no detector looked at it"
    assert np.allclose(seen.position, frame.position) and np.allclose(seen.orientation, frame.orientation)
    assert np.allclose(seen.cloud[:, 0], 2.001), "metres ahead of the camera"


def test_messages_hold_the_camera_s_pose_and_no_detections(folder: Path) -> None:
    pytest.importorskip("nav_msgs", reason="ROS 2 is not installed")
    from embodied_mem.nodes.conversions.simulated import messages_of

    player = FramePlayer(folder)
    player.step()
    sent = dict(messages_of(player.step()))
    assert sent.keys() == {"odom", "camera_info", "depth", "image"}
    odom = sent["odom"]
    assert (odom.header.frame_id, odom.child_frame_id) == ("map", "camera") and odom.pose.pose.position.x == 1.0
    q = odom.pose.pose.orientation
    assert np.allclose(rotation_matrices(np.array([q.x, q.y, q.z, q.w]))[:, 0], [0, 0, 1])


def test_a_run_plays_all_frames(folder: Path) -> None:
    settings = SimSettings(world="frames", frames=str(folder), real_time_factor=100.0)
    played: list[Any] = []
    errors: list[Exception] = []
    finished: list[bool] = []
    run = Run(
        make_world(settings), settings, played.append,
        listening=lambda: True, finished=lambda: finished.append(True), failed=errors.append,
    )  # fmt: skip
    run.start()
    assert run._thread is not None
    run._thread.join(10)
    assert not errors and finished == [True] and len(played) == 3 and run.done


def test_up_plays_a_folder_of_frames(folder: Path, tmp_path: Path) -> None:
    given = played_parameters(tmp_path / "memory", folder)
    processes = {p.name: " ".join(p.arguments) for p in stack(("record", "perception", "sim"), parameters=given)}
    assert f"frames:='{folder}'" in processes["sim"] and "world:='frames'" in processes["sim"]
    assert "mount" not in processes["perception"] and "reliability:='reliable'" in processes["perception"]
    with pytest.raises(BadInputError, match="no folder"):
        played_parameters(tmp_path / "memory", folder / "none")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"frames": ""}, "must name their folder"),
        ({"frames": "/nonexistent"}, "no folder"),
        ({"frames": "{folder}", "drive": "cmd_vel"}, "cannot be driven"),
    ],
)
def test_a_world_of_frames_needs_frames(folder: Path, settings: dict[str, str], says: str) -> None:
    filled: dict[str, Any] = {name: value.format(folder=folder) for name, value in settings.items()}
    with pytest.raises(BadInputError, match=says):
        make_world(SimSettings(world="frames", **filled))


def test_an_empty_folder_has_no_frames(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="holds no frames"):
        FramePlayer(tmp_path)


def test_a_frame_that_lacks_its_depth_is_named(folder: Path) -> None:
    (folder / "frame-000015.depth.png").unlink()
    player = FramePlayer(folder)
    player.step()
    with pytest.raises(BadInputError, match="frame-000015"):
        player.step()


def test_the_kitchen_can_be_played(shared_data: Path) -> None:
    player = FramePlayer(shared_data / "rgbd_7scenes")
    frame, original = player.step(), next(iter(FrameFolder(shared_data / "rgbd_7scenes")))
    assert len(player) == 125 and np.array_equal(frame.depth, original.depth)
    assert np.allclose(frame.position, original.position)
