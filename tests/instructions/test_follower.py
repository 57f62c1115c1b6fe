"""The parser by hand-written sentences; the search against brute force; its gradient; the follower on a small town."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.errors import BadInputError
from embodied_mem.instructions import alignment as al
from embodied_mem.instructions.follower import Follower
from embodied_mem.instructions.instruction import LEFT, RIGHT, Clause, Instruction, Kind, Phrase, Stop
from embodied_mem.instructions.memory import Places, Streets
from embodied_mem.instructions.names import NameIndex
from embodied_mem.instructions.parser import parse
from embodied_mem.instructions.problem import Lengths, Problem
from embodied_mem.instructions.tuning import Example, fit, loss
from embodied_mem.instructions.ways import ways
from embodied_mem.instructions.weights import START, from_blocks, to_blocks, with_memory, without_memory

BLOCK, SIDE = 4, 4  # nodes from crossing to crossing, crossings a side


def town():
    """A grid of streets with a node every 10 m: (graph, name -> number). Node (x, y) in steps of 10 m."""
    size = BLOCK * (SIDE - 1)
    cells = [(x, y) for x in range(size + 1) for y in range(size + 1) if x % BLOCK == 0 or y % BLOCK == 0]
    number = {cell: i for i, cell in enumerate(cells)}
    graph = nx.Graph()
    for x, y in cells:
        for other in ((x + 1, y), (x, y + 1)):
            if other in number:
                graph.add_edge(number[x, y], number[other])
    return graph, number


GRAPH, NUMBER = town()


def streets(explored=None):
    n = len(GRAPH)
    rows = [sorted(GRAPH[i]) for i in range(n)]
    first = np.cumsum([0, *map(len, rows)]).astype(np.int32)
    ends = np.array(list(itertools.chain.from_iterable(rows)), dtype=np.int32)
    xy = np.zeros((n, 2))
    for (x, y), i in NUMBER.items():
        xy[i] = 10.0 * x, 10.0 * y
    return Streets(first, ends, xy, np.ones(n, bool) if explored is None else explored)


class TownMemory:
    """Names at positions, in metres."""

    def __init__(self, named=(), explored=None):
        self._named, self._streets = dict(named), streets(explored)

    def streets(self):
        return self._streets

    def named(self, phrase):
        at = [xy for name, xy in self._named.items() if name == phrase.text]
        return Places(np.array(at, dtype=np.float64).reshape(-1, 2), np.ones(len(at)))


def at(*cells):
    return np.array([NUMBER[cell] for cell in cells], dtype=np.int32)


def kinds_of(text):
    letters = {Kind.PASS: "P", Kind.LANDMARK: "L"}
    return "".join(letters.get(c.kind, "l" if c.side == LEFT else "r") for c in parse(text).clauses)


# --- parser ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "clauses", "stop"),
    [
        ("Turn left at the light. Stop a few steps after the turn.", "l", Stop.AFTER_TURN),
        ("Go through two lights and turn right at the third light, then stop.", "PPr", Stop.AFTER_TURN),
        ("At the second intersection take a left. Stop in the middle of the next one.", "Pl", Stop.AT_JUNCTION),
        ("Go straight past the first light. At the 3rd light make a right.", "PPr", Stop.UNSAID),
        ("Turn right at the second set of lights. Stop just before the next light.", "Pr", Stop.BEFORE_JUNCTION),
        ("Turn left at the light, then go halfway down the block and stop.", "l", Stop.AFTER_TURN),
        ("Pass the bank on your left. Turn left at the lights and stop halfway down the block.", "Ll", Stop.MIDBLOCK),
        ("Walk to the light and turn left. Stop in front of Zorba Grill on the right.", "l", Stop.AT_LANDMARK),
    ],
)  # fmt: skip
def test_clauses_and_stop(text, clauses, stop):
    assert kinds_of(text) == clauses
    assert parse(text).stop is stop


def test_sides_are_no_turns():
    assert kinds_of("Go straight. A church will be on your left and a bank on the right corner. Stop.").count("l") == 0
    assert kinds_of("Stop right after the Zorba Grill.") == ""


def test_landmarks_hang_where_they_are_said():
    found = parse("At the light with Zorba Grill on the left corner, turn right. Stop at Mama's Kiosk.")
    assert found.clauses[0].side == RIGHT
    assert found.clauses[0].phrases == [Phrase("zorba grill", "", LEFT)]
    assert [phrase.text for phrase in found.stop_phrases] == ["mama's kiosk"]


def test_what_lies_beyond_is_kept_apart():
    found = parse("Turn left at the light and stop. If you reach Zorba Grill you have gone too far.")
    assert [phrase.text for phrase in found.beyond] == ["zorba grill"] and not found.stop_phrases


def test_classes_are_known_by_many_words():
    assert [p.sort for p in parse("Pass the firehouse and the bike share. Stop.").phrases] == [
        "fire station",
        "bicycle rental",
    ]


def test_an_empty_description_is_refused():
    with pytest.raises(BadInputError, match="empty"):
        parse("  ")


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_without_fault(text):
    if text.strip():
        assert isinstance(parse(text), Instruction)


def test_names_are_found_in_other_spellings():
    index = NameIndex(["Joe's Pizza", "T-Mobile", "Duane Reade", "", "Chase"], ["restaurant", "", "", "cafe", "bank"])
    assert int(np.argmax(index.similarity(Phrase("joes pizza")))) == 0
    assert index.similarity(Phrase("t mobile"))[1] > 0.9
    assert index.similarity(Phrase("duane reede"))[2] > 0.5 > index.similarity(Phrase("duane reede"))[0]
    assert index.similarity(Phrase("bank", "bank")).tolist()[4] == 1 and index.similarity(Phrase("qqq")).max() == 0


# --- search ---------------------------------------------------------------------------------------------------------

LIMITS = Lengths(shortest=3, longest=12, clause=4.0)


def test_ways_are_all_shortest_paths_that_begin_as_driven():
    s, start = streets(), at((0, 0), (0, 1))
    links = ways(s.first, s.ends, s.explored, start, 12)
    wanted = set()
    for target in GRAPH:
        if nx.shortest_path_length(GRAPH, start[0], target) <= 12:
            for path in nx.all_shortest_paths(GRAPH, int(start[0]), target):
                if len(path) > 1 and path[1] == start[1]:
                    wanted |= set(itertools.pairwise(path))
    assert {(int(a), int(b)) for a, b in links[:, :2]} == wanted
    assert (np.diff(links[:, 2]) >= 0).all()


def test_nothing_is_read_of_what_is_not_explored():
    explored = np.zeros(len(GRAPH), bool)
    explored[at((0, 0), (0, 1), (0, 2))] = True
    s = streets(explored)
    links = ways(s.first, s.ends, s.explored, at((0, 0), (0, 1)), 12)
    assert links[:, 1].tolist() == at((0, 1), (0, 2), (0, 3)).tolist()


def make_instruction(code, phrases=()):
    clauses = []
    for letter in code:
        kind = {"P": Kind.PASS, "L": Kind.LANDMARK}.get(letter, Kind.TURN)
        clauses.append(Clause(kind, {"l": LEFT, "r": RIGHT}.get(letter, 0)))
    for clause, phrase in zip([c for c in clauses if c.kind is Kind.LANDMARK], phrases, strict=True):
        clause.phrases.append(phrase)
    return Instruction(tuple(clauses), Stop.AT_JUNCTION, ())


def brute_force(problem, weights):
    """The best score of each link's end with all clauses done, by trying every way and every alignment."""
    links, c = problem.links, len(problem.kinds)
    best = np.full(len(links), -np.inf)

    def standing(e, j, score):
        """(j, score) after any number of clauses done or left out at the end of link e."""
        yield j, score
        if j < c:
            yield from standing(e, j + 1, score + weights[al.SKIP + problem.kinds[j]])
            if problem.kinds[j] == al.LANDMARK and problem.seen[problem.phrase_of[j], e, 0] > 0:
                gain = float(weights[al.SEEN : al.SEEN + 3] @ problem.seen[problem.phrase_of[j], e])
                yield from standing(e, j + 1, score + gain)

    def go(e, j, score):
        for j2, s2 in standing(e, j, score):
            if j2 == c:
                best[e] = max(best[e], s2)
            for f in np.flatnonzero((links[:, 0] == links[e, 1]) & (links[:, 2] == links[e, 2] + 1)):
                turn, exits, crowded = al._event.py_func(
                    problem.streets.first, links, problem.bearings, problem.spans, e, int(f)
                )
                none = 0.0 if exits <= 2 else weights[al._junction_feature.py_func(al.NONE_AT, turn, exits, crowded)]
                go(int(f), j2, s2 + none)
                if j2 < c and exits > 2 and problem.kinds[j2] != al.LANDMARK:
                    if problem.kinds[j2] == al.TURN:
                        feature = al._turn_feature.py_func(turn, int(problem.sides[j2]), exits)
                    else:
                        feature = al._junction_feature.py_func(al.PASS_AT, turn, exits, crowded)
                    go(int(f), j2 + 1, s2 + weights[feature])

    go(0, 0, 0.0)
    return best


