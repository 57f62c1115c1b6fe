"""Is it so? Conditions are true, false or unknown, with evidence; what became of a step follows from its effects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from embodied_mem.planner.facts import Fact, Facts


@dataclass(frozen=True, slots=True)
class Judgement:
    """`holds` is None where nobody knows; `probability` that it holds; `evidence`: numbers of records."""

    fact: Fact
    holds: bool | None
    probability: float
    evidence: tuple[int, ...] = ()
    why: str = ""

    @property
    def likely(self) -> bool:
        """Whether it is to be taken for true."""
        return self.holds if self.holds is not None else self.probability >= 0.5


class Verdict(Enum):
    """What became of a step."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


Judge = Callable[[Fact], Judgement]


def verdict(effects: Iterable[Fact], judge: Judge) -> tuple[Verdict, list[Judgement]]:
    """DONE when every effect is seen to hold, FAILED when one is seen not to, and the judgements that say so."""
    judged = [judge(item) for item in sorted(effects)]
    if any(one.holds is False for one in judged):
        return Verdict.FAILED, [one for one in judged if one.holds is False]
    unknown = [one for one in judged if one.holds is None]
    return (Verdict.UNKNOWN, unknown) if unknown else (Verdict.DONE, judged)


def all_hold(facts: Facts, judge: Judge) -> bool:
    """Whether every fact is known to hold."""
    return all(judge(item).holds is True for item in facts)
