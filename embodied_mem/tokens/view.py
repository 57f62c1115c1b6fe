"""Long-term memory as a view of the log: a token and a chain for each voxel and each place.

The store is a function of the *effective* records: the current versions (corrected, re-anchored) of those that are not
forgotten and have a vector, in order of time. Whatever entry changed them, `refresh` compares what each element was
written from with what it should be written from now: where only later writes are missing they are appended, any other
element is written anew from the index. So a live store and a rebuilt one have the same bytes, for every kind of entry,
and what was forgotten is in none of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError, ModelMismatchError, StorageError
from embodied_mem.records.entry import Entry
from embodied_mem.records.index import RecordIndex
from embodied_mem.tokens.codec import Float32Array, IntArray, TokenCodec
from embodied_mem.tokens.search import rank
from embodied_mem.tokens.store import ELEMENT_KEY, Recalled, TokenStore
from embodied_mem.tokens.weights import POINTS, TokenWeights, weights_for

VOXEL, PLACE = 0, 1  # kinds of element
_KINDS = 2
_HALF = 1 << 20  # voxel keys reach so many voxels to either side of the origin
_PROPOSED = 32  # elements whose chains a question is compared with, unless it says otherwise
_EACH = 64  # writes of each
PlacesOf = Callable[[], IntArray]


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """What is kept, and how finely.

    voxel    metres; 0 = tokens of places only
    point    bits behind the point (codec.py)
    budget   bytes that tokens and chains may take; 0 = any

    Tokens are kept whatever the budget; within what is left, chains are (see TokenStore.wanted).
    """

    voxel: float = 2.0
    point: int = 5
    budget: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.voxel < np.inf or self.point not in POINTS or self.budget < 0:
            raise BadInputError(
                f"Tokens need voxel >= 0, point in {POINTS.start} to {POINTS.stop - 1} and budget >= 0; "
                f"got {self.voxel}, {self.point} and {self.budget}."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """What a question found, best first: writes (n,) that were read back from chains.

    records, scores (n,), stamps_ns (n,), positions (n, 3) metres in the map, vectors (n, d); elements (n,): which
    voxel or place each is from, by its key
    exact     whether every element that passes the filters was read back whole
    """

    records: IntArray
    scores: NDArray[np.float64]
    stamps_ns: IntArray
    positions: NDArray[np.float64]
    vectors: Float32Array
    elements: IntArray
    exact: bool

    def __len__(self) -> int:
        return len(self.records)


class TokenView:
    """See the module docstring. One thread applies; any may ask.

    index    the record index, which reads each entry before this view does
    places   () -> (n, 2): the places of records, as rows of place and record (`PlaceGraph.evidence`); None: voxels only
    weights  None: those of the index's model (`weights_for`), chosen when the first vector comes
    """

    def __init__(
        self,
        index: RecordIndex,
        settings: TokenSettings | None = None,
        *,
        places: PlacesOf | None = None,
        weights: TokenWeights | None = None,
    ) -> None:
        self.settings = settings or TokenSettings()
        self.watermark = 0
        self._index, self._places, self._weights = index, places, weights
        self._lock = threading.RLock()
        self._made_from: tuple[int, int, str] = (-1, 0, "")  # of the index: watermark, vectors, their model
        self._store: TokenStore | None = None
        self._written = np.zeros(0, dtype=_WRITE)  # what the store was written from
        self._elements: NDArray[np.void] = np.zeros(0, dtype=ELEMENT_KEY)  # ascending
        self._numbers = np.zeros(0, dtype=np.int64)  # of these in the store

    def apply(self, entries: Sequence[Entry]) -> None:
        """Read entries that the index has read; those read before are passed over."""
        if entries and entries[-1].seq > self.watermark:
            self.watermark = entries[-1].seq

    @property
    def store(self) -> TokenStore:
        """The tokens as the log stands now. Raises ModelMismatchError for weights of another model than the log's."""
        with self._lock:
            now = (self._index.watermark, self._index.vector_count, self._index.model)
            if self._store is None or now != self._made_from:
                self._refresh(now[2])
                self._made_from = now
            assert self._store is not None
            return self._store

    def recent(self, kind: int, map_id: str, key: int, k: int) -> Recalled:
        """The k latest writes of a voxel or place. Raises NotFoundError when there is none of this key."""
        store = self.store
        with self._lock:
            wanted = np.array([(self._group(kind, map_id), key)], dtype=ELEMENT_KEY)
            at = int(np.searchsorted(self._elements, wanted[0]))
            there = at < len(self._elements) and self._elements[at] == wanted[0]
            return store.recent(int(self._numbers[at]) if there else -1, k)

    def voxel_of(self, position: ArrayLike) -> int:
        """The key of the voxel around a position (3,) metres. Raises BadInputError."""
        where = np.asarray(position, dtype=np.float64).reshape(-1, 3)
        if len(where) != 1 or not np.isfinite(where).all() or not self.settings.voxel:
            raise BadInputError("A voxel is asked for by one position of 3 finite numbers, where there are voxels.")
        return int(_voxels(where, self.settings.voxel)[0])

    def find(
        self,
        vector: ArrayLike,
        map_id: str,
        *,
        k: int = 10,
        kind: int = VOXEL,
        near: ArrayLike | None = None,
        radius: float = np.inf,
        among: IntArray | None = None,
        proposed: int = _PROPOSED,
    ) -> Remembered:
        """The k writes of a map most like a question's vector (d,), within `radius` metres of `near` (3,).

        among: only elements with these keys. The tokens of `kind` propose so many elements; the latest 64 writes of
        each are read back and ranked.
        Raises BadInputError.
        """
        if k < 1 or proposed < 1 or not radius > 0:
            raise BadInputError(f"A search is for at least one write, in a radius > 0; got {k}, {proposed}, {radius}.")
        store = self.store
        with self._lock, store.lock:
            question = store.codec.question(vector)
            rows = np.flatnonzero((store.groups.data == self._group(kind, map_id)) & (store.ages.data > 0))
            center = None if near is None else np.asarray(near, dtype=np.float64)
            if center is not None and kind == VOXEL and np.isfinite(radius):
                away = _centers(store.keys.data[rows], self.settings.voxel) - center
                rows = rows[np.linalg.norm(away, axis=1) <= radius + self.settings.voxel * np.sqrt(3) / 2]
            if among is not None:
                rows = rows[np.isin(store.keys.data[rows], among)]
            best = rank(store.descriptors(), rows, question, proposed)
            found = [(int(store.keys.data[element]), store.recent(int(element), _EACH)) for element in best]
        whole = len(best) == len(rows) and all(each.whole and not each.folded for _, each in found)
        return _ranked(found, question, center, radius, k, whole)

    def best_places(
        self, vector: ArrayLike, map_id: str, k: int, among: IntArray | None = None
    ) -> tuple[IntArray, NDArray[np.float64]]:
        """The keys (smallest records) of the k places whose best write is most like a vector, and these cosines."""
        proposed = max(k, _PROPOSED)
        found = self.find(vector, map_id, k=_EACH * proposed, kind=PLACE, among=among, proposed=proposed)
        keys, first = np.unique(found.elements, return_index=True)
        order = np.argsort(first)[:k]
        return keys[order], found.scores[first[order]]

    def save(self, path: Path) -> None:
        """Write a cache file; a rebuilt view writes the same bytes. Raises StorageError."""
        with self._lock:
            store = self.store
            facts = {"watermark": self._made_from[0], "voxel": self.settings.voxel, "maps": self._index.map_names.all()}
            written = np.sort(self._written, order=["group", "key", "rank"])
            store.save(path, facts, {name: written[name] for name in ("group", "key", "print")})

    def load(self, path: Path) -> None:
        """Start from a cache file; what is different from the log by now is written anew. Raises StorageError."""
        with self._lock:
            store = TokenStore(TokenCodec(self._weights_of(self._index.model), self.settings.point))
            facts, columns = store.load(path)
            if (
                facts["voxel"] != self.settings.voxel
                or facts["maps"] != self._index.map_names.all()[: len(facts["maps"])]
            ):
                raise StorageError(f"{path} was made with other voxels or of another log: rebuild the tokens.")
            written = np.zeros(len(columns["print"]), dtype=_WRITE)
            for name, values in columns.items():
                written[name] = values
            self._store, self._written = store, written
            self._elements = np.zeros(len(store), dtype=ELEMENT_KEY)
            self._elements["group"], self._elements["key"] = store.groups.data, store.keys.data
            self._numbers = np.arange(len(store))
            written["rank"] = _ranks(written)
            self._made_from = (-1, 0, self._index.model)

    # --- inside ------------------------------------------------------------------------------------------------

    def _group(self, kind: int, map_id: str) -> int:
        code = self._index.map_names.find(map_id)
        return -1 if code is None else _KINDS * code + kind

    def _weights_of(self, model: str) -> TokenWeights:
        if self._weights is None:
            return weights_for(model, self._index.vector_width or 384)
        if model and self._weights.model != model:
            raise ModelMismatchError(
                f"The token weights are for {self._weights.model!r}, the memory's vectors are of {model!r}."
            )
        return self._weights

    def _refresh(self, model: str) -> None:
        """Bring the store to the records as they are now."""
        weights = self._weights_of(model)
        store = self._store
        if (
            store is None
            or store.codec.weights.model != weights.model
            or store.codec.weights.dimension != weights.dimension
        ):
            store = self._store = TokenStore(TokenCodec(weights, self.settings.point))
            self._written = np.zeros(0, dtype=_WRITE)
            self._elements, self._numbers = np.zeros(0, dtype=ELEMENT_KEY), np.zeros(0, dtype=np.int64)
        wanted, rows = self._wanted()
        lost = _changed(self._written, wanted)
        self._bring(store, wanted, rows, lost)
        if self.settings.budget:
            keep = store.wanted(self.settings.budget)
            back = np.unique(store.owners.data[keep & store.folded])
            if len(back):  # what had been folded fits again: as if it had never been
                again = np.isin(self._numbers, back)
                self._bring(store, wanted, rows, self._elements[again])
                keep = store.wanted(self.settings.budget)
            store.fold(keep)

    def _bring(self, store: TokenStore, wanted: NDArray[np.void], rows: IntArray, lost: NDArray[np.void]) -> None:
        """Write `lost` elements anew, and to the others what is missing."""
        if len(lost):
            store.clear(self._numbers[np.searchsorted(self._elements, lost)])
            self._written = self._written[~np.isin(_keys(self._written), lost)]
        fresh = np.setdiff1d(_keys(wanted), self._elements)
        if len(fresh):
            numbers = store.add(fresh)
            self._elements = np.concatenate([self._elements, fresh])
            order = np.argsort(self._elements)
            self._elements, self._numbers = self._elements[order], np.concatenate([self._numbers, numbers])[order]
        keys, counts = np.unique(_keys(self._written), return_counts=True)
        done = np.zeros(len(self._elements), dtype=np.int64)
        done[np.searchsorted(self._elements, keys)] = counts
        element = np.searchsorted(self._elements, _keys(wanted))
        missing = np.flatnonzero(wanted["rank"] >= done[element])
        closed = np.unique(_keys(wanted[missing])[~store.writable(self._numbers[element[missing]])])
        if len(closed):
            return self._bring(store, wanted, rows, closed)
        if not len(missing):
            self._written = wanted
            return
        table, records = self._index.table, rows[missing]
        with self._index.lock:
            vectors = self._index.vectors_at(records.astype(np.int32))
            seqs, stamps = table.seqs.data[records], table.first_seen.data[records]
            positions = table.positions.data[records]
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        store.write(self._numbers[element[missing]], vectors, seqs, stamps, positions)
        self._written = wanted

    def _wanted(self) -> tuple[NDArray[np.void], IntArray]:
        """What the store should be written from, and the rows of the index that it is in."""
        table = self._index.table
        with self._index.lock:
            rows = np.flatnonzero(table.live.data & (table.slots.data >= 0))
            rows = rows[np.lexsort((table.seqs.data[rows], table.first_seen.data[rows]))]
            seqs, codes = table.seqs.data[rows], table.codes.data[rows, 0].astype(np.int64)
            prints = _print(seqs, table.valid_from.data[rows], table.texts.data[rows])
            positions = table.positions.data[rows]
        parts = []
        if self.settings.voxel:
            parts.append((rows, _KINDS * codes + VOXEL, _voxels(positions, self.settings.voxel), prints))
        if self._places is not None:
            at, anchors = _anchors(np.asarray(self._places()), seqs)
            parts.append((rows[at], _KINDS * codes[at] + PLACE, anchors, prints[at]))
        if not parts:
            return np.zeros(0, dtype=_WRITE), np.zeros(0, dtype=np.int64)
        wanted = np.zeros(sum(len(part[0]) for part in parts), dtype=_WRITE)
        wanted["group"] = np.concatenate([part[1] for part in parts])
        wanted["key"] = np.concatenate([part[2] for part in parts])
        wanted["print"] = np.concatenate([part[3] for part in parts])
        order = np.lexsort((wanted["key"], wanted["group"]))  # stable: each element's stay in order of time
        wanted = wanted[order]
        wanted["rank"] = _ranks(wanted)
        return wanted, np.concatenate([part[0] for part in parts])[order]


