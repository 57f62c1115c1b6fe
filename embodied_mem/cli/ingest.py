"""Observations into memory, with progress and a count of what was refused and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from embodied_mem.cli.console import Console
from embodied_mem.errors import EmbodiedMemError, RefusedError
from embodied_mem.records.memory import Admitted, RecordMemory
from embodied_mem.records.observation import Observation

_BATCH = 32


@dataclass
class Tally:
    """What became of the observations; `examples` holds the first sentence for each reason of refusal."""

    admitted: int = 0
    folded: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def count(self, outcome: Admitted | RefusedError) -> None:
        if isinstance(outcome, RefusedError):
            self.refused[outcome.reason] += 1
            self.examples.setdefault(outcome.reason, str(outcome))
        elif outcome.folded:
            self.folded += 1
        else:
            self.admitted += 1

    @property
    def total(self) -> int:
        return self.admitted + self.folded + sum(self.refused.values())

    def shape(self) -> dict[str, Any]:
        return {
            "admitted": self.admitted,
            "folded": self.folded,
            "refused": dict(self.refused),
            "examples": self.examples,
        }

    def lines(self) -> list[str]:
        refused = sum(self.refused.values())
        lines = [f"{self.admitted:,} new records, {self.folded:,} repeated what was known, {refused:,} refused."]
        lines += [f"  refused {count:,}: {self.examples[reason]}" for reason, count in self.refused.most_common()]
        return lines


class Sink(Protocol):
    """Takes observations."""

    def remember_many(self, observations: list[Observation]) -> list[Admitted | RefusedError]: ...

    def close(self) -> None: ...


class FolderSink:
    """Writes a memory folder. Maps that it does not know are started; the current map stays what it was, if it was any,
    unless observations come from the map `become`: then that is where the robot is now.
    """

    def __init__(self, memory: RecordMemory, become: str = "") -> None:
        self._memory = memory
        self._become = become

    def remember_many(self, observations: list[Observation]) -> list[Admitted | RefusedError]:
        for map_id in dict.fromkeys(obs.map_id for obs in observations if obs.map_id):
            self._know(map_id)
        return self._memory.remember_many(observations)

    def close(self) -> None:
        self._memory.close()

    def _know(self, map_id: str) -> None:
        current = self._memory.map_id
        if map_id == self._become:
            if current != map_id:
                self._memory.set_map(map_id)
        elif map_id not in self._memory.maps:
            self._memory.set_map(map_id)
            if current:
                self._memory.set_map(current)


def ingest(
    observations: Iterable[Observation],
    sink: Sink,
    console: Console,
    what: str,
    total: int | None = None,
    read: Callable[[], int] | None = None,
) -> Tally:
    """Remember all, in batches. Where reading fails or Ctrl-C stops it, what came before is remembered all the same.

    `read` counts the items of `total` that were read so far, for the progress bar; None: each becomes an observation.
    Raises what reading raises, with the number of observations that were kept.
    """
    tally = Tally()
    batch: list[Observation] = []
    bar = console.bar(total, what, "it" if read else "obs")
    shown = 0

    def send() -> None:
        nonlocal shown
        _send(batch, sink, tally)
        done = tally.total if read is None else read()
        bar.update(done - shown)
        shown = done

    try:
        for observation in observations:
            batch.append(observation)
            if len(batch) == _BATCH:
                send()
    except EmbodiedMemError as error:
        send()
        raise type(error)(f"{error} The {tally.admitted + tally.folded} observations before it were kept.") from error
    finally:
        send()
        bar.close()
    return tally


def _send(batch: list[Observation], sink: Sink, tally: Tally) -> None:
    """Hand the batch over; it is empty afterwards."""
    sent = batch.copy()
    batch.clear()
    for outcome in sink.remember_many(sent) if sent else []:
        tally.count(outcome)
