"""Questions in words, answered from memory with evidence, a probability, and an honest "not found"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError, UnavailableError
from embodied_mem.objects.locate import PRESENT, Located, locate, locate_all
from embodied_mem.objects.things import Thing
from embodied_mem.recall import sentences as say
from embodied_mem.recall.answer import Answer, Evidence
from embodied_mem.recall.grammar import Question, parse
from embodied_mem.recall.patterns import DESCRIBE, FIND, HOW_MANY, IS_THERE, WHEN, WHERE
from embodied_mem.recall.surroundings import NEAR, holds, landmark
from embodied_mem.records.query import EVERY_MAP, Hit, Query, SearchResult
from embodied_mem.records.view import RecordView
from embodied_mem.records.when import parse_when

FloatArray = NDArray[np.float64]
_EVIDENCE = 5  # records named
_HERE = 3.0  # metres: "here" without a radius
_SURE = 0.97  # nothing that was perceived is surer
_SIGHTING = 0.3  # probability from which a place counts as one where the thing once was


class Recall:
    """Answers questions about one memory.

    memory        a RecordView (RecordMemory is one)
    text_threshold  cosine at which a caption is as likely to be the answer as not; semantic search is trusted by a
                  logistic curve around it
    """

    def __init__(self, memory: RecordView, *, text_threshold: float = 0.42) -> None:
        self._memory = memory
        self._text_threshold = text_threshold
        self._kinds: dict[str, Callable[[_Asked], Answer]] = {
            WHERE: self._where, FIND: self._where, WHEN: self._when, HOW_MANY: self._how_many,
            IS_THERE: self._is_there, DESCRIBE: self._describe,
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
        parsed = parse(question)
        time = parse_when(parsed.when, now, self._stamp_of) if parsed.when else None
        asked = _Asked(parsed, Query(map_id=map_id, as_of=as_of, time=time), now, robot_position)
        map_id = self._map(asked.query)
        answer = self._kinds.get(parsed.kind, self._search)(asked)
        return replace(answer, interpretation=str(parsed), map_id=map_id)

    def locate(self, label: str, query: Query | None = None) -> Answer:
        """Where a kind of thing is; the same as asking "where is the ...?", with any filter."""
        if not label.strip():
            raise BadInputError("The label is empty: say what to locate.")
        asked = _Asked(Question(WHERE, label.strip().lower()), query or Query(), self._memory.clock(), None)
        answer = self._where(asked, by_meaning=False)
        return replace(answer, interpretation=str(asked.question), map_id=self._map(asked.query))

    # --- the kinds of questions --------------------------------------------------------------------------------

    def _where(self, asked: _Asked, by_meaning: bool = True) -> Answer:
        located = self._located(asked)
        if not located.labels and by_meaning:
            return self._by_meaning(asked)
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

    def _where_before(self, asked: _Asked, located: Located, things: list[Thing]) -> Answer:
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

    def _when(self, asked: _Asked) -> Answer:
        located = self._located(asked)
        things = [thing for thing in self._placed(located.things, asked) if thing.was_there >= _SIGHTING]
        if not things:
            return (
                self._by_meaning(asked) if not located.labels else self._not_found(asked, located, "it was never seen")
            )
        first = asked.question.tense == "first"
        thing = min(things, key=lambda t: t.first_seen) if first else max(things, key=lambda t: t.last_seen)
        stamp = thing.first_seen if first else thing.last_seen
        text = f"{say.one(thing.label)} was {'first' if first else 'last'} seen {say.ago((asked.now - stamp) * 1e-9)}"
        evidence = thing.evidence[::-1] if first else thing.evidence
        answer = self._answer(asked, True, f"{text}, at {say.place(thing.position)}", thing.was_there, thing, evidence)
        return replace(answer, age_s=(asked.now - stamp) * 1e-9)

    def _how_many(self, asked: _Asked) -> Answer:
        located = self._located(asked)
        past = asked.query.time is not None
        things = [t for t in self._placed(located.things, asked) if (t.was_there if past else t.present) >= PRESENT]
        unsure = [t for t in self._placed(located.things, asked) if 0.1 < (t.was_there if past else t.present) < 0.9]
        sure = float(np.prod([max(t.present, 1 - t.present) for t in unsure])) if unsure else 1.0
        sure *= 0.9 ** max(len(things) - 1, 0)  # each further one may be the same thing seen twice
        text = f"{say.counted(len(things), located.labels[0] if located.labels else asked.question.what)}"
        text = f"there {'is' if len(things) < 2 else 'are'} {text}{self._where_words(asked)}, as far as I have seen"
        if not things:
            missing = self._not_found(asked, located, "none was seen")
            return replace(missing, count=0)
        evidence = [seq for thing in things for seq in thing.evidence[:2]]
        answer = self._answer(asked, True, text, min(sure, _SURE), things[0], evidence)
        return replace(answer, count=len(things), position=things[0].position if len(things) == 1 else None)

    def _is_there(self, asked: _Asked) -> Answer:
        located = self._located(asked)
        if not located.labels:
            return self._by_meaning(asked)
        past = asked.query.time is not None
        things = self._placed(located.things, asked)
        there = [thing for thing in things if (thing.was_there if past else thing.present) >= PRESENT]
        if there:
            thing = max(there, key=lambda t: t.was_there if past else t.present)
            text = f"yes, {say.one(thing.label)} {'was' if past else 'is'}{self._landmark_words(asked, thing)}"
            text += f" at {say.place(thing.position)}, last seen {say.ago((asked.now - thing.last_seen) * 1e-9)}"
            return self._answer(asked, True, text, thing.was_there if past else thing.present, thing, thing.evidence)
        gone = [thing for thing in things if thing.was_there >= PRESENT]
        if gone:
            return self._gone(asked, located, max(gone, key=lambda thing: thing.last_seen))
        elsewhere = located.here
        if elsewhere and asked.question.place is not None:
            thing = elsewhere[0]
            text = (
                f"no, but {say.one(thing.label)} is{self._landmark_words(asked, thing)} at {say.place(thing.position)}"
            )
            answer = self._answer(asked, False, text, thing.present, thing, thing.evidence)
            return replace(answer, position=None, reason=f"None was seen{self._where_words(asked)}.")
        return self._not_found(asked, located, "it was never seen for certain")

    def _describe(self, asked: _Asked) -> Answer:
        past = asked.query.time is not None
        everything = locate_all(self._memory.index, asked.query)
        place = asked.question.place
        anchors = self._anchors(asked) if place is not None and place.anchor else []
        if place is not None and place.anchor and not anchors:
            return self._by_meaning(asked)
        names: list[tuple[str, list[Thing]]] = []
        for located in everything:
            kept = [t for t in self._placed(located.things, asked) if (t.was_there if past else t.present) >= PRESENT]
            kept = [t for t in kept if all(np.linalg.norm(t.position - a.position) > 0.05 for a in anchors)]
            if kept:
                names.append((located.word, kept))
        if not names:
            return self._nothing(
                asked, f"I know of nothing{self._where_words(asked)}", "No thing was believed to be there."
            )
        words = [say.one(name) if len(things) == 1 else say.counted(len(things), name) for name, things in names]
        every = [thing for _, things in names for thing in things]
        text = f"I {'saw' if past else 'know of'} {say.listed(words)}{self._where_words(asked)}"
        sure = float(np.mean([thing.was_there if past else thing.present for thing in every]))
        answer = self._answer(asked, True, text, min(sure, 0.9), every[0], [t.evidence[0] for t in every if t.evidence])
        middle = np.mean([thing.position for thing in every], axis=0)
        where = min((a.position for a in anchors), key=lambda spot: np.linalg.norm(spot - middle), default=None)
        return replace(answer, position=where, extent=None, count=len(every))

    def _search(self, asked: _Asked) -> Answer:
        answer = self._by_meaning(asked)
        return replace(
            answer, reason=f"The question fits no pattern, so captions were searched by meaning. {answer.reason}"
        )

    def _by_meaning(self, asked: _Asked) -> Answer:
        """Semantic search over captions, for what no detector has a label for."""
        q = asked.question
        words = " ".join(part for part in (q.what, q.place.anchor if q.place else "") if part)
        if not words:
            return self._nothing(asked, f"I know of nothing{self._where_words(asked)}", "Nothing was detected there.")
        by_text = replace(asked.query, text=words, k=_EVIDENCE, min_score=-1.0)
        point, radius = self._point(asked)
        if point is not None:
            by_text = replace(by_text, center=point, radius=radius)
        try:
            result = self._query(asked, by_text)
        except UnavailableError as error:
            return self._nothing(asked, f"I have not seen {say.one(q.what or words)}", str(error))
        hits = [hit for hit in result.hits if self._trust(hit.score) >= PRESENT and not _detected_other(hit, words)]
        if not hits:
            best = f"; the closest caption scores {result.hits[0].score:.2f}" if result.hits else ""
            reason = result.reason or f"No caption is close enough to {words!r}{best}."
            return self._nothing(asked, f"I have not seen {say.one(q.what or words)}", reason)
        hit = hits[0]
        caption = hit.record.observation.caption
        text = (
            f"the best match for {words!r} is at {say.place(hit.position)}, {say.ago(hit.age_s)}: {_snippet(caption)}"
        )
        return Answer(
            kind=q.kind, found=True, sentence=say.sentence(text), probability=self._trust(hit.score),
            position=hit.position,
            age_s=hit.age_s, frame_id=hit.record.observation.frame_id,
            reason=f"Found by the meaning of captions, score {hit.score:.2f}.", exact=result.exact,
            evidence=tuple(_evidence_of(hit) for hit in hits),
        )  # fmt: skip

    # --- answers -----------------------------------------------------------------------------------------------

    def _found_at(self, asked: _Asked, located: Located, thing: Thing, sure: float, verb: str) -> Answer:
        text = f"the {thing.label} {verb}{self._landmark_words(asked, thing)} at {say.place(thing.position)}"
        text += f", last seen {'there ' if verb == 'was' else ''}{say.ago((asked.now - thing.last_seen) * 1e-9)}"
        others = len(located.here) - 1
        if verb == "is" and others > 0:
            text += f" ({say.counted(others, 'other')} elsewhere)".replace("others", "others")
        answer = self._answer(asked, True, text, sure, thing, thing.evidence)
        return replace(
            answer, reason=f"Detected {thing.hits} times in {thing.looks} views; state: {located.state(thing)}."
        )

    def _gone(self, asked: _Asked, located: Located, thing: Thing) -> Answer:
        noticed = (
            "" if thing.missed_ns is None else f", not there since {say.ago((asked.now - thing.missed_ns) * 1e-9)}"
        )
        seen = say.ago((asked.now - thing.last_seen) * 1e-9)
        text = f"the {thing.label} was at {say.place(thing.position)} {seen}{noticed}"
        answer = self._answer(asked, False, text, 1 - thing.still_there, thing, thing.evidence)
        return replace(
            answer, position=None, extent=None, reason="Not found: its last known place was seen without it."
        )

    def _not_found(self, asked: _Asked, located: Located, why: str) -> Answer:
        best = max((thing.present for thing in located.things), default=0.0)
        text = f"I have not seen {say.one(asked.question.what)}{self._where_words(asked)}"
        sure = min(max(1 - best, 0.5), 0.95)
        missing = self._nothing(asked, text, f"Not found: {why}.")
        return replace(missing, probability=sure)

    def _nothing(self, asked: _Asked, text: str, reason: str) -> Answer:
        reason = reason if reason.startswith("Not found") else f"Not found: {reason[:1].lower()}{reason[1:]}"
        return Answer(
            asked.question.kind, False, say.sentence(text), 0.9 if self._memory.watermark else 0.99, reason=reason
        )

    def _answer(
        self, asked: _Asked, found: bool, text: str, sure: float, thing: Thing, seqs: list[int] | tuple[int, ...]
    ) -> Answer:
        evidence = self._evidence(asked, thing, tuple(dict.fromkeys(seqs))[:_EVIDENCE])
        return Answer(
            kind=asked.question.kind, found=found, sentence=say.sentence(text),
            probability=float(np.clip(sure, 0, _SURE)), position=thing.position, extent=thing.extent,
            age_s=(asked.now - thing.last_seen) * 1e-9,
            frame_id=evidence[0].frame_id if evidence else "map", evidence=evidence,
        )  # fmt: skip

    def _evidence(self, asked: _Asked, thing: Thing, seqs: tuple[int, ...]) -> tuple[Evidence, ...]:
        result = self._query(asked, replace(asked.query, time=None, seqs=seqs, k=max(len(seqs), 1)))
        found = {hit.record.seq: hit for hit in result.hits}
        return tuple(_evidence_of(found[seq], thing.position, thing.score) for seq in seqs if seq in found)

    # --- space and time ----------------------------------------------------------------------------------------

    def _located(self, asked: _Asked) -> Located:
        return locate(self._memory.index, asked.question.what, asked.query)

    def _placed(self, things: list[Thing], asked: _Asked) -> list[Thing]:
        """The things that stand where the question says."""
        place = asked.question.place
        if place is None:
            return things
        point, radius = self._point(asked)
        if point is not None:
            return [thing for thing in things if np.linalg.norm(thing.position[:2] - point[:2]) <= radius]
        anchors = self._anchors(asked)
        return [t for t in things if any(holds(place.relation, t.position, a, place.radius) for a in anchors)]

    def _anchors(self, asked: _Asked) -> list[Thing]:
        """The things that a place is relative to, wherever one is or was."""
        place = asked.question.place
        if place is None or not place.anchor:
            return []
        if asked.anchors is None:
            things = locate(self._memory.index, place.anchor, replace(asked.query, time=None)).things
            asked.anchors = [thing for thing in things if thing.was_there >= PRESENT]
        return asked.anchors

    def _point(self, asked: _Asked) -> tuple[FloatArray | None, float]:
        """The point that a place means without an anchor, and the radius around it."""
        place = asked.question.place
        if place is None or place.anchor:
            return None, 0.0
        if place.point is not None:
            return np.array(place.point), place.radius or NEAR
        if asked.robot is None:
            raise BadInputError("The question says 'here', but where the robot is was not given.")
        return asked.robot, place.radius or _HERE

    def _where_words(self, asked: _Asked) -> str:
        place = asked.question.place
        if place is None:
            return ""
        reach = f"within {place.radius:g} m of" if place.radius else place.relation
        if place.relation == "here":
            return " here"
        return f" {reach} {say.the(place.anchor) if place.anchor else say.place(np.array(place.point))}"

    def _landmark_words(self, asked: _Asked, thing: Thing) -> str:
        near = locate_all(self._memory.index, replace(asked.query, time=None), around=thing.position, radius=2 * NEAR)
        found = landmark(thing, near)
        return "" if found is None else f" {found[0]} the {found[1].label},"

    def _map(self, query: Query) -> str:
        """The map whose coordinates the answer is in, as the log stood. Raises UnknownMapError."""
        if query.map_id == EVERY_MAP:
            return query.map_id
        as_of = self._memory.watermark if query.as_of is None else query.as_of
        return self._memory.index.maps_at(as_of).resolve(query.map_id)

    def _query(self, asked: _Asked, query: Query) -> SearchResult:
        """The result of a search, with ages that count from when the question is asked."""
        result = self._memory.query(query)
        aged = [replace(hit, age_s=(asked.now - hit.record.last_seen_ns) * 1e-9) for hit in result.hits]
        return replace(result, hits=aged)

    def _trust(self, score: float) -> float:
        return float(1 / (1 + np.exp(-(score - self._text_threshold) / 0.05)) * 0.9)

    def _stamp_of(self, seq: int) -> int:
        return self._memory.get(seq).observation.stamp_ns


class _Asked:
    """A question with what it is asked against."""

    def __init__(self, question: Question, query: Query, now: int, robot: FloatArray | None) -> None:
        self.question, self.query, self.now = question, query, now
        self.anchors: list[Thing] | None = None  # once they are known
        self.robot = None if robot is None else np.asarray(robot, dtype=np.float64)
        if self.robot is not None and (self.robot.shape != (3,) or not np.isfinite(self.robot).all()):
            raise BadInputError("The robot's position must be 3 finite numbers; leave it out when it is not known.")


def _evidence_of(hit: Hit, position: FloatArray | None = None, score: float | None = None) -> Evidence:
    obs = hit.record.observation
    return Evidence(
        seq=hit.record.seq, stamp_ns=obs.stamp_ns, map_id=hit.map_id, frame_id=obs.frame_id,
        sensor_position=obs.position, sensor_orientation=obs.orientation,
        position=hit.position if position is None else position,
        score=hit.score if score is None else score, age_s=hit.age_s, caption=obs.caption,
        labels=tuple(dict.fromkeys(obs.detections.labels)),
    )  # fmt: skip


def _detected_other(hit: Hit, words: str) -> bool:
    """Whether the caption was made from detections: what those do not name was not seen, however alike the words."""
    labels = hit.record.observation.detections.labels
    return bool(labels) and not any(label in words for label in labels)


def _snippet(caption: str) -> str:
    return caption if len(caption) <= 160 else caption[:157].rsplit(" ", 1)[0] + "..."
