"""The forest as a view of the log: one tree for each group of connected maps, over the records that stand.

What a tree holds is a function of the records that are neither forgotten nor erased, as they are corrected and
re-anchored. What it looks like depends on the order of insertion, so that order is fixed: by record number. New records
arrive in that order. A change in the past is applied at once, where it belongs, so that no answer shows what was
forgotten; `settle` then grows the tree again in the fixed order, from vectors, places and terms that are at hand. From
there on it is, to the last bit, the tree that a rebuild from the log makes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import NotFoundError
from embodied_mem.forest.bm25 import BM25
from embodied_mem.forest.frames import Frame, frames_of, same_frames
from embodied_mem.forest.grow import Growth
from embodied_mem.forest.lexicon import Lexicon
from embodied_mem.forest.places import Places
from embodied_mem.forest.summarise import Summary, summarise
from embodied_mem.forest.tree import NOTHING, Tree
from embodied_mem.geometry import transform_points
from embodied_mem.records.entry import Entry, Kind
from embodied_mem.records.view import RecordView, text_of

_BATCH = 2048  # entries read at once


@dataclass(frozen=True, slots=True)
class _Known:
    """How a record stands in the forest: its version in the index, its vector's place there, its tree and leaf."""

    row: int
    slot: int
    frame: str
    leaf: int


