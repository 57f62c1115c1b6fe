"""Descriptions along a place graph: streets and names as memory, the likeliest way, and what is not known."""

from __future__ import annotations

import numpy as np
import pytest

from embodied_mem.errors import BadInputError, UnreachableError
from embodied_mem.instructions.guide import guide, understood
from embodied_mem.instructions.instruction import Phrase
from embodied_mem.instructions.place_memory import PlaceMemory
from embodied_mem.instructions.problem import Lengths
from embodied_mem.topology.graph import PlaceGraph

BLOCK, SIDE, STEP = 4, 4, 10.0


@pytest.fixture
def town() -> tuple[PlaceGraph, dict[tuple[int, int], int]]:
    """A grid of streets with a place every 10 m; (x, y) in steps -> number."""
    size = BLOCK * (SIDE - 1)
    cells = [(x, y) for x in range(size + 1) for y in range(size + 1) if x % BLOCK == 0 or y % BLOCK == 0]
    number = {cell: i for i, cell in enumerate(cells)}
    graph = PlaceGraph()
    graph.add_places(np.array(cells) * STEP, map_ids="town")
    pairs = [
        (i, number[other]) for (x, y), i in number.items() for other in ((x + 1, y), (x, y + 1)) if other in number
    ]
    tails, heads = np.array(pairs).T
    graph.add_edges(np.concatenate([tails, heads]), np.concatenate([heads, tails]))
    graph.add_place([0.0, 0.0], map_id="elsewhere")
    return graph, number


def sees(graph, number, cell, name, at, count=1):
    """From a cell a name is seen that stands at (2,) steps."""
    away = (np.array(at) - cell) * STEP
    graph.landmarks.add(
        [number[cell]], [name], [np.arctan2(away[1], away[0])], distances=[np.hypot(*away)], counts=[count]
    )


def ask(town, text, start=(0, 0), heading=0.0, **settings):
    graph, number = town
    instruction, _ = understood(text)
    at = np.array([[*start, 0]]) * STEP
    found = guide(graph, "town", instruction, at, heading, now_ns=0, lengths=Lengths(4, 16, 2.0), **settings)
    cells = {i: cell for cell, i in number.items()}
    return [cells[int(place)] for place in found.places], found


def test_a_turn_and_a_name_say_where_the_way_ends(town):
    graph, number = town
    sees(graph, number, (4, 8), "zorba grill", (4, 9))
    way, found = ask(town, "Go straight and turn left at the first light. Stop at Zorba Grill.")
    assert way[:5] == [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)] and (4, 4) in way and abs(way[-1][1] - 8) <= 1
    assert 0.2 < found.confidence <= 1 and "1 are known: zorba grill" in found.why


def test_the_robot_sets_out_where_it_looks(town):
    text = "Go straight and turn right at the next light."
    assert ask(town, text, start=(4, 4), heading=1.4)[0][1] == (4, 5)
    assert ask(town, text, start=(4, 4), heading=-3.0)[0][1] == (3, 4)


def test_without_the_name_the_belief_is_less(town):
    graph, number = town
    text = "Go straight and turn left at the first light. Stop at Zorba Grill."
    unsure = ask(town, text)[1].confidence
    sees(graph, number, (4, 8), "zorba grill", (4, 9))
    assert ask(town, text)[1].confidence > unsure + 0.05
    with pytest.raises(UnreachableError, match="ask a person"):
        ask(town, text, least_sure=0.999)


def test_sightings_of_one_thing_are_one_place_and_far_ones_are_two(town):
    graph, number = town
    for cell in ((3, 0), (4, 0), (5, 0)):
        sees(graph, number, cell, "pharmacy", (4, 1), count=2)
    sees(graph, number, (8, 12), "pharmacy", (8, 12))
    sees(graph, number, (4, 0), "bakery", (4, 1))
    found = PlaceMemory(graph, "town", 0).named(Phrase("pharmacy", "pharmacy"))
    assert sorted(map(tuple, np.round(found.xy).tolist())) == [(40.0, 10.0), (80.0, 120.0)]
    assert (found.similarity == 1).all()


def test_a_name_without_a_direction_stands_at_its_place(town):
    graph, number = town
    graph.landmarks.add([number[4, 0]], ["kiosk"])
    assert PlaceMemory(graph, "town", 0).named(Phrase("kiosk")).xy.tolist() == [[40.0, 0.0]]
    assert len(PlaceMemory(graph, "elsewhere", 0).named(Phrase("kiosk"))) == 0


def test_blocked_edges_and_other_maps_are_no_streets(town):
    graph, number = town
    graph.block(number[0, 0], number[1, 0], until_ns=100)
    streets, later = PlaceMemory(graph, "town", 50).streets(), PlaceMemory(graph, "town", 100).streets()
    leads = streets.ends[streets.first[number[0, 0]] : streets.first[number[0, 0] + 1]]
    assert leads.tolist() == [number[0, 1]] and len(later.ends) == len(streets.ends) + 1
    assert not streets.explored[len(number)] and streets.explored[: len(number)].all()


def test_the_way_so_far_is_part_of_the_way(town):
    graph, _number = town
    instruction, _ = understood("Turn left at the next light and stop after the turn.")
    driven = np.array([[0, 0, 0], [0, 10, 0], [0, 20, 0]])
    found = guide(graph, "town", instruction, driven, 0.0, now_ns=0, lengths=Lengths(3, 12, 2.0))
    assert graph.positions.data[found.places[:3], :2].tolist() == driven[:, :2].tolist()


@pytest.mark.parametrize(
    ("driven", "map_id", "reason"),
    [([[1000, 0, 0]], "town", "unknown_start"), ([[0, 0, 0]], "nowhere", "unknown_start"),
     ([[0, 0, 0]], "elsewhere", "no_way")],
)  # fmt: skip
def test_what_is_not_known_is_said(town, driven, map_id, reason):
    instruction, _ = understood("Turn left at the light.")
    with pytest.raises(UnreachableError) as refused:
        guide(town[0], map_id, instruction, driven, 0.0, now_ns=0)
    assert refused.value.reason == reason


def test_words_that_say_nothing_are_refused(town):
    for text in ("", "   ", "hello"):
        with pytest.raises(BadInputError):
            understood(text)
    instruction, said = understood("Pass the bank on your left, turn right at the light and stop at Zorba Grill.")
    assert any("turn right" in clause for clause in said) and "zorba grill" in said[-1]
    with pytest.raises(BadInputError, match="finite"):
        guide(town[0], "town", instruction, [[0, 0, 0]], np.nan, now_ns=0)
