"""Where records count as being when trees grow: in metres of the map, or along the ways between its places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_mem.forest.frames import Frame
from embodied_mem.forest.geodesic import WIDTH, Ways, along_ways
from embodied_mem.geometry import transform_points
from embodied_mem.records.entry import Entry
from embodied_mem.records.index import RecordIndex
from embodied_mem.topology.view import TopologyView

FloatArray = NDArray[np.float64]


class Places:
    """The coordinates of one forest. Not locked: its owner is.

    vertical  how many metres in the plane a metre of height counts as
    geodesic  whether distances follow the ways; they are looked at anew by `walk`, and stand still until the next
    """

    def __init__(self, index: RecordIndex, vertical: float, geodesic: bool) -> None:
        self._index, self._vertical = index, vertical
        self._topology = TopologyView(index) if geodesic else None
        self._ways: dict[str, Ways | None] = {}
        self._walked = 0

    @property
    def width(self) -> int:
        """Numbers in a place."""
        return 3 if self._topology is None else WIDTH

    def apply(self, entries: Sequence[Entry]) -> None:
        """Read entries of the log, in order."""
        if self._topology is not None:
            self._topology.apply(entries)

    def current(self, watermark: int) -> bool:
        """Whether the ways are those of the log up to this number."""
        return self._topology is None or self._walked == watermark

    def of(self, frame: str, positions: FloatArray) -> FloatArray:
        """(n, width) metres of positions (n, 3) in a tree's frame."""
        ways = self._ways.get(frame)
        if ways is not None:
            return ways(positions)
        places = np.zeros((len(positions), self.width))
        places[:, :3] = positions * [1.0, 1.0, self._vertical]
        return places

    def walk(self, names: Iterable[str], frames: Mapping[int, Frame], watermark: int) -> list[str]:
        """Look at the ways as they are now; returns those of the trees `names` whose ways have changed."""
        if self._topology is None or self.current(watermark):
            return []
        self._walked, changed = watermark, []
        for name in names:
            maps = {self._index.map_names[code]: frame.into for code, frame in frames.items() if frame.name == name}
            ways, before = self._made(maps), self._ways.get(name)
            self._ways[name] = ways
            if (ways is None) != (before is None) or (ways is not None and not ways.same(before)):
                changed.append(name)
        return changed

    def _made(self, maps: Mapping[str, FloatArray]) -> Ways | None:
        """The ways of these maps, each with (4, 4) from it into the tree's frame."""
        assert self._topology is not None
        graph = self._topology.graph
        own, places = np.zeros(len(graph), np.bool_), graph.positions.data.copy()
        for name, into in maps.items():
            mine = graph.in_map(name)
            own[mine] = True
            places[mine] = transform_points(into, places[mine])
        edges = graph.edge_rows()
        tails, heads = graph.tails.data[edges].astype(np.int64), graph.heads.data[edges].astype(np.int64)
        kept, number = own[tails] & own[heads], np.cumsum(own) - 1
        lengths = graph.lengths.data[edges][kept]
        return along_ways(places[own], number[tails[kept]], number[heads[kept]], lengths, self._vertical)
