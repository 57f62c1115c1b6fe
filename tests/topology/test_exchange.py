"""Arrays, bytes and networkx: what goes out comes back the same; damage is refused."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from embodied_mem.errors import StorageError
from embodied_mem.topology.exchange import from_arrays, from_networkx, pack, to_arrays, to_networkx, unpack
from embodied_mem.topology.graph import PlaceGraph
from tests.topology.graphs import plain, random_graph


def full(seed: int = 3) -> PlaceGraph:
    graph = random_graph(seed)
    graph.add_place([1, 2, 3], map_id="attic", descriptor=[0.6, 0.8])
    graph.landmarks.add([0, 2], ["Pharmacy", "fountain"], [1.0, np.nan], distances=[3.0, np.nan], records=[5, 6])
    graph.add_evidence([0, 2, 2], [5, 6, 9])
    tail, head = int(graph.tails.data[3]), int(graph.heads.data[3])
    graph.block(tail, head, 77)
    graph.remove_edge(int(graph.tails.data[0]), int(graph.heads.data[0]))
    return graph


def same(a, b):
    assert a.keys() == b.keys()
    for name, value in a.items():
        if isinstance(value, dict):
            same(value, b[name])
        else:
            np.testing.assert_array_equal(value, b[name], err_msg=name)


def test_arrays_and_bytes_come_back_the_same():
    graph = full()
    same(to_arrays(from_arrays(to_arrays(graph))), to_arrays(graph))
    again = unpack(pack(graph))
    same(to_arrays(again), to_arrays(graph))
    again.landmarks.add([0], ["pharmacy"])  # and it can go on
    assert again.landmarks.of(0)[0].count == 2
    again.add_edges([0], [1])
    same(to_arrays(unpack(pack(PlaceGraph()))), to_arrays(PlaceGraph()))


def test_damaged_bytes_are_refused():
    data = pack(full())
    for wrong in (data[: len(data) // 2], b"", b"\xc1", pack(PlaceGraph()).replace(b"heads", b"heaps")):
        with pytest.raises(StorageError):
            unpack(wrong)


def test_networkx_and_back():
    graph = full()
    out = to_networkx(graph)
    assert nx.utils.graphs_equal(
        nx.DiGraph((a, b, {"weight": c}) for a, b, c in out.edges(data="weight")),
        nx.DiGraph(plain(graph, 100).edges(data=True)),
    )
    assert out.nodes[0]["landmarks"] == "pharmacy"
    assert nx.node_link_data(out) and "".join(nx.generate_graphml(out))
    back, names = from_networkx(out)
    assert names == list(range(len(graph)))
    assert nx.utils.graphs_equal(to_networkx(back), out)


def test_any_networkx_graph_with_positions_will_do():
    source = nx.Graph()
    source.add_node("a", x=0.0, y=0.0)
    source.add_node("b", x=3.0, y=4.0)
    source.add_edge("a", "b")
    source.add_edge("b", "b")
    graph, names = from_networkx(source)
    assert names == ["a", "b"] and graph.edge_count == 2 and graph.edge(1, 0).length == 5.0
    source.add_node("c")
    with pytest.raises(StorageError, match="no position"):
        from_networkx(source)
