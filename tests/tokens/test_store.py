"""The store: what is written is read back, in any batches; folding, clearing, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError, NotFoundError, StorageError
from embodied_mem.tokens.codec import TokenCodec
from embodied_mem.tokens.search import Proposer, rank
from embodied_mem.tokens.store import ELEMENT_KEY, TokenStore
from tests.tokens.networks import random_weights, unit_rows

WEIGHTS = random_weights()
N, ELEMENTS = 300, 7
VECTORS = unit_rows(N, WEIGHTS.dimension)
_RNG = np.random.default_rng(3)
WHERE = _RNG.integers(0, ELEMENTS, N)
POSITIONS = _RNG.normal(0, 50, (N, 3))
STAMPS = np.cumsum(_RNG.integers(0, 10**10, N)) + 1_700_000_000 * 10**9
RECORDS = np.arange(1, N + 1)


def empty(point: int = 6) -> TokenStore:
    store = TokenStore(TokenCodec(WEIGHTS, point))
    keys = np.zeros(ELEMENTS, dtype=ELEMENT_KEY)
    keys["key"] = 10 * np.arange(ELEMENTS)
    store.add(keys)
    return store


def put(store: TokenStore, rows: NDArray[np.int64]) -> TokenStore:
    store.write(WHERE[rows], VECTORS[rows], RECORDS[rows], STAMPS[rows], POSITIONS[rows])
    return store


def filled(batch: int = N) -> TokenStore:
    store = empty()
    for begin in range(0, N, batch):
        put(store, np.arange(begin, min(N, begin + batch)))
    return store


def saved(store: TokenStore, folder: Path) -> bytes:
    store.save(folder / "tokens", {}, {})
    return (folder / "tokens").read_bytes()


def test_every_write_comes_back_newest_first() -> None:
    store = filled()
    grid = store.codec.vectors(store.codec.latents(VECTORS))
    for element in range(ELEMENTS):
        rows = np.flatnonzero(element == WHERE)[::-1]
        found = store.recent(element, 1000)
        assert found.records.tolist() == RECORDS[rows].tolist()
        assert found.stamps_ns.tolist() == (STAMPS[rows] // 10**6 * 10**6).tolist()
        np.testing.assert_allclose(found.positions, POSITIONS[rows], atol=0.005001)
        np.testing.assert_array_equal(found.vectors, grid[rows])
        assert found.whole and found.folded == 0 and not found.summary.any()
        few = store.recent(element, 3)
        assert few.records.tolist() == RECORDS[rows[:3]].tolist() and not few.whole


def test_the_grid_bounds_the_error() -> None:
    """No write adds to it: what comes back is off by the projection and half a step in each latent."""
    for point in (3, 6, 9):
        codec = TokenCodec(WEIGHTS, point)
        kept = VECTORS @ (WEIGHTS.down.astype(np.float64) / 2**14).T
        off = np.abs(codec.latents(VECTORS) / 2.0**point - kept)
        assert off.max() <= 0.5 * 2.0**-point + 1e-3


@pytest.mark.parametrize("batch", [1, 10, 64])
def test_batches_do_not_matter(batch: int, tmp_path: Path) -> None:
    assert saved(filled(batch), tmp_path) == saved(filled(), tmp_path)


def test_folding_drops_the_oldest_and_keeps_their_summary() -> None:
    store, whole = filled(), filled()
    budget = int(0.6 * store.nbytes)
    keep = store.wanted(budget)
    store.fold(keep)
    assert store.nbytes <= budget < whole.nbytes
    for element in range(ELEMENTS):
        rows = np.flatnonzero(element == WHERE)[::-1]
        found = store.recent(element, 1000)
        assert 0 < len(found) < len(rows) and found.folded == len(rows) - len(found)
        assert found.records.tolist() == RECORDS[rows[: len(found)]].tolist()
        before = put(empty(), rows[len(found) :][::-1])  # only what was folded
        np.testing.assert_array_equal(found.summary, before.descriptors()[element])
    again = filled()
    again.fold(again.wanted(10**9))
    assert again.nbytes == whole.nbytes


def test_each_element_keeps_its_newest_before_any_keeps_more() -> None:
    store = filled()
    depth = store.numbers.data[store.newest.data[store.owners.data]] - store.numbers.data
    for budget in range(1000, store.nbytes, 500):
        keep = store.wanted(budget)
        if keep.any() and not keep.all():
            assert depth[keep].max() <= depth[~keep].min() + 1
            assert store.sizes.data[keep].sum() <= budget


def test_a_folded_newest_segment_cannot_be_written_on() -> None:
    store = filled()
    store.fold(store.wanted(0))
    elements = np.arange(ELEMENTS)
    assert store.writable(elements).tolist() == (store.ages.data % 8 == 0).tolist()
    assert len(store.recent(0, 5)) == 0 and store.recent(0, 5).folded > 0
    with pytest.raises(StorageError, match="rewrite"):
        put(store, np.arange(ELEMENTS * 3))


def test_what_is_cleared_leaves_no_byte() -> None:
    store = filled()
    mine = np.flatnonzero(WHERE == 2)
    chain = store.arena.data[: len(store.arena)].tobytes()
    alone = put(empty(), mine).arena.data.tobytes()
    piece = alone[40:80]
    assert piece in chain
    store.clear(np.array([2]))
    assert piece not in store.arena.data.tobytes() and piece not in store.arena._buffer.tobytes()
    with pytest.raises(NotFoundError):
        store.recent(2, 1)
    put(store, mine)
    assert store.recent(2, 999).records.tolist() == RECORDS[mine[::-1]].tolist()


def test_files_are_whole_or_refused(tmp_path: Path) -> None:
    store = filled()
    data = saved(store, tmp_path)
    opened = TokenStore(TokenCodec(WEIGHTS, 6))
    opened.load(tmp_path / "tokens")
    assert saved(opened, tmp_path) == data
    more = np.arange(10)
    assert saved(put(opened, more), tmp_path) == saved(put(store, more), tmp_path)
    for broken in (data[:-9], data[: len(data) // 2], b"", data.replace(b"test", b"tess", 1), _flipped(data)):
        (tmp_path / "broken").write_bytes(broken)
        with pytest.raises(StorageError, match="rebuild"):
            TokenStore(TokenCodec(WEIGHTS, 6)).load(tmp_path / "broken")
    for other in (TokenCodec(WEIGHTS, 7), TokenCodec(random_weights(seed=5), 6)):
        with pytest.raises(StorageError, match="other weights or another precision"):
            TokenStore(other).load(tmp_path / "tokens")


def _flipped(data: bytes) -> bytes:
    """A bit of the first column's rows, which begin at the second page or later."""
    at = 4096 + int(np.flatnonzero(np.frombuffer(data[4096:], np.uint8))[5])
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_bad_input_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    store = filled()
    before = saved(store, tmp_path)
    row = np.array([0])
    for vectors, positions, elements in (
        (VECTORS[:1] * 2, POSITIONS[:1], row),
        (VECTORS[:1] * np.nan, POSITIONS[:1], row),
        (VECTORS[:1, :5], POSITIONS[:1], row),
        (VECTORS[:1], POSITIONS[:1] * np.nan, row),
        (VECTORS[:1], POSITIONS[:1] + 1e8, row),
        (VECTORS[:1], POSITIONS[:1], row + ELEMENTS),
    ):
        with pytest.raises(BadInputError):
            store.write(elements, vectors, RECORDS[:1], STAMPS[:1], positions)
    assert saved(store, tmp_path) == before
    with pytest.raises(BadInputError, match="bits behind the point"):
        TokenCodec(WEIGHTS, 1)
    with pytest.raises(BadInputError):
        store.codec.question(np.zeros(WEIGHTS.dimension))


def test_search_is_exact_and_proposals_are_measured() -> None:
    rows = unit_rows(3000, 16, seed=4)
    asked = unit_rows(5, 16, seed=5)
    for question in asked:
        best = np.argsort(-(rows @ question), kind="stable")[:10]
        assert rank(rows, np.arange(3000), question, 10).tolist() == best.tolist()
    exact = Proposer(rows)
    assert exact.exact and exact.recall(asked, 10) == 1.0
    pytest.importorskip("faiss", reason="faiss is not installed: search is exact")
    fast = Proposer(rows, exact_up_to=100)
    assert not fast.exact and fast.recall(asked, 10) > 0.8