@pytest.mark.parametrize(("code", "seed"), [("", 0), ("l", 1), ("Pr", 2), ("LrP", 3), ("PLl", 4)])
def test_the_best_alignment_is_that_of_brute_force(code, seed):
    phrase = Phrase("zorba", "", LEFT)
    memory = TownMemory({"zorba": (12.0, 41.0)})
    instruction = make_instruction(code, [phrase] * code.count("L"))
    problem = Problem.of(instruction, memory, at((0, 2), (0, 3)), Lengths(3, 8, 4.0))
    weights = np.random.default_rng(seed).normal(0, 2, al.FEATURES)
    best, _, _ = al.align(
        problem.streets.first, problem.links, problem.bearings, problem.spans, problem.kinds, problem.sides,
        problem.phrase_of, problem.seen, weights,
    )  # fmt: skip
    wanted = brute_force(problem, weights)
    assert best[:, -1] == pytest.approx(np.where(np.isfinite(wanted), wanted, -1e18))


def test_features_give_back_the_scores():
    memory = TownMemory({"zorba": (12.0, 41.0)}, explored=np.arange(len(GRAPH)) % 7 != 6)
    instruction = make_instruction("LrP", [Phrase("zorba", "", LEFT)])
    instruction.clauses[1].phrases.append(Phrase("zorba", "", RIGHT))  # at the corner of the turn too
    problem = Problem.of(instruction, memory, at((0, 2), (0, 3)), LIMITS)
    weights = np.random.default_rng(5).normal(0, 1, al.FEATURES)
    weights[[al.SEEN, al.CORNER]] = 6, 5  # so that the best alignments use what is seen
    total = np.zeros(al.FEATURES)
    solution = problem.solve(weights)
    for e, way in np.argwhere(np.isfinite(solution.scores)):
        shares = np.zeros_like(solution.scores)
        shares[e, way] = 1.0
        features = problem.features(solution, shares)
        assert features @ weights == pytest.approx(solution.scores[e, way])
        total += features
    assert total[al.SEEN] > 0 and total[al.CORNER] > 0
    assert np.isfinite(solution.scores[:, 1]).any() and np.isfinite(solution.scores[:, 0]).any()


