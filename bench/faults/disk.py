"""A disk as it may be after a power cut: what was synced, and of the rest any part, in any order.

Fed with the operations that the shim recorded, one by one, it knows at every moment which content and which names are
sure. `after_cut` then builds one of the folders that a cut at this moment may leave behind.

Assumed of the disk: a sync is honest; a sector of 512 bytes is written as a whole or not at all; a rename is atomic.
Nothing else: writes that were not synced may be there or not, singly, by sectors, and in any order; a file that grew
without a sync may have its new length with zeros or anything else in it; files made, renamed, linked or removed since
their folder was last synced may be there or not, in order (a journal) or singly (none). A file's own sync does not
make its name durable. What a failed sync was to write may never come, whatever later syncs say.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

SECTOR = 512
_HEADER = struct.Struct("<4I2Q")


@dataclass(frozen=True, slots=True)
class Operation:
    """As in shim.c: `op` is a letter, a and b numbers, one and two byte strings (paths, or what was written)."""

    op: str
    a: int
    b: int
    one: bytes
    two: bytes


def read_trace(path: Path) -> Iterator[Operation]:
    """The operations of a trace, in order."""
    data = path.read_bytes()
    at = 0
    while at < len(data):
        op, len1, len2, _, a, b = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        yield Operation(chr(op), a, b, data[at : at + len1], data[at + len1 : at + len1 + len2])
        at += len1 + len2


@dataclass(slots=True, eq=False)
class _Change:
    """A write (data) or truncation (data None) at `at`; `state`: "dirty", "sure", or "doubtful" after a failed sync."""

    at: int
    data: bytes | None
    state: str = "dirty"


@dataclass(eq=False)
class _File:
    sure: bytearray = field(default_factory=bytearray)
    changes: list[_Change] = field(default_factory=list)

    def sync(self) -> None:
        for change in self.changes:
            change.state = "sure" if change.state == "dirty" else change.state
        while self.changes and self.changes[0].state == "sure":
            _apply(self.sure, self.changes.pop(0))

    def sync_failed(self) -> None:
        for change in self.changes:
            change.state = "doubtful" if change.state == "dirty" else change.state

    def after_cut(self, chance: random.Random, style: str) -> bytes:
        content = bytearray(self.sure)
        for change in self.changes:
            if change.state == "sure" or style == "kept":
                _apply(content, change)
            elif style == "torn":
                _apply_torn(content, change, chance)
            elif style == "some" and chance.random() < 0.5:
                _apply(content, change)
        return bytes(content)


def _apply(content: bytearray, change: _Change) -> None:
    if change.data is None:
        del content[change.at :]
        content.extend(bytes(change.at - len(content)))
        return
    content.extend(bytes(max(change.at - len(content), 0)))
    content[change.at : change.at + len(change.data)] = change.data


def _apply_torn(content: bytearray, change: _Change, chance: random.Random) -> None:
    """Some sectors of a write; where the file grew, what lies between is zeros or garbage."""
    if change.data is None:
        if chance.random() < 0.5:
            _apply(content, change)
        return
    end, start = change.at + len(change.data), change.at
    share = chance.choice((0.1, 0.5, 0.9))
    if end > len(content) and chance.random() < 0.5:
        content.extend(chance.randbytes(end - len(content)) if chance.random() < 0.5 else bytes(end - len(content)))
    while start < end:
        stop = min((start // SECTOR + 1) * SECTOR, end)
        if chance.random() < share:
            _apply(content, _Change(start, change.data[start - change.at : stop - change.at]))
        start = stop


@dataclass(eq=False)
class _Folder:
    sure: dict[str, _File | _Folder] = field(default_factory=dict)
    live: dict[str, _File | _Folder] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Naming:
    """Names set (to a file or folder) and removed (None) in folders, all together or not at all."""

    sets: list[tuple[_Folder, str, _File | _Folder | None]]


class Disk:
    """The folder `root` of the traced process and all below it; empty, and durable, at first."""

    def __init__(self, root: Path) -> None:
        self._root = PurePosixPath(root)
        self._top = _Folder()
        self._files: dict[int, _File] = {}  # by inode
        self._waiting: list[_Naming] = []

    def feed(self, operation: Operation) -> None:
        """Carry out one recorded operation."""
        op, one, two = operation.op, operation.one, operation.two
        if op == "C":
            self._files[operation.a] = made = _File()
            self._name([(*self._locate(one), made)])
        elif op == "M":
            self._name([(*self._locate(one), _Folder())])
        elif op in "UX":
            self._name([(*self._locate(one), None)])
        elif op in "RL":
            (folder, name), target = self._locate(one), self._locate(two)
            removed = [(folder, name, None)] if op == "R" else []
            self._name([*removed, (*target, folder.live[name])])
        elif op in "WT":
            change = _Change(operation.b, one) if op == "W" else _Change(operation.b, None)
            self._files[operation.a].changes.append(change)
        elif op == "S":
            self._files[operation.a].sync()
        elif op == "F":
            self._files[operation.a].sync_failed()
        elif op == "D":
            self._sync_folder(one)

    def after_cut(self, target: Path, seed: int) -> str:
        """Write one of the folders that may be left into `target`, which is made; says how it was chosen."""
        chance = random.Random(seed)
        names, content = chance.choice(("lost", "kept", "ordered", "some")), chance.choice(("lost", "kept", "some"))
        content = "torn" if chance.random() < 0.6 else content
        entries = self._names_after_cut(chance, names)
        self._write(self._top, target, entries, chance, content)
        return f"names {names}, content {content}"

    # --- inside ------------------------------------------------------------------------------------------------

    def _locate(self, path: bytes) -> tuple[_Folder, str]:
        parts = PurePosixPath(path.decode()).relative_to(self._root).parts
        folder = self._top
        for part in parts[:-1]:
            below = folder.live[part]
            assert isinstance(below, _Folder)
            folder = below
        return folder, parts[-1]

    def _name(self, sets: list[tuple[_Folder, str, _File | _Folder | None]]) -> None:
        for folder, name, thing in sets:
            _set(folder.live, name, thing)
        self._waiting.append(_Naming(sets))

    def _sync_folder(self, path: bytes) -> None:
        folder = self._top
        if PurePosixPath(path.decode()) != self._root:
            above, name = self._locate(path)
            below = above.live[name]
            assert isinstance(below, _Folder)
            folder = below
        for naming in [item for item in self._waiting if any(of is folder for of, _, _ in item.sets)]:
            for of, name, thing in naming.sets:
                _set(of.sure, name, thing)
            self._waiting.remove(naming)

    def _names_after_cut(self, chance: random.Random, style: str) -> dict[int, dict[str, _File | _Folder]]:
        """The names in each folder (by its identity) after the cut."""
        upto = chance.randint(0, len(self._waiting))
        names: dict[int, dict[str, _File | _Folder]] = {}
        for number, naming in enumerate(self._waiting):
            keep = style == "kept" or (number < upto if style == "ordered" else chance.random() < 0.5)
            if style != "lost" and keep:
                for folder, name, thing in naming.sets:
                    _set(names.setdefault(id(folder), dict(folder.sure)), name, thing)
        return names

    def _write(
        self, folder: _Folder, target: Path, names: dict[int, dict[str, _File | _Folder]], chance: random.Random,
        style: str,
    ) -> None:  # fmt: skip
        target.mkdir(exist_ok=True)
        for name, thing in names.get(id(folder), folder.sure).items():
            if isinstance(thing, _Folder):
                self._write(thing, target / name, names, chance, style)
            elif not name.endswith("-shm"):
                (target / name).write_bytes(thing.after_cut(chance, style))
            elif chance.random() < 0.5:  # memory-mapped, so not recorded: anything
                (target / name).write_bytes(chance.choice((bytes(32768), chance.randbytes(32768))))


def _set(names: dict[str, _File | _Folder], name: str, thing: _File | _Folder | None) -> None:
    if thing is None:
        names.pop(name, None)
    else:
        names[name] = thing
