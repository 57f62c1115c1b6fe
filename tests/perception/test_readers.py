"""Readers of recorded data: the real files, small ones made here, and damaged ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embodied_mem.errors import BadInputError, NotFoundError
from embodied_mem.perception.readers.captions import CaptionFile
from embodied_mem.perception.readers.images import decode_depth, decode_rgb
from embodied_mem.perception.readers.laser2d import LaserLog, dead_reckon
from embodied_mem.perception.readers.recording import open_recording
from embodied_mem.perception.readers.tf import TransformTree
from embodied_mem.perception.rgbd import RgbdFrame
from embodied_mem.records.observation import Observation

LEVEL = np.array([0.0, 0.0, 0.0, 1.0])


def test_the_kitchen_bag_gives_the_frames_of_the_folder(shared_data: Path) -> None:
    pytest.importorskip("rosbags", reason="rosbags is not installed")
    bag = open_recording(shared_data / "bags" / "7scenes_kitchen")
    frames = [frame for frame in bag if isinstance(frame, RgbdFrame)]
    assert len(frames) == 24 and len(bag) == 48
    folder = iter(open_recording(shared_data / "rgbd_7scenes"))
    for frame in frames[:3]:
        same = next(folder)
        assert isinstance(same, RgbdFrame)
        assert np.allclose(frame.position, same.position, atol=1e-6)
        assert abs(frame.orientation @ same.orientation) == pytest.approx(1, abs=1e-6)
        assert np.array_equal(frame.depth, same.depth) and np.array_equal(frame.rgb, same.rgb)


def test_the_tilting_laser_is_read_through_its_tf(shared_data: Path) -> None:
    pytest.importorskip("rosbags", reason="rosbags is not installed")
    bag = open_recording(shared_data / "bags" / "tilt_laser.bag")
    scans = [scan for scan in bag if isinstance(scan, Observation)]
    assert len(scans) > 10 and all(scan.cloud is not None and np.isfinite(scan.cloud).all() for scan in scans)
    pitches = [np.arcsin(np.clip(2 * (q[3] * q[1] - q[2] * q[0]), -1, 1)) for q in (scan.orientation for scan in scans)]
    assert np.ptp(pitches) > 0.5, "the laser tilts"
    assert any("no map or odometry frame" in note for note in getattr(bag, "notes", []))


def test_the_laser_log_is_dead_reckoned(shared_data: Path) -> None:
    log = LaserLog(shared_data / "laser2d" / "exp1.dat")
    seen = list(log)
    assert len(log) > 700 and 50 < len(seen) < len(log)
    assert seen[0].frame_id == "odom" and np.allclose(seen[0].position, 0)
    assert 2 < max(np.linalg.norm(obs.position) for obs in seen) < 60


def test_wheels_that_turn_alike_drive_straight() -> None:
    ticks = np.array([0.0, 2000, 4000])
    poses = dead_reckon(ticks, ticks)
    assert np.allclose(poses[:, 0], [0, 2 * np.pi * 0.077, 4 * np.pi * 0.077]) and np.allclose(poses[:, 1:], 0)
    assert dead_reckon(ticks, -ticks)[-1, 2] < 0


def test_real_captions_stand_where_they_were_taken(shared_data: Path) -> None:
    captions = CaptionFile(shared_data / "cmu500" / "streetview_graph.gml")
    seen = list(captions)
    assert len(seen) == 3313 and not captions.refused
    places = np.array([obs.position for obs in seen])
    assert 500 < np.ptp(places[:, 0]) < 2000 and 500 < np.ptp(places[:, 1]) < 2000
    assert not any("&#34;" in obs.caption for obs in seen)
    first = captions.metres(-79.94377147812496, 40.43877564980744)
    assert np.allclose(seen[0].position[:2], first)


def test_captions_of_every_format(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"caption": "one", "x": 1, "y": 2, "z": 3, "time": 1700000000}\n{"text": "two", "x": 4, "y": 5}\n'
    )
    (tmp_path / "a.csv").write_text("caption,lat,lon,time\nnorth,10.001,20.0,2024-05-01\nsouth,10.0,20.0,\n")
    (tmp_path / "a.gml").write_text(
        'graph [\n  node [\n    id 7\n    caption "a &#34;door&#34;"\n'
        "    position [\n      x 500.0\n      y 2\n    ]\n  ]\n]\n"
    )
    one, two = CaptionFile(tmp_path / "a.jsonl")
    assert one.position.tolist() == [1, 2, 3] and one.stamp_ns == 1_700_000_000 * 10**9 and two.caption == "two"
    north, south = CaptionFile(tmp_path / "a.csv")
    assert north.position[1] - south.position[1] == pytest.approx(111.3, abs=0.3)
    (door,) = CaptionFile(tmp_path / "a.gml", map_id="house")
    assert door.caption == 'a "door"' and door.position.tolist() == [500, 2, 0] and door.map_id == "house"


def test_bad_rows_are_named_and_the_others_read(tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"
    path.write_bytes(
        b'{"caption": "good", "x": 1, "y": 2}\nnot json\n[1]\n{"caption": "", "x": 1, "y": 2}\n'
        b'{"caption": "no place"}\n'
        b'{"caption": "far", "lat": 95, "lon": 0}\n{"caption": "when", "x": 1, "y": 1, "time": "soon"}\n'
        b'{"caption": "caf\xe9", "x": 1, "y": 2}\n{"caption": "nan", "x": NaN, "y": 2}\n'
    )
    captions = CaptionFile(path)
    assert [obs.caption for obs in captions] == ["good", "caf\N{REPLACEMENT CHARACTER}"]
    assert [where for where, _ in captions.refused] == [f"line {n}" for n in (2, 3, 4, 5, 6, 7, 9)]
    assert all(why for _, why in captions.refused)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", b""),
        ("x.jsonl", b"\xff\xfe\x00"),
        ("x.gml", b"graph [ ]"),
        ("x.txt", b"hello"),
        ("x.csv", b"a,b\n1,2\n"),
    ],
)
def test_files_without_a_caption_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError):
        CaptionFile(tmp_path / name)
    with pytest.raises(BadInputError):
        CaptionFile(tmp_path / "missing.csv")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.mcap", b"\x89MCAP0\r\n" + bytes(40)),
        ("a.mcap", b""),
        ("a.bag", b"#ROSBAG V2.0\n" + bytes(100)),
        ("a.db3", b"hello"),
        ("a.dat", b"1 2 3\n4 5\n"),
        ("a.dat", b"\xff\xff\xff"),
        ("a.dat", b"one two"),
        ("a.xyz", b"?"),
    ],
)
def test_damaged_recordings_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    pytest.importorskip("rosbags", reason="rosbags is not installed")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError) as refusal:
        list(open_recording(tmp_path / name))
    assert str(refusal.value).endswith(".")


def test_a_truncated_bag_is_named(shared_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("rosbags", reason="rosbags is not installed")
    for source in ("7scenes_kitchen/7scenes_kitchen.mcap", "tilt_laser.bag"):
        whole = (shared_data / "bags" / source).read_bytes()
        part = tmp_path / Path(source).name
        part.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(BadInputError):
            list(open_recording(part))


def test_folders_that_are_no_recording_are_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BadInputError):
            open_recording(path)
    (tmp_path / "frame-000000.pose.txt").write_text("1 2 3")
    (tmp_path / "camera-intrinsics.txt").write_text("585 0 320\n0 585 240\n0 0 1\n")
    with pytest.raises(BadInputError, match="lacks its colour"):
        list(open_recording(tmp_path))


def test_images_that_are_none_are_named() -> None:
    for data in (b"", b"\x89PNG nothing", b"\xff\xd8\xff garbage"):
        with pytest.raises(BadInputError):
            decode_rgb(data, "x")
        with pytest.raises(BadInputError):
            decode_depth(data, "x")


def test_transforms_are_chained_and_interpolated() -> None:
    tree = TransformTree()
    tree.add("/odom", "base", 0, np.array([0.0, 0, 0]), LEVEL)
    tree.add("odom", "/base", 10, np.array([1.0, 0, 0]), np.array([0, 0, np.sqrt(0.5), np.sqrt(0.5)]))
    tree.add("base", "laser", 0, np.array([0.0, 0, 2]), LEVEL, static=True)
    middle = tree.lookup("odom", "laser", 5, 100)
    assert np.allclose(middle[:3, 3], [0.5, 0, 2]) and np.allclose(middle[:2, 0], np.sqrt(0.5))
    assert tree.ancestors("/laser") == ["laser", "base", "odom"]
    for fixed, frame, stamp in (("map", "laser", 5), ("odom", "laser", 10**6)):
        with pytest.raises(NotFoundError):
            tree.lookup(fixed, frame, stamp, 100)
