"""The gate's judgement over time, and its limits. What is malformed: test_bad_observations.py."""

from __future__ import annotations

import numpy as np
import pytest

from embodied_mem.errors import RefusedError
from embodied_mem.records.gate import GateLimits
from embodied_mem.records.memory import RecordMemory
from tests.records.builders import SECOND, START, Clock, LetterEmbedder, memory, observation, seeing

NAN = float("nan")


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
