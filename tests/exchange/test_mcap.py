"""MCAP: what goes out comes back, other programs can read it, and damage gets a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mcap")
pytest.importorskip("rosbags")

from embodied_mem.errors import BadInputError, NotFoundError, StorageError
from embodied_mem.exchange.mcap_file import has_records, read_mcap, write_mcap
from tests.exchange.samples import assert_same, records


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mcap") / "memory.mcap"
    assert write_mcap(records(6), path) == 6
    return path


def test_every_field_survives(exported: Path):
    assert has_records(exported)
    for before, after in zip(records(6), read_mcap(exported), strict=True):
        assert (before.seq, before.logged_ns) == (after.seq, after.logged_ns)
        assert_same(before.observation, after.observation, tolerance=1e-6)


def test_another_reader_understands_it(exported: Path):
    decoder = pytest.importorskip("mcap_ros2.reader")
    by_topic: dict[str, list] = {}
    for message in decoder.read_ros2_messages(str(exported)):
        by_topic.setdefault(message.channel.topic, []).append(message.ros_msg)
    assert len(by_topic["/records"]) == len(by_topic["/pose"]) == 6
    assert by_topic["/records"][2].observation.detections[1].label == "chair"
    assert by_topic["/pose"][3].pose.position.x == pytest.approx(1.5)
    assert len(by_topic["/points"]) == len(by_topic["/thumbnail"]) == 3
    assert [marker.text for marker in by_topic["/detections"][0].markers if marker.text] == ["mug"]


def test_the_definitions_equal_those_of_the_ros_package(exported: Path):
    """What rclpy serialises, our reader reads: the same bytes for the same record."""
    serialization = pytest.importorskip("rclpy.serialization")
    messages = pytest.importorskip("embodied_mem_msgs.msg")
    from mcap.reader import make_reader

    with open(exported, "rb") as file:
        raw = next(message.data for _, channel, message in make_reader(file).iter_messages(["/records"]))
    decoded = serialization.deserialize_message(raw, messages.Record)
    assert decoded.observation.caption == records(1)[0].observation.caption
    assert decoded.observation.view.depth_cols == 4


def test_a_truncated_file(exported: Path, tmp_path: Path):
    data = exported.read_bytes()
    for share in (0.001, 0.3, 0.95):
        cut = tmp_path / "cut.mcap"
        cut.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(StorageError, match="cut short"):
            list(read_mcap(cut))


def test_what_stands_before_the_cut_is_read(tmp_path: Path):
    rng = np.random.default_rng(0)
    whole = tmp_path / "memory.mcap"
    noise = [
        replace(record, observation=replace(record.observation, thumbnail=rng.bytes(400_000))) for record in records(9)
    ]
    write_mcap(noise, whole)
    whole.write_bytes(whole.read_bytes()[:-600_000])
    read: list[int] = []
    with pytest.raises(StorageError, match="cut short"):
        read.extend(record.seq for record in read_mcap(whole))
    assert read[:3] == [1, 2, 3]


def test_other_files(tmp_path: Path):
    text = tmp_path / "text.mcap"
    text.write_text("this is not an MCAP file at all, but it is long enough to be one")
    with pytest.raises(StorageError):
        list(read_mcap(text))
    with pytest.raises(NotFoundError):
        list(read_mcap(tmp_path / "none.mcap"))
    empty = tmp_path / "empty.mcap"
    write_mcap([], empty)
    with pytest.raises(BadInputError, match="no messages"):
        list(read_mcap(empty))


def test_a_failed_export_leaves_nothing(tmp_path: Path):
    def failing():
        yield records(1)[0]
        raise StorageError("the disk is gone")

    with pytest.raises(StorageError):
        write_mcap(failing(), tmp_path / "memory.mcap")
    assert list(tmp_path.iterdir()) == []
