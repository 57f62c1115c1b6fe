"""All that System 2 knows, as a view of the log: what is seen now, what memory holds, what was done before.

`Uses` says which kinds of memory count; what is seen at the moment always does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from embodied_mem.objects.locate import Located
from embodied_mem.planner.beliefs import Belief, mixed, prior_of, updated
from embodied_mem.planner.experience import DONE, SENSOR, Experience, StepRecord
from embodied_mem.planner.facts import Fact, Facts, fact
from embodied_mem.planner.household import OPPOSITES
from embodied_mem.planner.monitor import Judgement
from embodied_mem.planner.places import HERE, PlaceBook
from embodied_mem.planner.sightings import Glimpse, Sightings, newest
from embodied_mem.records.entry import Entry
from embodied_mem.records.observation import Observation

FloatArray = NDArray[np.float64]
_S = 1_000_000_000
_TRUE, _FALSE = 0.9, 0.1  # probabilities from which something counts as so, or as not so
_TOLD = 0.85  # how far people are believed who say where something is
_LEAST = 0.03  # presence below which memory's things are not told of
_OLD_LOOK_S = 1800.0  # seconds in which a look in vain loses most of its weight: people carry things about


class ObjectMemory(Protocol):
    """Where things are by memory: `objects.view.ObjectView` is one."""

    def locate(self, word: str, map_id: str = "", now_ns: int | None = None, limit: int | None = None) -> Located: ...


@dataclass(frozen=True, slots=True)
class Uses:
    """Which kinds of memory are used.

    steps     the list of steps done, with their outcomes
    objects   where things were seen, by object memory, and how what opens was seen
    space     which places were looked at without finding something; ways by the graph of places
    episodes  where things used to be, how often skills succeeded, how long they took
    fresh_s   seconds for which what was seen counts as seen now
    """

    steps: bool = True
    objects: bool = True
    space: bool = True
    episodes: bool = True
    fresh_s: float = 15.0


@dataclass(eq=False)
class Knowledge:
    """See the module docstring. Not safe for threads: one owner.

    typical  thing -> kinds of places where people usually put it; a thing that is not named may be anywhere
    sure     probability from which a thing's place is taken for known
    """

    book: PlaceBook
    objects: ObjectMemory | None = None
    uses: Uses = field(default_factory=Uses)
    typical: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sure: float = 0.8
    sightings: Sightings = field(init=False)
    experience: Experience = field(init=False)

    def __post_init__(self) -> None:
        self.sightings = Sightings(self.book)
        self.experience = Experience()
        self.now_ns = 0
        self.version = 0  # raised by whatever may change a judgement
        self.watermark = 0
        self.begun_ns = 0  # when the current task began
        self.shown: dict[str, int] = {}  # when each thing was last detected at a known place
        self.told: Facts = frozenset()
        self.claimed: StepRecord | None = None  # what the controller says that it has just done
        self._beliefs: dict[str, tuple[int, Belief]] = {}
        self._habits: dict[str, tuple[int, dict[int, float]]] = {}

    def apply(self, entries: Sequence[Entry]) -> None:
        """Read entries of the log, in order."""
        for entry in entries:
            if entry.seq <= self.watermark:
                continue
            self.watermark = entry.seq
            obs = entry.observation
            glimpse = self.sightings.again(entry.about, entry.stamp_ns) if entry.about else None
            if obs is not None and obs.sensor_id == SENSOR:
                self.now_ns = max(self.now_ns, obs.stamp_ns)
                self.experience.read(entry.seq, obs)
            elif obs is not None:
                glimpse = self.sightings.read(entry.seq, obs)
            if glimpse is not None:
                self.now_ns = max(self.now_ns, glimpse.stamp_ns)
                self.shown |= {thing: glimpse.stamp_ns for thing, (region, _) in glimpse.things.items() if region >= 0}
            self.version += 1

    def note(self, obs: Observation) -> None:
        """Know at once what is about to be logged."""
        self.experience.read(0, obs)
        self.version += 1

    def begin(self, now_ns: int, told: Facts = frozenset()) -> None:
        """A task begins: from now on, to find a thing is to see it. `told`: where things are, as somebody says."""
        self.told = told
        self.begun_ns, self.now_ns = now_ns, max(self.now_ns, now_ns)
        if not self.uses.episodes:
            self.experience.forget_rates()
        self.version += 1

    def claim(self, record: StepRecord | None) -> None:
        """The controller says that it has just handled something; None: this has been looked at."""
        claimed = record if record is not None and record.action.name in _HANDLES else None
        if claimed is not self.claimed:
            self.claimed = claimed
            self.version += 1

    # --- the robot itself --------------------------------------------------------------------------------------

    @property
    def last(self) -> Glimpse | None:
        """The newest glimpse."""
        return self.sightings.glimpses[-1] if self.sightings.glimpses else None

    @property
    def spot(self) -> str:
        """Where the robot stands, `here` when that is no named spot."""
        last = self.last
        if last is None:
            return HERE
        stated = next((item.arguments[0] for item in last.reports if item.name == "at"), "")
        return (
            stated
            if stated in self.book.spots
            else self.book.nearest_spot(float(last.position[0]), float(last.position[1]), 0.3) or HERE
        )

    @property
    def held(self) -> str:
        """What the hand holds, "" for nothing."""
        for glimpse in reversed(self.sightings.glimpses[-5:]):
            for item in glimpse.reports:
                if item.name in ("holding", "hand_empty"):
                    return item.arguments[0] if item.arguments else ""
        return ""

    # --- where things are --------------------------------------------------------------------------------------

    def belief(self, thing: str) -> Belief:
        """Where a thing is."""
        kept = self._beliefs.get(thing)
        if kept is None or kept[0] != self.version:
            kept = self.version, self._believe(thing)
            self._beliefs[thing] = kept
        return kept[1]

    def _believe(self, thing: str) -> Belief:
        n = len(self.book.regions)
        if self.held == thing:
            return Belief(thing, np.zeros(n), why=f"the robot holds the {thing}")
        fresh = self.sightings.since(self._horizon)
        known, position, region, evidence, why = self._remembered(thing)
        prior = prior_of(thing, self.book, self.typical, self._habit(thing) if self.uses.episodes else {})
        probability, _ = mixed(known, prior, self._doubts(thing))
        hits, misses, shown = self._counted(thing, fresh)
        probability = updated(probability, hits, misses)
        now = shown is not None
        if shown is not None:
            region, position = shown.things[thing]
            evidence, why = (shown.seq, *evidence), f"the {thing} was just seen"
        return Belief(thing, probability, region, position, evidence[:8], why, now)

    def _counted(
        self, thing: str, fresh: Sequence[Glimpse]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Glimpse | None]:
        """How often fresh frames showed a thing at each region, or showed the region without it since; the last hit."""
        n = len(self.book.regions)
        hits, misses = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        shown = None
        for glimpse in fresh:
            region = glimpse.things.get(thing, (-1, None))[0]
            if region >= 0:
                shown = glimpse
                misses[region] = 0
                hits[:region], hits[region + 1 :] = 0, 0
                hits[region] += 1
            elif glimpse.looked:
                misses += glimpse.covered
        hits[misses > 2] = 0
        if shown is not None and not hits.any():
            shown = None
        return hits, misses, shown

    def _remembered(self, thing: str) -> tuple[FloatArray, FloatArray | None, int, tuple[int, ...], str]:
        """(regions,) probabilities by memory, the place of the likeliest one, its region, evidence, and why."""
        n = len(self.book.regions)
        known = np.zeros(n)
        position: FloatArray | None = None
        evidence: tuple[int, ...] = ()
        region, why = -1, f"nothing is known of the {thing}"
        if self.uses.objects and self.objects is not None:
            best = 0.0
            for found in self.objects.locate(thing, now_ns=self.now_ns).things[:6]:
                at = int(self.book.places_at(found.position[None])[0])
                if at < 0 or found.present < _LEAST:
                    continue
                known[at] = 1 - (1 - known[at]) * (1 - found.present)
                if found.present > best:
                    best, position, region, evidence = found.present, found.position, at, found.evidence
                    age = max(self.now_ns - found.last_seen, 0) / _S
                    why = f"the {thing} was last seen {age:.0f} s ago"
        if self.shown.get(thing, 0) < self.begun_ns and (said := self._said(thing)):
            known *= (1 - _TOLD) / max(float(known.sum()), 1.0)
            for at in said:
                known[at] += _TOLD / len(said)
            why = f"somebody said where the {thing} is"
        done = self._handled(thing)
        if done is not None and self.shown.get(thing, 0) <= done.stamp_ns:
            known, position, region = np.zeros(n), None, -1
            evidence, why = (done.seq,), f"the robot itself did {done.action}"
            name = _LIES.get(done.action.name)
            if name and (lies := Fact(name, ("", done.action.arguments[1]))) in self.book.regions:
                region = self.book.regions.index(lies)
                known[region] = 0.95
        return known, position, region, evidence, why

    def _said(self, thing: str) -> list[int]:
        """Regions where a thing is by what was said when the task began, and that were not seen without it since."""
        empty: dict[int, int] = {}
        for glimpse in self.sightings.since(max(self.begun_ns, 0 if self.uses.steps else self._horizon)):
            for at in np.flatnonzero(glimpse.covered):
                empty[int(at)] = empty.get(int(at), 0) + 1
        regions = self.book.regions
        said = (
            regions.index(r)
            for f in self.told
            if f.arguments[0] == thing and (r := Fact(f.name, ("", f.arguments[1]))) in regions
        )
        return sorted(at for at in said if empty.get(at, 0) < 2)

    @property
    def _horizon(self) -> int:
        """The time from which on what was seen counts as seen now."""
        return self.now_ns - round(self.uses.fresh_s * _S)

    def _handled(self, thing: str) -> StepRecord | None:
        """The last time that the robot itself took a thing up or put it down, as far as it remembers."""
        if self.claimed is not None and self.claimed.action.arguments[:1] == (thing,):
            return self.claimed
        if not self.uses.steps:
            return None
        for step in reversed(self.experience.steps):
            if step.outcome == DONE and step.action.arguments[:1] == (thing,) and step.action.name in _HANDLES:
                return step
        return None

    def _doubts(self, thing: str) -> FloatArray:
        """(regions,) how much of the prior is left after looks that did not find the thing."""
        left = np.ones(len(self.book.regions))
        if self.uses.steps:
            for i, region in enumerate(self.book.regions):
                look = Fact("look" if region.name == "on" else "look_in", (thing, region.arguments[1]))
                left[i] *= 0.03 ** min(self.experience.in_vain(look, self.begun_ns), 2)
        if self.uses.space:
            left *= self._searched(thing)
        return left

    def _searched(self, thing: str) -> FloatArray:
        """(regions,) how much is left after frames that showed a region and not the thing; old ones count less."""
        misses = np.zeros(len(self.book.regions))
        newest_ns = np.zeros(len(self.book.regions))
        for glimpse in self.sightings.glimpses:
            if not glimpse.looked:
                continue
            misses += glimpse.covered
            newest_ns[glimpse.covered] = glimpse.stamp_ns
            region = glimpse.things.get(thing, (-1, None))[0]
            if region >= 0:
                misses[region] = 0
        age = np.where(newest_ns > 0, (self.now_ns - newest_ns) / _S, np.inf)
        weight = np.exp(-age / _OLD_LOOK_S)
        seen = 1 - 0.12 ** np.minimum(misses, 5)
        return 1 - seen * weight

    def _habit(self, thing: str) -> dict[int, float]:
        """Region -> how often the thing was found there before."""
        kept = self._habits.get(thing)
        if kept is not None and kept[0] == self.begun_ns:
            return kept[1]
        counts: dict[int, float] = {}
        if self.objects is not None:
            for found in self.objects.locate(thing, now_ns=self.now_ns).things:
                at = int(self.book.places_at(found.position[None])[0])
                if at >= 0 and found.was_there > 0.5 and found.hits > 1:
                    counts[at] = counts.get(at, 0.0) + 1.0
        for step in self.experience.steps:
            if step.outcome == DONE and step.action.name in ("pick", "take_out") and step.action.arguments[0] == thing:
                region = fact("on" if step.action.name == "pick" else "in", "", step.action.arguments[1])
                if region in self.book.regions:
                    at = self.book.regions.index(region)
                    counts[at] = counts.get(at, 0.0) + 1.0
        self._habits[thing] = self.begun_ns, counts
        return counts

    # --- judgements --------------------------------------------------------------------------------------------

    def judge(self, item: Fact) -> Judgement:
        """Whether a fact holds, as far as is known, with the evidence."""
        if item.name in ("on", "in"):
            return self._judge_place(item)
        if item.name == "located":
            return self._judge_located(item)
        if item.name == "seen":
            return self._judge_seen(item)
        if item.name == "at":
            return self._certain(item, self.spot == item.arguments[0], "by its own localisation")
        if item.name in ("holding", "hand_empty"):
            held = self.held
            return self._certain(item, held == (item.arguments[0] if item.arguments else ""), "by its hand")
        return self._judge_state(item)

    def _certain(self, item: Fact, holds: bool, why: str) -> Judgement:
        seq = () if self.last is None else (self.last.seq,)
        return Judgement(item, holds, 0.99 if holds else 0.01, seq, why)

    def _judge_place(self, item: Fact) -> Judgement:
        belief = self.belief(item.arguments[0])
        p = belief.of(item, self.book)
        truth = True if p >= _TRUE else False if p <= _FALSE else None
        return Judgement(item, truth, p, belief.evidence, belief.why)

    def _judge_located(self, item: Fact) -> Judgement:
        thing = item.arguments[0]
        if self.held == thing:
            return Judgement(item, True, 1.0, (), "the robot holds it")
        belief = self.belief(thing)
        return Judgement(item, belief.sure >= self.sure, belief.sure, belief.evidence, belief.why)

    def _judge_seen(self, item: Fact) -> Judgement:
        thing = item.arguments[0]
        seen = self.shown.get(thing, 0) >= self.begun_ns or self.held == thing
        belief = self.belief(thing)
        return Judgement(
            item, seen and (belief.sure >= self.sure or self.held == thing), belief.sure, belief.evidence, belief.why
        )

    def _judge_state(self, item: Fact) -> Judgement:
        """What opens or runs: by the last report, or by what the robot itself did since."""
        other = Fact(OPPOSITES[item.name], item.arguments)
        horizon = 0 if self.uses.objects else self._horizon
        found = newest(self.sightings.since(horizon), {item, other})
        stamp = found[0].stamp_ns if found else 0
        if self.uses.steps:
            for step in reversed(self.experience.steps):
                if step.outcome == DONE and step.action.arguments[:1] == item.arguments and step.stamp_ns > stamp:
                    made = _MAKES.get(step.action.name)
                    if made in (item.name, other.name):
                        holds = made == item.name
                        return Judgement(item, holds, 0.95 if holds else 0.05, (step.seq,), "the robot did that itself")
        if found is None:
            usual = item.name in ("shut", "door_open", "idle")
            return Judgement(item, None, 0.85 if usual else 0.15, (), "nobody has looked; that is how it usually is")
        holds = found[1] == item
        return Judgement(item, holds, 0.97 if holds else 0.03, (found[0].seq,), "so it was seen last")


_LIES = {"put_on": "on", "put_in": "in"}
_HANDLES = ("pick", "take_out", *_LIES)
_MAKES = {"open": "open", "close": "shut", "open_door": "door_open", "close_door": "door_shut", "turn_on": "running",
          "turn_off": "idle"}  # fmt: skip
