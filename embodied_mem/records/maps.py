"""Maps: which metric frames there are, and which rigid transforms between them are known."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from embodied_mem.errors import UnknownMapError
from embodied_mem.geometry import FloatArray
from embodied_mem.records.commands import SetMap
from embodied_mem.records.growable import Columnar, Growable


class MapRegistry(Columnar):
    """The maps of a log, in order of appearance, and the current one. A function of the live SetMap commands."""

    def __init__(self, known: Sequence[str] = (), commands: Sequence[SetMap] = ()) -> None:
        self._current = ""
        self._known: dict[str, None] = dict.fromkeys(known)
        self._edges: dict[str, dict[str, FloatArray]] = {}
        self.rebuild(commands)

    @property
    def current(self) -> str:
        """The map that was named last; before any was, the first that records came from; "" in an empty log."""
        return self._current or next(iter(self._known), "")

    @property
    def known(self) -> list[str]:
        return list(self._known)

    def note(self, map_id: str) -> None:
        """A record of this map exists."""
        self._known.setdefault(map_id)

    def apply(self, command: SetMap) -> None:
        self.note(command.map_id)
        self._current = command.map_id
        if command.transform is not None:
            self.note(command.parent)
            matrix: FloatArray = np.array(command.transform, dtype=np.float64).reshape(4, 4)
            self._edges.setdefault(command.map_id, {})[command.parent] = matrix
            self._edges.setdefault(command.parent, {})[command.map_id] = np.asarray(np.linalg.inv(matrix))

    def rebuild(self, commands: Sequence[SetMap]) -> None:
        """Start again from the commands that were not undone."""
        self._current, self._edges = "", {}
        for command in commands:
            self.apply(command)

    def facts(self) -> Any:
        return self.known

    def restore(self, columns: Mapping[str, Growable], facts: Any) -> None:
        """Know these maps; `rebuild` with the commands comes after."""
        self._known = dict.fromkeys(facts)

    def resolve(self, map_id: str) -> str:
        """The map whose coordinates a query means: the current one or one connected to it, else UnknownMapError."""
        target = map_id or self.current
        if not target:
            return ""
        if target not in self._known:
            raise UnknownMapError(
                f"The map {target!r} is not known; known are: {', '.join(self._known) or 'none yet'}."
            )
        if target != self.current and self.current not in self.connected(target):
            raise UnknownMapError(
                f"The map {target!r} is not the current map {self.current!r} and no transform between them is known: "
                f"search every map with '*', or make {target!r} current with SetMap."
            )
        return target

    def connected(self, target: str) -> dict[str, FloatArray]:
        """Every map that can be expressed in `target`, itself included, with its (4, 4) transform into it."""
        found, queue = {target: np.eye(4)}, deque([target])
        while queue:
            here = queue.popleft()
            for other, into_other in self._edges.get(here, {}).items():
                if other not in found:
                    found[other] = found[here] @ np.linalg.inv(into_other)
                    queue.append(other)
        return found
