"""TC, SPD, SED, nDTW and SPL on paths made by hand, on a straight street of ten nodes with a side street."""

from __future__ import annotations

import numpy as np
import pytest

from bench.street_metrics import Hops, levenshtein, mcnemar, paired_interval, scores, spl, warp


@pytest.fixture(scope="module")
def hops():
    """0 - 1 - ... - 9, and 4 - 10 - 11; links in one direction only, which count in both."""
    links = [(i, i + 1) for i in range(9)] + [(4, 10), (10, 11)]
    return Hops(12, np.array(links, dtype=np.int32))


def nodes(*values):
    return np.array(values, dtype=np.int32)


def test_the_same_path_is_perfect(hops):
    found = scores(hops, nodes(0, 1, 2, 3), nodes(0, 1, 2, 3))
    assert found == {"TC": 1.0, "SPD": 0.0, "SED": 1.0, "nDTW": 1.0}


def test_one_node_too_far_is_complete_but_edited(hops):
    found = scores(hops, nodes(0, 1, 2, 3, 4), nodes(0, 1, 2, 3))
    assert found["TC"] == 1 and found["SPD"] == 1
    assert found["SED"] == pytest.approx(1 - 1 / 5)
    assert found["nDTW"] == pytest.approx(np.exp(-1 / (2 * 4)))


def test_two_nodes_too_far_is_a_failure(hops):
    found = scores(hops, nodes(0, 1, 2, 3, 4, 5), nodes(0, 1, 2, 3))
    assert found["TC"] == 0 and found["SPD"] == 2 and found["SED"] == 0
    assert found["nDTW"] == pytest.approx(np.exp(-3 / 8))


def test_the_wrong_turn_counts_hops_through_the_junction(hops):
    found = scores(hops, nodes(3, 4, 10, 11), nodes(3, 4, 5, 6))
    assert found["SPD"] == 4
    assert found["nDTW"] == pytest.approx(np.exp(-(2 + 4) / 8))


def test_levenshtein_and_warping_by_hand():
    assert levenshtein(nodes(1, 2, 3), nodes(1, 3)) == 1
    assert levenshtein(nodes(1, 2, 3), nodes(4, 5)) == 3
    assert warp(np.array([[0.0, 5.0], [5.0, 0.0], [7.0, 1.0]])) == 1.0


def test_spl():
    assert spl(True, 50.0, 100.0) == 0.5
    assert spl(True, 50.0, 40.0) == 1.0  # no better than the shortest
    assert spl(False, 50.0, 50.0) == 0.0


def test_interval_and_mcnemar():
    a, b = np.ones(200), np.zeros(200)
    assert paired_interval(a, b) == (1.0, 1.0, 1.0)
    mean, low, high = paired_interval(np.tile([1.0, 0.0], 100), np.tile([0.0, 1.0], 100))
    assert mean == 0 and low < 0 < high
    assert mcnemar(np.array([True] * 5 + [False]), np.array([False] * 6)) == pytest.approx(2 * 0.5**5)
    assert mcnemar(np.array([True]), np.array([True])) == 1.0