def test_the_gradient_of_tuning_is_right_and_tuning_helps():
    memory = TownMemory({"zorba": (12.0, 41.0)})
    examples = []
    for code, goal in (("r", (4, 4)), ("Pr", (4, 8)), ("P", (0, 8))):
        problem = Problem.of(make_instruction(code), memory, at((0, 0), (0, 1)), LIMITS)
        right = np.zeros((len(problem.links), 2), bool)
        right[:, 0] = problem.links[:, 1] == NUMBER[goal]
        examples.append(Example(problem, right))
    weights = START + np.random.default_rng(6).normal(0, 0.1, al.FEATURES)
    _, gradient = loss(weights, examples, START, 1e-3)
    for k in np.flatnonzero(np.abs(gradient) > 1e-6):
        shift = np.zeros(al.FEATURES)
        shift[k] = 1e-5
        up, down = (loss(weights + sign * shift, examples, START, 1e-3)[0] for sign in (1, -1))
        assert gradient[k] == pytest.approx((up - down) / 2e-5, abs=1e-5)
    assert fit(examples, START, rounds=10)[1] < loss(START, examples, START, 0.0)[0]


# --- follower -------------------------------------------------------------------------------------------------------


def test_it_turns_where_it_is_told():
    follower = Follower(with_memory(), lengths=LIMITS)
    told = parse(
        "Go through the first light and turn right at the second light. Stop in the middle of the next intersection."
    )
    choice = follower.choose(told, TownMemory(), at((0, 0), (0, 1)))
    assert choice is not None and choice.stop
    way = at(*[(0, y) for y in range(9)], *[(x, 8) for x in range(1, 5)])
    assert choice.route[:12].tolist() == way[:12].tolist()
    assert abs(len(choice.route) - len(way)) <= 1  # within one node of the crossing, which counts as there


