"""Questions in words, answered from memory with evidence, a probability, and an honest "not found"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.objects.locate import PRESENT, Located
from embodied_mem.objects.things import Thing
from embodied_mem.recall import sentences as say
from embodied_mem.recall.answer import Answer, Evidence
from embodied_mem.recall.asked import Asked, evidence_of
from embodied_mem.recall.captions import Captions
from embodied_mem.recall.forests import Forests
from embodied_mem.recall.grammar import Question, parse
from embodied_mem.recall.in_time import KINDS as IN_TIME
from embodied_mem.recall.in_time import InTime
from embodied_mem.recall.objects import Finder, Objects
from embodied_mem.recall.patterns import DESCRIBE, FIND, HOW_MANY, IS_THERE, WHEN, WHERE
from embodied_mem.recall.regions import KINDS, Regions
from embodied_mem.recall.surroundings import NEAR, holds, is_upright, landmark
from embodied_mem.records.query import EVERY_MAP, Query
from embodied_mem.records.view import RecordView
from embodied_mem.records.when import parse_when

FloatArray = NDArray[np.float64]
_EVIDENCE = 5  # records named
_SURE = 0.97  # nothing that was perceived is surer
_QUOTED = 3  # captions; more are summarised
_SIGHTING = 0.3  # probability from which a place counts as one where the thing once was


class Recall:
    """Answers questions about one memory.

    memory        a RecordView (RecordMemory is one)
    text_threshold  cosine at which a caption is as likely to be the answer as not; semantic search is trusted by a
                  logistic curve around it
    forests       where the forest for questions about regions comes from; by default it is grown when one is asked
    objects       where the view of things is kept; without one, things are gathered from detections for each question
    """

    def __init__(
        self,
        memory: RecordView,
        *,
        text_threshold: float = 0.42,
        forests: Forests | None = None,
        objects: Objects | None = None,
    ) -> None:
        self._memory = memory
        self._things = Finder(memory, objects)
        self._regions = Regions(memory, forests or Forests())
        self._captions = Captions(memory, text_threshold)
        self._kinds: dict[str, Callable[[Asked], Answer]] = {
            WHERE: self._where, FIND: self._where, WHEN: self._when, HOW_MANY: self._how_many,
            IS_THERE: self._is_there, DESCRIBE: self._describe, **dict.fromkeys(KINDS, self._regions.answer),
            **dict.fromkeys(IN_TIME, InTime(memory).answer),
        }  # fmt: skip

    def ask(
        self,
        question: str,
        *,
        robot_position: FloatArray | None = None,
        map_id: str = "",
        now_ns: int | None = None,
        as_of: int | None = None,
    ) -> Answer:
        """The answer to a question. robot_position (3,) metres: where "here" is.

        Raises BadInputError for an empty question or a "here" without a position, UnknownMapError.
        """
        now = self._memory.clock() if now_ns is None else now_ns
        as_of = self._pinned(as_of)
        parsed = parse(question)
        time = parse_when(parsed.when, now, self._stamp_of) if parsed.when else None
        asked = Asked(parsed, Query(map_id=map_id, as_of=as_of, time=time), now, robot_position)
        map_id = self._map(asked.query)
        answer = self._kinds.get(parsed.kind, self._search)(asked)
        return replace(answer, interpretation=str(parsed), map_id=map_id)

    def locate(self, label: str, query: Query | None = None) -> Answer:
        """Where a kind of thing is; the same as asking "where is the ...?", with any filter."""
        if not label.strip():
            raise BadInputError("The label is empty: say what to locate.")
        query = query or Query()
        query = replace(query, as_of=self._pinned(query.as_of))
        asked = Asked(Question(WHERE, label.strip().lower()), query, self._memory.clock(), None)
        answer = self._where(asked, by_meaning=False)
        return replace(answer, interpretation=str(asked.question), map_id=self._map(asked.query))

    # --- the kinds of questions --------------------------------------------------------------------------------

    def _where(self, asked: Asked, by_meaning: bool = True) -> Answer:
        located = self._located(asked)
        if not located.labels and by_meaning:
            return self._captions.by_meaning(asked)
        things = self._placed(located.things, asked)
        if asked.question.tense == "before":
            return self._where_before(asked, located, things)
        if asked.query.time is not None:  # at that time, whatever became of it since
            there = [thing for thing in things if thing.was_there >= PRESENT]
            if there:
                newest = max(there, key=lambda thing: thing.last_seen)
                return self._found_at(asked, located, newest, newest.was_there, "was")
            return self._not_found(asked, located, "it was not seen then")
        here = [thing for thing in things if thing.present >= PRESENT]
        if here:
            return self._found_at(asked, located, here[0], here[0].present, "is")
        gone = [thing for thing in located.gone if thing in things]
        if gone:
            return self._gone(asked, located, gone[0])
        return self._not_found(asked, located, "what was detected is too little to believe in")

    def _where_before(self, asked: Asked, located: Located, things: list[Thing]) -> Answer:
        here = [thing for thing in things if thing.present >= PRESENT]
        earlier = located.before(here[0]) if here else next(iter(located.gone), None)
        if earlier is not None:
            return self._found_at(asked, located, earlier, earlier.was_there * (1 - earlier.still_there), "was")
        unsure = located.earlier(here[0]) if here else None
        if unsure is not None:
            was = self._found_at(asked, located, unsure, 0.6 * unsure.was_there, "was")
            return replace(was, reason="It was seen there before it was seen elsewhere; nobody has looked there since.")
        if here:
            still = self._found_at(asked, located, here[0], 0.6 * here[0].present, "has always been")
            return replace(still, reason="It was seen at one place only: memory knows of no move.")
        return self._not_found(asked, located, "it was never seen")

    def _when(self, asked: Asked) -> Answer:
        located = self._located(asked)
        things = [thing for thing in self._placed(located.things, asked) if thing.was_there >= _SIGHTING]
        if not things:
            if not located.labels:
                return self._captions.by_meaning(asked)
            return self._not_found(asked, located, "it was never seen")
        first = asked.question.tense == "first"
        thing = min(things, key=lambda t: t.first_seen) if first else max(things, key=lambda t: t.last_seen)
        stamp = thing.first_seen if first else thing.last_seen
        text = f"{say.one(thing.label)} was {'first' if first else 'last'} seen {say.ago((asked.now - stamp) * 1e-9)}"
        evidence = thing.evidence[::-1] if first else thing.evidence
        answer = self._answer(asked, True, f"{text}, at {say.place(thing.position)}", thing.was_there, thing, evidence)
        return replace(answer, age_s=(asked.now - stamp) * 1e-9)

    def _how_many(self, asked: Asked) -> Answer:
        located = self._located(asked)
        if not located.labels and self._only_told(asked):
            return self._captions.by_meaning(asked)
        past = asked.past
        things = [t for t in self._placed(located.things, asked) if (t.was_there if past else t.present) >= PRESENT]
        unsure = [t for t in self._placed(located.things, asked) if 0.1 < (t.was_there if past else t.present) < 0.9]
        sure = float(np.prod([max(t.present, 1 - t.present) for t in unsure])) if unsure else 1.0
        sure *= 0.9 ** max(len(things) - 1, 0)  # each further one may be the same thing seen twice
        text = f"{say.counted(len(things), located.labels[0] if located.labels else asked.question.what)}"
        text = f"there {'is' if len(things) < 2 else 'are'} {text}{asked.where_words()}, as far as I have seen"
        if not things:
            missing = self._not_found(asked, located, "none was seen")
            return replace(missing, count=0)
        evidence = [seq for thing in things for seq in thing.evidence[:2]]
        answer = self._answer(asked, True, text, min(sure, _SURE), things[0], evidence)
        return replace(answer, count=len(things), position=things[0].position if len(things) == 1 else None)

    def _is_there(self, asked: Asked) -> Answer:
        located = self._located(asked)
        if not located.labels:
            return self._captions.by_meaning(asked)
        past = asked.past
        things = self._placed(located.things, asked)
        there = [thing for thing in things if (thing.was_there if past else thing.present) >= PRESENT]
        if there:
            thing = max(there, key=lambda t: t.was_there if past else t.present)
            text = f"yes, {say.one(thing.label)} {'was' if past else 'is'}{self._landmark_words(asked, thing)}"
            text += f" at {say.place(thing.position)}, last seen {say.ago((asked.now - thing.last_seen) * 1e-9)}"
            return self._answer(asked, True, text, thing.was_there if past else thing.present, thing, thing.evidence)
        gone = [thing for thing in things if thing.was_there >= PRESENT]
        elsewhere = located.here
        if gone and not elsewhere:
            return self._gone(asked, located, max(gone, key=lambda thing: thing.last_seen))
        if elsewhere and asked.question.place is not None:
            thing = elsewhere[0]
            text = (
                f"no, but {say.one(thing.label)} is{self._landmark_words(asked, thing)} at {say.place(thing.position)}"
            )
            sure = thing.present * (1 - max((left.present for left in things), default=0.0))
            answer = self._answer(asked, False, text, sure, thing, thing.evidence)
            was = " any more" if gone else ""
            return replace(answer, position=None, reason=f"None is{asked.where_words()}{was}.")
        return self._not_found(asked, located, "it was never seen for certain")

    def _describe(self, asked: Asked) -> Answer:
        past = asked.past
        everything = self._things.locate_all(asked.query)
        place = asked.question.place
        anchors = self._anchors(asked) if place is not None and place.anchor else []
        if place is not None and place.anchor and not anchors:
            return self._regions.named(asked) or self._captions.by_meaning(asked)
        names: list[tuple[str, list[Thing]]] = []
        for located in everything:
            kept = [t for t in self._placed(located.things, asked) if (t.was_there if past else t.present) >= PRESENT]
            kept = [t for t in kept if all(np.linalg.norm(t.position - a.position) > 0.05 for a in anchors)]
            if kept:
                names.append((located.word, kept))
        if not names:
            return self._told(asked) if self._only_told(asked) else self._nothing_there(asked)
        words = [say.one(name) if len(things) == 1 else say.counted(len(things), name) for name, things in names]
        every = [thing for _, things in names for thing in things]
        text = f"I {'saw' if past else 'know of'} {say.listed(words)}{asked.where_words()}"
        sure = float(np.mean([thing.was_there if past else thing.present for thing in every]))
        answer = self._answer(asked, True, text, min(sure, 0.9), every[0], [t.evidence[0] for t in every if t.evidence])
        middle = np.mean([thing.position for thing in every], axis=0)
        where = min((a.position for a in anchors), key=lambda spot: np.linalg.norm(spot - middle), default=None)
        return replace(answer, position=where, extent=None, count=len(every))

    def _search(self, asked: Asked) -> Answer:
        answer = self._captions.by_meaning(asked)
        return replace(
            answer, reason=f"The question fits no pattern, so captions were searched by meaning. {answer.reason}"
        )

    # --- answers -----------------------------------------------------------------------------------------------

    def _found_at(self, asked: Asked, located: Located, thing: Thing, sure: float, verb: str) -> Answer:
        text = f"the {thing.label} {verb}{self._landmark_words(asked, thing)} at {say.place(thing.position)}"
        text += f", last seen {'there ' if verb == 'was' else ''}{say.ago((asked.now - thing.last_seen) * 1e-9)}"
        others = len(located.here) - 1
        if verb == "is" and others > 0:
            text += f" ({say.counted(others, 'other')} elsewhere)".replace("others", "others")
        answer = self._answer(asked, True, text, sure, thing, thing.evidence)
        return replace(
            answer, reason=f"Detected {thing.hits} times in {thing.looks} views; state: {located.state(thing)}."
        )

    def _gone(self, asked: Asked, located: Located, thing: Thing) -> Answer:
        noticed = (
            "" if thing.missed_ns is None else f", not there since {say.ago((asked.now - thing.missed_ns) * 1e-9)}"
        )
        seen = say.ago((asked.now - thing.last_seen) * 1e-9)
        text = f"the {thing.label} was at {say.place(thing.position)} {seen}{noticed}"
        answer = self._answer(asked, False, text, 1 - thing.still_there, thing, thing.evidence)
        return replace(
            answer, position=None, extent=None, reason="Not found: its last known place was seen without it."
        )

    def _not_found(self, asked: Asked, located: Located, why: str) -> Answer:
        best = max((thing.present for thing in located.things), default=0.0)
        what = asked.question.what
        what = f"any {what}" if asked.question.kind == HOW_MANY else say.one(what)
        text = f"I have not seen {what}{asked.where_words()}"
        sure = min(max(1 - best, 0.5), 0.95)
        return asked.nothing(text, f"Not found: {why}.", sure)

    def _nothing_there(self, asked: Asked) -> Answer:
        sure = 0.9 if self._memory.watermark else 0.99
        return asked.nothing(f"I know of nothing{asked.where_words()}", "No thing was believed to be there.", sure)

    def _told(self, asked: Asked) -> Answer:
        """What captions say: a few are quoted, many are summarised."""
        quoted = self._captions.told(asked)
        return quoted if quoted.count <= _QUOTED else self._regions.told(asked) or quoted

    def _only_told(self, asked: Asked) -> bool:
        """Whether no detector ran on what the question is about, so that captions are all there is."""
        return not len(self._memory.index.views(replace(asked.query, time=None)))

    def _answer(
        self, asked: Asked, found: bool, text: str, sure: float, thing: Thing, seqs: list[int] | tuple[int, ...]
    ) -> Answer:
        evidence = self._evidence(asked, thing, tuple(dict.fromkeys(seqs))[:_EVIDENCE])
        return Answer(
            kind=asked.question.kind, found=found, sentence=say.sentence(text),
            probability=float(np.clip(sure, 0, _SURE)), position=thing.position, extent=thing.extent,
            age_s=(asked.now - thing.last_seen) * 1e-9,
            frame_id=evidence[0].frame_id if evidence else "map", evidence=evidence,
        )  # fmt: skip

    def _evidence(self, asked: Asked, thing: Thing, seqs: tuple[int, ...]) -> tuple[Evidence, ...]:
        result = asked.search(self._memory, replace(asked.query, time=None, seqs=seqs, k=max(len(seqs), 1)))
        found = {hit.record.seq: hit for hit in result.hits}
        return tuple(evidence_of(found[seq], thing.position, thing.score) for seq in seqs if seq in found)

    # --- space and time ----------------------------------------------------------------------------------------

    def _located(self, asked: Asked) -> Located:
        return self._things.locate(asked.question.what, asked.query)

    def _placed(self, things: list[Thing], asked: Asked) -> list[Thing]:
        """The things that stand where the question says."""
        place = asked.question.place
        if place is None:
            return things
        point, radius = asked.point()
        if point is not None:
            return [thing for thing in things if np.linalg.norm(thing.position[:2] - point[:2]) <= radius]
        anchors = self._anchors(asked)
        return [t for t in things if any(holds(place.relation, t.position, a, place.radius) for a in anchors)]

    def _anchors(self, asked: Asked) -> list[Thing]:
        """The things that a place is relative to, wherever one is or was."""
        place = asked.question.place
        if place is None or not place.anchor:
            return []
        if asked.anchors is None:
            things = self._things.locate(place.anchor, replace(asked.query, time=None)).things
            asked.anchors = [thing for thing in things if thing.was_there >= PRESENT]
        return asked.anchors

    def _landmark_words(self, asked: Asked, thing: Thing) -> str:
        query = replace(asked.query, time=None)
        near = self._things.locate_all(query, around=thing.position, radius=2 * NEAR)
        found = landmark(thing, near, is_upright(self._memory.index.views(query)))
        return "" if found is None else f" {found[0]} the {found[1].label},"

    def _map(self, query: Query) -> str:
        """The map whose coordinates the answer is in, as the log stood. Raises UnknownMapError."""
        if query.map_id == EVERY_MAP:
            return query.map_id
        as_of = self._memory.watermark if query.as_of is None else query.as_of
        return self._memory.index.maps_at(as_of).resolve(query.map_id)

    def _pinned(self, as_of: int | None) -> int | None:
        """The number that the whole answer is as of: what is read meanwhile must not be in one half of it only."""
        return self._memory.watermark or None if as_of is None else as_of

    def _stamp_of(self, seq: int) -> int:
        return self._memory.get(seq).observation.stamp_ns
