"""Compaction: what was forgotten is in no file, nothing else is missing, and a kill in the middle does no harm."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embodied_mem.errors import BadInputError, NotFoundError, StorageError
from embodied_mem.records.check import check
from embodied_mem.records.clouds import encode_cloud
from embodied_mem.records.compaction import Compaction
from embodied_mem.records.entry import Entry, Kind, tombstone
from embodied_mem.records.log import RecordLog
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query
from embodied_mem.records.rewriting import Rewriter
from embodied_mem.records.vector_rows import VectorRow
from embodied_mem.records.view import RecordView
from tests.records.builders import START, Clock, LetterEmbedder, detections, observation


class NoiseEmbedder:
    """Vectors whose bytes can be searched for: random, and other ones for every text."""

    name, dim = "noise", 64

    def embed(self, texts: Any) -> Any:
        rows = np.array([np.random.default_rng(list(text.encode())).normal(size=self.dim) for text in texts])
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@dataclass
class Told:
    """What a record brought, as bytes to search for."""

    seq: int
    needles: list[bytes]


def words(rng: np.random.Generator) -> str:
    return "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 24))


def open_memory(folder: Path, **options: Any) -> RecordMemory:
    return RecordMemory.open(folder, NoiseEmbedder(), clock=Clock(START + 10**15), **options)


def fill(mem: RecordMemory, count: int, seed: int = 0, start: int = 0) -> list[Told]:
    """Records with everything that a record can bring; some seen again, some corrected."""
    rng = np.random.default_rng(seed)
    told = []
    for i in range(start, start + count):
        caption, label = words(rng), words(rng)
        cloud = rng.uniform(-5, 5, (40, 3)).astype(np.float32)
        center = rng.uniform(-9, 9, (1, 3))
        vectors = rng.normal(size=(1, 32)).astype(np.float32)
        vectors /= np.linalg.norm(vectors)
        found = detections([label], center)
        found = type(found)(found.labels, found.scores, found.centers, found.sizes, found.yaws, vectors)
        picture = rng.bytes(60)
        place = rng.uniform(-9, 9, 3)
        obs = observation(i * 20, place, caption, detections=found, cloud=cloud, thumbnail=picture)
        seq = mem.remember(obs).seq
        mem.remember(observation(i * 20 + 1, place, caption, detections=found, thumbnail=picture))
        needles = [
            caption.encode(), label.encode(), picture, vectors.tobytes(), center.tobytes(), encode_cloud(cloud),
            NoiseEmbedder().embed([caption]).tobytes(), NoiseEmbedder().embed([caption]).astype("<f2").tobytes(),
        ]  # fmt: skip
        if i % 3 == 0:
            better = words(rng)
            mem.correct(seq, caption=better, labels=[label])
            needles += [better.encode(), NoiseEmbedder().embed([better]).tobytes()]
        told.append(Told(seq, needles))
    return told


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def content(folder: Path) -> dict[str, bytes]:
    """The database and the blobs, without what reading leaves beside them."""
    files = [folder / "log.db", *sorted((folder / "blobs").rglob("*"))]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.is_file()}


def found_in(folder: Path, told: list[Told]) -> list[int]:
    everything = bytes_of(folder)
    return [each.seq for each in told if any(needle in everything for needle in each.needles)]


def answers(mem: RecordView) -> Any:
    """What a memory says, in a form that can be compared."""
    hits = mem.query(Query(k=500, map_id="*")).hits
    return [
        (hit.record.seq, hit.record.seen_count, obs.caption, obs.position.tolist(), obs.detections.labels)
        for hit in hits
        for obs in [hit.record.observation]
    ]


@pytest.mark.parametrize("seed", [0, 1])
def test_what_was_forgotten_is_in_no_file_and_everything_else_is_there(tmp_path: Path, seed: int) -> None:
    mem = open_memory(tmp_path)
    told = fill(mem, 60, seed)
    assert isinstance(mem.log, RecordLog)
    mem.log.attach_vectors(  # of another model
        VectorRow(each.seq, "other", np.frombuffer(each.needles[6], np.float32)[::-1]) for each in told
    )
    mem.flush()
    rng = np.random.default_rng(seed)
    gone = [told[i] for i in rng.choice(60, 20, replace=False)]
    kept = [each for each in told if each not in gone]
    mem.forget([each.seq for each in gone])
    before, watermark = answers(mem), mem.watermark
    assert len(found_in(tmp_path, gone)) == 20, "before compaction it can be found, and undone"

    report = Compaction(mem).run()

    assert report.entries >= 40 and report.blobs == 40
    assert not found_in(tmp_path, gone)
    assert answers(mem) == before
    for each in gone:
        with pytest.raises(NotFoundError, match="forgotten"):
            mem.get(each.seq)
        assert mem.log.get([each.seq])[each.seq].kind is Kind.TOMBSTONE
    assert {hit.record.seq for hit in mem.query(Query(k=500, as_of=watermark)).hits} == {each.seq for each in kept}
    assert all(mem.get(each.seq, blobs=True).observation.cloud is not None for each in kept)
    mem.close()
    assert not found_in(tmp_path, gone)
    assert len(found_in(tmp_path, kept)) == len(kept)
    assert check(tmp_path).whole
    again = open_memory(tmp_path)
    assert answers(again) == before
    assert [entry.seq for entry in again.entries(1, 10_000)] == list(range(1, again.watermark + 1))
    with pytest.raises(NotFoundError, match="compaction"):
        again.get(gone[0].seq)
    again.close()
    assert not found_in(tmp_path, gone), "and no cache brings it back"


def test_undo_works_before_compaction_and_is_refused_after(tmp_path: Path) -> None:
    mem = open_memory(tmp_path)
    told = fill(mem, 4)
    first, second = told[0].seq, told[1].seq
    correction = mem.correct(second, caption="corrected")
    forgot = mem.forget([first, second])
    assert mem.undo()[0] == forgot
    assert mem.get(first).seq == first
    forgot = mem.forget([first, second])
    Compaction(mem).run()
    for _ in ("live", "rebuilt"):
        with pytest.raises(BadInputError, match="compaction has erased"):
            mem.undo(forgot)
        with pytest.raises((BadInputError, NotFoundError), match="erased"):
            mem.undo(correction)
        with pytest.raises(BadInputError, match="cannot be undone"):
            mem.undo(mem.watermark)
        mem.close()
        mem = open_memory(tmp_path)
    mem.correct(told[2].seq, caption="the newest command")
    assert mem.undo()[0] == mem.watermark - 1, "the newest command that can be undone"
    mem.close()


def test_the_old_text_of_a_correction_stays_in_its_history(tmp_path: Path) -> None:
    mem = open_memory(tmp_path)
    told = fill(mem, 4)
    number = mem.correct(told[1].seq, caption="better words")
    mem.forget([told[2].seq])
    Compaction(mem).run()
    old = mem.query(Query(k=50, as_of=number - 1, seqs=(told[1].seq,))).hits
    assert old[0].record.observation.caption.encode() == told[1].needles[0]
    mem.undo(number)
    assert mem.get(told[1].seq).observation.caption.encode() == told[1].needles[0]
    mem.close()


def test_a_blob_that_another_record_shares_stays(tmp_path: Path) -> None:
    mem = open_memory(tmp_path)
    one = mem.remember(observation(0, caption="one", thumbnail=b"the same picture")).seq
    two = mem.remember(observation(30, caption="two", thumbnail=b"the same picture")).seq
    mem.forget([one])
    Compaction(mem).run()
    assert mem.get(two, blobs=True).observation.thumbnail == b"the same picture"
    mem.forget([two])
    assert Compaction(mem).run().blobs == 1
    mem.close()
    assert b"the same picture" not in bytes_of(tmp_path)


def test_a_view_that_follows_erases_with_the_log_and_one_that_starts_late_says_the_same() -> None:
    mem = RecordMemory.in_memory(LetterEmbedder(), clock=Clock(START + 10**15))
    follower = RecordView(LetterEmbedder(), clock=mem.clock)
    told = fill(mem, 6)
    mem.forget([told[0].seq, told[3].seq])
    follower.apply(mem.entries(1, 1000))
    Compaction(mem).run()
    follower.apply(mem.entries(1, 1000))
    late = RecordView(LetterEmbedder(), clock=mem.clock)
    late.apply(mem.entries(1, 1000))
    assert answers(follower) == answers(late) == answers(mem)
    for view in (follower, late, mem):
        assert view.log.get([told[0].seq])[told[0].seq].kind is Kind.TOMBSTONE
        with pytest.raises(NotFoundError, match="erased"):
            view.get(told[0].seq)


def test_a_session_that_was_erased_lends_its_name_to_none_that_exists(tmp_path: Path) -> None:
    for number in range(3):
        mem = open_memory(tmp_path)
        mem.remember(observation(number * 50, caption=f"in session {number}"))
        mem.close()
    mem = open_memory(tmp_path)
    mem.forget([hit.record.seq for hit in mem.query(Query(session_id="session-2")).hits])
    Compaction(mem).run()
    mem.close()
    again = open_memory(tmp_path)
    assert again.session_id not in ("session-1", "session-3")
    again.close()


def _compact_and_die(folder: Path, at: int) -> bool:
    """Compact in a process of its own that dies at its n-th step; whether it did."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] != 0
    calls = 0

    def dying(method: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            for part in (lambda: None, lambda: method(*args, **kwargs)):  # before, and after
                result = part()
                calls += 1
                if calls == at:
                    os._exit(9)
            return result

        return call

    try:
        mem = open_memory(folder)
        for name in ("begin", "replace", "shrink", "finish", "_cut_log"):
            setattr(Rewriter, name, dying(getattr(Rewriter, name)))
        mem.seal = dying(mem.seal)  # type: ignore[method-assign]
        mem.log.blobs.remove = dying(mem.log.blobs.remove)  # type: ignore[attr-defined]
        Compaction(mem).run()
    finally:
        os._exit(0)


def test_killed_at_any_step_the_memory_is_whole_and_the_next_compaction_finishes(tmp_path: Path) -> None:
    mem = open_memory(tmp_path / "made")
    told = fill(mem, 9)
    gone = told[2:5]
    mem.forget([each.seq for each in gone])
    before = answers(mem)
    mem.close()
    steps = 0
    died = True
    while died:
        steps += 1
        folder = tmp_path / str(steps)
        shutil.copytree(tmp_path / "made", folder)
        died = _compact_and_die(folder, steps)
        assert check(folder).whole, steps
        mem = open_memory(folder)
        assert answers(mem) == before
        Compaction(mem).run()
        mem.close()
        assert not found_in(folder, gone), steps
        assert check(folder).whole
    assert steps > 12, "every step was tried"


def test_readers_read_and_the_writer_writes_while_it_is_compacted(tmp_path: Path) -> None:
    mem = open_memory(tmp_path)
    told = fill(mem, 40)
    gone, kept = told[:20], told[20:]
    mem.forget([each.seq for each in gone])
    failures: list[BaseException] = []
    begun, over = threading.Barrier(4), threading.Event()

    def guarded(work: Any) -> None:
        try:
            begun.wait(30)
            while not over.is_set():
                work()
        except BaseException as error:
            failures.append(error)

    written = iter(range(10_000))

    def write() -> None:
        i = next(written)
        mem.remember(observation(5000 + 20 * i, (i, 0, 0), f"new {i}", thumbnail=b"picture %d" % i), durable=True)

    def read() -> None:
        hits = mem.query(Query(k=500)).hits
        assert {each.seq for each in kept} <= {hit.record.seq for hit in hits}
        assert not {each.seq for each in gone} & {hit.record.seq for hit in hits}

    def read_elsewhere() -> None:
        other = open_memory(tmp_path, read_only=True)
        try:
            assert {each.seq for each in kept} <= {hit.record.seq for hit in other.query(Query(k=500)).hits}
        finally:
            other.close()

    threads = [threading.Thread(target=guarded, args=(work,)) for work in (write, read, read_elsewhere)]
    for thread in threads:
        thread.start()
    begun.wait(30)
    Compaction(mem).run()
    over.set()
    for thread in threads:
        thread.join(60)
    assert not failures, failures
    count = next(written)
    assert all(mem.get(hit.record.seq, blobs=True).observation.thumbnail for hit in mem.query(Query(k=999)).hits)
    mem.close()
    assert not found_in(tmp_path, gone) and check(tmp_path).whole
    again = open_memory(tmp_path)
    assert len(again.index) == len(kept) + count
    again.close()


def test_what_holds_the_old_state_open_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mem = open_memory(tmp_path)
    told = fill(mem, 3)
    reader = RecordLog(tmp_path, read_only=True)
    mem.forget([told[0].seq])
    rows = reader._reader.execute("SELECT * FROM entries")
    rows.fetchone()
    monkeypatch.setattr("embodied_mem.records.rewriting._PATIENCE_S", 0.1)
    with pytest.raises(StorageError, match="compact` again"):
        Compaction(mem).run()
    assert Rewriter(mem.log).unfinished  # type: ignore[arg-type]
    rows.close()
    reader.close()
    Compaction(mem).run()
    mem.close()
    assert not found_in(tmp_path, told[:1])


def test_no_copy_of_a_vector_stays_in_the_gaps_of_pages_that_were_split(tmp_path: Path) -> None:
    log, rng, count = RecordLog(tmp_path), np.random.default_rng(1), 400
    vectors = {"a": rng.normal(size=(count, 512)).astype("<f4"), "b": rng.normal(size=(count, 384)).astype("<f4")}
    log.append(
        [Entry(0, Kind.OBSERVATION, START, observation=observation(i, (i, 0, 0), map_id="m")) for i in range(count)]
    )
    for start in range(0, count, 20):
        for model, rows in vectors.items():
            log.attach_vectors(VectorRow(int(i) + 1, model, rows[i]) for i in start + rng.permutation(20))
        log.flush()
    gone = rng.choice(count, count // 2, replace=False)
    rewriter = Rewriter(log)
    rewriter.begin()
    rewriter.replace((gone + 1).tolist(), lambda row: tombstone(row.seq, row.logged_ns))
    rewriter.shrink()
    rewriter.finish()
    log.close()
    everything = bytes_of(tmp_path)
    kept = sorted(set(range(count)) - set(gone.tolist()))
    for rows in vectors.values():
        assert not [i for i in gone if any(rows[i, k : k + 8].tobytes() in everything for k in (0, 100, 300))]
        assert all(rows[i].tobytes()[:64] in everything for i in kept)


def test_a_cloud_that_is_erased_while_it_is_read_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mem = open_memory(tmp_path)
    told = fill(mem, 3)
    mem.flush()
    assert isinstance(mem.log, RecordLog)
    reader = RecordLog(tmp_path, read_only=True)
    real = reader.blobs.get

    def slow(name: str) -> bytes:
        if not mem.index.history.erased():
            mem.forget([told[1].seq])
            Compaction(mem).run()
        return real(name)

    monkeypatch.setattr(reader.blobs, "get", slow)
    assert reader.get([told[1].seq], blobs=True)[told[1].seq].kind is Kind.TOMBSTONE
    reader.close()
    mem.close()
