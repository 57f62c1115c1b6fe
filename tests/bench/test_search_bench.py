"""The benchmark's own promises: its world is reproducible, its filters pass what they should, its judge can say no."""

from __future__ import annotations

import numpy as np
import pytest

from bench.search import K, Oracle, is_exact, recall
from bench.search_cases import SELECTIVITIES, Where, make_cases
from bench.search_world import LABELS, SESSIONS, make_world

COUNT = 4_000


@pytest.fixture(scope="module")
def world():
    return make_world(COUNT, seed=3)


@pytest.fixture(scope="module")
def oracle(world):
    return Oracle(world, world.queries(4))


def test_the_same_seed_gives_the_same_world(world):
    again = make_world(COUNT, seed=3)
    np.testing.assert_array_equal(world.positions, again.positions)
    np.testing.assert_array_equal(world.queries(2), again.queries(2))
    first, second = next(world.vectors())[1], next(again.vectors())[1]
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)
    assert not np.array_equal(world.positions, make_world(COUNT, seed=4).positions)


def test_every_case_passes_about_what_it_promises(world):
    cases = make_cases(world, 3, np.random.default_rng(0))
    assert {case.selectivity for case in cases} == {1.0, *SELECTIVITIES}
    for case in cases:
        for where in case.wheres:
            passing = where.mask(world).sum() / COUNT
            wanted = max(case.selectivity, 1 / COUNT)
            if case.kind == "label" and case.selectivity < 0.01:
                continue  # so rare that chance decides
            assert wanted * 0.6 <= passing <= max(wanted * 1.5, 3 / COUNT), case.kind


def test_a_mask_is_what_a_loop_over_records_says(world):
    stamps = np.sort(world.stamps)
    where = Where(
        center=world.positions[10], radius=8.0, start_ns=int(stamps[100]), end_ns=int(stamps[3000]),
        labels=("mug", "chair"), robot="r0", map="site",
    )  # fmt: skip
    names = list(LABELS)
    expected = []
    assert where.radius is not None and where.start_ns is not None and where.end_ns is not None
    for row in range(COUNT):
        robot, map_id, _ = list(SESSIONS.values())[world.sessions[row]]
        seen = any(
            names[world.labels[d]] in where.labels and np.linalg.norm(world.centers[d] - where.center) <= where.radius
            for d in np.flatnonzero(world.owner == row)
        )
        in_time = world.stamps[row] < where.end_ns and world.last_seen[row] >= where.start_ns
        expected.append(robot == "r0" and map_id == "site" and seen and in_time)
    assert any(expected)
    np.testing.assert_array_equal(where.mask(world), expected)


def test_the_judge_accepts_ties_and_nothing_else(oracle):
    passed, scores = oracle.best(Where(), 0)
    right = passed[:K].astype(np.int64)
    assert is_exact(right, scores[:K], (passed, scores))
    assert recall(right.tolist(), (passed, scores)) == 1.0

    assert not is_exact(right[:-1], scores[: K - 1], (passed, scores))
    assert not is_exact(right, scores[:K] + 1e-5, (passed, scores))
    wrong = right.copy()
    wrong[3] = next(row for row in range(COUNT) if row not in passed)
    assert not is_exact(wrong, scores[:K], (passed, scores))
    assert recall(wrong.tolist(), (passed, scores)) == pytest.approx(0.9)
    assert not is_exact(np.full(K, right[0]), scores[:K], (passed, scores))

    tied = (np.arange(12), np.array([0.9] + [0.5] * 11))
    assert is_exact(np.array([0, *range(11, 2, -1)]), tied[1][:K], tied)
