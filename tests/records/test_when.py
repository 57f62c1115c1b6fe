"""Times in words. NOW is Thursday 2026-03-12 15:00:00 UTC."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from embodied_mem.errors import BadInputError
from embodied_mem.records.when import parse_when

SECOND = 1_000_000_000


def at(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp()) * SECOND


NOW = at("2026-03-12T15:00:00")
STAMPS = {12: at("2026-03-12T14:00:00")}

RANGES = {
    "last 5 min": ("2026-03-12T14:55:00", "2026-03-12T15:00:00"),
    "in the last hour": ("2026-03-12T14:00:00", "2026-03-12T15:00:00"),
    "within the past two days": ("2026-03-10T15:00:00", "2026-03-12T15:00:00"),
    "over the last 90 seconds": ("2026-03-12T14:58:30", "2026-03-12T15:00:00"),
    "the past week": ("2026-03-05T15:00:00", "2026-03-12T15:00:00"),
    "today": ("2026-03-12T00:00:00", "2026-03-13T00:00:00"),
    "yesterday": ("2026-03-11T00:00:00", "2026-03-12T00:00:00"),
    "yesterday morning": ("2026-03-11T06:00:00", "2026-03-11T12:00:00"),
    "this afternoon": ("2026-03-12T12:00:00", "2026-03-12T18:00:00"),
    "last night": ("2026-03-11T22:00:00", "2026-03-12T06:00:00"),
    "in the morning": ("2026-03-12T06:00:00", "2026-03-12T12:00:00"),
    "on Monday": ("2026-03-09T00:00:00", "2026-03-10T00:00:00"),
    "thursday": ("2026-03-05T00:00:00", "2026-03-06T00:00:00"),
    "between 9 and 10:30": ("2026-03-12T09:00:00", "2026-03-12T10:30:00"),
    "from 9:00 to 11:00 yesterday": ("2026-03-11T09:00:00", "2026-03-11T11:00:00"),
    "between 9 am and 1 pm": ("2026-03-12T09:00:00", "2026-03-12T13:00:00"),
    "at 9:30": ("2026-03-12T09:15:00", "2026-03-12T09:45:00"),
    "2026-03-01": ("2026-03-01T00:00:00", "2026-03-02T00:00:00"),
    "2026-03-01 09:30": ("2026-03-01T09:30:00", "2026-03-01T09:31:00"),
    "10 min ago": ("2026-03-12T14:47:30", "2026-03-12T14:52:30"),
    "about an hour ago": ("2026-03-12T13:45:00", "2026-03-12T14:15:00"),
}


@pytest.mark.parametrize("words", RANGES)
def test_ranges(words: str) -> None:
    start, end = RANGES[words]
    found = parse_when(words, NOW, STAMPS.__getitem__)
    assert found.start_ns == at(start)
    assert found.end_ns is not None and abs(found.end_ns - at(end)) <= 1


@pytest.mark.parametrize(
    ("words", "start", "end"),
    [
        ("before record 12", None, "2026-03-12T14:00:00"),
        ("since record 12", "2026-03-12T14:00:00", None),
        ("before 9:00", None, "2026-03-12T09:00:00"),
        ("after yesterday", "2026-03-12T00:00:00", None),
        ("since yesterday", "2026-03-11T00:00:00", None),
        ("before 10 min ago", None, "2026-03-12T14:50:00"),
    ],
)
def test_open_ranges(words: str, start: str | None, end: str | None) -> None:
    found = parse_when(words, NOW, STAMPS.__getitem__)
    assert found.start_ns == (start and at(start)) and found.end_ns == (end and at(end))


def test_after_a_record_leaves_the_record_out() -> None:
    found = parse_when("after record 12", NOW, STAMPS.__getitem__)
    assert found.start_ns == STAMPS[12] + 1


def test_another_time_zone_moves_the_day() -> None:
    from datetime import timedelta

    found = parse_when("today", NOW, zone=timezone(timedelta(hours=10)))
    assert found.start_ns == at("2026-03-12T14:00:00")


@pytest.mark.parametrize(
    "words",
    [
        "",
        "  ",
        "when pigs fly",
        "last",
        "before",
        "2026-13-40",
        "between dog and cat",
        "at 77:00",
        "9999-12-31",
        "before 9999-12-31",
        "since 0001-01-01",
        "last 99999999999999 years",
    ],
)
def test_anything_else_is_refused_with_examples(words: str) -> None:
    with pytest.raises(BadInputError):
        parse_when(words, NOW)
