"""Worlds and questions to learn from, made on the fly from a seed: rooms in a grid, in each of them events.

Like the Room Ballet of the Spatially-Aware Transformer (ICLR 2024): a robot walks from room to room; whenever it enters
one, something happens there for as long as it stays. An observation is the event's code with noise. Every batch has
codes of its own, so a reader cannot learn them by heart: it must find the memory that holds the answer. Nor can it
learn coordinates, times or numbers of visits: where a map begins, when, how fast the clock ticks, and how often a robot
was there before, is any.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.episodes.coding import CODE, FloatArray, IntArray, Moments, layer_norm

HAPPENED, AGO, WHERE, NEXT = range(4)  # kinds of questions
KINDS = ("happened", "visits ago", "where", "next place")
EVENTS = 16  # kinds of events; so chance is 1 in 16
MIXED = ("recent", "early", "rare", "home")  # what a mixed episode asks for
_NOISE = 0.5  # of an observation, relative to the length of its code
_MOVES = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
_FAR, _LATE, _OFTEN = 60, 2000, 12  # how far a map's origin, a first step and a first visit may lie from 0
TICKS = 8  # of the clock that a step may take


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B episodes of T steps with Q questions each.

    memories   (B, T) moments
    places     (B, T) number of the room, row by row
    stays      (B, T) number of the stay in the episode: steps of one visit share it
    questions  (B, Q) moments: what each question names
    kinds      (B, Q) of the questions
    codes      (EVENTS, CODE) and rooms (R, 2): what an answer is chosen from, by the question's kind
    answers    (B, Q) index into codes, for `WHERE` and `NEXT` into rooms
    wanted     (B, Q) number of the stay that holds the answer
    context    (B,) kind of episode: index into MIXED, 0 where there is one kind only
    """

    memories: Moments
    places: IntArray
    stays: IntArray
    questions: Moments
    kinds: IntArray
    codes: FloatArray
    rooms: NDArray[np.float64]
    answers: IntArray
    wanted: IntArray
    context: IntArray


def rooms_batch(
    rng: np.random.Generator, size: int, *, steps: int = 48, side: int = 3, questions: int = 8,
    kinds: tuple[int, ...] = (HAPPENED,), park: int = 0, ticks: int = TICKS,
) -> Batch:  # fmt: skip
    """Walks of `steps` steps through side x side rooms, then a long stay of `park` steps where they end.

    ticks  that the clock may advance in a step, at most; one number for each life
    HAPPENED asks what happened on the last visit to a room, AGO some visits before; WHERE, in which room an event
    happened last; NEXT, which room came after the last visit to a room that was left.
    """
    cells, actions = _walk(rng, size, steps, side)
    cells = np.concatenate([cells, np.repeat(cells[:, -1:], park, axis=1)], axis=1)
    actions = np.concatenate([actions, np.zeros((size, park), dtype=np.int64)], axis=1)
    places = cells[..., 0] * side + cells[..., 1]
    entered = np.concatenate([np.ones((size, 1), dtype=bool), places[:, 1:] != places[:, :-1]], axis=1)
    return _asked(rng, places, entered, actions, side, questions, kinds, ticks)


