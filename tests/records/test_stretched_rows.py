"""Rows that were seen over a time: whatever may have been seen at a moment is found, and little else."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.records.versions import StretchedRows

# (row, when first seen, for how long): a row always begins at the same time, and may come again with another end
sightings = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 25)), max_size=60)


@settings(max_examples=300, deadline=None)
@given(sightings=sightings, start=st.integers(-2, 80))
def test_every_row_that_was_still_seen_is_found(sightings: list[tuple[int, int]], start: int) -> None:
    begin = {row: row * 7 % 40 for row in range(31)}  # not in the order of the rows
    stretched = StretchedRows()
    last: dict[int, int] = {}
    for row, length in sightings:
        last[row] = max(last.get(row, 0), begin[row] + length)
        stretched.note(np.array([row]), np.array([begin[row]]), np.array([begin[row] + length]))
    wanted = {row for row, end in last.items() if begin[row] < start <= end}
    found = stretched.rows(start).tolist()
    assert wanted <= set(found)
    assert len(found) == len(set(found))
    assert all(begin[row] < start for row in found)
    if found:  # only what began before the earliest that still counts is passed over, so the first found one counts
        assert max(last[row] for row in found) >= start


def test_what_ended_long_ago_is_passed_over() -> None:
    stretched = StretchedRows()
    rows = np.arange(100)
    stretched.note(rows, rows * 10, rows * 10 + 5)
    assert stretched.rows(503).tolist() == [50]
    assert stretched.rows(507).tolist() == []
    stretched.note(np.array([3]), np.array([30]), np.array([504]))
    assert set(stretched.rows(503).tolist()) >= {3, 50}
    assert stretched.rows(508).tolist() == []
