"""The work of the record node, without ROS: observations and commands into the memory, in the order they came."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from embodied_mem.errors import EmbodiedMemError, RefusedError
from embodied_mem.records.commands import (
    BlockWay,
    Compact,
    Correct,
    Drop,
    Forget,
    MergePlaces,
    PartThings,
    ReAnchor,
    SetMap,
    Undo,
    UniteThings,
)
from embodied_mem.records.entry import Entry
from embodied_mem.records.memory import Admitted, RecordMemory
from embodied_mem.records.observation import Observation

_EVENT_OF = {
    Correct: ("corrected", "Record {0.seq} was corrected."),
    Forget: ("forgotten", "Forgot records {0.seqs}."),
    Undo: ("undone", "Command {0.command_seq} was taken back."),
    SetMap: ("map_changed", "The current map is {0.map_id!r}."),
    Compact: ("erased", "{0.count} forgotten records are erased: that is final."),
    Drop: (
        "dropped_from_disk",
        "To keep within the disk budget, {0.clouds} clouds and {0.thumbnails} pictures ({0.what}) of {0.count} records "
        "were dropped, {0.freed} bytes.",
    ),
    MergePlaces: ("corrected", "The places of records {0.seqs} are one."),
    BlockWay: ("corrected", "The way between the places of records {0.seqs} is closed until {0.until_ns}."),
    UniteThings: ("corrected", "The detections {0.detections} (record, place in it) are of one thing."),
    PartThings: ("corrected", "The detections {0.detections} (record, place in it) are of different things."),
    ReAnchor: ("corrected", "The records of map {0.map_id!r} follow a corrected trajectory."),
}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to memory; `type` as in MemoryEvent.msg, `seq` 0 when there is none.

    stamp_ns: of the observation that it is about, 0 for another kind of event
    """

    type: str
    seq: int
    text: str
    stamp_ns: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A call on the memory that somebody waits for."""

    call: Callable[[], Any]
    done: Callable[[Any], object]
    failed: Callable[[Exception], object]

    def run(self) -> None:
        try:
            result = self.call()
        except Exception as error:
            self.failed(error)
        else:
            self.done(result)


class Recorder:
    """Writes batches of observations and jobs; runs on the worker's thread, the only one that writes."""

    def __init__(self, memory: RecordMemory, on_event: Callable[[Event], None]) -> None:
        self.memory = memory
        self._on_event = on_event

    def work(self, batch: Sequence[Observation | Job]) -> None:
        """Neighbouring observations are written together; a job sees everything that came before it."""
        for run in _runs(batch):
            if isinstance(run, Job):
                run.run()
            else:
                self._remember(run)

    def remember(self, observation: Observation, *, durable: bool) -> Admitted:
        """One observation, for a caller who wants to know; raises what the memory raises."""
        try:
            admitted = self.memory.remember(observation, durable=durable)
        except RefusedError as refusal:
            self._on_event(Event("refused", 0, str(refusal), observation.stamp_ns))
            raise
        self._tell(admitted, observation)
        return admitted

    def announce(self, entries: Sequence[Entry]) -> None:
        """Tell of the commands among new entries."""
        for entry in entries:
            if entry.command is not None:
                kind, text = _EVENT_OF[type(entry.command)]
                self._on_event(Event(kind, entry.seq, text.format(entry.command)))

    def _remember(self, observations: list[Observation]) -> None:
        outcomes = self.memory.remember_many(observations)
        for observation, outcome in zip(observations, outcomes, strict=True):
            if isinstance(outcome, EmbodiedMemError):
                self._on_event(Event("refused", 0, str(outcome), observation.stamp_ns))
            else:
                self._tell(outcome, observation)

    def _tell(self, admitted: Admitted, observation: Observation) -> None:
        kind = "folded" if admitted.folded else "admitted"
        self._on_event(Event(kind, admitted.seq, observation.caption, observation.stamp_ns))


def _runs(batch: Sequence[Observation | Job]) -> Iterator[list[Observation] | Job]:
    """What may be written together: not an observation and its repetition, which is known by what is written."""
    run: list[Observation] = []
    seen: set[tuple[str, str, int]] = set()
    for item in batch:
        key = None if isinstance(item, Job) else (item.robot_id, item.sensor_id, item.stamp_ns)
        if run and (key is None or key in seen):
            yield run
            run, seen = [], set()
        if isinstance(item, Job):
            yield item
        elif key is not None:
            run.append(item)
            seen.add(key)
    if run:
        yield run