def mixed_batch(rng: np.random.Generator, size: int, *, steps: int = 18, side: int = 3, questions: int = 1) -> Batch:
    """Episodes of four kinds, for a memory that holds half of their steps: each wants another rule of forgetting.

    "recent" asks for one of the later half of the steps, "early" for one of the earlier; in "rare" and "home" one room
    is visited at every second step: "rare" asks for what happened elsewhere, "home" for what happened there.
    """
    half, rooms, where = steps // 2, side * side, _rooms(rng, side)
    context = rng.integers(len(MIXED), size=size)
    places = rng.integers(rooms, size=(size, steps))
    home = rng.integers(rooms, size=size)
    turns = np.argsort(rng.random((size, steps)), axis=1)  # the first half of these are spent at home
    elsewhere = (home[:, None] + 1 + rng.integers(rooms - 1, size=(size, steps))) % rooms
    at_home = np.zeros((size, steps), dtype=bool)
    np.put_along_axis(at_home, turns[:, :half], True, axis=1)
    centred = context >= MIXED.index("rare")
    places[centred] = np.where(at_home, home[:, None], elsewhere)[centred]
    pick = rng.integers(half, size=(size, questions))
    wanted = np.where((context == MIXED.index("recent"))[:, None], pick + steps - half, pick)
    of_home, of_others = np.take_along_axis(turns, pick, 1), np.take_along_axis(turns, pick + steps - half, 1)
    wanted = np.where((context == MIXED.index("home"))[:, None], of_home, wanted)
    wanted = np.where((context == MIXED.index("rare"))[:, None], of_others, wanted)
    entered = np.ones((size, steps), dtype=bool)
    events, codes, memories, stays = _lived(rng, places, entered, np.zeros((size, steps), dtype=np.int64), where, TICKS)
    rows = np.arange(size)[:, None]
    asked = Moments(
        np.zeros((size, questions, CODE), dtype=np.float32), _now(memories, questions),
        memories.cells[rows, wanted], np.full((size, questions, 2), np.nan),
        memories.visits[rows, wanted], np.zeros((size, questions), dtype=np.int64),
    )  # fmt: skip
    return Batch(
        memories, places, stays, asked, np.full((size, questions), AGO), codes, where,
        events[rows, wanted], wanted, context,
    )  # fmt: skip


# --- inside ------------------------------------------------------------------------------------------------------


def _walk(rng: np.random.Generator, size: int, steps: int, side: int) -> tuple[IntArray, IntArray]:
    """Cells (size, steps, 2) and actions (size, steps) of random walks; a move into a wall is a stay."""
    cells = np.empty((size, steps, 2), dtype=np.int64)
    actions = np.zeros((size, steps), dtype=np.int64)
    cells[:, 0] = rng.integers(side, size=(size, 2))
    stay, direction = rng.random((size, steps)) < 0.4, rng.integers(4, size=(size, steps))
    for step in range(1, steps):
        there = cells[:, step - 1] + _MOVES[direction[:, step]]
        moved = ~stay[:, step] & (there >= 0).all(axis=1) & (there < side).all(axis=1)
        cells[:, step] = np.where(moved[:, None], there, cells[:, step - 1])
        actions[:, step] = np.where(moved, 1 + direction[:, step], 0)
    return cells, actions


def _lived(
    rng: np.random.Generator,
    places: IntArray,
    entered: NDArray[np.bool_],
    actions: IntArray,
    rooms: NDArray[np.float64],
    ticks: int,
) -> tuple[IntArray, FloatArray, Moments, IntArray]:
    """Events (B, T) by step, their codes, the moments, and the number of the stay (B, T)."""
    size, steps = places.shape
    stays = np.cumsum(entered, axis=1) - 1
    events = np.take_along_axis(rng.integers(EVENTS, size=(size, steps)), stays, axis=1)
    codes = layer_norm(rng.normal(size=(EVENTS, CODE)))
    noise = rng.normal(size=(size, steps, CODE)) * (_NOISE / np.sqrt(CODE))
    visits = np.zeros((size, steps), dtype=np.int64)
    counts = np.zeros((size, len(rooms)), dtype=np.int64)
    rows = np.arange(size)
    for step in range(steps):
        counts[rows, places[:, step]] += entered[:, step]
        visits[:, step] = counts[rows, places[:, step]]
    visits += rng.integers(_OFTEN, size=(size, 1))
    cells = rooms[places]
    numbers = np.arange(steps) * rng.integers(1, ticks + 1, size=(size, 1)) + rng.integers(_LATE, size=(size, 1))
    memories = Moments(layer_norm(codes[events] + noise), numbers, cells, _origins(cells, entered), visits, actions)
    return events, codes, memories, stays