def test_a_remembered_landmark_decides_between_corners():
    """ "Turn right at Zorba Grill" says nothing of how many lights to pass: only memory knows."""
    follower = Follower(with_memory(), lengths=Lengths(11, 12, 4.0))
    told = parse("Turn right at the light with Zorba Grill on the right corner. Stop at the next intersection.")
    for corner in (4, 8):
        memory = TownMemory({"zorba grill": (6.0, 10.0 * corner - 6.0)})
        choice = follower.choose(told, memory, at((0, 0), (0, 1)))
        assert choice is not None
        assert NUMBER[0, corner] in choice.route and NUMBER[1, corner] in choice.route


def test_without_streets_it_aims_for_the_frontier():
    explored = np.zeros(len(GRAPH), bool)
    explored[at((0, 0), (0, 1), (0, 2))] = True
    follower = Follower(without_memory(), lengths=LIMITS)
    choice = follower.choose(parse("Turn right at the third light."), TownMemory(explored=explored), at((0, 0), (0, 1)))
    assert choice is not None and not choice.stop
    assert choice.route.tolist() == at((0, 0), (0, 1), (0, 2), (0, 3)).tolist()


def test_it_says_when_it_does_not_know():
    follower = Follower(with_memory(), lengths=Lengths(40, 44), least_sure=0.3)
    assert follower.choose(parse("Turn left."), TownMemory(), at((0, 0), (0, 1))) is None
    assert not follower.knows(None)
    vague = Follower(with_memory(), lengths=Lengths(2, 12), least_sure=0.6)
    assert not vague.knows(vague.choose(parse("Go there."), TownMemory(), at((4, 3), (4, 4))))


@pytest.mark.parametrize(
    ("weights", "caution", "driven"),
    [(np.zeros(3), 1.0, (0, 1)), (np.full(al.FEATURES, np.nan), 1.0, (0, 1)), (START, 2.0, (0, 1)), (START, 1.0, (0,))],
)
def test_bad_input_is_refused(weights, caution, driven):
    with pytest.raises(BadInputError):
        Follower(weights, caution=caution).choose(parse("Turn left."), TownMemory(), driven)


def test_weights_have_names():
    assert from_blocks(to_blocks(START)) == pytest.approx(START)
    assert sum(map(len, to_blocks(START).values())) == al.FEATURES
    with pytest.raises(BadInputError, match="blocks"):
        from_blocks({"turn": [1.0]})
