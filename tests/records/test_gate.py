"""The gate: what is malformed, badly localised or out of time is refused with a reason, counted, and loses nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embodied_mem.errors import RefusedError
from embodied_mem.records.gate import GateLimits
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Detections
from embodied_mem.records.query import Query
from tests.records.builders import SECOND, START, Clock, LetterEmbedder, detections, memory, observation, seeing

NAN = float("nan")


def with_boxes(**fields: Any) -> Detections:
    return replace(detections(["mug"]), **fields)


MALFORMED = {
    "nan position": (observation(position=(NAN, 0, 0)), "not_finite"),
    "infinite position": (observation(position=(np.inf, 0, 0)), "not_finite"),
    "short position": (observation(position=(0, 0)), "wrong_shape"),
    "position off the planet": (observation(position=(1e9, 0, 0)), "too_far"),
    "nan orientation": (observation(orientation=np.array([NAN, 0, 0, 1])), "not_finite"),
    "zero quaternion": (observation(orientation=np.zeros(4)), "bad_quaternion"),
    "no stamp": (replace(observation(), stamp_ns=0), "no_stamp"),
    "negative stamp": (replace(observation(), stamp_ns=-5), "no_stamp"),
    "stamp from the future": (observation(86_400 + 60), "future"),
    "unknown frame": (observation(frame_id="camera_link"), "unknown_frame"),
    "no frame": (observation(frame_id=""), "unknown_frame"),
    "unknown map": (observation(map_id="atlantis"), "unknown_map"),
    "covariance of the wrong size": (observation(covariance=np.eye(3)), "bad_covariance"),
    "nan covariance": (observation(covariance=np.full((6, 6), NAN)), "bad_covariance"),
    "negative variance": (observation(covariance=-np.eye(6)), "bad_covariance"),
    "lost robot": (observation(covariance=np.eye(6)), "uncertain_pose"),
    "unsure of its heading": (observation(covariance=np.diag([0, 0, 0, 0, 0, 1.0])), "uncertain_pose"),
    "nothing in it": (observation(caption="  "), "empty"),
    "endless caption": (observation(caption="x" * 20_000), "too_large"),
    "nan vector": (observation(vector=np.full(26, NAN, np.float32), vector_model="letters"), "bad_vector"),
    "vector that is not of unit length": (
        observation(vector=np.ones(26, np.float32), vector_model="letters"),
        "bad_vector",
    ),
    "vector of unknown origin": (observation(vector=np.eye(26, dtype=np.float32)[0]), "bad_vector"),
    "vector of the wrong length": (
        observation(vector=np.eye(3, dtype=np.float32)[0], vector_model="letters"),
        "bad_vector",
    ),
    "vector of another model": (
        observation(vector=np.eye(26, dtype=np.float32)[0], vector_model="x"),
        "model_mismatch",
    ),
    "empty cloud": (observation(cloud=np.zeros((0, 3), np.float32)), "bad_cloud"),
    "flat cloud": (observation(cloud=np.zeros(9, np.float32)), "bad_cloud"),
    "nan cloud": (observation(cloud=np.full((5, 3), NAN, np.float32)), "bad_cloud"),
    "nan box": (observation(detections=with_boxes(centers=np.full((1, 3), NAN))), "not_finite"),
    "negative box": (observation(detections=with_boxes(sizes=-np.ones((1, 3)))), "bad_detection"),
    "score above one": (observation(detections=with_boxes(scores=np.array([1.5]))), "bad_detection"),
    "box without a label": (observation(detections=detections([" "])), "bad_detection"),
    "labels without boxes": (observation(detections=with_boxes(labels=("mug", "cup"))), "wrong_shape"),
    "a thousand and one boxes": (observation(detections=detections(["mug"] * 1001)), "too_large"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_observations_are_refused_counted_and_lose_nothing(name: str) -> None:
    mem = memory()
    mem.remember(observation(5, (1, 1, 1), "kept"))
    bad, reason = MALFORMED[name]
    with pytest.raises(RefusedError) as refusal:
        mem.remember(bad)
    assert refusal.value.reason == reason
    assert str(refusal.value).endswith(".") and " " in str(refusal.value)
    assert mem.counters[reason] == 1 and len(mem.index) == 1
    assert mem.query(Query(text="kept")).found


def test_a_refused_observation_does_not_stop_its_batch() -> None:
    mem = memory()
    outcomes = mem.remember_many([observation(1), observation(position=(NAN, 0, 0)), observation(2, (5, 0, 0))])
    assert [isinstance(outcome, RefusedError) for outcome in outcomes] == [False, True, False]
    assert len(mem.index) == 2


def test_lateness_is_judged_for_each_stream() -> None:
    mem = memory()
    mem.remember(observation(100, sensor_id="front"))
    mem.remember(observation(95, (2, 0, 0), "a little late", sensor_id="front"))
    mem.remember(observation(10, (3, 0, 0), "another sensor", sensor_id="rear"))
    with pytest.raises(RefusedError, match="lateness window"):
        mem.remember(observation(50, (4, 0, 0), "too late", sensor_id="front"))
    mem.start_session()
    mem.remember(observation(50, (4, 0, 0), "another session", sensor_id="front"))
    assert len(mem.index) == 4


def test_an_empty_frame_of_a_running_detector_is_evidence() -> None:
    mem = memory()
    mem.remember(observation(1, caption="", view=seeing()))
    assert len(mem.index) == 1 and len(mem.index.views()) == 1


def test_limits_are_settings() -> None:
    strict = RecordMemory.in_memory(
        LetterEmbedder(), limits=GateLimits(require_covariance=True), clock=Clock(START + 9 * SECOND)
    )
    with pytest.raises(RefusedError, match="requires one"):
        strict.remember(observation(1))
    strict.remember(observation(1, covariance=np.eye(6) * 1e-4))
    with pytest.raises(ValueError, match="above 0"):
        GateLimits(lateness_s=-1)
