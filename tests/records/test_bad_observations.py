"""Malformed observations: each is refused with a sentence and counted, and changes neither memory nor its log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embodied_mem.errors import RefusedError, StorageError
from embodied_mem.records import log as log_module
from embodied_mem.records.log import RecordLog
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Detections, Observation, View
from embodied_mem.records.query import Query
from tests.records.builders import SECOND, START, Clock, LetterEmbedder, detections, memory, observation, seeing

NAN, INF = float("nan"), float("inf")
BAD_TEXT = b"caf\xe9".decode("utf-8", "surrogateescape")  # Latin-1 bytes, as they come from files and command lines
UNIT = np.eye(26, dtype=np.float32)[0]


def boxes(**fields: Any) -> Observation:
    """One mug, with something wrong about it."""
    return observation(detections=replace(detections(["mug"]), **fields))


def view(**fields: Any) -> Observation:
    return observation(view=replace(seeing(), **fields))


def cov(**cells: float) -> np.ndarray:
    """A well-localised robot's covariance with some cells changed: _01 = row 0, column 1."""
    out = np.eye(6) * 1e-4
    for name, value in cells.items():
        out[int(name[1]), int(name[2])] = value
    return out


# what is wrong: (observation, reason it is counted under, words of the sentence)
MALFORMED: dict[str, tuple[Observation, str, str]] = {
    "nan position": (observation(position=(NAN, 0, 0)), "not_finite", "not localised"),
    "infinite position": (observation(position=(INF, 0, 0)), "not_finite", "infinity"),
    "position of two numbers": (observation(position=(0, 0)), "wrong_shape", "3 numbers"),
    "position off the planet": (observation(position=(1e9, 0, 0)), "too_far", "beyond any map"),
    "position in words": (replace(observation(), position=["a", "b", "c"]), "not_finite", "NaN"),  # type: ignore[arg-type]
    "nan orientation": (observation(orientation=np.array([NAN, 0, 0, 1])), "not_finite", "NaN"),
    "orientation as yaw": (observation(orientation=np.array([0.3])), "wrong_shape", "quaternion of 4"),
    "zero quaternion": (observation(orientation=np.zeros(4)), "bad_quaternion", "unit quaternion"),
    "quaternion that is not of unit length": (
        observation(orientation=np.array([0, 0, 1.0, 1.0])),
        "bad_quaternion",
        "unit quaternion",
    ),
    "no stamp": (replace(observation(), stamp_ns=0), "no_stamp", "header.stamp"),
    "negative stamp": (replace(observation(), stamp_ns=-5), "no_stamp", "no stamp"),
    "stamp of 65 bits": (replace(observation(), stamp_ns=2**64), "bad_stamp", "64 bits"),
    "stamp in seconds": (replace(observation(), stamp_ns=1.7e9), "bad_stamp", "nanoseconds"),  # type: ignore[arg-type]
    "stamp from the future": (observation(86_400 + 60), "future", "ahead of the clock"),
    "time that goes backwards": (observation(5 - 60, (9, 9, 9)), "late", "lateness window"),
    "unknown frame": (observation(frame_id="camera_link"), "unknown_frame", "'camera_link' is not a map frame"),
    "no frame": (observation(frame_id=""), "unknown_frame", "is not a map frame"),
    "unknown map": (observation(map_id="atlantis"), "unknown_map", "'atlantis' is not known"),
    "every map": (observation(map_id="*"), "unknown_map", "not known"),
    "covariance of the wrong size": (observation(covariance=np.eye(3)), "bad_covariance", "6 x 6"),
    "nan covariance": (observation(covariance=np.full((6, 6), NAN)), "bad_covariance", "finite"),
    "negative variance": (observation(covariance=cov(_11=-1e-4)), "bad_covariance", "negative variance"),
    "covariance that is not symmetric": (observation(covariance=cov(_01=5e-5)), "bad_covariance", "symmetric"),
    "covariance that no pose can have": (
        observation(covariance=cov(_01=2e-4, _10=2e-4)),
        "bad_covariance",
        "negative variance",
    ),
    "lost robot": (observation(covariance=np.eye(6)), "uncertain_pose", "not well localised"),
    "unsure of its heading": (observation(covariance=cov(_55=1.0)), "uncertain_pose", "not well localised"),
    "nothing in it": (observation(caption="  "), "empty", "is empty"),
    "endless caption": (observation(caption="x" * 20_000), "too_large", "20,000 characters"),
    "caption that is not Unicode": (observation(caption=BAD_TEXT), "bad_text", "not valid Unicode"),
    "caption of bytes": (replace(observation(), caption=b"a mug"), "bad_text", "not a text"),  # type: ignore[arg-type]
    "robot that is not Unicode": (observation(robot_id=BAD_TEXT), "bad_text", "robot_id"),
    "endless name of a sensor": (observation(sensor_id="x" * 2_000), "too_large", "sensor_id"),
    "nan vector": (observation(vector=np.full(26, NAN, np.float32), vector_model="letters"), "bad_vector", "finite"),
    "vector that is not of unit length": (
        observation(vector=np.ones(26, np.float32), vector_model="letters"),
        "bad_vector",
        "normalised",
    ),
    "vector of unknown origin": (observation(vector=UNIT), "bad_vector", "name of the model"),
    "vector of the wrong length": (
        observation(vector=UNIT[:3], vector_model="letters"),
        "bad_vector",
        "3 numbers, those of 'letters' have 26",
    ),
    "vector in rows": (observation(vector=np.eye(2, dtype=np.float32), vector_model="letters"), "bad_vector", "row"),
    "vector of another model": (observation(vector=UNIT, vector_model="x"), "model_mismatch", "cannot be mixed"),
    "empty cloud": (observation(cloud=np.zeros((0, 3), np.float32)), "bad_cloud", "empty"),
    "flat cloud": (observation(cloud=np.zeros(9, np.float32)), "bad_cloud", "(n, 3)"),
    "nan cloud": (observation(cloud=np.full((5, 3), NAN, np.float32)), "bad_cloud", "NaN"),
    "cloud in millimetres": (observation(cloud=np.full((5, 3), 2e4, np.float32)), "bad_cloud", "10 km"),
    "thumbnail in text": (observation(thumbnail="jpeg"), "bad_thumbnail", "not bytes"),
    "thumbnail of a whole film": (observation(thumbnail=bytes(20 * 2**20)), "too_large", "make it smaller"),
    "nan box": (boxes(centers=np.full((1, 3), NAN)), "not_finite", "no valid depth"),
    "box in millimetres": (boxes(centers=np.full((1, 3), 1e9)), "too_far", "units"),
    "negative box": (boxes(sizes=-np.ones((1, 3))), "bad_detection", "negative size"),
    "infinite box": (boxes(sizes=np.full((1, 3), INF)), "not_finite", "infinity"),
    "nan yaw": (boxes(yaws=np.array([NAN])), "not_finite", "NaN"),
    "score above one": (boxes(scores=np.array([1.5])), "bad_detection", "0..1"),
    "nan score": (boxes(scores=np.array([NAN])), "not_finite", "NaN"),
    "box without a label": (observation(detections=detections([" "])), "bad_detection", "empty label"),
    "label that is not Unicode": (observation(detections=detections([BAD_TEXT])), "bad_text", "label"),
    "labels without boxes": (boxes(labels=("mug", "cup")), "wrong_shape", "disagree"),
    "boxes of two numbers": (boxes(centers=np.zeros((1, 2))), "wrong_shape", "disagree"),
    "vectors of fewer detections": (boxes(vectors=np.ones((3, 4), np.float32)), "wrong_shape", "one row to each"),
    "nan vector of a detection": (boxes(vectors=np.full((1, 4), NAN, np.float32)), "not_finite", "vector"),
    "a thousand and one boxes": (observation(detections=detections(["mug"] * 1001)), "too_large", "1,001 detections"),
    "nan field of view": (view(fov_h=NAN), "bad_view", "finite"),
    "field of view in degrees": (view(fov_h=90.0), "bad_view", "radians"),
    "negative range": (view(min_range=-1.0), "bad_view", "negative"),
    "inverted ranges": (view(min_range=5.0, max_range=1.0), "bad_view", "inverted"),
    "intrinsics of four numbers": (view(intrinsics=(1.0, 1.0, 1.0, 1.0)), "bad_view", "6 finite numbers"),
    "depth in metres": (view(depth=np.ones((4, 6))), "bad_view", "uint16 millimetres"),
    "depth in three dimensions": (view(depth=np.ones((4, 6, 1), np.uint16)), "bad_view", "grid"),
    "depth without a cell": (view(depth=np.ones((0, 6), np.uint16)), "bad_view", "0 cells"),
    "depth without a direction": (view(fov_v=0.0), "bad_view", "field of view"),
    "class that is not Unicode": (view(classes=(BAD_TEXT,)), "bad_text", "class"),
}  # fmt: skip
FITTING_MAP_MAY_START = {"unknown map", "time that goes backwards"}  # nothing is wrong with them in an empty memory


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[RecordMemory]:
    """A memory folder with one record, seen 5 s after START; it is a day later."""
    mem = RecordMemory.open(tmp_path / "m", LetterEmbedder(), clock=Clock(START + 86_400 * SECOND))
    mem.remember(observation(5, (1, 1, 1), "kept"), durable=True)
    yield mem
    mem.close()


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_observation_gets_a_sentence_is_counted_and_changes_nothing(
    on_disk: RecordMemory, tmp_path: Path, name: str
) -> None:
    bad, reason, words = MALFORMED[name]
    before = on_disk.watermark
    good = observation(6, (4, 4, 4), "also kept")
    outcomes = on_disk.remember_many([bad, good])
    refusal = outcomes[0]
    assert isinstance(refusal, RefusedError)
    assert refusal.reason == reason
    sentence = str(refusal)
    assert words in sentence and sentence.endswith(".") and sentence[0].isupper()
    assert +on_disk.counters == {reason: 1}
    assert not isinstance(outcomes[1], RefusedError), "the batch goes on"
    on_disk.flush()
    reader = RecordLog(tmp_path / "m", read_only=True)
    assert reader.watermark == before + 1
    assert [entry.observation.caption for entry in reader.read(1, 99) if entry.observation] == ["kept", "also kept"]
    reader.close()
    assert on_disk.query(Query(text="kept")).found and len(on_disk.index) == 2


