"""The robot of bench/street: what it perceives as it drives, what each arm keeps, how it drives an episode."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from embodied_mem.instructions.follower import Choice, Follower
from embodied_mem.instructions.instruction import Instruction, Phrase
from embodied_mem.instructions.memory import Places, Streets
from embodied_mem.instructions.names import NameIndex
from sim.street.graph import TouchdownGraph
from sim.street.landmarks import RANGE_M, Landmarks, Noise
from sim.street.navigator import Action, Navigator

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]
LEAST_SIMILAR = 0.45
LOOKED_WELL = 3  # looks from within _CLOSE_M: what was not seen then does not stand there
_CLOSE_M = 30.0
MOST_ACTIONS = 55  # forward, left, right and stop, as in the published evaluations


class City:
    """The street graph with what stands along it, and what can be perceived from each node. Memory never sees this."""

    def __init__(self, graph: TouchdownGraph, landmarks: Landmarks, noise: Noise | None = None) -> None:
        self.graph, self.landmarks, self.noise = graph, landmarks, noise or Noise()
        self.ends = np.ascontiguousarray(graph.links[:, 1])
        self.names = NameIndex(landmarks.names, landmarks.classes)
        self.navigator = Navigator(graph)
        self._similar: dict[Phrase, FloatArray] = {}

    @cached_property
    def near(self) -> list[IntArray]:
        """For each node the landmarks within reach."""
        found = cKDTree(self.landmarks.xy).query_ball_point(self.graph.xy, RANGE_M)
        return [np.array(sorted(rows), dtype=np.int64) for rows in found]

    @cached_property
    def sight(self) -> list[IntArray]:
        """For each node the street nodes that it can see: within reach, and connected to it through such nodes."""
        g, seen = self.graph, []
        for node, close in enumerate(cKDTree(g.xy).query_ball_point(g.xy, RANGE_M)):
            allowed, reached, queue = set(close), {node}, [node]
            for at in queue:
                for other in self.ends[g.first[at] : g.first[at + 1]].tolist():
                    if other in allowed and other not in reached:
                        reached.add(other)
                        queue.append(other)
            seen.append(np.array(sorted(reached), dtype=np.int64))
        return seen

    def perceive(self, node: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        """Landmarks perceived from a node, with noise: rows (k,) and where they seem to stand (k, 2)."""
        rows = self.near[node]
        rows = rows[rng.random(len(rows)) >= self.noise.dropout]
        return rows, self.landmarks.xy[rows] + rng.normal(0, self.noise.position_m, (len(rows), 2))

    def similar(self, phrase: Phrase) -> FloatArray:
        """(n,) similarity of every landmark's name; arms look only at the rows that they remember."""
        if phrase not in self._similar:
            self._similar[phrase] = self.names.similarity(phrase)
        return self._similar[phrase]


@dataclass(eq=False)
class Kept:
    """What is remembered: explored (n,) street nodes; how often each landmark was seen, and the sum of where."""

    explored: Mask
    seen: IntArray
    where: FloatArray

    @classmethod
    def nothing(cls, city: City) -> Kept:
        count = len(city.landmarks)
        return cls(np.zeros(len(city.graph), bool), np.zeros(count, np.int64), np.zeros((count, 2)))

    def look(self, city: City, node: int, rng: np.random.Generator) -> tuple[Mask, IntArray]:
        """Perceive at a node and remember. Returns which of the streets in sight were new, and the landmarks seen."""
        streets = city.sight[node]
        new = ~self.explored[streets]
        self.explored[streets] = True
        rows, xy = city.perceive(node, rng)
        np.add.at(self.where, rows, xy)
        np.add.at(self.seen, rows, 1)
        return new, rows

    def keep(self, city: City, budget: int) -> None:
        """Forget all but so many landmarks: those with a name first, then those seen most."""
        named = np.array([bool(name) for name in city.landmarks.names])
        self.seen[np.argsort(-(named * 1e9 + self.seen), kind="stable")[budget:]] = 0

    @property
    def bytes(self) -> int:
        """As a compact store would need: 16 a street node with its links, 24 a landmark and its name's characters."""
        return 16 * int(self.explored.sum()) + 40 * int((self.seen > 0).sum())


