"""Names are durable too: a blob is not safe while the folder that names it, or the one above, was not synced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from embodied_mem.records import blobs, files
from embodied_mem.records.blobs import BlobStore
from embodied_mem.records.entry import blob_name
from embodied_mem.records.log import RecordLog


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were synced, in order."""
    done: list[Path] = []

    def note(folder: Path) -> None:
        done.append(folder)

    monkeypatch.setattr(files, "sync_folder", note)
    monkeypatch.setattr(blobs, "sync_folder", note)
    return done


def test_every_new_folder_is_named_durably(tmp_path: Path, synced: list[Path]) -> None:
    files.make_folder(tmp_path / "a" / "b")
    assert set(synced) == {tmp_path, tmp_path / "a"}


def test_a_new_memory_and_its_blobs_are_named_durably(tmp_path: Path, synced: list[Path]) -> None:
    folder = tmp_path / "robot" / "memory"
    RecordLog(folder).close()
    assert {tmp_path, tmp_path / "robot"} <= set(synced)
    name = blob_name(b"x")
    BlobStore(folder / "blobs").put({name: b"x"})
    assert {folder, folder / "blobs", folder / "blobs" / name[:2]} <= set(synced)


def test_a_blob_that_a_killed_process_left_is_made_durable_too(tmp_path: Path, synced: list[Path]) -> None:
    name = blob_name(b"x")
    BlobStore(tmp_path / "blobs").put({name: b"x"})
    synced.clear()
    BlobStore(tmp_path / "blobs").put({name: b"x"})
    assert {tmp_path, tmp_path / "blobs", tmp_path / "blobs" / name[:2]} <= set(synced)


def test_a_folder_whose_sync_failed_is_synced_again_before_its_blob_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, name = BlobStore(tmp_path / "blobs"), blob_name(b"x")
    store.put({blob_name(b"y"): b"y"})
    (tmp_path / "blobs" / name[:2]).mkdir(exist_ok=True)
    real, failing = os.fsync, True

    def fsync(handle: int) -> None:
        if failing and os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(5, "Input/output error")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            store.put({name: b"x"})
    failing = False
    store.put({name: b"x"})
    assert store.get(name) == b"x"
