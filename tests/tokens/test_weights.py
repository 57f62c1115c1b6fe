"""Checkpoints: read with numpy alone, checked, the same bytes for the same weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import embodied_mem.tokens
from embodied_mem.errors import NotFoundError, StorageError
from embodied_mem.tokens.tensors import read_tensors, write_tensors
from embodied_mem.tokens.weights import load_weights, save_weights, untrained, weights_for
from tests.tokens.networks import random_weights

SHIPPED = sorted(Path(embodied_mem.tokens.__file__).parent.glob("*.safetensors"))


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    weights = random_weights()
    for name in ("one", "two"):
        save_weights(tmp_path / name, weights, {"seed": "0"})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    found = load_weights(tmp_path / "one")
    for mine, its in zip(weights.network.predict, found.network.predict, strict=True):
        np.testing.assert_array_equal(mine, its)
    np.testing.assert_array_equal(found.down, weights.down)
    assert (found.model, found.depth, found.token, found.latent) == ("test", 6, 8, 16)


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    save_weights(tmp_path / "whole", random_weights(), {})
    data = (tmp_path / "whole").read_bytes()
    flipped = data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]
    for broken in (b"", data[:100], data[:-1], flipped, data.replace(b'"version":"1"', b'"version":"9"')):
        (tmp_path / "broken").write_bytes(broken)
        with pytest.raises(StorageError):
            load_weights(tmp_path / "broken")
    write_tensors(tmp_path / "other", {"a": np.zeros(3, np.int16)}, {"version": "1", "model": "m"})
    with pytest.raises(StorageError, match="no checkpoint of tokens"):
        load_weights(tmp_path / "other")
    with pytest.raises(NotFoundError):
        load_weights(tmp_path / "nothing")


def test_files_are_those_of_safetensors(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    tensors = {"b": np.arange(6, dtype=np.int16).reshape(2, 3), "a": np.array([0.5, 2], np.float16)}
    write_tensors(tmp_path / "ours", tensors, {"model": "m"})
    for name, values in library.load_file(tmp_path / "ours").items():
        np.testing.assert_array_equal(values, tensors[name])
    library.save_file(tensors, tmp_path / "theirs", {"model": "m"})
    found, about = read_tensors(tmp_path / "theirs")
    assert about == {"model": "m"}
    np.testing.assert_array_equal(found["b"], tensors["b"])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_is_shipped_is_whole_small_and_says_how_it_was_made(path: Path) -> None:
    weights = load_weights(path)
    assert weights.model == path.stem and path.stat().st_size < 5e6 and weights.depth == 6
    header = json.loads(path.read_bytes()[8 : 8 + int.from_bytes(path.read_bytes()[:8], "little")])
    assert "bench.tokens_train" in header["__metadata__"]["made by"]
    assert weights_for(weights.model, weights.dimension).model == weights.model


def test_a_model_that_nobody_trained_for_keeps_its_whole_vectors() -> None:
    weights = weights_for("someone's", 40)
    weights.check()
    assert weights.latent == 40
    np.testing.assert_array_equal(weights.down, np.eye(40) * 2**14)
    assert untrained("m", 40).down.flags.c_contiguous
