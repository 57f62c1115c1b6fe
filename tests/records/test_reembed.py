"""Migration to another embedder: resumable, with queries going on, and complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from embodied_mem.errors import ModelMismatchError
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query
from embodied_mem.records.reembed import reembed
from tests.records.builders import START, Clock, LetterEmbedder, observation

OLD, NEW = LetterEmbedder(), LetterEmbedder("more letters", 30)


def opened(folder: Path, embedder: LetterEmbedder) -> RecordMemory:
    return RecordMemory.open(folder, embedder, clock=Clock(START + 10**12))


def test_a_migration_that_was_stopped_goes_on_where_it_stopped(tmp_path: Path) -> None:
    mem = opened(tmp_path, OLD)
    seqs = [mem.remember(observation(i, (i, 0, 0), chr(97 + i % 26) * (1 + i // 26))).seq for i in range(150)]
    mem.correct(seqs[0], caption="zz")
    steps = reembed(mem, NEW)
    done, total = next(steps)
    assert 0 < done < total == 151
    assert mem.query(Query(text="zz", k=1)).model == "letters", "queries go on with the old vectors"
    mem.close()

    again = opened(tmp_path, OLD)
    late = again.remember(observation(500, (5, 5, 0), "late")).seq
    progress = list(reembed(again, NEW))
    assert len(progress) < 1 + total // 64 and progress[-1] == (152, 152)
    result = again.query(Query(text="late", k=1))
    assert result.model == "more letters" and result.hits[0].record.seq == late
    assert again.query(Query(text="zz", k=1)).hits[0].record.seq == seqs[0]
    again.close()

    with pytest.raises(ModelMismatchError, match="reembed"):
        opened_with_old = opened(tmp_path, OLD)
        try:
            opened_with_old.query(Query(text="zz"))
        finally:
            opened_with_old.close()
    after = opened(tmp_path, NEW)
    assert after.query(Query(text="late", k=1)).hits[0].record.seq == late
    assert all(after.index.has_vector(seq) for seq in seqs)
    after.close()


def test_what_was_logged_without_a_model_is_embedded_later(tmp_path: Path) -> None:
    without = RecordMemory.open(tmp_path, None, clock=Clock(START + 10**12))
    seq = without.remember(observation(1, caption="zebra")).seq
    without.close()
    mem = opened(tmp_path, OLD)
    assert "no vector" in mem.query(Query(text="zebra")).reason.replace("has a vector yet", "no vector")
    assert list(mem.embed_missing()) == [0]
    assert mem.query(Query(text="zebra")).hits[0].record.seq == seq
    mem.close()
    again = opened(tmp_path, OLD)
    assert again.index.has_vector(seq)
    again.close()
