"""The model's name goes to disk with the vectors that it made, or a restart cannot read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.faults.samples import clock, embedder, missing, sample, vector_of
from embodied_mem.errors import StorageError
from embodied_mem.records.log import RecordLog
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.vector_rows import VectorRow


@pytest.mark.parametrize("key", [1, 3])  # its vector made here, and given
def test_a_disk_that_refuses_at_the_first_vector_loses_no_vector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: int
) -> None:
    memory = RecordMemory.open(tmp_path, embedder(), clock=clock)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(memory.log, "_commit", full)
        with pytest.raises(StorageError, match="No space left"):
            memory.remember(sample(key), durable=True)
    memory.flush()
    memory.close()
    again = RecordMemory.open(tmp_path, embedder(), clock=clock, read_only=True)
    assert again.log.setting("model") == embedder().name
    assert missing(again, 2, key) == ""
    again.close()


def test_a_setting_is_there_before_and_after_it_is_stored(tmp_path: Path) -> None:
    log = RecordLog(tmp_path)
    log.set_setting("colour", "red", durable=False)
    assert log.setting("colour") == "red"
    log.set_setting("colour", "blue")
    log.attach_vectors([VectorRow(1, "m", np.asarray(vector_of(1)))])
    log.close()
    again = RecordLog(tmp_path, read_only=True)
    assert again.setting("colour") == "blue"
    again.close()
