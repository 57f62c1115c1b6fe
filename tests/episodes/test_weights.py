"""Checkpoints come back as they were, and what is wrong with one is said."""

from __future__ import annotations

import json

import numpy as np
import pytest

from embodied_mem.episodes import weights
from embodied_mem.errors import ModelMismatchError, NotFoundError, StorageError


@pytest.fixture
def path(tmp_path):
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    found: dict[str, np.ndarray] = {"a": numbers, "b": np.array(2.5, dtype=np.float64)}
    weights.save(tmp_path / "one.safetensors", "reader", found, {"seed": 3})
    return tmp_path / "one.safetensors"


def test_there_and_back(path):
    found, facts = weights.load(path, "reader")
    assert facts == {"seed": 3} and found["b"] == 2.5
    np.testing.assert_array_equal(found["a"], [[0, 1, 2], [3, 4, 5]])


def test_the_package_of_the_format_reads_it_too(path):
    tensors = pytest.importorskip("safetensors.numpy")
    np.testing.assert_array_equal(tensors.load_file(path)["a"], [[0, 1, 2], [3, 4, 5]])


def test_another_version_is_refused(path):
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"version": "1"', b'"version": "7"'))
    with pytest.raises(ModelMismatchError, match="version 7, this program reads version 1"):
        weights.load(path, "reader")


def test_another_kind_nan_and_missing_files_are_refused(path):
    with pytest.raises(ModelMismatchError, match="'reader', and no rule"):
        weights.load(path, "rule")
    weights.save(path, "reader", {"a": np.array([np.nan], dtype=np.float32)}, {})
    with pytest.raises(ModelMismatchError, match="NaN"):
        weights.load(path, "reader")
    with pytest.raises(NotFoundError, match=r"episodes\.train"):
        weights.load(path.with_name("none"), "reader")


def test_every_way_to_cut_it_off_is_noticed(path):
    content = path.read_bytes()
    for length in (*range(0, len(content), 7), len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(StorageError, match="no checkpoint"):
            weights.load(path, "reader")


@pytest.mark.parametrize(
    "entry", [{"dtype": "I8"}, {"shape": [9]}, {"data_offsets": [-4, 20]}, {"data_offsets": [0, 10**12]}]
)
def test_headers_that_lie_are_noticed(path, entry):
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["a"] |= entry
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    with pytest.raises(StorageError, match="no checkpoint"):
        weights.load(path, "reader")
