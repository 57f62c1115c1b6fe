"""Following a description along the places of a memory: from a text and the way so far to a route, or "unsure"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embodied_mem.errors import BadInputError, UnreachableError
from embodied_mem.instructions.follower import Follower
from embodied_mem.instructions.instruction import LEFT, Clause, Instruction, Kind, Phrase, Stop
from embodied_mem.instructions.memory import Streets
from embodied_mem.instructions.parser import parse
from embodied_mem.instructions.place_memory import PlaceMemory
from embodied_mem.instructions.problem import Lengths
from embodied_mem.instructions.weights import with_memory
from embodied_mem.topology.arrays import points
from embodied_mem.topology.graph import PlaceGraph

_FAR_M = 25.0  # from the nearest place, from where no way is known
_ENDS = {
    Stop.AT_JUNCTION: "at a junction", Stop.AFTER_TURN: "after a turn", Stop.AFTER_JUNCTION: "after a junction",
    Stop.BEFORE_JUNCTION: "before a junction", Stop.MIDBLOCK: "within a block", Stop.AT_LANDMARK: "at",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Guidance:
    """places (k,) from the start to where the description ends; confidence 0..1; why: a sentence."""

    places: NDArray[np.int64]
    confidence: float
    why: str


def guide(
    graph: PlaceGraph, map_id: str, instruction: Instruction, driven: ArrayLike, heading: float, *, now_ns: int,
    lengths: Lengths | None = None, least_sure: float = 0.0, memory: PlaceMemory | None = None,
) -> Guidance:  # fmt: skip
    """Where a description leads a robot that came over the points driven (k, 3), the start first, metres.

    heading  radians in the map: where it looks at the start, which says along which edge it sets out
    lengths  what is known of the length of the way, in edges; memory: one that was made of this graph and map before
    Raises UnreachableError (`unknown_start`, `no_way`, `unsure`) with its reason; BadInputError.
    """
    memory = memory or PlaceMemory(graph, map_id, now_ns)
    streets = memory.streets()
    nodes = _nodes(streets, points(driven, "way so far"), map_id)
    if len(nodes) == 1:
        nodes = [nodes[0], _faced(streets, nodes[0], heading)]
    follower = Follower(with_memory(), lengths=lengths or Lengths(0, 60), least_sure=least_sure)
    choice = follower.choose(instruction, memory, nodes, streets)
    if choice is None:
        raise UnreachableError("No way of such a length along known places fits the description.", "no_way")
    if not follower.knows(choice):
        too_little = f"The likeliest way is believed {choice.confidence:.2f}, less than {least_sure:.2f}: ask a person."
        raise UnreachableError(too_little, "unsure")
    return Guidance(choice.route.astype(np.int64), choice.confidence, _because(memory, instruction, choice.confidence))


def understood(text: str) -> tuple[Instruction, list[str]]:
    """What a description says, also in words, clause by clause. Raises BadInputError when it says nothing of a way."""
    if not text.strip():
        raise BadInputError("The description is empty: say where to turn, what is passed, where the way ends.")
    found = parse(text)
    said = [_said(clause) for clause in found.clauses]
    end = " ".join(part for part in (_ENDS.get(found.stop, ""), _phrases(found.stop_phrases)) if part)
    if end:
        said.append(f"stop {end}")
    if not said:
        raise BadInputError(f"Nothing of a way was understood in {text[:60]!r}: say turns, junctions or landmarks.")
    return found, said


def warm() -> None:
    """Compile the kernels: later a first request would wait for that."""
    graph = PlaceGraph()
    graph.add_places([[10.0 * i, 0.0, 0.0] for i in range(4)])
    graph.add_edges([0, 1, 2], [1, 2, 3])
    graph.landmarks.add([2], ["bank"], [0.0], distances=[5.0])
    instruction, _ = understood("Turn left at the light, pass the bank and stop at the bank.")
    guide(graph, "", instruction, [[0.0, 0.0, 0.0]], 0.0, now_ns=0)


# --- inside -----------------------------------------------------------------------------------------------------------


def _nodes(streets: Streets, driven: NDArray[np.float64], map_id: str) -> list[int]:
    """The places that were driven over, each once in a row."""
    inside = np.flatnonzero(streets.explored)
    if not len(inside):
        raise UnreachableError(f"The map {map_id!r} has no places yet.", "unknown_start")
    if not len(driven):
        raise BadInputError("The way so far needs its start.")
    away = np.linalg.norm(streets.xy[inside][None] - driven[:, None, :2], axis=2)
    nearest = away.argmin(axis=1)
    if (gap := float(away[np.arange(len(driven)), nearest].max())) > _FAR_M:
        raise UnreachableError(f"The way so far is {gap:,.0f} m from the nearest place that is known.", "unknown_start")
    nodes = inside[nearest]
    return [int(node) for i, node in enumerate(nodes) if not i or node != nodes[i - 1]]


def _faced(streets: Streets, node: int, heading: float) -> int:
    """The neighbour toward which a robot at a place looks."""
    if not np.isfinite(heading):
        raise BadInputError(f"A heading must be finite radians, not {heading}.")
    others = streets.ends[streets.first[node] : streets.first[node + 1]]
    if not len(others):
        raise UnreachableError("No way leads on from the place where it starts.", "no_way")
    away = streets.xy[others] - streets.xy[node]
    return int(others[np.argmax(np.cos(np.arctan2(away[:, 1], away[:, 0]) - heading))])


def _because(memory: PlaceMemory, instruction: Instruction, confidence: float) -> str:
    """Which of the names that were said are known anywhere in this map."""
    phrases = list(dict.fromkeys(phrase.text for phrase in instruction.phrases))
    known = [phrase.text for phrase in dict.fromkeys(instruction.phrases) if len(memory.named(phrase))]
    known = list(dict.fromkeys(known))
    names = f" Of {len(phrases)} landmarks that were said {len(known)} are known" if phrases else ""
    listed = f": {', '.join(known)}." if known else "." if phrases else ""
    return f"It is believed {confidence:.2f} that the description ends there.{names}{listed}"


def _said(clause: Clause) -> str:
    what = {Kind.TURN: f"turn {'left' if clause.side == LEFT else 'right'}", Kind.PASS: "pass a junction"}
    named = _phrases(clause.phrases)
    return " ".join(part for part in (what.get(clause.kind, "pass"), named) if part)


def _phrases(phrases: Sequence[Phrase]) -> str:
    return ", ".join(phrase.text for phrase in phrases)
