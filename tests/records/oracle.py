"""What a memory must say, worked out the slow and plain way: a list of what happened, replayed for every question.

Independent of the code under test: no arrays, no versions, no index. Poses are not turned here, only moved.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Place = tuple[float, float, float]


@dataclass
class Said:
    """A record as it was taken in."""

    stamp: int
    map_id: str
    caption: str
    place: Place
    labels: tuple[str, ...]
    things: tuple[Place, ...]


@dataclass
class Event:
    """What happened under a number: kind is record, again, correct, forget, undo, map, anchor or compact."""

    number: int
    kind: str
    said: Said | None = None
    about: tuple[int, ...] = ()
    stamp: int = 0
    caption: str | None = None
    place: Place | None = None
    labels: tuple[str, ...] | None = None
    map_id: str = ""
    shift: Place = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Answer:
    """What a record says at some time."""

    caption: str
    place: Place
    labels: tuple[str, ...]
    things: tuple[Place, ...]
    seen: int
    last: int
    map_id: str


@dataclass
class Oracle:
    """The whole history, and the questions that can be asked of it."""

    events: list[Event] = field(default_factory=list)
    erased: set[int] = field(default_factory=set)
    maps: list[str] = field(default_factory=list)

    def add(self, kind: str, **fields: object) -> Event:
        event = Event(len(self.events) + 1, kind, **fields)  # type: ignore[arg-type]
        self.events.append(event)
        named = event.said.map_id if event.said else event.map_id if kind == "map" else ""
        if named and named not in self.maps:
            self.maps.append(named)
        return event

    def live(self, number: int, upto: int | None = None) -> bool:
        """Whether a command counts: every undo of it was itself undone."""
        known = self.events if upto is None else self.events[:upto]
        return not any(
            event.kind == "undo" and event.about == (number,) and self.live(event.number, upto) for event in known
        )

    def forgotten(self) -> set[int]:
        named = {
            seq for event in self.events if event.kind == "forget" and self.live(event.number) for seq in event.about
        }
        return named | self.erased

    def records(self) -> list[int]:
        """Everything that can still be found."""
        gone = self.forgotten()
        return [event.number for event in self.events if event.kind == "record" and event.number not in gone]

    def current_map(self) -> str:
        named = [event.map_id for event in self.events if event.kind == "map" and self.live(event.number)]
        return named[-1] if named else self.maps[0] if self.maps else ""

    def says(self, seq: int, upto: int | None = None) -> Answer | None:
        """The record as it stood when the log ended at a number; None when it was not there yet."""
        known = self.events if upto is None else self.events[:upto]
        if seq > len(known):
            return None
        said = self.events[seq - 1].said
        assert said is not None
        caption, place, labels, things = said.caption, said.place, said.labels, said.things
        seen, last = 1, said.stamp
        for event in known:
            if event.kind == "again" and event.about == (seq,):
                seen, last = seen + 1, max(last, event.stamp)
            elif event.kind == "correct" and event.about == (seq,) and self.live(event.number, upto):
                caption = caption if event.caption is None else event.caption
                labels = labels if event.labels is None else event.labels
                if event.place is not None:
                    moved = _minus(event.place, place)
                    place, things = event.place, tuple(_plus(thing, moved) for thing in things)
            elif event.kind == "anchor" and event.map_id == said.map_id and self.live(event.number, upto):
                if event.number < seq:
                    continue
                place, things = _plus(place, event.shift), tuple(_plus(thing, event.shift) for thing in things)
        return Answer(caption, place, labels, things, seen, last, said.map_id)

    def untouched(self, seq: int) -> bool:
        """Whether nothing was ever done to the record, done and undone included."""
        said = self.events[seq - 1].said
        assert said is not None
        about = [self.events[self.target(event.number) - 1] for event in self.events[seq:]]
        return seq not in self.forgotten() and not any(
            (event.kind == "correct" and event.about == (seq,))
            or (event.kind == "anchor" and event.map_id == said.map_id)
            for event in about
        )

    def target(self, number: int) -> int:
        """The command that an undo, or an undo of an undo, is about in the end."""
        event = self.events[number - 1]
        return self.target(event.about[0]) if event.kind == "undo" else number

    def commands(self) -> list[int]:
        return [event.number for event in self.events if event.kind not in ("record", "again")]

    def final(self, number: int) -> bool:
        """Whether nothing can be done about a command any more."""
        event = self.events[number - 1]
        if event.kind == "undo":
            return self.final(event.about[0])
        if event.kind == "compact":
            return True
        return event.kind in ("correct", "forget") and bool(self.erased & set(event.about))

    def newest_undoable(self) -> int | None:
        able = [
            number
            for number in self.commands()
            if self.events[number - 1].kind != "undo" and self.live(number) and not self.final(number)
        ]
        return max(able, default=None)

    def compact(self) -> list[int]:
        """Erase what is forgotten; returns what that newly is."""
        fresh = sorted(self.forgotten() - self.erased)
        if fresh:
            self.add("compact", about=tuple(fresh))
            self.erased |= set(fresh)
        return fresh

    def tombstones(self) -> list[int]:
        """The numbers of which nothing is left."""
        return [
            event.number
            for event in self.events
            if event.number in self.erased or (event.kind in ("again", "correct") and event.about[0] in self.erased)
        ]


def _plus(a: Place, b: Place) -> Place:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def _minus(a: Place, b: Place) -> Place:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])
