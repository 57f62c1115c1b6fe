"""JSON lines: what goes out comes back, and what is no export gets a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embodied_mem.errors import BadInputError, NotFoundError, StorageError
from embodied_mem.exchange.jsonl import is_records_file, read_records, record_to_json, write_records
from tests.exchange.samples import assert_same, records


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    path = tmp_path / "memory.jsonl"
    with open(path, "w", encoding="utf-8") as file:
        assert write_records(records(6), file) == 6
    return path


def test_every_field_survives(exported: Path):
    back = list(read_records(exported))
    assert is_records_file(exported)
    for before, after in zip(records(6), back, strict=True):
        assert (before.seq, before.logged_ns, before.seen_count) == (after.seq, after.logged_ns, after.seen_count)
        assert_same(before.observation, after.observation)


def test_a_line_is_readable_by_others(exported: Path):
    line = json.loads(exported.read_text(encoding="utf-8").splitlines()[1])
    assert line["caption"].endswith("schön.")
    assert len(line["position"]) == 3
    assert line["detections"]["labels"] == ["mug"]


def test_what_is_empty_is_left_out():
    bare = record_to_json(records(2)[1])
    assert "cloud" not in bare and "covariance" not in bare and "vector" not in bare


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda text: text[: len(text) // 2], StorageError, "truncated"),
        (lambda text: "", None, ""),
        (lambda text: text.split("\n", 1)[1], BadInputError, "names no format"),
        (lambda text: text.replace('"version": 1', '"version": 99', 1), BadInputError, "version 99"),
        (lambda text: text.replace('"position"', '"place"'), BadInputError, "line 2"),
        (lambda text: text.replace('"position": [0.0, ', '"position": [', 1), BadInputError, "record"),
        (lambda text: text.replace('"cloud": "', '"cloud": "!!', 1), BadInputError, "line 2"),
    ],
)
def test_malformed_files_get_a_sentence(exported: Path, change, error, says):
    exported.write_text(change(exported.read_text(encoding="utf-8")), encoding="utf-8")
    if error is None:
        assert list(read_records(exported)) == []
        return
    with pytest.raises(error, match=says):
        list(read_records(exported))


def test_not_text_and_not_there(tmp_path: Path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes(b'{"format": "embodied_mem.records", "version": 1}\n{"caption": "sch\xf6n"}\n')
    with pytest.raises(BadInputError, match="UTF-8"):
        list(read_records(path))
    with pytest.raises(NotFoundError):
        list(read_records(tmp_path / "nothing.jsonl"))
