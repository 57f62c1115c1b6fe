"""Tasks in six suites, in the style of RoboCerebra (NeurIPS 2025) but in this house: drawn from seeds, and plain data.

Ideal                  the instruction says where things are, and nothing goes wrong
Random Disturbance     things are pushed by up to 0.15 m as they are grasped, grasps slip, things are put elsewhere
Observation Mismatch   the world is ahead of what the instruction says: opened, taken out, brought there already
Memory Exploration     find out where things are; yesterday's tour is in memory, some were moved since
Memory Execution       a tour has just shown what is inside of what; then things are asked for without saying where
Mix                    two instructions in a row with all of that, doors that people shut, and grips that fail
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from embodied_mem.planner.facts import Fact
from sim.house.chores.building import Building
from sim.house.chores.world import Event, Item, World
from sim.house.objects import KINDS

SUITES = (
    "Ideal", "Random Disturbance", "Observation Mismatch", "Memory Exploration", "Memory Execution", "Mix",
)  # fmt: skip
LABELS = tuple(kind.label for kind in KINDS)
_STORED = {
    "apple": ("fridge",), "bottle": ("fridge",), "bowl": ("fridge", "cabinet"), "towel": ("wardrobe",),
    "hat": ("wardrobe",), "backpack": ("wardrobe",), "pillow": ("wardrobe",), "mug": ("sideboard",),
    "teddy bear": ("wardrobe",), "basketball": ("wardrobe",), "helmet": ("wardrobe",), "toy car": ("wardrobe",),
}  # fmt: skip
# Where such things usually are: what everyone knows, given to every arm.
TYPICAL = {kind.label: tuple(p for p in kind.places if p != "floor") + _STORED.get(kind.label, ()) for kind in KINDS}
_ITEMS = 22
_HIDDEN = 0.3  # share of the things that are inside of something
_MOVED = 0.35  # share that people put elsewhere over night
_PUSH = 0.15  # metres


@dataclass(frozen=True)
class Task:
    """All that makes a task, as plain values: the same data give the same task.

    house      seed of the building; luck: seed of everything that happens
    sizes      label -> size of each thing
    yesterday, today   label -> (relation, place)
    grips      label -> (top, side): how often each grip succeeds, where not always
    opened     containers and shut doors that are not as they usually are: name -> shut
    tour       containers that are opened and looked into, and places, on a tour before the task
    """

    suite: str
    seed: int
    index: int
    house: int
    luck: int
    sizes: dict[str, tuple[float, float, float]]
    yesterday: dict[str, tuple[str, str]]
    today: dict[str, tuple[str, str]]
    instructions: tuple[str, ...]
    goals: tuple[tuple[str, ...], ...]
    grips: dict[str, tuple[float, float]] = field(default_factory=dict)
    states: dict[str, bool] = field(default_factory=dict)
    events: tuple[dict[str, Any], ...] = ()
    tour: tuple[str, ...] = ()
    start: str = ""

    @property
    def text(self) -> str:
        """The task as text, always the same."""
        return json.dumps(asdict(self), sort_keys=True)


def digest(tasks: Sequence[Task]) -> str:
    """SHA-256 of some tasks."""
    return hashlib.sha256("\n".join(task.text for task in tasks).encode()).hexdigest()


@lru_cache(maxsize=16)
def building(seed: int) -> Building:
    """A house, made once."""
    return Building.generate(seed)


def world_of(task: Task, layout: str = "today", arm_luck: int = 0, clock: Callable[[], int] | None = None) -> World:
    """The world at the beginning of a task. `arm_luck`: the same for all arms, for paired comparisons."""
    made = building(task.house)
    items = []
    for label, size in task.sizes.items():
        top, side = task.grips.get(label, (1.0, 1.0))
        items.append(Item(label, size, TYPICAL[label], np.zeros(3), grips={"top": top, "side": side}))
    world = World(made, items, np.random.default_rng([task.luck, arm_luck]), classes=LABELS, clock=clock)
    rng = np.random.default_rng([task.luck, 77])
    for label, (relation, place) in (task.today if layout == "today" else task.yesterday).items():
        world.lay(label, relation, place, rng)
    if layout == "today":
        world.shut |= task.states
        world.events = [Event(**event) for event in task.events]
        world.place_robot(task.start)
    return world


class _Draw:
    """Draws one task."""

    def __init__(self, suite: str, seed: int, index: int) -> None:
        self.rng = np.random.default_rng([SUITES.index(suite), seed, index])
        self.suite, self.seed, self.index = suite, seed, index
        self.house = 10 * seed + index % 2
        self.book = building(self.house).book
        here = {place.label for place in self.book.places}
        fits = [label for label in LABELS if set(TYPICAL[label]) & here]
        self.labels = [fits[i] for i in sorted(self.rng.permutation(len(fits))[:_ITEMS])]
        self.sizes = {label: tuple(np.round(self.rng.uniform(0.09, 0.16, 3), 3).tolist()) for label in self.labels}
        self.room_left = {place.name: 3 for place in self.book.places}
        self.yesterday = {label: self._somewhere(label) for label in self.labels}
        self.today = dict(self.yesterday)
        for label in self.labels:
            if self.rng.random() < _MOVED:
                self.today[label] = self._somewhere(label, apart=self.today[label][1])
        self.events: list[dict[str, Any]] = []
        self.grips: dict[str, tuple[float, float]] = {}
        self.states: dict[str, bool] = {}
        self.tour: tuple[str, ...] = ()

    def _somewhere(self, label: str, apart: str = "", hidden: float = _HIDDEN) -> tuple[str, str]:
        inside = bool(self.rng.random() < hidden)
        fits = [p for p in self.book.places if p.name != apart and (p.container if inside else p.surface)]
        roomy = [p for p in fits if self.room_left[p.name] > 0] or fits
        usual = [p for p in roomy if p.label in TYPICAL[label]] or roomy
        name = usual[int(self.rng.integers(len(usual)))].name
        self.room_left[name] -= 1
        return ("in" if inside else "on"), name

    def things(self, count: int, hidden: int = 0) -> list[str]:
        """Labels to ask for, `hidden` of them inside of something."""
        order = [self.labels[i] for i in self.rng.permutation(len(self.labels))]
        inside = [label for label in order if self.today[label][0] == "in"][:hidden]
        return (inside + [label for label in order if label not in inside and self.today[label][0] == "on"])[:count]

    def target(self, label: str, container: float = 0.3) -> tuple[str, str]:
        """Where to bring something: not where it is."""
        inside = bool(self.rng.random() < container)
        fits = [p for p in self.book.places if (p.container if inside else p.surface)]
        found = [p.name for p in fits if p.name != self.today[label][1]]
        roomy = [name for name in found if self.room_left[name] > 0] or found
        name = roomy[int(self.rng.integers(len(roomy)))]
        self.room_left[name] -= 1
        return ("in" if inside else "on"), name

    def bring(self, labels: Sequence[str], say: bool) -> tuple[str, list[str]]:
        """An instruction to bring things somewhere, and its goal. `say`: where they are."""
        clauses, goal = [], []
        for label in labels:
            relation, place = self.target(label)
            lies, here = self.today[label]
            source = f" {'out of' if lies == 'in' else 'off'} the {here}" if say else ""
            clauses.append(f"put the {label}{source} {relation} the {place}")
            goal.append(str(Fact(relation, (label, place))))
            if relation == "in":
                clauses.append(f"close the {place}")
                goal.append(str(Fact("shut", (place,))))
        return ", and ".join(clauses), sorted(set(goal))

    def find(self, labels: Sequence[str]) -> tuple[str, list[str]]:
        words = ", and ".join(f"find out where the {label} is" for label in labels)
        return words, sorted(str(Fact("seen", (label,))) for label in labels)

    def disturb(self, labels: Sequence[str], moves: float) -> None:
        """Pushes as things are grasped, slippery things, and people who put one elsewhere."""
        for label in labels:
            by = self.rng.uniform(-_PUSH, _PUSH, 2).round(3).tolist()
            if self.rng.random() < 0.6:
                self.events.append({"at_s": 0.0, "kind": "nudge", "name": label, "by": tuple(by), "seen": True})
            if self.rng.random() < 0.4:
                self.grips[label] = (0.6, 0.6)
            if self.rng.random() < moves:
                relation, place = self._somewhere(label, apart=self.today[label][1], hidden=0.0)
                when = round(float(self.rng.uniform(5, 40)), 1)
                self.events.append({"at_s": when, "kind": "move", "name": label, "relation": relation, "place": place})

    def ahead(self, labels: Sequence[str], goal: Sequence[str]) -> None:
        """Let the world be ahead of the instruction, which was made from how it was."""
        for label in labels:
            relation, place = self.today[label]
            fate = self.rng.random()
            wanted = next((Fact.parse(g) for g in goal if Fact.parse(g).arguments[0] == label), None)
            if fate < 0.25 and wanted is not None:
                self.today[label] = (wanted.name, wanted.arguments[1])
            elif fate < 0.5 and relation == "in":
                self.states[place] = False
            elif fate < 0.75:
                room = self.book.room_of[place]
                near = [p.name for p in self.book.places if p.surface and p.room == room and p.name != place]
                if near:
                    self.today[label] = ("on", near[int(self.rng.integers(len(near)))])
                    self.states |= {place: False} if relation == "in" else {}
        for item in map(Fact.parse, goal):
            if item.name == "shut" and self.rng.random() < 0.4:
                self.states[item.arguments[0]] = False

    def made(self, spoken: Sequence[tuple[str, list[str]]]) -> Task:
        spots = [place.name for place in self.book.places]
        return Task(
            self.suite, self.seed, self.index, self.house, int(self.rng.integers(2**31)), self.sizes, self.yesterday,
            self.today, tuple(words for words, _ in spoken), tuple(tuple(goal) for _, goal in spoken), self.grips,
            self.states, tuple(self.events), self.tour, spots[int(self.rng.integers(len(spots)))],
        )  # fmt: skip


def make_task(suite: str, seed: int, index: int) -> Task:
    """Task number `index` of a suite under a seed."""
    draw = _Draw(suite, seed, index)
    if suite == "Memory Exploration":
        return draw.made([draw.find(draw.things(3, hidden=1))])
    if suite == "Memory Execution":
        labels = draw.things(3, hidden=2)
        boxes = [draw.today[label][1] for label in labels]
        others = [p.name for p in draw.book.places if p.name not in boxes]
        more = [others[i] for i in draw.rng.permutation(len(others))[:4]]
        order = [*boxes, *more]
        draw.tour = tuple(dict.fromkeys(order[i] for i in draw.rng.permutation(len(order))))
        return draw.made([draw.bring(labels[:2], say=False), draw.bring(labels[2:], say=False)])
    if suite == "Mix":
        labels = draw.things(4, hidden=2)
        spoken = [draw.find(labels[:1]), draw.bring(labels[1:3], say=False), draw.bring([labels[0]], say=False)]
        draw.disturb(labels[:3], moves=0.25)
        for door in draw.book.doors:
            if draw.rng.random() < 0.3:
                draw.states[door.name] = True
        if draw.rng.random() < 0.5:
            draw.grips[labels[1]] = (0.1, 0.95)
        return draw.made(spoken)
    labels = draw.things(3, hidden=1)
    words, goal = draw.bring(labels, say=True)
    if suite == "Random Disturbance":
        draw.disturb(labels, moves=0.3)
    elif suite == "Observation Mismatch":
        draw.ahead(labels, goal)
    return draw.made([(words, goal)])


def make_suite(suite: str, seeds: Sequence[int], each: int) -> list[Task]:
    """A suite: `each` tasks under each seed."""
    return [make_task(suite, seed, index) for seed in seeds for index in range(each)]