# One write: the element, how many came before in it, and a number that tells versions of records apart.
_WRITE = np.dtype([("group", "<i8"), ("key", "<i8"), ("rank", "<i8"), ("print", "<i8")])


def _keys(writes: NDArray[np.void]) -> NDArray[np.void]:
    keys = np.zeros(len(writes), dtype=ELEMENT_KEY)
    keys["group"], keys["key"] = writes["group"], writes["key"]
    return keys


def _ranks(writes: NDArray[np.void]) -> IntArray:
    """(n,) of writes sorted by element: how many of the same element stand before each."""
    keys = _keys(writes)
    new = np.append(True, keys[1:] != keys[:-1])[: len(keys)]
    starts = np.flatnonzero(new)
    return np.arange(len(keys)) - np.repeat(starts, np.diff(np.append(starts, len(keys))))


def _changed(written: NDArray[np.void], wanted: NDArray[np.void]) -> NDArray[np.void]:
    """The elements of which what was written is not how what is wanted begins."""
    if not len(written):
        return np.zeros(0, dtype=ELEMENT_KEY)
    keys, starts, counts = np.unique(_keys(wanted), return_index=True, return_counts=True)
    own = _keys(written)
    at = np.minimum(np.searchsorted(keys, own), max(len(keys) - 1, 0))
    if not len(keys):
        return np.unique(own)
    same = (keys[at] == own) & (written["rank"] < counts[at])
    place = np.where(same, starts[at] + written["rank"], 0)
    same &= wanted["print"][place] == written["print"]
    return np.unique(own[~same])


