"""Forget and rebuild, on a real log: what is left of a forgotten write, and whether a rebuilt store is the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.harness import Report
from bench.tokens_world import Drive
from embodied_mem.records import cache
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Observation
from embodied_mem.tokens.view import TokenSettings, TokenView
from embodied_mem.tokens.weights import TokenWeights


class _Known:
    """The vectors of a drive's captions, by name of the embedder that made them."""

    def __init__(self, name: str, drive: Drive) -> None:
        self.name, self.dim = name, drive.vectors.shape[1]
        self._rows = dict(zip(drive.captions, drive.vectors, strict=True))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([self._rows[text] for text in texts], dtype=np.float32)


def forgetting(report: Report, drive: Drive, weights: TokenWeights, folder: Path) -> None:
    """Forget one write of each of ten voxels; then look for its half in memory and in the file."""
    memory = RecordMemory.in_memory(_Known(weights.model, drive))
    level = np.array([0.0, 0.0, 0.0, 1.0])
    seqs = []
    for caption, position, stamp in zip(drive.captions, drive.positions, drive.stamps_ns, strict=True):
        admitted = memory.remember(Observation(int(stamp), position, orientation=level, caption=caption))
        if admitted.seq not in seqs:
            seqs.append(admitted.seq)

    def view() -> TokenView:
        made = TokenView(memory.index, TokenSettings(), weights=weights)
        made.apply(memory.entries(1, 1 << 30))
        memory.subscribe(made.apply)
        return made

    live = view()
    store = live.store
    live.save(folder / "before")
    before = (folder / "before").read_bytes()
    elements = np.flatnonzero(store.ages.data >= 8)[:10]
    chosen: list[int] = []
    lost: list[bytes] = []
    for element in elements.tolist():
        # A robot that stands still and says the same has many equal halves: of these one that nobody else has.
        pairs = zip(store.recent(element, 1 << 30).records.tolist(), store.halves_of(element)[::-1], strict=True)
        alone = [pair for pair in pairs if before.count(pair[1]) == 1]
        chosen.append(alone[len(alone) // 2][0])
        lost.append(alone[len(alone) // 2][1])
    told_before = all(half in store.arena.data.tobytes() for half in lost)
    command = memory.forget(chosen)
    live.save(folder / "live")
    filed, held = (folder / "live").read_bytes(), live.store.arena._buffer.tobytes()
    left = sum(half in filed or half in held for half in lost)
    told = np.concatenate([live.store.recent(element, 1 << 30).records for element in elements.tolist()])
    report.note(f"forget: {len(chosen)} writes of {len(seqs)}, halves of {min(map(len, lost))} bytes and more")
    report.bar("after Forget the chain is rewritten without the forgotten write (its bytes are nowhere)",
               told_before and not left and not np.isin(chosen, told).any())  # fmt: skip
    view().save(folder / "rebuilt")
    report.bar("rebuild gives the same bytes (integer codec)", (folder / "rebuilt").read_bytes() == filed)
    memory.undo(command)
    live.save(folder / "undone")
    same = _columns(folder / "undone") == _columns(folder / "before")
    report.bar("undo brings the same tokens and chains back", same)


def _columns(path: Path) -> dict[str, bytes]:
    """Everything in a file but the number of the log that it reflects."""
    return {name: column.data.tobytes() for name, column in cache.load(path)[0].items()}
