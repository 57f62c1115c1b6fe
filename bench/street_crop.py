"""A part of the city, small enough to be driven through real nodes, with the instructions whose ways lie inside.

The part is chosen by counting: the square of a given side that holds the most ways, the first of equals. Nothing of
how well anything answers goes into the choice.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.street.graph import TouchdownGraph

FloatArray = NDArray[np.float64]
_STEP_M = 50.0  # between squares that are looked at
_RIM_M = 30.0  # of the square in which no way may lie: its streets are cut off there


def ways_of(path: Path) -> list[dict[str, object]]:
    """The rows of a map2seq file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def busiest_square(
    graph: TouchdownGraph, rows: Sequence[dict[str, object]], side: float
) -> tuple[FloatArray, list[int]]:
    """The lower left corner (2,) of the square that holds most ways, metres, and which rows these are."""
    ways = [graph.xy[graph.nodes_of(list(row["route_panoids"]))] for row in rows]  # type: ignore[call-overload]
    low, high = np.array([way.min(axis=0) for way in ways]), np.array([way.max(axis=0) for way in ways])
    east, north = (np.arange(graph.xy[:, axis].min(), graph.xy[:, axis].max(), _STEP_M) for axis in range(2))
    corners = np.array([(x, y) for x in east for y in north])
    inside = (low[None] >= corners[:, None] + _RIM_M) & (high[None] <= corners[:, None] + side - _RIM_M)
    held = np.all(inside, axis=2)
    best = int(np.argmax(held.sum(axis=1)))
    return corners[best], np.flatnonzero(held[best]).tolist()


def write_crop(source: Path, target: Path, graph: TouchdownGraph, corner: FloatArray, side: float) -> None:
    """Write graph/ and osm/ of a square into `target`, in the files' own form."""
    inside = np.all((graph.xy >= corner) & (graph.xy <= corner + side), axis=1)
    names = {name for name, here in zip(graph.panoids, inside, strict=True) if here}
    for folder in ("graph", "osm"):
        (target / folder).mkdir(parents=True)
    nodes = [line for line in _lines(source / "graph" / "nodes.txt") if line.split(",")[0] in names]
    links = [line for line in _lines(source / "graph" / "links.txt") if {*line.split(",")[::2]} <= names]
    (target / "graph" / "nodes.txt").write_text("\n".join(nodes) + "\n", encoding="utf-8")
    (target / "graph" / "links.txt").write_text("\n".join(links) + "\n", encoding="utf-8")
    with (source / "osm" / "poi_2017.csv").open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows, columns = list(reader), list(reader.fieldnames or ())
    at = graph.to_xy(np.array([[row["lat"], row["lon"]] for row in rows], dtype=np.float64))
    near = np.all((at >= corner - _RIM_M) & (at <= corner + side + _RIM_M), axis=1)
    with (target / "osm" / "poi_2017.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(row for row, here in zip(rows, near, strict=True) if here)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split()
