"""The filters of bench/search: each alone and all together, at a wanted selectivity, as queries and as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.search_world import COMMON_LABELS, LABELS, MAPS, MODEL, ROBOTS, SESSIONS, World
from embodied_mem.records.query import EVERY_MAP, Query, TimeRange

SELECTIVITIES = (0.5, 0.1, 0.01, 0.0001)
_MAIN = "tour"  # the session, robot and map of the filters that are used together
# By selectivity, as the world was made.
_ROBOTS = ("r0", "r2", "r3", "r4")
_SESSIONS = (_MAIN, "night", "test", "visit")
_MAPS = ("site", "depot", "yard", "shed")
_LABELS = ("chair", "mug", "vase", "trophy")


@dataclass(frozen=True, slots=True, eq=False)
class Where:
    """What a query restricts, by the rules of `Query`: with labels, place means a matching detection's centre."""

    box: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    center: NDArray[np.float64] | None = None
    radius: float | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    labels: tuple[str, ...] = ()
    robot: str = ""
    session: str = ""
    map: str = EVERY_MAP

    def query(self, vector: NDArray[np.float32], k: int) -> Query:
        time = None if self.start_ns is None else TimeRange(self.start_ns, self.end_ns)
        return Query(
            vector=vector, vector_model=MODEL, box=self.box, center=self.center, radius=self.radius, time=time,
            labels=self.labels, robot_id=self.robot, session_id=self.session, map_id=self.map, k=k,
        )  # fmt: skip

    @property
    def open(self) -> bool:
        """Whether it restricts nothing."""
        names = (self.labels, self.robot, self.session, self.map != EVERY_MAP)
        return not any(names) and self.box is None and self.center is None and self.start_ns is None

    def mask(self, world: World) -> NDArray[np.bool_]:
        """(n,) the records that pass, by plain array arithmetic."""
        passed = np.ones(len(world), dtype=bool)
        if self.start_ns is not None and self.end_ns is not None:
            passed = (world.stamps < self.end_ns) & (world.last_seen >= self.start_ns)
        if self.robot:
            passed &= world.robots == ROBOTS.index(self.robot)
        if self.session:
            passed &= world.sessions == list(SESSIONS).index(self.session)
        if self.map != EVERY_MAP:
            passed &= world.maps == MAPS.index(self.map)
        if self.labels:
            wanted = np.array([name in self.labels for name in LABELS])[world.labels]
            wanted[wanted] = self._inside(world.centers[wanted])
            seen = np.zeros(len(world), dtype=bool)
            seen[world.owner[wanted]] = True
            return passed & seen
        if self.box is not None or self.center is not None:
            passed[passed] = self._inside(world.positions[passed])
        return passed

    def _inside(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        if self.box is not None:
            low, high = self.box
            return np.asarray(((points >= low) & (points <= high)).all(axis=1))
        if self.center is not None and self.radius is not None:
            return np.asarray(((points - self.center) ** 2).sum(axis=1) <= self.radius**2)
        return np.ones(len(points), dtype=bool)


EVERYWHERE = Where()


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Filters of one kind: `wheres` are used in turn. `selectivity` is what was wanted (1 = unfiltered)."""

    kind: str
    selectivity: float
    wheres: tuple[Where, ...]


def make_cases(world: World, variants: int, rng: np.random.Generator) -> list[Case]:
    """Unfiltered; every filter alone and all together (with a box, and with a sphere) at every selectivity."""

    def several(kind: str, share: float, base: Where = EVERYWHERE) -> Case:
        count = max(1, round(share * len(world)))
        make = _window if kind == "time" else _place if base.map != EVERY_MAP else _together
        return Case(kind, share, tuple(make(world, base, kind, count, rng) for _ in range(variants)))

    cases = [Case("unfiltered", 1.0, (EVERYWHERE,))]
    for level, share in enumerate(SELECTIVITIES):
        cases += [
            several("box", share, Where(map="site")),
            several("radius", share, Where(map="site")),
            several("time", share),
            Case("label", share, (Where(labels=(_LABELS[level],)),)),
            Case("robot", share, (Where(robot=_ROBOTS[level]),)),
            Case("session", share, (Where(session=_SESSIONS[level]),)),
            Case("map", share, (Where(map=_MAPS[level]),)),
            several("all together, box", share),
            several("all together, radius", share),
        ]
    return cases


def _together(world: World, base: Where, kind: str, count: int, rng: np.random.Generator) -> Where:
    """Session, robot, map and labels, then a time window and a place, which share what is left to restrict."""
    robot, name, _ = SESSIONS[_MAIN]
    where = replace(base, labels=COMMON_LABELS, robot=robot, session=_MAIN, map=name)
    left = int(where.mask(world).sum())
    count = min(count, left)
    where = _window(world, where, kind, round(np.sqrt(count * left)), rng)
    return _place(world, where, kind, count, rng)


def _window(world: World, base: Where, kind: str, count: int, rng: np.random.Generator) -> Where:
    """Also a time window, in which `count` of the records that pass were made."""
    stamps = np.sort(world.stamps[base.mask(world)])
    first = int(rng.integers(0, len(stamps) - count + 1))
    return replace(base, start_ns=int(stamps[first]), end_ns=int(stamps[first + count - 1]) + 1)


def _place(world: World, base: Where, kind: str, count: int, rng: np.random.Generator) -> Where:
    """Also a box (of any height) or sphere around one of the records that pass, as large as `count` of them need."""
    passed = np.flatnonzero(base.mask(world))
    center = world.positions[rng.choice(passed)].copy()
    points, owner = world.positions[passed], passed
    if base.labels:
        wanted = np.isin(world.labels, [list(LABELS).index(label) for label in base.labels])
        wanted &= np.isin(world.owner, passed)
        points, owner = world.centers[wanted], world.owner[wanted]
    away = points - center
    distance = np.abs(away[:, :2]).max(axis=1) if kind.endswith("box") else np.linalg.norm(away, axis=1)
    nearest = np.full(len(world), np.inf)
    np.minimum.at(nearest, owner, distance)
    reach = float(np.partition(nearest, count - 1)[count - 1]) + 1e-6
    if kind.endswith("radius"):
        return replace(base, center=center, radius=reach)
    half = np.array([reach, reach, np.inf])
    return replace(base, box=(center - half, center + half))
