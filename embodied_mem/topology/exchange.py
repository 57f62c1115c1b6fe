"""A place graph as something else and back: plain arrays, bytes (msgpack), a networkx graph."""

from __future__ import annotations

from typing import Any

import msgpack
import networkx as nx
import numpy as np

from embodied_mem.errors import StorageError
from embodied_mem.topology.graph import OPEN, PlaceGraph
from embodied_mem.topology.landmarks import Landmarks

_PLACES = ("positions", "map_codes", "visits", "observed", "last_seen")
_EDGES = ("tails", "heads", "lengths", "headings", "traversals", "last_used", "blocked_until")
_FORMAT = 1


def to_arrays(graph: PlaceGraph) -> dict[str, Any]:
    """Columns by name; edges ordered by tail and head, so that equal graphs give equal arrays."""
    edges = graph.edge_rows()
    edges = edges[np.lexsort((graph.heads.data[edges], graph.tails.data[edges]))]
    evidence = graph.evidence.data
    sums = graph.descriptor_sums
    return {
        "format": _FORMAT,
        "maps": graph.maps.all(),
        **{name: getattr(graph, name).data.copy() for name in _PLACES},
        "descriptor_sums": None if sums is None else sums.data.copy(),
        **{name: getattr(graph, name).data[edges] for name in _EDGES},
        "evidence": evidence[np.lexsort((evidence[:, 1], evidence[:, 0]))],
        "landmarks": graph.landmarks.to_arrays(),
    }


def from_arrays(arrays: dict[str, Any]) -> PlaceGraph:
    """The graph that `to_arrays` took apart. Raises StorageError for anything else."""
    try:
        if arrays["format"] != _FORMAT:
            raise StorageError(f"A place graph of format {arrays['format']} is not known here, only {_FORMAT}.")
        graph, maps = PlaceGraph(), arrays["maps"]
        graph.maps.codes(maps)
        graph.add_places(
            arrays["positions"], map_ids=[maps[code] for code in arrays["map_codes"]],
            descriptors=arrays["descriptor_sums"], visits=arrays["visits"], observed=arrays["observed"],
            last_seen_ns=arrays["last_seen"],
        )  # fmt: skip
        graph.add_edges(
            arrays["tails"], arrays["heads"], arrays["lengths"], headings=arrays["headings"],
            traversals=arrays["traversals"], last_used_ns=arrays["last_used"],
        )  # fmt: skip
        graph.blocked_until.data[:] = arrays["blocked_until"]
        graph.add_evidence(arrays["evidence"][:, 0], arrays["evidence"][:, 1])
        graph.landmarks = Landmarks.from_arrays(arrays["landmarks"])
    except (KeyError, TypeError, IndexError, ValueError, LookupError) as error:
        raise StorageError(f"These are not the arrays of a place graph ({error}).") from error
    return graph


def pack(graph: PlaceGraph) -> bytes:
    """The graph as bytes, little-endian, for a file or a message."""
    return msgpack.packb(to_arrays(graph), default=_encode)


def unpack(data: bytes) -> PlaceGraph:
    """The graph that `pack` wrote. Raises StorageError for anything else."""
    try:
        arrays = msgpack.unpackb(data, object_hook=_decode)
    except Exception as error:  # msgpack raises many kinds for damaged bytes
        raise StorageError(f"These bytes hold no place graph ({error}).") from error
    return from_arrays(arrays)


def to_networkx(graph: PlaceGraph) -> nx.DiGraph:
    """Places and edges with everything that is known of them, in plain Python types (so GraphML and JSON take it).

    Nodes: x, y, z, map_id, visits, observed, last_seen_ns, landmarks ("name; name"); edges: length (also as `weight`),
    heading, traversals, last_used_ns, blocked_until_ns. Descriptors and records stay behind.
    """
    made = nx.DiGraph()
    seen: dict[int, list[str]] = {}
    for row in np.lexsort((graph.landmarks.name.data, -graph.landmarks.count.data)).tolist():
        code = int(graph.landmarks.name.data[row])
        seen.setdefault(int(graph.landmarks.place.data[row]), []).append(graph.landmarks.names[code])
    maps = graph.maps.all()
    for place, (position, code, visits, observed, last) in enumerate(
        zip(*(getattr(graph, name).data.tolist() for name in _PLACES), strict=True)
    ):
        x, y, z = position
        made.add_node(
            place, x=x, y=y, z=z, map_id=maps[code], visits=visits, observed=observed, last_seen_ns=last,
            landmarks="; ".join(seen.get(place, ())),
        )  # fmt: skip
    edges = graph.edge_rows()
    for tail, head, length, heading, traversals, used, until in zip(
        *(getattr(graph, name).data[edges].tolist() for name in _EDGES), strict=True
    ):
        made.add_edge(
            tail, head, length=length, weight=length, heading=heading, traversals=traversals, last_used_ns=used,
            blocked_until_ns=until,
        )  # fmt: skip
    return made


def from_networkx(source: nx.Graph) -> tuple[PlaceGraph, list[Any]]:
    """A place graph from any networkx graph whose nodes have x and y (z and the rest of `to_networkx` if there).

    Returns it with the source's node of each place. Edges of an undirected graph lead both ways; a missing length
    is the distance. Raises StorageError where a node has no position.
    """
    names = list(source.nodes)
    index = {name: i for i, name in enumerate(names)}
    data = [source.nodes[name] for name in names]
    try:
        positions = np.array([[each["x"], each["y"], each.get("z", 0.0)] for each in data], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"A node of the networkx graph has no position: give each x and y ({error}).") from error
    graph = PlaceGraph()
    graph.add_places(
        positions.reshape(-1, 3), map_ids=[each.get("map_id", "") for each in data],
        visits=[each.get("visits", 1) for each in data], observed=[each.get("observed", 1) for each in data],
        last_seen_ns=[each.get("last_seen_ns", 0) for each in data],
    )  # fmt: skip
    edges = [(index[a], index[b], edge) for a, b, edge in source.to_directed().edges(data=True) if a != b]
    tails, heads = (np.array([each[end] for each in edges], dtype=np.int64) for end in (0, 1))
    along = graph.positions.data[heads] - graph.positions.data[tails]
    length = np.array([edge.get("length", edge.get("weight", np.nan)) for _, _, edge in edges], dtype=np.float64)
    heading = np.array([edge.get("heading", np.nan) for _, _, edge in edges], dtype=np.float64)
    graph.add_edges(
        tails, heads, np.where(np.isnan(length), np.linalg.norm(along, axis=1), length),
        headings=np.where(np.isnan(heading), np.arctan2(along[:, 1], along[:, 0]), heading),
        traversals=[edge.get("traversals", 1) for _, _, edge in edges],
        last_used_ns=[edge.get("last_used_ns", 0) for _, _, edge in edges],
    )  # fmt: skip
    for tail, head, edge in edges:
        if edge.get("blocked_until_ns", OPEN) != OPEN:
            graph.block(tail, head, edge["blocked_until_ns"])
    seen = [(i, name) for i, each in enumerate(data) for name in each.get("landmarks", "").split("; ") if name]
    if seen:
        graph.landmarks.add([i for i, _ in seen], [name for _, name in seen])
    return graph, names


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        plain = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        return {"array": plain.dtype.str, "shape": plain.shape, "bytes": plain.tobytes()}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"A {type(value).__name__} cannot be packed.")


def _decode(value: dict[str, Any]) -> Any:
    if "array" not in value:
        return value
    return np.frombuffer(value["bytes"], dtype=value["array"]).reshape(value["shape"])
