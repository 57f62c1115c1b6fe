"""A recorded run of the house is a small bag, and replaying it gives what the robot perceived."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mcap", reason="mcap is not installed")
pytest.importorskip("rosbags", reason="rosbags is not installed")

from embodied_mem.cli.exits import Exit
from embodied_mem.cli.main import main
from embodied_mem.errors import StorageError
from embodied_mem.perception.readers.recording import open_recording
from embodied_mem.perception.rgbd import RgbdFrame, RgbdObserver
from embodied_mem.records.observation import Observation
from sim.house.config import CameraConfig, LidarConfig, LocalisationConfig, ScanConfig, SimConfig
from sim.house.simulator import HouseSimulator, SimFrame
from sim.record import write_bag
from tests.sim.conftest import SMALL

ALL_SENSORS = replace(
    SMALL,
    camera=CameraConfig(width=256, height_px=192),
    lidar=LidarConfig(enabled=True, columns=64),
    scan=ScanConfig(enabled=True, beams=60),
    localisation=LocalisationConfig(jumps_per_minute=15),
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[SimFrame]]:
    """A bag of the first 30 frames, and these."""
    world = HouseSimulator(ALL_SENSORS, seed=3)
    frames = [world.step() for _ in range(30)]
    path = tmp_path_factory.mktemp("bag") / "house.mcap"
    assert write_bag(world, frames, path) == 30
    return path, frames


def test_frames_come_back_as_the_robot_had_them(recorded: tuple[Path, list[SimFrame]]) -> None:
    path, frames = recorded
    read = [item for item in open_recording(path) if isinstance(item, RgbdFrame)]
    assert len(read) == len(frames)
    for back, frame in zip(read, frames, strict=True):
        assert back.stamp_ns == frame.stamp_ns and back.frame_id == "map"
        assert np.allclose(back.position, frame.position, atol=1e-9)
        assert abs(back.orientation @ frame.orientation) == pytest.approx(1)
        assert back.covariance is not None and np.array_equal(back.covariance, frame.covariance)
        coarse = frame.depth[::2, ::2]
        known = coarse > 0
        assert back.depth.shape == coarse.shape and not back.depth[~known].any()
        assert np.abs(back.depth - coarse)[known].max() <= 0.00401, "steps of 8 mm"
        assert back.boxes is not None and back.boxes.labels == frame.boxes.labels
        assert np.allclose(back.boxes.boxes * 2, frame.boxes.boxes, atol=1e-3), "in pixels of the depth image"
        assert back.detector == frame.detector and back.classes == frame.classes
        assert (back.camera.fx * 2, back.camera.cx * 2) == (frame.camera.fx, frame.camera.cx)


def test_things_stand_where_they_stood(recorded: tuple[Path, list[SimFrame]]) -> None:
    """The recorded boxes, lifted through the recorded depth, against the same from the frames themselves."""
    path, frames = recorded
    observer, offsets = RgbdObserver(), []
    for back, frame in zip((i for i in open_recording(path) if isinstance(i, RgbdFrame)), frames, strict=True):
        original = RgbdFrame(frame.stamp_ns, frame.rgb, frame.depth, frame.camera, frame.position, frame.orientation)
        wanted = observer.observe(original, frame.boxes, detector_name=frame.detector, classes=frame.classes)
        got = observer.observe(back)
        assert got.view.detector == frame.detector and set(got.view.classes) == set(frame.classes)
        first = {
            label: center for label, center in zip(wanted.detections.labels, wanted.detections.centers, strict=True)
        }
        offsets += [
            float(np.linalg.norm(center - first[label]))
            for label, center in zip(got.detections.labels, got.detections.centers, strict=True)
            if wanted.detections.labels.count(label) == got.detections.labels.count(label) == 1
        ]
    assert len(offsets) > 30 and np.median(offsets) < 0.05


def test_ranges_come_back_too(recorded: tuple[Path, list[SimFrame]]) -> None:
    path, frames = recorded
    first = frames[0]
    assert first.lidar is not None and first.scan is not None
    seen = {item.sensor_id: item for item in reversed(list(open_recording(path))) if isinstance(item, Observation)}
    assert seen.keys() == {"scan", "points"}
    assert np.allclose(seen["points"].position, first.lidar.position)
    assert np.allclose(seen["scan"].position, first.scan.position)
    reach = np.linalg.norm(seen["scan"].cloud, axis=1)  # type: ignore[arg-type]
    assert np.isin(reach.round(3), first.scan.ranges.round(3)).mean() > 0.95


def test_an_unwritable_bag_is_named(recorded: tuple[Path, list[SimFrame]], tmp_path: Path) -> None:
    world = HouseSimulator(SMALL, seed=3)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageError):
        write_bag(world, [world.step()], tmp_path / "file" / "house.mcap")


def test_simulate_replay_ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The three commands of the README, with fewer frames."""
    bag, memory = tmp_path / "house.mcap", tmp_path / "memory"
    assert main(["simulate", "--record", str(bag), "--seed", "1", "--frames", "40", "--rate", "1", "--json"]) == Exit.OK
    told = json.loads(capsys.readouterr().out)
    assert told["frames"] == 40 and told["bytes"] == bag.stat().st_size < 1_500_000
    assert main(["replay", str(bag), "--memory", str(memory), "--json"]) == Exit.OK
    replayed = json.loads(capsys.readouterr().out)
    assert replayed["admitted"] + replayed["folded"] + sum(replayed["refused"].values()) == 40
    assert set(replayed["refused"]) <= {"uncertain_pose"}

    world = HouseSimulator(replace(SimConfig(), script=replace(SimConfig().script, frame_rate=1.0)), seed=1)
    for _ in range(40):
        world.step()
    known = [
        truth for truth in world.truth.things.values()
        if not truth.furniture and len(world.truth.labelled(truth.label)) == 1
        and sum(d < 3 for d in truth.seen_distance) >= 4
    ]  # fmt: skip
    assert known, "the robot saw something well"
    thing = known[0]
    question = f"where is the {thing.label}?"
    assert main(["ask", question, "--memory", str(memory), "--now", "last", "--json"]) == Exit.OK
    answer = json.loads(capsys.readouterr().out)
    assert thing.now is not None
    assert np.linalg.norm(np.subtract(answer["pose"]["position"], thing.now.center)) < 0.4


def test_the_same_seed_gives_the_same_bag(tmp_path: Path) -> None:
    for name in ("one", "two"):
        world = HouseSimulator(SMALL, seed=9)
        write_bag(world, (world.step() for _ in range(5)), tmp_path / f"{name}.mcap")
    assert (tmp_path / "one.mcap").read_bytes() == (tmp_path / "two.mcap").read_bytes()


@pytest.mark.parametrize(
    "bad", [["--record", "house.bag"], ["--record", "h.mcap", "--frames", "0"], ["--record", "h.mcap", "--seed", "-1"],
            ["--record", "h.mcap", "--rate", "99"], []]
)  # fmt: skip
def test_bad_options_are_refused(bad: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", *bad]) == Exit.USAGE
    assert capsys.readouterr().err.strip()
