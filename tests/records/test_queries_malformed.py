"""Malformed queries are refused with a sentence before anything is searched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embodied_mem.errors import BadInputError, EmbodiedMemError, NotFoundError
from embodied_mem.records.query import Query, TimeRange
from tests.records.builders import memory, observation

BAD_TEXT = b"caf\xe9".decode("utf-8", "surrogateescape")
ONES, NAN = np.ones(3), np.full(3, np.nan)

MALFORMED: dict[str, dict[str, Any]] = {
    "empty text": {"text": "  "},
    "k of zero": {"k": 0},
    "negative k": {"k": -3},
    "huge k": {"k": 10**9},
    "text and vector": {"text": "mug", "vector": np.ones(4, np.float32), "vector_model": "x"},
    "vector without its model": {"vector": np.ones(4, np.float32)},
    "nan vector": {"vector": np.full(4, np.nan, np.float32), "vector_model": "x"},
    "zero vector": {"vector": np.zeros(4, np.float32), "vector_model": "x"},
    "flat vector": {"vector": np.ones((2, 2), np.float32), "vector_model": "x"},
    "inverted box": {"box": (ONES, -ONES)},
    "nan box": {"box": (ONES, NAN)},
    "flat box": {"box": (np.ones(2), np.ones(2))},
    "nan centre": {"center": NAN, "radius": 1.0},
    "centre without radius": {"center": ONES},
    "radius without centre": {"radius": 1.0},
    "radius of zero": {"center": ONES, "radius": 0.0},
    "nan radius": {"center": ONES, "radius": float("nan")},
    "box and centre": {"center": ONES, "radius": 1.0, "box": (-ONES, ONES)},
    "every map, one place": {"map_id": "*", "center": ONES, "radius": 1.0},
    "score above one": {"min_score": 3.0},
    "nan score": {"min_score": float("nan")},
    "empty label": {"labels": ("",)},
    "half a record": {"k": 2.5},
    "k that is no number": {"k": float("nan")},
    "text that is not Unicode": {"text": BAD_TEXT},
    "label that is not Unicode": {"labels": (BAD_TEXT,)},
    "robot that is not Unicode": {"robot_id": BAD_TEXT},
    "box in words": {"box": (("a", "b", "c"), ("d", "e", "f"))},
    "box of one corner": {"box": (ONES,)},
    "infinite centre": {"center": ONES * np.inf, "radius": 1.0},
    "place near record -1": {"near_record": -1},
    "record of 65 bits": {"near_record": 2**65},
    "the log before it began": {"as_of": -1},
    "numbers in words": {"seqs": ("one", "two")},
    "numbers of 65 bits": {"seqs": (2**65,)},
    "a table of numbers": {"seqs": np.ones((2, 2), np.int64)},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_queries_are_refused(name: str) -> None:
    with pytest.raises(BadInputError) as refusal:
        Query(**MALFORMED[name])
    assert str(refusal.value).endswith(".")


def test_inverted_times_are_refused() -> None:
    with pytest.raises(BadInputError, match="inverted"):
        TimeRange(5, 5)
    with pytest.raises(BadInputError, match="64 bits"):
        TimeRange(0, 2**64)


@pytest.mark.parametrize(
    "fields", [{"map_id": "atlantis"}, {"near_record": 77}, {"vector": np.ones(3, np.float32), "vector_model": "x"}]
)
def test_what_does_not_exist_is_named(fields: dict[str, Any]) -> None:
    mem = memory()
    mem.remember(observation(1))
    with pytest.raises(EmbodiedMemError) as refusal:
        mem.query(Query(**fields))
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize("seq", [0, -1, 1, 99])
def test_numbers_that_are_no_records_are_named(seq: int) -> None:
    mem = memory()
    mem.remember(observation(1))  # entry 1 starts the map, entry 2 is the record
    with pytest.raises(NotFoundError, match=f"{seq}"):
        mem.get(seq)
    with pytest.raises(NotFoundError):
        mem.correct(seq, caption="x")


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"position": [np.nan, 0, 0]},
        {"position": [1, 2]},
        {"position": ["here", 0, 0]},
        {"orientation": [0, 0, 0, 0]},
        {"labels": ["a", "b"]},
        {"caption": BAD_TEXT},
    ],
)
def test_malformed_corrections_change_nothing(change: dict[str, Any]) -> None:
    mem = memory()
    seq = mem.remember(observation(1)).seq
    before = mem.watermark
    with pytest.raises(BadInputError):
        mem.correct(seq, **change)
    assert mem.watermark == before


@pytest.mark.parametrize(
    ("map_id", "fields"),
    [
        ("", {}),
        ("*", {}),
        (BAD_TEXT, {}),
        ("b", {"parent": "default", "transform": np.full((4, 4), np.nan)}),
        ("b", {"parent": "default", "transform": "turned"}),
        ("b", {"parent": "default", "transform": np.eye(4)[[0, 1, 2, 0]]}),
        ("b", {"parent": "nowhere", "transform": np.eye(4)}),
        ("b", {"parent": "default", "transform": np.eye(3)}),
        ("b", {"parent": "default", "transform": np.diag([2.0, 2, 2, 1])}),
        ("default", {"parent": "default", "transform": np.eye(4)}),
    ],
)
def test_malformed_maps_are_refused(map_id: str, fields: dict[str, Any]) -> None:
    mem = memory()
    mem.remember(observation(1))
    with pytest.raises(EmbodiedMemError):
        mem.set_map(map_id, **fields)
    assert mem.map_id == "default"
