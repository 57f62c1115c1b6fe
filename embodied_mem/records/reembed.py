"""Migration of a memory to another embedder: resumable, and queries go on with the old vectors until it is done."""

from __future__ import annotations

from collections.abc import Iterator

from embodied_mem.inference.protocols import Embedder
from embodied_mem.records.commands import Correct
from embodied_mem.records.entry import Entry
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.vector_rows import VectorRow

_BATCH = 64


def reembed(memory: RecordMemory, embedder: Embedder) -> Iterator[tuple[int, int]]:
    """Make every text's vector by `embedder`, store them batch by batch, then switch over; yields (done, total).

    Stopped half-way it loses nothing: the next call goes on where the vectors end. Vectors that came with observations
    are made again from their captions; one without a caption cannot be, and is left without a vector.
    Raises StorageError.
    """
    done = {int(seq) for seqs, _ in memory.log.vectors(embedder.name) for seq in seqs}
    while True:
        texts = dict(_texts(memory))
        waiting = [seq for seq in texts if seq not in done]
        if not waiting:
            break
        for start in range(0, len(waiting), _BATCH):
            part = waiting[start : start + _BATCH]
            vectors = embedder.embed([texts[seq] for seq in part])
            memory.log.attach_vectors(
                VectorRow(seq, embedder.name, row) for seq, row in zip(part, vectors, strict=True)
            )
            memory.flush()
            done.update(part)
            yield len(done), len(texts)
    memory.switch_model(embedder)


def _texts(memory: RecordMemory) -> Iterator[tuple[int, str]]:
    first = 1
    while entries := memory.log.read(first, 2048):
        yield from ((entry.seq, text) for entry in entries if (text := _text(entry)))
        first = entries[-1].seq + 1


def _text(entry: Entry) -> str:
    if entry.observation is not None:
        return entry.observation.caption.strip()
    return (entry.command.caption or "").strip() if isinstance(entry.command, Correct) else ""