@pytest.mark.parametrize("name", [name for name in MALFORMED if name not in FITTING_MAP_MAY_START])
def test_a_malformed_first_observation_leaves_the_log_empty(name: str) -> None:
    mem = memory()
    with pytest.raises(RefusedError) as refusal:
        mem.remember(MALFORMED[name][0])
    assert mem.watermark == 0 and not mem.maps
    assert mem.counters[refusal.value.reason] == 1


def test_what_numpy_and_python_call_a_number_is_one(on_disk: RecordMemory, tmp_path: Path) -> None:
    lists = Observation(
        np.int64(START + 7 * SECOND),  # type: ignore[arg-type]
        [1, 2, 3],  # type: ignore[arg-type]
        [0, 0, 0, 1],  # type: ignore[arg-type]
        caption="lists",
        detections=Detections(("mug",), [0.5], [[1, 2, 3]], [[1, 1, 1]], [0]),  # type: ignore[arg-type]
        view=View("camera", np.float32(1.0), np.float32(0.8), np.float32(0.1), np.float32(4), None, "d", ("mug",)),  # type: ignore[arg-type]
    )
    seq = on_disk.remember(lists, durable=True).seq
    reader = RecordLog(tmp_path / "m", read_only=True)
    stored = reader.get([seq])[seq].observation
    reader.close()
    assert stored is not None and stored.position.tolist() == [1, 2, 3] and stored.view.max_range == 4


