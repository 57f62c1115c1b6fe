"""The cache file: what was saved comes back, what was damaged is noticed, and the file is never written through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embodied_mem.records import cache
from embodied_mem.records.growable import Growable


def column(dtype: str, *shape: int) -> Growable:
    rows = np.random.default_rng(len(shape)).integers(0, 100, shape).astype(dtype)
    made = Growable(rows.dtype, shape[1] if len(shape) > 1 else None, capacity=4)
    made.extend(rows)
    return made


@pytest.fixture
def columns() -> dict[str, Growable]:
    return {
        "stamps": column("i8", 700),
        "places": column("f8", 300, 3),
        "hidden": column("u1", 9),
        "none": column("i4", 0),
    }


@pytest.fixture
def path(tmp_path: Path, columns: dict[str, Growable]) -> Path:
    cache.save(tmp_path / "view", columns, {"number": 7, "names": ["a", "b"]})
    return tmp_path / "view"


def same(found: dict[str, Growable], wanted: dict[str, Growable]) -> bool:
    return found.keys() == wanted.keys() and all(
        found[name].data.dtype == wanted[name].data.dtype and np.array_equal(found[name].data, wanted[name].data)
        for name in wanted
    )


def test_what_was_saved_comes_back(path: Path, columns: dict[str, Growable]) -> None:
    found, facts = cache.load(path)
    assert same(found, columns)
    assert facts == {"number": 7, "names": ["a", "b"]}


def test_columns_grow_within_and_beyond_the_room_they_were_left(path: Path, columns: dict[str, Growable]) -> None:
    before = path.read_bytes()
    found, _ = cache.load(path)
    found["hidden"].data[2] = 77
    for _ in range(60):
        found["places"].extend(np.full((10, 3), 1.5))
    assert np.array_equal(found["places"].data[:300], columns["places"].data)
    assert len(found["places"]) == 900 and (found["places"].data[300:] == 1.5).all()
    assert path.read_bytes() == before
    assert same(cache.load(path)[0], columns)


def test_room_to_grow_takes_no_space(tmp_path: Path) -> None:
    cache.save(tmp_path / "view", {"rows": column("f8", 50_000, 3)}, None)
    stat = (tmp_path / "view").stat()
    assert stat.st_size > 1.4 * 50_000 * 24
    assert stat.st_blocks * 512 < 1.1 * 50_000 * 24


def test_a_flipped_bit_is_noticed_or_changes_nothing(path: Path, columns: dict[str, Growable]) -> None:
    whole, rng = path.read_bytes(), np.random.default_rng(5)
    header = range(0, 500)
    anywhere = rng.integers(0, len(whole), 500).tolist()
    noticed = 0
    for place in [*header, *anywhere]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            found, facts = cache.load(path)
        except cache.DamagedError:
            noticed += 1
        else:
            assert same(found, columns) and facts == {"number": 7, "names": ["a", "b"]}
    assert noticed > 300


@pytest.mark.parametrize("length", [0, 5, 16, 300, 4096, 9000])
def test_a_file_that_was_cut_short_is_noticed(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(cache.DamagedError):
        cache.load(path)


def test_a_file_with_something_behind_it_is_noticed(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(cache.DamagedError, match="bytes"):
        cache.load(path)


def test_another_format_is_noticed(path: Path, columns: dict[str, Growable], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    with pytest.raises(cache.DamagedError, match="format"):
        cache.load(path)


def test_a_missing_file_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(cache.DamagedError, match="cannot be read"):
        cache.load(tmp_path / "view")
