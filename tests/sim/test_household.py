"""Households of ALFRED: what is moved is elsewhere, and what the sensor says is what is in view."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from embodied_mem.errors import BadInputError, NotFoundError
from sim.household.traces import households, is_development, vocabulary, words
from sim.household.watching import Sensor, watch

TRACES = Path(os.environ.get("EMBODIED_MEM_DATA", "../shared/data")) / "alfred" / "traces.jsonl"
needs_data = pytest.mark.skipif(not TRACES.is_file(), reason=f"{TRACES} is not here: ALFRED's traces")


def test_labels_are_words() -> None:
    assert words("ButterKnife") == "butter knife" and words("Mug") == "mug"


def test_a_world_without_its_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="ALFRED"):
        next(households(tmp_path / "none.jsonl", 1, development=True))


@pytest.mark.parametrize("wrong", [{"miss": 1.5}, {"confusion": -0.1}, {"reach": 0.0}, {"fov_h": 4.0}])
def test_a_sensor_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(BadInputError, match="sensor"):
        Sensor(**wrong)


@needs_data
@pytest.mark.data
def test_moves_change_places_and_nothing_else() -> None:
    homes = list(households(TRACES, 1, development=True))
    assert len(homes) > 50 and all(is_development(home.scene) for home in homes)
    for home in homes:
        assert len(home.stages) == len(home.moved) + 1
        for before, after, name in zip(home.stages, home.stages[1:], home.moved, strict=False):
            changed = {a.name for a, b in zip(before, after, strict=True) if a.center != b.center}
            assert name in changed and {item.name for item in before} == {item.name for item in after}
    again = list(households(TRACES, 1, development=True))
    assert again == homes
    assert next(home.scene for home in households(TRACES, 1, development=False)) not in {home.scene for home in homes}


@needs_data
@pytest.mark.data
def test_a_perfect_sensor_detects_what_is_in_view_where_it_is() -> None:
    home = next(households(TRACES, 1, development=True))
    sensor = Sensor(miss=0, confusion=0, false=0, noise=0, noise_per_m=0)
    for glance in watch(home, sensor, vocabulary(TRACES), 3, looks=8):
        items = {item.name: item for item in home.stages[glance.stage]}
        seen = sorted((items[name].label, items[name].center) for name in glance.visible)
        found = glance.observation.detections
        assert sorted(zip(found.labels, map(tuple, found.centers.tolist()), strict=True)) == seen
        assert not any(items[name].inside for name in glance.visible)


@needs_data
@pytest.mark.data
def test_misses_are_as_often_as_was_said() -> None:
    home = next(households(TRACES, 1, development=True))
    glances = list(watch(home, Sensor(miss=0.3, false=0), vocabulary(TRACES), 3, looks=60))
    shown, found = sum(len(g.visible) for g in glances), sum(len(g.observation.detections) for g in glances)
    assert shown > 200 and abs(found / shown - 0.7) < 3 * np.sqrt(0.21 / shown)
