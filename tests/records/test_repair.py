"""Repair: what the checksums vouch for is saved, each loss is told, the damaged folder stays as it is."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embodied_mem.errors import BadInputError, NotFoundError, StorageError
from embodied_mem.records.blobs import BlobStore
from embodied_mem.records.check import check
from embodied_mem.records.entry import Kind
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query
from embodied_mem.records.repair import repair
from tests.records.builders import LetterEmbedder
from tests.records.test_compaction import answers, content, fill, open_memory


def damage(folder: Path, *statements: str) -> None:
    raw = sqlite3.connect(folder / "log.db")
    for statement in statements:
        raw.execute(statement)
    raw.commit()
    raw.close()


def made(folder: Path) -> list[int]:
    mem = open_memory(folder)
    seqs = [told.seq for told in fill(mem, 9)]
    mem.close()
    return seqs


def test_a_memory_that_is_whole_is_left_alone(tmp_path: Path) -> None:
    made(tmp_path / "m")
    before = content(tmp_path / "m")
    assert repair(tmp_path / "m").losses == [] and content(tmp_path / "m") == before


def test_damaged_rows_become_tombstones_and_blobs_cost_only_themselves(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    seqs = made(folder)
    mem = open_memory(folder)
    blob = BlobStore(folder / "blobs")
    cloudless = mem.get(seqs[5], blobs=True).observation
    name = next(n for n in blob.names() if blob.get(n) == cloudless.thumbnail)
    before = {hit[0]: hit for hit in answers(mem)}
    mem.close()
    damage(
        folder,
        f"UPDATE entries SET caption = 'forged' WHERE seq = {seqs[1]}",
        f"DELETE FROM entries WHERE seq = {seqs[2]}",
        f"UPDATE vectors SET data = zeroblob(256) WHERE seq = {seqs[4]}",
    )
    path = folder / "blobs" / name[:2] / name
    path.write_bytes(path.read_bytes()[:-1])
    damaged = content(folder)

    report = repair(folder)

    text = "\n".join(report.losses)
    for words in (
        f"Entry {seqs[1]} is damaged",
        f"Entry {seqs[2]} is missing",
        f"vector of entry {seqs[4]}",
        "picture",
    ):
        assert words in text, text
    assert all(loss.endswith(".") for loss in report.losses)
    assert check(folder).whole and content(Path(report.backup)) == damaged
    mem = open_memory(folder)
    assert [entry.seq for entry in mem.entries(1, 999)] == list(range(1, mem.watermark + 1))
    assert mem.log.get([seqs[1]])[seqs[1]].kind is Kind.TOMBSTONE
    with pytest.raises(NotFoundError):
        mem.get(seqs[2])
    after = {hit[0]: hit for hit in answers(mem)}
    assert after == {seq: hit for seq, hit in before.items() if seq not in seqs[1:3]}
    saved = mem.get(seqs[5], blobs=True).observation
    assert saved.thumbnail == b"" and saved.cloud is not None
    assert mem.index.without_vector().tolist() == [seqs[4]]
    list(mem.embed_missing())
    assert mem.index.has_vector(seqs[4])
    mem.close()


def test_into_another_folder_the_damaged_one_stays(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    seqs = made(folder)
    damage(folder, f"UPDATE entries SET x = 7 WHERE seq = {seqs[0]}")
    before = content(folder)
    report = repair(folder, tmp_path / "saved")
    assert len(report.losses) == 1 and content(folder) == before and check(tmp_path / "saved").whole
    with pytest.raises(BadInputError, match="there already"):
        repair(folder, tmp_path / "saved")


def test_killed_between_saving_and_naming_a_memory_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "m"
    seqs = made(folder)
    damage(folder, f"UPDATE entries SET x = 7 WHERE seq = {seqs[0]}")
    before = content(folder)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    for name, whole in (("exchange", False), ("os.rename", True)):
        with monkeypatch.context() as patch:
            patch.setattr(f"embodied_mem.records.repair.{name}", killed)
            with pytest.raises(KeyboardInterrupt):
                repair(folder)
        assert check(folder).whole is whole
    assert repair(folder).losses == []
    (kept,) = (path for path in tmp_path.iterdir() if path != folder)
    assert content(kept) == before


def test_a_damaged_forgetting_hides_rather_too_much_and_a_correction_without_its_record_does_no_harm(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "m"
    seqs = made(folder)
    mem = open_memory(folder)
    number = mem.forget([seqs[7]])
    mem.correct(seqs[6], caption="corrected")
    mem.undo()
    mem.close()
    damage(
        folder,
        f"UPDATE entries SET logged_ns = 5 WHERE seq = {number}",
        f"UPDATE entries SET x = 5 WHERE seq = {seqs[6]}",
    )
    report = repair(folder)
    assert any("be forgotten" in loss for loss in report.losses)
    mem = open_memory(folder)
    for seq in (seqs[7], seqs[6]):
        with pytest.raises(NotFoundError):
            mem.get(seq)
    mem.close()


def test_what_another_process_writes_is_not_repaired(tmp_path: Path) -> None:
    made(tmp_path / "m")
    mem = open_memory(tmp_path / "m")
    with pytest.raises(StorageError, match="is being written"):
        repair(tmp_path / "m")
    mem.close()


def _state(mem: RecordMemory) -> dict[int, Any]:
    return {hit[0]: hit[1:] for hit in answers(mem)}


def test_garbage_anywhere_is_repaired_or_named_and_never_makes_an_answer_wrong(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    made(folder)
    whole = (folder / "log.db").read_bytes()
    mem = open_memory(folder, read_only=True)
    truth = _state(mem)
    mem.close()
    rng = np.random.default_rng(3)
    saved = 0
    for turn in range(30):
        broken = bytearray(whole)
        start = int(rng.integers(0, len(whole) - 64))
        broken[start : start + 64] = rng.bytes(64)
        (folder / "log.db").write_bytes(bytes(broken))
        target = tmp_path / f"saved {turn}"
        try:
            report = repair(folder, target)
        except StorageError as error:
            assert str(error).endswith((".", ")."))
            continue
        finally:
            assert (folder / "log.db").read_bytes() == bytes(broken)
        if not report.losses:
            continue
        saved += 1
        assert check(target).whole
        mem = RecordMemory.open(target, LetterEmbedder(), read_only=True)
        assert mem.query(Query(k=1, map_id="*")) is not None
        assert all(truth[seq][2] == said[2] for seq, said in _state(mem).items()), "the places are those of before"
        mem.close()
    assert saved > 3
