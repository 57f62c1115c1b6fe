"""Byte strings in one block: the same as a list of them, and what was replaced is nowhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from embodied_mem.records.packed_rows import PackedRows

CONTENT = st.binary(max_size=40)


@given(rows=st.lists(CONTENT, max_size=20), changes=st.lists(st.tuples(st.integers(0, 99), CONTENT), max_size=20))
def test_it_is_like_a_list(rows: list[bytes], changes: list[tuple[int, bytes]]):
    packed, plain = PackedRows(), list(rows)
    for row in rows:
        packed.append(row)
    for number, content in changes:
        if plain:
            packed.replace(number % len(plain), content)
            plain[number % len(plain)] = content
    assert len(packed) == len(plain)
    assert [packed[i] for i in range(len(packed))] == plain


def test_what_was_replaced_is_overwritten():
    packed = PackedRows()
    for content in (b"before", b"the secret word", b"after"):
        packed.append(content)
    packed.replace(1, b"gone")
    packed.replace(0, b"longer than it was")
    whole = packed._bytes._buffer.tobytes()
    assert b"secret" not in whole and b"word" not in whole and b"before" not in whole
    assert [packed[i] for i in range(3)] == [b"longer than it was", b"gone", b"after"]
