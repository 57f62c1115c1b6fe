"""What a description of a route says, in order: the output of the parser and the input of the search."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

LEFT, NO_SIDE, RIGHT = 1, 0, -1


class Kind(IntEnum):
    """Of a clause. TURN and PASS happen at a junction, LANDMARK on the way."""

    TURN = 0
    PASS = 1
    LANDMARK = 2


class Stop(IntEnum):
    """Where a description says that the way ends, relative to the junctions around."""

    UNSAID = 0
    AT_JUNCTION = 1
    AFTER_TURN = 2
    AFTER_JUNCTION = 3
    BEFORE_JUNCTION = 4
    MIDBLOCK = 5
    AT_LANDMARK = 6


@dataclass(frozen=True, slots=True)
class Phrase:
    """A landmark as a person names it.

    text   lower case, such as "duane reade"
    sort   its class where the words name only a class, such as "bank"; else ""
    side   LEFT, RIGHT or NO_SIDE, relative to the direction of travel
    """

    text: str
    sort: str = ""
    side: int = NO_SIDE


@dataclass(slots=True)
class Clause:
    """One thing to do or to see. side: where to turn, for a TURN."""

    kind: Kind
    side: int = NO_SIDE
    phrases: list[Phrase] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Instruction:
    """A parsed description. `stop_phrases` stand at the end of the way, `beyond` only after one has gone too far."""

    clauses: tuple[Clause, ...]
    stop: Stop
    stop_phrases: tuple[Phrase, ...]
    beyond: tuple[Phrase, ...] = ()

    @property
    def phrases(self) -> list[Phrase]:
        """Every landmark on the way, in order, those at the end included."""
        return [phrase for clause in self.clauses for phrase in clause.phrases] + list(self.stop_phrases)