def test_rounding_in_a_covariance_is_forgiven(on_disk: RecordMemory) -> None:
    single = np.asarray(cov(_01=3e-5, _10=3e-5), dtype=np.float32)
    single[0, 1] *= np.float32(1 + 1e-6)
    admitted = on_disk.remember(observation(7, (2, 2, 2), covariance=single.astype(np.float64)))
    kept = on_disk.get(admitted.seq).observation.covariance
    assert kept is not None and np.allclose(kept, single, rtol=1e-5)


def test_a_caption_in_any_script_is_kept(on_disk: RecordMemory, tmp_path: Path) -> None:
    words = "чашка 杯子 كوب ☕ \x00 \U0001f600"
    seq = on_disk.remember(observation(7, (2, 2, 2), words)).seq
    on_disk.correct(seq, caption=words + "!")
    on_disk.close()
    again = RecordMemory.open(tmp_path / "m", LetterEmbedder(), read_only=True)
    assert again.get(seq).observation.caption == words + "!"
    again.close()


def test_an_error_while_writing_is_told_and_loses_nothing(
    on_disk: RecordMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(log_module, "pack", lambda entry: 1 / 0)
        with pytest.raises(StorageError, match="division by zero"):
            on_disk.remember(observation(7, (2, 2, 2), "waits"), durable=True)
        with pytest.raises(StorageError, match="nothing is lost"):
            on_disk.forget([2])
    assert on_disk.query(Query(text="waits")).found and len(on_disk.index) == 1, "what was written counts already"
    on_disk.remember(observation(8, (3, 3, 3), "next"), durable=True)
    on_disk.close()
    again = RecordMemory.open(tmp_path / "m", LetterEmbedder(), read_only=True)
    assert [hit.record.observation.caption for hit in again.query(Query()).hits] == ["next", "waits"]
    again.close()
