"""A disk budget: what is dropped, in which order, that it is said, and that answers go on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from embodied_mem.errors import BadInputError, NotFoundError
from embodied_mem.records.check import check
from embodied_mem.records.commands import Drop
from embodied_mem.records.compaction import Compaction
from embodied_mem.records.entry import Kind
from embodied_mem.records.log import RecordLog
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query
from embodied_mem.records.retention import Retention, dropped, usage
from tests.records.builders import START, Clock, LetterEmbedder, observation


def open_memory(folder: Path) -> RecordMemory:
    return RecordMemory.open(folder, LetterEmbedder(), clock=Clock(START + 10**16))


def fill(mem: RecordMemory, count: int, start: int = 0, picture: bytes = b"") -> list[int]:
    rng = np.random.default_rng(start)
    return [
        mem.remember(
            observation(
                i * 20,
                (i, 0, 0),
                f"thing {i}",
                cloud=rng.uniform(-9, 9, (800, 3)).astype(np.float32),
                thumbnail=picture or rng.bytes(3000),
            )
        ).seq
        for i in range(start, start + count)
    ]


def with_cloud(mem: RecordMemory, seqs: Sequence[int]) -> list[int]:
    return [seq for seq in seqs if mem.get(seq, blobs=True).observation.cloud is not None]


def test_oldest_clouds_go_first_and_their_records_stay(tmp_path: Path) -> None:
    mem = open_memory(tmp_path)
    seqs = fill(mem, 100)
    retention = Retention(mem, 0.7)
    freed = retention.enforce()
    assert isinstance(mem.log, RecordLog)
    assert freed > 0 and usage(mem.log) <= 0.7e6 and not retention.problem
    kept = with_cloud(mem, seqs)
    assert 0 < len(kept) < 100 and kept == seqs[-len(kept) :]
    assert len(mem.query(Query(k=500)).hits) == 100
    assert mem.query(Query(text="thing 1", k=1)).hits
    told = dropped(mem)
    assert told["dropped_clouds"] == told["dropped_thumbnails"] == 100 - len(kept) and told["dropped_records"] == 0
    assert told["dropped_bytes"] == freed
    with pytest.raises(BadInputError, match="cannot be undone"):
        mem.undo(mem.watermark)
    mem.close()
    assert check(tmp_path).whole
    again = open_memory(tmp_path)
    assert with_cloud(again, seqs) == kept and dropped(again) == told
    again.close()


def test_within_the_budget_nothing_is_dropped_and_without_one_neither(tmp_path: Path) -> None:
    mem = open_memory(tmp_path)
    fill(mem, 20)
    watermark = mem.watermark
    assert not Retention(mem, 50).enforce() and not Retention(mem, 0).enforce() and mem.watermark == watermark
    mem.close()


def test_a_picture_that_a_newer_record_shares_stays(tmp_path: Path) -> None:
    mem = open_memory(tmp_path)
    seqs = fill(mem, 60, picture=b"the very same")
    Retention(mem, 0.35).enforce()
    kept = with_cloud(mem, seqs)
    assert 0 < len(kept) < 60
    assert all(mem.get(seq, blobs=True).observation.thumbnail == b"the very same" for seq in kept)
    mem.close()
    assert check(tmp_path).whole


def test_what_compaction_has_erased_is_not_dropped_again(tmp_path: Path) -> None:
    mem = open_memory(tmp_path)
    seqs = fill(mem, 60)
    retention = Retention(mem, 0.4)
    retention.enforce()
    gone = with_cloud(mem, seqs)[:5]
    mem.forget(gone)
    Compaction(mem).run()
    retention.budget = 250_000
    retention.enforce(now=True)
    told = [entry.command for entry in mem.entries(1, 999) if isinstance(entry.command, Drop)]
    assert len(told) > 1 and not set(gone) & {seq for drop in told for seq in drop.seqs}
    assert sum(drop.clouds for drop in told) == len(seqs) - len(gone) - len(with_cloud(mem, sorted({*seqs} - {*gone})))
    mem.close()
    assert check(tmp_path).whole


def test_clouds_stay_when_what_depends_on_them_could_not_be_made_durable(tmp_path: Path) -> None:
    mem = open_memory(tmp_path)
    seqs = fill(mem, 60)
    asked: list[int] = []

    def snapshot(about: Sequence[int]) -> None:
        asked.extend(about)
        raise OSError("no room for the octree")

    with pytest.raises(OSError, match="octree"):
        Retention(mem, 0.45, snapshot).enforce()
    failing = Retention(mem, 0.45, snapshot)
    failing.after_writing()
    assert "octree" in failing.problem and mem.counters["retention_failed"] == 1
    assert asked and with_cloud(mem, seqs) == seqs
    asked.clear()
    retention = Retention(mem, 0.45, asked.extend)
    retention.enforce()
    assert sorted(set(seqs) - set(with_cloud(mem, seqs))) == asked
    mem.close()


def test_then_records_go_that_a_newer_one_repeats_and_what_is_left_is_told(tmp_path: Path) -> None:
    mem = open_memory(tmp_path)
    text = "a long caption " * 40
    seqs = [mem.remember(observation(i * 20, (i % 5, 0, 0), f"{text}{i % 5}")).seq for i in range(400)]
    assert isinstance(mem.log, RecordLog)
    mem.flush()
    retention = Retention(mem, 0.05)
    retention.enforce()
    assert dropped(mem)["dropped_records"] == 395
    assert [hit.record.seq for hit in mem.query(Query(k=500)).hits] == seqs[:394:-1]
    with pytest.raises(NotFoundError, match="disk budget"):
        mem.get(seqs[0])
    assert mem.log.get([seqs[0]])[seqs[0]].kind is Kind.TOMBSTONE
    assert "raise disk_budget_mb" in retention.problem
    mem.close()
    again = open_memory(tmp_path)
    assert len(again.index) == 5
    again.close()
    assert check(tmp_path).whole


def test_a_run_of_many_times_the_budget_keeps_answering(tmp_path: Path) -> None:
    mem = RecordMemory.open(tmp_path, LetterEmbedder(), clock=Clock(START + 10**16), disk_budget_mb=0.8)
    assert isinstance(mem.log, RecordLog)
    written = highest = 0
    for start in range(0, 600, 20):
        fill(mem, 20, start)
        mem.flush()  # what waits for the disk is on no disk yet
        written, highest = mem.log.written, max(highest, usage(mem.log))
    assert written > 0.8e6 * 4 and highest < 1.35 * 0.8e6, (written, highest)
    assert len(mem.query(Query(k=2000)).hits) == 600
    assert all(isinstance(entry.command, Drop) for entry in mem.entries(1, 5000)[1:] if entry.command)
    assert dropped(mem)["dropped_clouds"] > 400
    mem.close()
    assert check(tmp_path).whole
