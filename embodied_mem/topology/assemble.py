"""From observations that have their places to the graph: means, arrivals, edges. All in one go, no loop over them."""

from __future__ import annotations

import numpy as np

from embodied_mem.topology.arrays import FloatArray, IntArray
from embodied_mem.topology.graph import PlaceGraph
from embodied_mem.topology.places import PlaceBuilder


def assemble(builder: PlaceBuilder, roots: IntArray, maps: list[str] | None = None) -> tuple[PlaceGraph, IntArray]:
    """The graph of a builder's places, and for each of them (places,) its number there.

    roots (places,)   which places are one (`Merges.roots`); numbers go by the order in which places were made
    maps              the names of the builder's map codes, default its own
    """
    names = builder.maps.all() if maps is None else maps
    kept, number = np.unique(roots, return_inverse=True)
    graph, n = PlaceGraph(), len(kept)
    if not n:
        return graph, number
    of = number[builder.places.data]  # the place of each observation
    observed = np.bincount(of, minlength=n)
    where = np.column_stack([np.bincount(of, axis, n) for axis in builder.positions.data.T]) / observed[:, None]
    last = np.zeros(n, dtype=np.int64)
    np.maximum.at(last, of, builder.last_seen.data)
    order = np.argsort(builder.stream_codes.data, kind="stable")  # each robot's way, one after another
    arrived = _changes(builder, of, order)
    graph.add_places(
        where,
        map_ids=[names[code] for code in builder.map_of_place[kept]],
        descriptors=_summed(builder.descriptor_sums, number, n) if builder.descriptor_sums.any() else None,
        visits=np.bincount(of[order[arrived]], minlength=n),
        observed=observed,
        last_seen_ns=last,
    )
    graph.add_evidence(of, builder.records.data)
    _add_edges(graph, builder, of, order, arrived)
    return graph, number


def _changes(builder: PlaceBuilder, of: IntArray, order: IntArray) -> IntArray:
    """Indices into `order` at which a robot arrives at a place, the first of its way included."""
    streams, places = builder.stream_codes.data[order], of[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (streams[1:] != streams[:-1]) | (places[1:] != places[:-1])
    return np.flatnonzero(new)


def _summed(sums: np.ndarray, number: IntArray, n: int) -> FloatArray:
    """(n, d) the sums of the places that are one."""
    total = np.zeros((n, sums.shape[1]))
    np.add.at(total, number, sums)
    return total


def _add_edges(graph: PlaceGraph, builder: PlaceBuilder, of: IntArray, order: IntArray, arrived: IntArray) -> None:
    """An edge for each arrival from another place by a step that is neither too long nor too late."""
    there = order[arrived[arrived > 0]]
    before = order[arrived[arrived > 0] - 1]
    settings, stamps = builder.settings, builder.stamps.data
    step = np.linalg.norm(builder.positions.data[there] - builder.positions.data[before], axis=1)
    walked = builder.stream_codes.data[there] == builder.stream_codes.data[before]
    walked &= builder.map_codes.data[there] == builder.map_codes.data[before]
    walked &= (step <= settings.longest_step) & (stamps[there] - stamps[before] <= settings.longest_gap_s * 1e9)
    there, before = there[walked], before[walked]
    graph.add_edges(of[before], of[there], last_used_ns=stamps[there])
    if settings.two_way:
        graph.add_edges(of[there], of[before], traversals=0, last_used_ns=0)