class ForestView:
    """Follows a `RecordView` (or `RecordMemory`). Safe for one updating thread and many reading ones.

    weight    of place against meaning in growing, 0 to 1
    fan_out   the most children of a node
    vertical  how many metres in the plane a metre of height counts as, so that floors are kept apart
    geodesic  whether distances are those along the ways between places (geodesic.py), as of the last `settle`
    """

    def __init__(
        self,
        memory: RecordView,
        *,
        weight: float = 0.5,
        fan_out: int = 16,
        vertical: float = 10.0,
        geodesic: bool = False,
    ) -> None:
        self.memory = memory
        self.lock = threading.RLock()
        self.lexicon = Lexicon()
        self.words = BM25()
        self.trees: dict[str, Tree] = {}
        self.watermark = 0
        self._weight, self._fan_out = weight, fan_out
        self._places = Places(memory.index, vertical, geodesic)
        self._known: dict[int, _Known] = {}
        self._frames: dict[int, Frame] = {}
        self._waiting: set[int] = set()  # records whose vector is not there yet
        self._unsettled: set[str] = set()
        self.worded = 0  # summaries that a model worded
        self._grown = 0  # how often trees were grown anew
        self._summaries: dict[tuple[str, int], tuple[tuple[int, int, int], Summary]] = {}

    def __len__(self) -> int:
        """How many records the forest holds."""
        return len(self._known)

    # --- following the log -------------------------------------------------------------------------------------

    def update(self) -> int:
        """Read on to where memory is; returns how many records were put in, taken out or changed."""
        with self.lock:
            upto = min(self.memory.watermark, self.memory.log.watermark)
            fresh: list[int] = []
            again: list[int] = []
            changed = False
            while self.watermark < upto:
                entries = self.memory.log.read(self.watermark + 1, min(_BATCH, upto - self.watermark))
                self._places.apply(entries)
                for entry in entries:
                    if entry.kind is Kind.OBSERVATION:
                        fresh.append(entry.seq)
                    elif entry.kind is Kind.SEEN_AGAIN:
                        again.append(entry.about)
                    else:
                        changed = True
                    self.watermark = entry.seq
            with self.memory.index.lock:
                frames = frames_of(self.memory.index)
            if not same_frames(self._frames, frames):
                changed = True
            self._frames = frames
            wanted = self._standing() if changed else self._standing(sorted({*fresh, *self._waiting}))
            done = self._bring_up(wanted, [*self._known] if changed else sorted(wanted))
            for seq in again:
                self._see_again(seq)
            return done

    def settle(self) -> bool:
        """Grow anew every tree that was changed in the past; False when there was none."""
        with self.lock:
            self._unsettled.update(self._places.walk(self.trees, self._frames, self.watermark))
            unsettled = sorted(self._unsettled)
            for frame in unsettled:
                old = self.trees.pop(frame).arrays
                leaves = np.flatnonzero(old.above[: old.head[3]] != NOTHING)
                leaves = leaves[np.argsort(old.seqs[leaves])]
                if len(leaves):
                    growth = self._growth(frame, old.vectors.shape[1])
                    numbers, positions = old.seqs[leaves], old.positions[leaves]
                    places = self._places.of(frame, positions)
                    placed = growth.add(numbers, old.vectors[leaves], places, positions, old.spans[leaves])
                    for seq, leaf in zip(numbers.tolist(), placed.tolist(), strict=True):
                        known = self._known[seq]
                        self._known[seq] = _Known(known.row, known.slot, known.frame, leaf)
            self._unsettled.clear()
            self._grown += bool(unsettled)
            self._drop_old_summaries()
            return bool(unsettled)

    @property
    def settled(self) -> bool:
        """Whether every tree is what a rebuild would make."""
        return not self._unsettled and self._places.current(self.watermark)

    def fingerprint(self) -> str:
        """The same for two forests exactly when their trees and terms are the same."""
        with self.lock:
            trees = {frame: tree.fingerprint() for frame, tree in sorted(self.trees.items()) if len(tree)}
            said = {seq: sorted(self.lexicon.said_by(seq)) for seq in sorted(self._known)}
            return f"{trees}{said}"

    # --- reading -----------------------------------------------------------------------------------------------

    def frame_of(self, map_id: str = "") -> str:
        """The frame of a map's tree ("": of the current map). Raises NotFoundError when it has no record."""
        name = map_id or self.memory.map_id
        code = self.memory.index.map_names.find(name)
        frame = self._frames[code].name if code in self._frames else ""
        if not frame or not len(self.trees.get(frame, ())):
            raise NotFoundError(f"The forest holds no record of the map {name!r}: its tree is empty.")
        return frame

    def in_map(self, positions: NDArray[np.float64], map_id: str = "") -> NDArray[np.float64]:
        """(n, 3) or (3,) metres of a tree's frame in the coordinates of a map of its (default: the current one)."""
        code = self.memory.index.map_names.find(self.memory.index.maps.resolve(map_id))
        frame = None if code is None else self._frames.get(code)
        if frame is None or np.array_equal(frame.into, np.eye(4)):
            return positions
        return transform_points(np.linalg.inv(frame.into), np.atleast_2d(positions)).reshape(positions.shape)

    def leaf_of(self, seq: int) -> tuple[str, int]:
        """The frame and the leaf of a record. Raises NotFoundError."""
        if seq not in self._known:
            raise NotFoundError(f"The forest holds no record {seq}: it is forgotten, no record, or not read yet.")
        return self._known[seq].frame, self._known[seq].leaf

    def caption_of(self, seq: int) -> str:
        """The caption of a record as it stands. Raises NotFoundError."""
        return self._captions([seq])[seq]

    def summary(self, frame: str, node: int) -> Summary:
        """The extractive summary of a node, made when it is asked for and kept until something below changes."""
        with self.lock:
            if (kept := self._kept(frame, node)) is not None:
                return kept
            tree = self.trees[frame]
            parent = int(tree.arrays.parents[node])
            around = tree.leaves_under(parent) if parent >= 0 else None
            made = summarise(
                tree, self.lexicon, tree.leaves_under(node), around, self.caption_of, map_id=frame, node=node
            )
            self._summaries[frame, node] = self._version(frame, node), made
            return made

    def chain(self, seq: int) -> list[Summary]:
        """The summaries above a record, nearest first. Raises NotFoundError."""
        with self.lock:
            frame, leaf = self.leaf_of(seq)
            return [self.summary(frame, node) for node in self.trees[frame].ancestors(leaf)]

    def stale(self, frame: str) -> list[int]:
        """The nodes whose summary is missing or out of date, the highest first."""
        with self.lock:
            return [node for node in self.trees[frame].nodes().tolist() if self._kept(frame, node) is None]

    # --- wording by a model (model_summaries.py) ---------------------------------------------------------------

    def unworded(self, frame: str) -> list[int]:
        """The nodes whose summary no model has worded as it is now, the highest first."""
        with self.lock:
            kept = {node: self._kept(frame, node) for node in self.trees[frame].nodes().tolist()}
            return [node for node, summary in kept.items() if summary is None or summary.source == "extractive"]

    def to_word(self, frame: str, node: int, shown: int) -> tuple[tuple[int, int, int], Summary, dict[int, str]] | None:
        """A node's version, its extractive summary and up to `shown` captions to word it from; None without words."""
        with self.lock:
            tree = self.trees[frame]
            if not 0 <= node < len(tree.arrays.levels) or not tree.arrays.levels[node]:
                return None
            summary = self.summary(frame, node)
            leaves = tree.leaves_under(node)
            spread = leaves[np.unique(np.linspace(0, len(leaves) - 1, shown).astype(int))]
            seqs = list(dict.fromkeys([*summary.evidence, *tree.arrays.seqs[spread].tolist()]))[:shown]
            captions = {seq: caption for seq, caption in self._captions(seqs).items() if caption.strip()}
            return (self._version(frame, node), summary, captions) if captions else None

    def take_wording(self, frame: str, node: int, version: tuple[int, int, int], summary: Summary) -> bool:
        """Keep a summary for a node as it was at `version`; False when it has changed since."""
        with self.lock:
            tree = self.trees.get(frame)
            if tree is None or not len(tree) or self._version(frame, node) != version:
                return False
            self._summaries[frame, node] = version, summary
            self.worded += summary.source != "extractive"
            return True

    # --- inside ------------------------------------------------------------------------------------------------

    def _version(self, frame: str, node: int) -> tuple[int, int, int]:
        """Changes whenever something changes below a node or beside it."""
        arrays = self.trees[frame].arrays
        above = int(arrays.parents[node])
        return self._grown, int(arrays.versions[node]), int(arrays.versions[above]) if above >= 0 else 0

    def _drop_old_summaries(self) -> None:
        keys = [key for key in self._summaries if key[0] not in self.trees or self._kept(*key) is None]
        for key in keys:
            del self._summaries[key]

    def _kept(self, frame: str, node: int) -> Summary | None:
        version, summary = self._summaries.get((frame, node), ((-1, -1, -1), None))
        return summary if version == self._version(frame, node) else None

    def _standing(self, seqs: Iterable[int] | None = None) -> dict[int, tuple[int, int]]:
        """Row and slot of the records that answers can draw on: of all, or of these."""
        index = self.memory.index
        with index.lock:
            current = index.table.current_row.data[: self.watermark + 1]
            numbers = np.flatnonzero(current >= 0) if seqs is None else np.array(list(seqs), dtype=np.int64)
            rows = current[numbers]
            kept = rows >= 0
            kept[kept] = index.table.hidden.data[rows[kept]] == 0
            numbers, rows = numbers[kept], rows[kept]
            slots = index.table.slots.data[rows]
            worded = index.table.worded.data[index.table.texts.data[rows]] != 0
        self._waiting -= set(numbers.tolist()) if seqs is not None else self._waiting
        self._waiting |= set(numbers[(slots < 0) & worded].tolist())
        return dict(zip(numbers.tolist(), zip(rows.tolist(), slots.tolist(), strict=True), strict=True))

    def _bring_up(self, wanted: dict[int, tuple[int, int]], standing: list[int]) -> int:
        """Take out what is gone or otherwise, put in what is new or otherwise; `standing`: those to be looked at."""
        gone = [seq for seq in standing if seq in self._known and not self._same(seq, wanted.get(seq))]
        for seq in gone:
            self._take_out(seq)
        if gone:
            self._drop_old_summaries()  # they may speak of what was forgotten
        new = [seq for seq in sorted(wanted) if seq not in self._known]
        for start in range(0, len(new), _BATCH):
            some = new[start : start + _BATCH]
            self._put_in(some, [wanted[seq] for seq in some])
        return len({*gone, *new})

    def _same(self, seq: int, wanted: tuple[int, int] | None) -> bool:
        known = self._known[seq]
        if wanted is None or (known.row, known.slot) != wanted:
            return False
        frame = self._frame_of_row(known.row)
        if frame is None or frame.name != known.frame:
            return False
        there = self._positions([known.row])[0]
        return bool(np.array_equal(there, self.trees[known.frame].arrays.positions[known.leaf]))

    def _take_out(self, seq: int) -> None:
        known = self._known.pop(seq)
        self._growth(known.frame).remove(known.leaf)
        self.lexicon.remove(seq)
        self.words.remove(seq)
        self._unsettled.add(known.frame)

    def _put_in(self, seqs: list[int], standing: list[tuple[int, int]]) -> None:
        index = self.memory.index
        rows = [row for row, _ in standing]
        captions, positions = self._captions(seqs), self._positions(rows)
        with index.lock:
            width = index.vector_width or 1
            vectors = np.zeros((len(seqs), width), np.float32)
            for i, row in enumerate(rows):
                vector = index.vector_of(int(index.table.texts.data[row]))
                if vector is not None and standing[i][1] >= 0:
                    vectors[i] = vector
            first = index.table.first_seen.data[rows]
            spans = np.column_stack([first, np.maximum(first, index.table.last_seen.data[rows])])
            labels = [self._labels(row) for row in rows]
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
        vectors = np.asarray(vectors / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)
        frames = [frame.name if (frame := self._frame_of_row(row)) is not None else "" for row in rows]
        for name in dict.fromkeys(frames):
            mine = np.array([i for i, frame in enumerate(frames) if frame == name])
            growth = self._growth(name, width)
            if len(growth.tree) and growth.tree.arrays.seqs[: growth.tree.leaf_slots].max() > seqs[mine[0]]:
                self._unsettled.add(name)
            numbers = np.array(seqs)[mine]
            places = self._places.of(name, positions[mine])
            leaves = growth.add(numbers, vectors[mine], places, positions[mine], spans[mine])
            for i, leaf in zip(mine.tolist(), leaves.tolist(), strict=True):
                self._known[seqs[i]] = _Known(standing[i][0], standing[i][1], name, leaf)
        for i, seq in enumerate(seqs):
            self.lexicon.add(seq, captions[seq], labels[i])
            self.words.add(seq, " ".join((captions[seq], *labels[i])))

    def _see_again(self, seq: int) -> None:
        if seq not in self._known:
            return
        known = self._known[seq]
        index = self.memory.index
        with index.lock:
            span = int(index.table.first_seen.data[known.row]), int(index.table.last_seen.data[known.row])
        self.trees[known.frame].touch(known.leaf, (span[0], max(span)))

    def _growth(self, frame: str, width: int | None = None) -> Growth:
        tree = self.trees.get(frame)
        if tree is None or (width is not None and tree.width != width and not len(tree)):
            tree = self.trees[frame] = Tree(width or 1, self._places.width, self._fan_out)
        elif width is not None and tree.width != width:
            tree = self.trees[frame] = self._widened(tree, width)
        return Growth(tree, self._weight)

    def _widened(self, tree: Tree, width: int) -> Tree:
        """The tree's records in one for vectors of another width, when the first vector comes or the model changes."""
        leaves = tree.leaves()
        leaves = leaves[np.argsort(tree.arrays.seqs[leaves])]
        wider = Tree(width, self._places.width, self._fan_out)
        arrays = tree.arrays
        placed = Growth(wider, self._weight).add(
            arrays.seqs[leaves], np.zeros((len(leaves), width), np.float32),
            arrays.places[leaves], arrays.positions[leaves], arrays.spans[leaves],
        )  # fmt: skip
        for seq, leaf in zip(arrays.seqs[leaves].tolist(), placed.tolist(), strict=True):
            known = self._known[seq]
            self._known[seq] = _Known(known.row, -1, known.frame, leaf)
        self._grown += 1
        return wider

    def _frame_of_row(self, row: int) -> Frame | None:
        return self._frames.get(int(self.memory.index.table.codes.data[row, 0]))

    def _positions(self, rows: list[int]) -> NDArray[np.float64]:
        """(n, 3) metres in the frames of the rows' trees."""
        with self.memory.index.lock:
            table = self.memory.index.table
            out, codes = table.positions.data[rows], table.codes.data[rows, 0]
        for code in np.unique(codes).tolist():
            frame = self._frames.get(code)
            if frame is not None and not np.array_equal(frame.into, np.eye(4)):
                out[codes == code] = transform_points(frame.into, out[codes == code])
        return out

    def _labels(self, row: int) -> tuple[str, ...]:
        table = self.memory.index.table
        first, last = table.spans.data[row]
        return tuple(dict.fromkeys(self.memory.index.labels_seen[code] for code in table.labels.data[first:last]))

    def _captions(self, seqs: list[int]) -> dict[int, str]:
        index = self.memory.index
        with index.lock:
            rows = [index.row_of(seq) for seq in seqs]
            texts = index.table.texts.data[rows].tolist()
        entries: dict[int, Entry] = self.memory.log.get(set(texts))
        return {seq: text_of(entries[text]) for seq, text in zip(seqs, texts, strict=True)}
