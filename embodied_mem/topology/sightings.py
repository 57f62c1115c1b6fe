"""Which landmarks records saw: labels of their detections, and proper names in their captions."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from embodied_mem.records.index import RecordIndex
from embodied_mem.topology.arrays import IntArray, grouped
from embodied_mem.topology.landmarks import Landmarks, normal
from embodied_mem.topology.names import names_in


class Sightings:
    """Keeps the names in captions by the number of the entry that brought the text; detections are the index's."""

    def __init__(self, index: RecordIndex, min_score: float) -> None:
        self._index, self._min_score = index, min_score
        self._named: dict[int, tuple[str, ...]] = {}

    def read(self, seq: int, caption: str) -> None:
        """Entry `seq` brought this text."""
        if names := names_in(caption):
            self._named[seq] = names

    def erase(self, seqs: Iterable[int]) -> None:
        """The content of these entries is gone for good."""
        for seq in seqs:
            self._named.pop(seq, None)

    def add_to(self, landmarks: Landmarks, rows: NDArray[np.int32], places: IntArray) -> None:
        """Add what rows (n,) of the index's table saw from places (n,). A kind of thing counts once a record."""
        table = self._index.table
        with self._index.lock:
            which, owner = table.detections_of(rows)
            sure = table.scores.data[which] >= self._min_score
            which, owner = which[sure], owner[sure]
            labels = table.labels.data[which].astype(np.int64)
            away = table.centers.data[which] - table.positions.data[rows[owner]]
            texts, seqs, stamps = (column.data[rows] for column in (table.texts, table.seqs, table.last_seen))
            known = self._index.labels_seen.all()
        distance = np.linalg.norm(away, axis=1)
        order = np.lexsort((distance, owner << 32 | labels))
        nearest = order[grouped((owner << 32 | labels)[order])[1]]
        owner, labels, away, distance = owner[nearest], labels[nearest], away[nearest], distance[nearest]
        named = self._named.copy()  # `read` may go on beside this
        have = np.isin(texts, np.fromiter(named, dtype=np.int64, count=len(named)))
        told = [(i, name) for i in np.flatnonzero(have).tolist() for name in named[int(texts[i])]]
        used = np.unique(labels).tolist()
        # By name, so that the same records give the same table whatever came before them.
        names = sorted({normal(known[code]) for code in used} | {name for _, name in told})
        number = {name: i for i, name in enumerate(names)}
        code_of = np.zeros(len(known), dtype=np.int64)
        code_of[used] = [number[normal(known[code])] for code in used]
        who = np.concatenate([owner, np.array([i for i, _ in told], dtype=np.int64)])
        unknown = np.full(len(told), np.nan)
        landmarks.add(
            places[who], names, np.concatenate([np.arctan2(away[:, 1], away[:, 0]), unknown]),
            which=np.concatenate([code_of[labels], np.array([number[name] for _, name in told], dtype=np.int64)]),
            distances=np.concatenate([distance, unknown]), stamps_ns=stamps[who], records=seqs[who],
        )  # fmt: skip
