"""A route in words: "Go 35 m, turn left at the pharmacy, go 20 m to the fountain on your right.\""""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied_mem.topology.arrays import FloatArray, wrapped
from embodied_mem.topology.graph import PlaceGraph
from embodied_mem.topology.routes import Route

_LOOK = 8.0  # metres before and after a place over which a direction is taken: single edges are noisy
_STRAIGHT, _BEAR, _ROUND = np.radians((30, 60, 150))


@dataclass(frozen=True, slots=True)
class Step:
    """What to do after `distance` metres from the step before: a turn in radians (left is positive) at a place."""

    distance: float
    turn: float
    place: int
    landmark: str = ""


def steps(graph: PlaceGraph, route: Route, *, heading: float | None = None) -> list[Step]:
    """The turns of a route and, last, its end (turn 0).

    A turn is told where the direction changes by more than 30 degrees at a place with a choice, or by more than 60
    anywhere. heading: where the robot looks when it starts, radians; then the first turn is told too.
    """
    along = np.concatenate([[0.0], np.cumsum(route.lengths)])
    made: list[Step] = []
    told = 0.0  # metres
    if heading is not None and len(route) > 1:
        turn = float(wrapped(_direction(route.points, along, 0, ahead=True) - heading))
        if abs(turn) > _STRAIGHT:
            made.append(Step(0.0, turn, int(route.places[0])))
    turns = _turns(route.points, along)
    for i in _peaks(turns, along):
        place = int(route.places[i])
        if abs(turns[i]) > _BEAR or len(graph.neighbours(place)) > 2:
            made.append(Step(float(along[i] - told), float(turns[i]), place, _landmark_at(graph, place)))
            told = float(along[i])
    end = int(route.places[-1])
    made.append(Step(float(along[-1] - told), 0.0, end, route.landmark or _landmark_at(graph, end)))
    return made


def in_words(graph: PlaceGraph, route: Route, *, heading: float | None = None) -> str:
    """The route as one sentence."""
    found = steps(graph, route, heading=heading)
    parts = []
    for step in found[:-1]:
        go = f"go {_metres(step.distance)}, " if step.distance >= 1 else ""
        parts.append(f"{go}{_turn(step.turn)}{_at(step.landmark)}")
    last = found[-1]
    if last.distance < 1 and not parts:
        return f"You are there{_at(last.landmark)}."
    parts.append(f"go {_metres(last.distance)}{_to(graph, route, last)}")
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _direction(points: FloatArray, along: FloatArray, i: int, *, ahead: bool) -> float:
    """The direction in which a way leaves (ahead) or reaches its point i, over the next or last few metres."""
    if ahead:
        j = min(int(np.searchsorted(along, along[i] + _LOOK)), len(along) - 1)
        way = points[max(j, i + 1)] - points[i]
    else:
        j = max(int(np.searchsorted(along, along[i] - _LOOK, side="right")) - 1, 0)
        way = points[i] - points[min(j, i - 1)]
    return float(np.arctan2(way[1], way[0]))


def _turns(points: FloatArray, along: FloatArray) -> FloatArray:
    """(k,) by how much the direction changes at each point, radians; 0 at both ends."""
    turns = np.zeros(len(points))
    for i in range(1, len(points) - 1):
        turns[i] = wrapped(_direction(points, along, i, ahead=True) - _direction(points, along, i, ahead=False))
    return turns


def _peaks(turns: FloatArray, along: FloatArray) -> list[int]:
    """Where a turn is made: of the points of one bend, that with the greatest change of direction."""
    kept: list[int] = []
    for i in np.argsort(-np.abs(turns), kind="stable").tolist():
        if abs(turns[i]) <= _STRAIGHT:
            break
        if all(abs(along[i] - along[j]) > 2 * _LOOK or turns[i] * turns[j] < 0 for j in kept):
            kept.append(i)
    return sorted(kept)


def _landmark_at(graph: PlaceGraph, place: int) -> str:
    seen = graph.landmarks.of(place)
    return seen[0].name if seen else ""


def _metres(distance: float) -> str:
    step = 1 if distance < 10 else 5 if distance < 100 else 10
    return f"{int(np.floor(distance / step + 0.5)) * step} m"


def _turn(angle: float) -> str:
    if abs(angle) > _ROUND:
        return "turn round"
    side = "left" if angle > 0 else "right"
    return f"{'turn' if abs(angle) > _BEAR else 'bear'} {side}"


def _at(landmark: str) -> str:
    return f" at the {landmark.removeprefix('the ')}" if landmark else ""


def _to(graph: PlaceGraph, route: Route, last: Step) -> str:
    """ " to the fountain on your left", where the direction in which it was seen from there is known."""
    if not last.landmark:
        return ""
    name = f" to the {last.landmark.removeprefix('the ')}"
    bearing = next((seen.bearing for seen in graph.landmarks.of(last.place) if seen.name == last.landmark), np.nan)
    if len(route) < 2 or not np.isfinite(bearing):
        return name
    side = float(wrapped(bearing - route.headings[-1]))
    if abs(side) < _STRAIGHT:
        return f"{name} ahead of you"
    return f"{name} behind you" if abs(side) > _ROUND else f"{name} on your {'left' if side > 0 else 'right'}"
