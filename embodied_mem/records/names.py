"""Interning: names as small numbers, so that columns and filters hold integers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from embodied_mem.records.growable import Columnar, Growable

Name = TypeVar("Name", bound=Hashable)


class Names(Columnar, Generic[Name]):
    """Numbers names 0, 1, 2 ... in order of appearance."""

    def __init__(self) -> None:
        self._codes: dict[Name, int] = {}
        self._names: list[Name] = []

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, code: int) -> Name:
        return self._names[code]

    def code(self, name: Name) -> int:
        """The name's number, a new one when it has none yet."""
        code = self._codes.setdefault(name, len(self._names))
        if code == len(self._names):
            self._names.append(name)
        return code

    def codes(self, names: Iterable[Name]) -> list[int]:
        return [self.code(name) for name in names]

    def find(self, name: Name) -> int | None:
        """The name's number, or None."""
        return self._codes.get(name)

    def all(self) -> list[Name]:
        return list(self._names)

    def facts(self) -> Any:
        return self.all()

    def restore(self, columns: Mapping[str, Growable], facts: Any) -> None:
        for name in facts:
            self.code(tuple(name) if isinstance(name, list) else name)  # type: ignore[arg-type]
