"""Asks the questions through the ROS services, and lets the truth judge the answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from embodied_mem.cli.shape import answer_shape, evidence_lines, place_words
from embodied_mem.report.model import Asked

if TYPE_CHECKING:
    from embodied_mem.nodes.client import MemoryClient


def ask_all(client: MemoryClient, questions: list[Any]) -> Iterator[Asked]:
    """One answer after the other. A question has text, kind, expected and judge (see sim.house.questions)."""
    for question in questions:
        began = time.perf_counter()
        answer = client.ask(question.text)
        took = (time.perf_counter() - began) * 1000
        yield Asked(
            question=question.text,
            answer=answer_shape(answer),
            kind=question.kind,
            expected=question.expected,
            right=bool(question.judge(answer)),
            milliseconds=took,
        )


def asked_lines(number: int, item: Asked) -> Iterator[str]:
    """A question, its answer and what it rests on, for people."""
    answer = item.answer
    mark = "right" if item.right else "WRONG"
    yield f"{number:>3}. {item.question}"
    place = f" {place_words(answer['pose']['position'])}" if answer["found"] and answer["pose"] else ""
    yield f"     {answer['sentence'] or answer['reason']}{place}"
    yield f"     {mark}, probability {answer['probability']:.2f}, {item.milliseconds:.0f} ms; expected: {item.expected}"
    yield from (f"   {line}" for line in evidence_lines(answer["evidence"], limit=2))