def _origins(cells: NDArray[np.float64], entered: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(B, T, 2) where the robot was before its stay at each step; NaN in the first stay."""
    steps = np.arange(cells.shape[1])
    begun = np.maximum.accumulate(np.where(entered, steps, 0), axis=1)  # the step at which the stay began
    found = np.take_along_axis(cells, np.maximum(begun - 1, 0)[..., None], axis=1)
    return np.where((begun > 0)[..., None], found, np.nan)


def _now(memories: Moments, count: int) -> IntArray:
    """(B, count) the time when questions are asked: a step after the last one."""
    return np.repeat(2 * memories.steps[:, -1:] - memories.steps[:, -2:-1], count, axis=1)


def _rooms(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Coordinates (side², 2) of rooms, row by row."""
    grid = np.stack(np.divmod(np.arange(side * side), side), axis=1)
    return np.asarray(grid + rng.integers(-_FAR, _FAR + 1, size=2), dtype=np.float64)


def _asked(
    rng: np.random.Generator, places: IntArray, entered: NDArray[np.bool_], actions: IntArray, side: int, count: int,
    kinds: tuple[int, ...], ticks: int,
) -> Batch:  # fmt: skip
    """The batch of a life, with questions whose answers are read off it."""
    size = len(places)
    rooms = _rooms(rng, side)
    events, codes, memories, stays = _lived(rng, places, entered, actions, rooms, ticks)
    shape = (size, count)
    kind = np.asarray(kinds)[rng.integers(len(kinds), size=shape)]
    draws = rng.random((*shape, 2))
    kind, room, event, visits, answers, wanted = _ask(places, entered, events, memories.visits, kind, draws, kinds[0])
    cells = np.where(((room >= 0) & (kind != NEXT))[..., None], rooms[room], np.nan)
    origins = np.where((kind == NEXT)[..., None], rooms[room], np.nan)
    named = np.where((event >= 0)[..., None], codes[event], 0).astype(np.float32)
    now = Moments(named, _now(memories, count), cells, origins, visits, np.zeros_like(visits))
    return Batch(
        memories, places, stays, now, kind, codes, rooms, answers, wanted, np.zeros(size, dtype=np.int64)
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _ask(places, entered, events, visits, kinds, draws, instead):  # type: ignore[no-untyped-def]
    """Questions (B, Q) of these kinds, and their answers: kind, room and event named (-1: none), visit, answer, stay.

    A robot that never left a room cannot be asked where it went: then the question is of the kind `instead`.
    """
    size, count = kinds.shape
    kinds = kinds.copy()
    room, event = np.full((size, count), -1), np.full((size, count), -1)
    visit, answer, wanted = np.zeros_like(kinds), np.zeros_like(kinds), np.zeros_like(kinds)
    for i in range(size):
        first = np.flatnonzero(entered[i])
        where, what, times = places[i][first], events[i][first], visits[i][first]
        for j in range(count):
            if kinds[i, j] == NEXT and len(first) < 2:
                kinds[i, j] = instead
            kind = kinds[i, j]
            stays = len(first) - 1 if kind == NEXT else len(first)  # those that can be asked for
            if kind == WHERE:
                event[i, j] = what[int(draws[i, j, 0] * stays)]
                stay = np.flatnonzero(what == event[i, j])[-1]
            else:
                visited = np.unique(where[:stays])
                room[i, j] = visited[int(draws[i, j, 0] * len(visited))]
                there = np.flatnonzero(where[:stays] == room[i, j])
                stay = there[-1]
                if kind == AGO:
                    stay = there[-1 - int(draws[i, j, 1] * min(len(there), 5))]
                    visit[i, j] = times[stay]
                elif kind == NEXT:
                    stay += 1
            answer[i, j] = where[stay] if kind in (WHERE, NEXT) else what[stay]
            wanted[i, j] = stay
    return kinds, room, event, visit, answer, wanted