def _voxels(positions: NDArray[np.float64], size: float) -> IntArray:
    """(n,) keys of voxels, 21 bits an axis; what lies beyond the reach shares the outermost one."""
    cells = np.clip(np.floor(positions / size), -_HALF, _HALF - 1).astype(np.int64) + _HALF
    return np.asarray(cells[:, 0] << 42 | cells[:, 1] << 21 | cells[:, 2])


def _centers(keys: IntArray, size: float) -> NDArray[np.float64]:
    """(n, 3) metres: the middles of voxels."""
    cells = np.stack([keys >> 42, keys >> 21 & (2 * _HALF - 1), keys & (2 * _HALF - 1)], axis=1) - _HALF
    return np.asarray((cells + 0.5) * size)


def _anchors(places: IntArray, seqs: IntArray) -> tuple[IntArray, IntArray]:
    """Of the records (n,) that have a place, where they stand, and their place's smallest record: its key."""
    if not len(places):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    order = np.lexsort((places[:, 1], places[:, 0]))
    place, record = places[order].T
    first = np.append(True, place[1:] != place[:-1])
    anchor = np.repeat(record[first], np.diff(np.append(np.flatnonzero(first), len(place))))
    by_record = np.argsort(record, kind="stable")
    at = np.minimum(np.searchsorted(record[by_record], seqs), len(record) - 1)
    there = np.flatnonzero(record[by_record][at] == seqs)
    return there, anchor[by_record][at[there]]