@dataclass(eq=False)
class EpisodeMemory:
    """A robot's memory while it drives one episode: what an arm kept from before, and what it perceives on the way.

    streets, landmarks  whether the arm uses the streets and the names that it kept; names (n,): the name that each kept
    landmark goes by (shuffled: another one's)
    """

    city: City
    kept: Kept
    use_streets: bool = True
    use_landmarks: bool = True
    names: IntArray | None = None
    own: Kept = field(init=False)

    def __post_init__(self) -> None:
        self.own = Kept.nothing(self.city)
        if self.use_streets:
            self.own.explored[:] = self.kept.explored
        graph = self.city.graph
        self._streets = Streets(graph.first, self.city.ends, graph.xy, self.own.explored)
        self._looked: list[int] = []

    def look(self, node: int, rng: np.random.Generator) -> tuple[bool, IntArray]:
        """Perceive at a node. Returns whether streets in sight were new, and the landmarks that were."""
        fresh = self.own.seen == 0
        new, rows = self.own.look(self.city, node, rng)
        self._looked.append(node)
        known = self.kept.seen[rows] > 0 if self.use_landmarks and self.names is None else np.zeros(len(rows), bool)
        return bool(new.any()), rows[fresh[rows] & ~known]

    def remembered_at(self, phrases: list[Phrase]) -> FloatArray:
        """(k, 2) where the kept landmarks stand that the phrases may mean."""
        if not self.use_landmarks:
            return np.zeros((0, 2))
        meant = np.zeros(len(self.kept.seen), bool)
        for phrase in phrases:
            similar = self.city.similar(phrase)
            meant |= (similar if self.names is None else similar[self.names]) >= LEAST_SIMILAR
        rows = np.flatnonzero(meant & (self.kept.seen > 0))
        return np.asarray(self.kept.where[rows] / self.kept.seen[rows, None])

    def _looks_at(self, at: FloatArray) -> IntArray:
        """(k,) from how many nodes of this episode each point was looked at from close by."""
        nodes = self.city.graph.xy[np.array(self._looked, dtype=np.int64)]
        return np.asarray((np.linalg.norm(at[:, None] - nodes[None], axis=2) < _CLOSE_M).sum(axis=1))

    def doubted(self, at: FloatArray) -> int:
        """How many of these points were looked at well enough for the robot's own eyes to count more than memory."""
        return int((self._looks_at(at) >= LOOKED_WELL).sum())

    def streets(self) -> Streets:
        return self._streets

    def named(self, phrase: Phrase) -> Places:
        similar = self.city.similar(phrase)
        xy, similarity = [], []
        if self.use_landmarks:
            named = similar if self.names is None else similar[self.names]
            rows = np.flatnonzero((named >= LEAST_SIMILAR) & (self.kept.seen > 0))
            at = self.kept.where[rows] / self.kept.seen[rows, None]
            standing = self._looks_at(at) < LOOKED_WELL
            xy.append(at[standing])
            similarity.append(named[rows[standing]])
        rows = np.flatnonzero((similar >= LEAST_SIMILAR) & (self.own.seen > 0))
        xy.append(self.own.where[rows] / self.own.seen[rows, None])
        similarity.append(similar[rows])
        return Places(np.concatenate(xy), np.concatenate(similarity))


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """An instruction with the way that its author meant."""

    name: str
    instruction: Instruction
    gold: NDArray[np.int32]
    heading: float


@dataclass(frozen=True, slots=True, eq=False)
class Drive:
    """path: the nodes that were driven over; confidence of the last choice; plans: how often the follower was asked."""

    path: NDArray[np.int32]
    confidence: float
    plans: int


def drive(city: City, follower: Follower, memory: EpisodeMemory, episode: Episode, rng: np.random.Generator) -> Drive:
    """Follow one instruction until the follower stops or its actions are used up. `memory` learns on the way."""
    navigator = city.navigator
    state = navigator.start(int(episode.gold[0]), episode.heading)
    facing = int(city.ends[navigator.link(state)])
    interesting = np.zeros(len(city.landmarks), bool)
    for phrase in episode.instruction.phrases:
        interesting |= city.similar(phrase) >= LEAST_SIMILAR
    kept_at = memory.remembered_at(episode.instruction.phrases)
    path, actions, plans, stale, doubted = [state.node], 0, 0, True, 0
    choice: Choice | None = None
    memory.look(state.node, rng)
    while True:
        if stale:
            driven = path if len(path) > 1 else [path[0], facing]
            choice, plans, stale = follower.choose(episode.instruction, memory, driven), plans + 1, False
        if choice is None or len(choice.route) <= len(path):
            break
        target = int(choice.route[len(path)])
        if city.graph.degrees[target] < 2:
            break
        todo = navigator.actions(state, target)
        if actions + len(todo) >= MOST_ACTIONS:
            break
        for action in todo:
            state = navigator.step(state, Action(action))
        actions += len(todo)
        path.append(state.node)
        new, rows = memory.look(state.node, rng)
        now_doubted = memory.doubted(kept_at)
        stale = new or now_doubted > doubted or bool(interesting[rows].any()) or len(choice.route) <= len(path)
        doubted = now_doubted
    return Drive(np.array(path, np.int32), choice.confidence if choice else 0.0, plans)


def patrol(city: City, kept: Kept, nodes: int, rng: np.random.Generator, visits: IntArray) -> None:
    """Drive over so many nodes from a random one, at each junction along the exit driven least, and remember.

    visits (links,) counts, which goes on over patrols.
    """
    g = city.graph
    at, came = int(rng.integers(len(g))), -1
    for _ in range(nodes):
        kept.look(city, at, rng)
        links = np.arange(g.first[at], g.first[at + 1])
        if not len(links):
            return
        onward = links[city.ends[links] != came] if len(links) > 1 else links
        onward = onward if len(onward) else links
        link = int(onward[np.argmin(visits[onward] + 0.5 * rng.random(len(onward)))])
        visits[link] += 1
        came, at = at, int(city.ends[link])
