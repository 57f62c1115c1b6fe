"""Tokens of many elements and their chains, in columns: written in batches, read back newest first, folded, forgotten.

An element is a voxel or a place. It has a token (what the network makes of all its writes, in fixed size) and a chain:
the other halves of its latest writes, from which these are read back exactly (as far as the grid goes). To fold is to
drop a chain's oldest segments: the token before the oldest half that is left comes out when the chain is read to its
end, and is the summary of all that was folded. It costs nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError, NotFoundError, StorageError
from embodied_mem.records import cache
from embodied_mem.records.growable import Columnar, Growable
from embodied_mem.tokens.chains import EXACT, read_back, room_for, write_batch
from embodied_mem.tokens.codec import Float32Array, IntArray, TokenCodec
from embodied_mem.tokens.coupling import SEGMENT, scratch
from embodied_mem.tokens.entropy import get_varint

Rows = NDArray[np.int64]
_BATCH = 2048  # writes between two visits to the arena
_MS, _CM = 1_000_000, 100.0
_VERSION = 1
_FOLDED = -1  # where a segment starts that was dropped
ELEMENT_KEY = np.dtype([("group", "<i8"), ("key", "<i8")])  # group: kind and map; key: voxel or place


@dataclass(frozen=True, slots=True, eq=False)
class Recalled:
    """k writes of one element, newest first.

    records (k,), stamps_ns (k,) to the ms, positions (k, 3) metres to the cm, vectors (k, d), descriptors (k, r)
    folded   earlier writes that are only in `summary` (r,), a descriptor; zeros when there are none
    whole    whether these are all that the chain still has; else `folded` and `summary` are of what comes before
    """

    records: IntArray
    stamps_ns: IntArray
    positions: NDArray[np.float64]
    vectors: Float32Array
    descriptors: Float32Array
    folded: int
    summary: Float32Array
    whole: bool

    def __len__(self) -> int:
        return len(self.records)


class TokenStore(Columnar):
    """See the module docstring. Its lock is taken by every method."""

    def __init__(self, codec: TokenCodec) -> None:
        self.codec, self.lock = codec, threading.RLock()
        self.version = 0  # rises with every change
        # By element.
        self.groups = Growable(np.int64)
        self.keys = Growable(np.int64)
        self.tokens = Growable(np.int16, codec.weights.token)
        self.heads = Growable(np.int64, EXACT)
        self.ages = Growable(np.int64)  # writes so far; 0: the element was cleared
        self.newest = Growable(np.int32)  # its newest segment, -1 before there is one
        # By segment.
        self.owners = Growable(np.int32)
        self.numbers = Growable(np.int32)  # among the segments of its element
        self.before = Growable(np.int32)  # the segment before, -1 at the first
        self.starts = Growable(np.int64)  # in the arena; _FOLDED when its bytes were dropped
        self.sizes = Growable(np.int32)
        self.halves = Growable(np.uint8)
        self.stamps = Growable(np.int64)  # ms, of its newest write
        self.arena = Growable(np.uint8)
        self._wasted = 0  # bytes of the arena that nobody needs
        self._scratch = scratch(codec.weights.network)

    def __len__(self) -> int:
        """Elements, those included that were cleared."""
        return len(self.ages)

    @property
    def element_bytes(self) -> int:
        """What one element takes, its chain left out: key, group, token, last values, number of writes."""
        return 2 * self.codec.weights.token + 8 * EXACT + 8 + 8 + 8

    @property
    def segment_bytes(self) -> int:
        """What one segment takes beside its halves: element, size, number of halves, time."""
        return 4 + 4 + 1 + 8

    @property
    def nbytes(self) -> int:
        """What is needed to read everything back that is kept."""
        with self.lock:
            kept = self.starts.data != _FOLDED
            elements = int((self.ages.data > 0).sum())
            chains = int(self.sizes.data[kept].sum()) + self.segment_bytes * int(kept.sum())
            return elements * self.element_bytes + chains

    def add(self, keys: NDArray[Any]) -> IntArray:
        """New elements with these keys (n,) of ELEMENT_KEY; returns their numbers."""
        with self.lock:
            first = self.groups.extend(keys["group"])
            self.keys.extend(keys["key"])
            self.tokens.extend(np.zeros((len(keys), self.codec.weights.token)))
            self.heads.extend(np.zeros((len(keys), EXACT)))
            self.ages.extend(np.zeros(len(keys)))
            self.newest.extend(np.full(len(keys), -1))
            return np.arange(first, first + len(keys))

    def write(
        self, elements: IntArray, vectors: Any, records: IntArray, stamps_ns: IntArray, positions: NDArray[np.float64]
    ) -> None:
        """n observations into their elements (n,), each element's in order of time. Raises BadInputError.

        vectors (n, d) of length 1; records (n,), stamps_ns (n,); positions (n, 3) metres within 10^7 of the origin
        """
        where = np.asarray(positions, dtype=np.float64)
        if where.shape != (len(elements), 3) or not np.all(np.abs(where) < 1e7):  # NaN is not
            raise BadInputError("Tokens need a position of 3 numbers within 10,000 km for each observation.")
        if len(elements) and not (int(np.min(elements)) >= 0 and np.max(elements) < len(self)):
            raise BadInputError("Tokens are written into elements that were added before.")
        latents = self.codec.latents(vectors)
        exacts = np.column_stack([records, stamps_ns // _MS, np.rint(where * _CM).astype(np.int64)])
        order = np.argsort(elements, kind="stable")
        with self.lock:
            for begin in range(0, len(order), _BATCH):
                part = order[begin : begin + _BATCH]
                self._write(elements[part], latents[part], exacts[part])
            self.version += 1
            if self._wasted > max(len(self.arena) // 2, 1 << 16):
                self.compact()

    def writable(self, elements: IntArray) -> NDArray[np.bool_]:
        """(n,) whether these can be written on: not where the newest segment has room, but was folded."""
        with self.lock:
            newest = self.newest.data[elements]
            starts = np.append(self.starts.data, 0)[newest]  # -1: the one that was appended
            return np.asarray((self.ages.data[elements] % SEGMENT == 0) | (starts != _FOLDED))

    def recent(self, element: int, k: int) -> Recalled:
        """The k latest writes of an element, or as many as its chain has. Raises NotFoundError, StorageError."""
        weights = self.codec.weights
        with self.lock:
            if not 0 <= element < len(self) or not self.ages.data[element]:
                raise NotFoundError(f"There is no element {element} with a token.")
            chain = self._chain(element)
            age, kept = int(self.ages.data[element]), int(self.halves.data[chain].sum())
            count = max(0, min(k, kept))
            token, head = self.tokens.data[element].copy(), self.heads.data[element].copy()
            latents, exacts = np.zeros((count, weights.latent), np.int64), np.zeros((count, EXACT), np.int64)
            data, firsts = self._bytes(chain)
            done = read_back(
                weights.network, self.codec.coder, self._scratch, token, head, age, data, firsts, latents, exacts
            )
        if done != count:
            raise StorageError(f"The chain of element {element} ends early: rebuild the tokens from the log.")
        folded = age - count
        return Recalled(
            exacts[:, 0], exacts[:, 1] * _MS, exacts[:, 2:] / _CM, self.codec.vectors(latents),
            self.codec.descriptors(latents), folded,
            self.codec.token_descriptors(token[None])[0], count == kept,
        )  # fmt: skip

    def halves_of(self, element: int) -> list[bytes]:
        """The halves of an element's chain as they are stored, oldest first."""
        with self.lock:
            data, _ = self._bytes(self._chain(element))
        found, at = [], 0
        while at < len(data):
            length, at = get_varint(data, at)
            found.append(data[at : at + length + 64].tobytes())
            at += length + 64
        return found

    def descriptors(self) -> Float32Array:
        """(e, r) what each element's token says; zeros for those that were cleared."""
        with self.lock:
            return self.codec.token_descriptors(self.tokens.data)

    def clear(self, elements: IntArray) -> None:
        """Take everything out of these elements, as if nothing had been written to them; no byte of it is left."""
        with self.lock:
            for column in (self.tokens, self.heads, self.ages):
                column.data[elements] = 0
            self.newest.data[elements] = -1
            self._keep_segments(~np.isin(self.owners.data, elements))
            self.version += 1

    def wanted(self, budget: int) -> NDArray[np.bool_]:
        """(s,) which segments to keep within so many bytes, folded ones included; a function of what was written.

        Every element keeps its newest segment before any keeps a second one, and so on; of equals the later ones.
        """
        with self.lock:
            left = budget - int((self.ages.data > 0).sum()) * self.element_bytes
            owners = self.owners.data
            depth = self.numbers.data[self.newest.data[owners]] - self.numbers.data
            tie = (self.numbers.data, self.keys.data[owners], self.groups.data[owners])
            order = np.lexsort((*tie, -self.stamps.data, depth))
            keep = np.zeros(len(owners), bool)
            keep[order] = np.cumsum(self.sizes.data[order].astype(np.int64) + self.segment_bytes) <= left
            return keep

    def fold(self, keep: NDArray[np.bool_]) -> None:
        """Drop the bytes of all segments but these (s,); of each chain the newest must be kept first."""
        with self.lock:
            dropped = ~keep & (self.starts.data != _FOLDED)
            if dropped.any():
                self.starts.data[dropped] = _FOLDED
                self.compact()
                self.version += 1

    @property
    def folded(self) -> NDArray[np.bool_]:
        """(s,) the segments whose bytes were dropped."""
        with self.lock:
            return self.starts.data == _FOLDED

    def compact(self) -> None:
        """Move what is needed into a new arena: the bytes of anything else are gone."""
        with self.lock:
            self._keep_segments(np.ones(len(self.owners), bool))

    def save(self, path: Path, facts: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]) -> None:
        """Write what is kept, with facts and columns of the owner's. The same content gives the same bytes.

        Raises StorageError.
        """
        with self.lock:
            canonical = self._canonical()
            told = {
                "version": _VERSION, "model": self.codec.weights.model, "point": self.codec.point,
                "weights": self.codec.fingerprint, "store": {}, "owner": dict(facts),
            }  # fmt: skip
            for name, values in columns.items():
                column = Growable(values.dtype, capacity=max(1, len(values)))
                column.extend(values)
                canonical[f"owner.{name}"] = column
            try:
                cache.save(path, canonical, told)
            except OSError as error:
                raise StorageError(f"The tokens could not be written to {path}: {error.strerror or error}.") from error

    def load(self, path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Become what a file of the same codec has; returns its owner's facts and columns.

        Raises StorageError for one that is missing, damaged, or of another codec; then nothing has changed.
        """
        try:
            columns, told = cache.load(path)
            same = (_VERSION, self.codec.weights.model, self.codec.point, self.codec.fingerprint)
            if (told["version"], told["model"], told["point"], told["weights"]) != same:
                raise cache.DamagedError(f"{path} was written with other weights or another precision.")
            own = {name: columns[name] for name in self.columns()}
        except (cache.DamagedError, KeyError, TypeError) as error:
            raise StorageError(f"The tokens cannot be used ({error}): rebuild them from the log.") from error
        with self.lock:
            for name, column in own.items():
                setattr(self, name, column)
            self._wasted = 0
            self.version += 1
        owned = {name[6:]: column.data.copy() for name, column in columns.items() if name.startswith("owner.")}
        return told["owner"], owned

    # --- inside ------------------------------------------------------------------------------------------------

    def _write(self, elements: IntArray, latents: IntArray, exacts: IntArray) -> None:
        """One batch, sorted by element."""
        touched, firsts = np.unique(elements, return_index=True)
        firsts = np.append(firsts, len(elements))
        open_rows = np.where(self.ages.data[touched] % SEGMENT > 0, self.newest.data[touched], -1)
        if (self.starts.data[open_rows[open_rows >= 0]] == _FOLDED).any():
            raise StorageError("A token whose newest segment was folded cannot be written on: rewrite its element.")
        open_bytes, open_firsts = self._bytes(open_rows)
        out = np.empty(room_for(len(elements), latents.shape[1]) + len(open_bytes), np.uint8)
        found = np.zeros((len(elements) + len(touched), 4), np.int64)
        weights = self.codec.weights
        count = write_batch(
            weights.network, self.codec.coder, self._scratch, self.tokens.data, self.heads.data, self.ages.data,
            touched, firsts, latents, exacts, open_bytes, open_firsts, out, found,
        )  # fmt: skip
        self._store(touched, open_rows, found[:count], out, exacts[:, 1], firsts)

    def _store(
        self, touched: IntArray, open_rows: IntArray, found: IntArray, out: NDArray[np.uint8], times: IntArray,
        firsts: IntArray,
    ) -> None:  # fmt: skip
        """Take in segments that were written: the first of an element may replace the one that was open."""
        groups, numbers, ends = found[:, 0], found[:, 1] // SEGMENT, found[:, 3]
        base = self.arena.extend(out[: ends[-1]])
        starts = np.append(0, ends[:-1])
        last_of_group = np.append(np.flatnonzero(np.diff(groups)), len(groups) - 1)
        first_of_group = np.append(0, last_of_group[:-1] + 1)
        ahead = self.ages.data[touched][groups] - (found[:, 1] + found[:, 2])  # writes of this batch that come after
        stamps = times[firsts[1:][groups] - 1 - ahead]
        replaced = np.zeros(len(groups), bool)
        replaced[first_of_group] = open_rows >= 0
        rows = np.empty(len(groups), np.int64)
        rows[replaced] = open_rows[open_rows >= 0]
        rows[~replaced] = len(self.owners) + np.arange(int((~replaced).sum()))
        before = np.append(-1, rows[:-1])
        before[first_of_group] = self.newest.data[touched]
        self._wasted += int(self.sizes.data[rows[replaced]].sum())
        new = ~replaced
        self.owners.extend(touched[groups[new]])
        self.numbers.extend(numbers[new])
        self.before.extend(before[new])
        for column in (self.starts, self.sizes, self.halves, self.stamps):
            column.extend(np.zeros(int(new.sum())))
        self.starts.data[rows], self.sizes.data[rows] = base + starts, ends - starts
        self.halves.data[rows], self.stamps.data[rows] = found[:, 2], stamps
        self.newest.data[touched] = rows[last_of_group]

    def _chain(self, element: int) -> IntArray:
        """The kept segments of an element, oldest first."""
        rows: list[int] = []
        row = int(self.newest.data[element])
        while row >= 0 and self.starts.data[row] != _FOLDED:
            rows.append(row)
            row = int(self.before.data[row])
        return np.array(rows[::-1], dtype=np.int64)

    def _bytes(self, rows: IntArray) -> tuple[NDArray[np.uint8], IntArray]:
        """The bytes of segments one after the other, and (s + 1,) where each begins; of row -1 there are none."""
        sizes = np.where(rows >= 0, self.sizes.data[rows], 0) if len(self.owners) else np.zeros(len(rows), np.int64)
        firsts = np.append(0, np.cumsum(sizes)).astype(np.int64)
        starts = self.starts.data[rows] if len(self.owners) else firsts[:-1]
        return self.arena.data[np.repeat(starts - firsts[:-1], sizes) + np.arange(firsts[-1])], firsts

    def _keep_segments(self, keep: NDArray[np.bool_]) -> None:
        """Drop the other rows, and make a new arena of what is left."""
        rows = np.flatnonzero(keep)
        number = np.full(len(keep) + 1, -1, dtype=np.int64)  # the last stands for "none"
        number[rows] = np.arange(len(rows))
        there = rows[self.starts.data[rows] != _FOLDED]
        data, firsts = self._bytes(there)
        starts = np.full(len(keep), _FOLDED, dtype=np.int64)
        starts[there] = firsts[:-1]
        self.newest.data[:] = number[self.newest.data]
        self.before.data[:] = number[self.before.data]
        self.starts.data[:] = starts
        for name in ("owners", "numbers", "before", "starts", "sizes", "halves", "stamps"):
            setattr(self, name, _column(getattr(self, name).data[rows]))
        self.arena, self._wasted = _column(data), 0

    def _canonical(self) -> dict[str, Growable]:
        """The columns with elements by their keys, and segments by element and number; cleared elements left out."""
        order = np.lexsort((self.keys.data, self.groups.data))
        order = order[self.ages.data[order] > 0]
        element_of = np.full(len(self), -1, dtype=np.int64)
        element_of[order] = np.arange(len(order))
        rows = np.lexsort((self.numbers.data, element_of[self.owners.data]))
        number = np.full(len(rows) + 1, -1, dtype=np.int64)
        number[rows] = np.arange(len(rows))
        there = rows[self.starts.data[rows] != _FOLDED]
        data, firsts = self._bytes(there)
        starts = np.full(len(rows), _FOLDED, dtype=np.int64)
        starts[number[there]] = firsts[:-1]
        found = {name: getattr(self, name).data[order] for name in ("groups", "keys", "tokens", "heads", "ages")}
        found |= {name: getattr(self, name).data[rows] for name in ("numbers", "sizes", "halves", "stamps")}
        found |= {
            "newest": number[self.newest.data[order]], "owners": element_of[self.owners.data[rows]],
            "before": number[self.before.data[rows]], "starts": starts, "arena": data,
        }  # fmt: skip
        return {name: _column(found[name].astype(column.data.dtype)) for name, column in self.columns().items()}


def _column(values: NDArray[Any]) -> Growable:
    """A column of its own memory."""
    column = Growable(values.dtype, values.shape[1] if values.ndim > 1 else None, capacity=max(16, len(values)))
    column.extend(values)
    return column