def _print(*columns: IntArray) -> IntArray:
    """(n,) a number for what tells versions of records apart (the finaliser of splitmix64 over each column)."""
    value = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        value = (value ^ column.astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ value >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ value >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        value ^= value >> np.uint64(31)
    return value.view(np.int64)


def _ranked(
    found: Sequence[tuple[int, Recalled]], question: Float32Array, center: NDArray[np.float64] | None, radius: float,
    k: int, whole: bool,
) -> Remembered:  # fmt: skip
    """The k best of what was read back; of equals the later record."""
    d = found[0][1].vectors.shape[1] if found else 0
    records = np.concatenate([each.records for _, each in found] or [np.zeros(0, np.int64)])
    stamps = np.concatenate([each.stamps_ns for _, each in found] or [np.zeros(0, np.int64)])
    positions = np.concatenate([each.positions for _, each in found] or [np.zeros((0, 3))])
    vectors = np.concatenate([each.vectors for _, each in found] or [np.zeros((0, d), np.float32)])
    elements = np.repeat(np.array([key for key, _ in found], np.int64), [len(each) for _, each in found])
    scores = np.concatenate([each.descriptors @ question for _, each in found] or [np.zeros(0)]).astype(np.float64)
    rows = np.arange(len(records))
    if center is not None:
        rows = rows[np.linalg.norm(positions - center, axis=1) <= radius]
    rows = rows[np.lexsort((-records[rows], -scores[rows]))[:k]]
    return Remembered(records[rows], scores[rows], stamps[rows], positions[rows], vectors[rows], elements[rows], whole)
