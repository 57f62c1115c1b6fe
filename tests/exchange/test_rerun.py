"""The .rrd file holds every record's boxes, cloud and caption, and the answers."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rerun")

from embodied_mem.errors import StorageError
from embodied_mem.exchange.rerun_file import write_rrd
from tests.exchange.samples import records


def test_it_is_written_whole(tmp_path: Path):
    path = tmp_path / "memory.rrd"
    answer = {"question": "where is the mug?", "sentence": "On the table.", "found": True, "right": True}
    answer["pose"] = {"position": [1.0, 2.0, 0.5]}
    assert write_rrd(records(6), path, [answer]) == 6
    data = path.read_bytes()
    assert data[:4] in (b"RRF2", b"RRF3") or data[:3] == b"RRF"
    for text in (b"map/detections", b"map/cloud", b"captions", b"map/answers"):
        assert text in data, text


def test_a_folder_is_no_file(tmp_path: Path):
    with pytest.raises(StorageError, match="folder"):
        write_rrd(records(1), tmp_path)
