"""The street as a running world: a robot that patrols the graph node by node, and what its sensors measure there.

One `step` is one node. The robot drives by the navigator's rules, at each junction along the exit that it drove least.
Its camera looks ahead over a wide angle; the picture is empty unless panoramas are plugged in, but its depth is that of
the landmarks in view, each a box a few metres wide, so that perception lifts the detections to where they stand. Two
eyes look at the picture: one knows classes ("cafe"), the other reads signs ("starbucks"), so what has a name has two
boxes. `caption` says names, classes, distances and bearings of all that is within reach, all around.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.perception.depth import Intrinsics
from embodied_mem.perception.detector import Boxes2D
from sim.house.robot import Odometry
from sim.street.data import street_folder
from sim.street.graph import TouchdownGraph, heading_of_yaw, load_touchdown, yaw_of_heading
from sim.street.landmarks import RANGE_M, Eyes, Landmarks, Noise, Sighting, load_landmarks
from sim.street.navigator import Action, Navigator, State

FloatArray = NDArray[np.float64]
Panorama = Callable[[str, float], NDArray[np.uint8]]
_EPOCH_NS = 1_500_000_000_000_000_000
PATROL = 2_000  # nodes, unless somebody says otherwise
_PERIOD_NS = 1_000_000_000  # about 9.5 m a second
_WIDTH, _HEIGHT, _HALF_FOV = 320, 160, np.radians(60.0)
_SIZE_M = 4.0  # of a landmark's front
_SHOWN = 0.5  # share of it that nearer ones must leave, else it is not detected
_CAMERA_HEIGHT = 1.5
_UNNAMED = "landmark"
AS_A_CAMERA = Noise(dropout=0.2, position_m=0.5, bearing_rad=0.02)  # memory's things are told apart by less than 1 m
_COVARIANCE = np.diag([0.25, 0.25, 0.01, 1e-4, 1e-4, 1e-3])


@dataclass(frozen=True, slots=True, eq=False)
class StreetFrame:
    """What the robot gets at one node, with the fields of sim.house.simulator.SimFrame, and what it can say of it.

    caption   "cafe Starbucks, 20 m ahead to the left; ..."
    classes   what the detector of classes knows; nobody can say which signs a reader would find
    sighting  the landmarks behind the caption, all around, nearest first
    node      the panorama's number, heading in compass degrees: the navigator's state
    """

    index: int
    stamp_ns: int
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    camera: Intrinsics
    boxes: Boxes2D
    classes: tuple[str, ...]
    position: FloatArray
    orientation: FloatArray
    covariance: FloatArray
    base: tuple[float, float, float]
    odometry: Odometry
    caption: str
    sighting: Sighting
    node: int
    heading: int
    lidar: None = None
    scan: None = None
    frame_id: str = "map"
    detector: str = "street"


class StreetSimulator:
    """A patrol over `nodes` nodes. Everything random follows from `seed`.

    noise     of the landmarks that are perceived; default: AS_A_CAMERA
    panorama  (panorama name, compass heading) -> (160, 320, 3) uint8: the picture ahead, where a user has the images
    """

    def __init__(
        self,
        graph: TouchdownGraph,
        landmarks: Landmarks,
        *,
        seed: int = 0,
        nodes: int = PATROL,
        noise: Noise | None = None,
        start: int | None = None,
        panorama: Panorama | None = None,
    ) -> None:
        if nodes < 1:
            raise BadInputError(f"A patrol goes over at least one node, not {nodes}.")
        self.graph, self.landmarks, self.nodes, self._panorama = graph, landmarks, nodes, panorama
        self.navigator = Navigator(graph)
        streams = np.random.SeedSequence(seed).spawn(2)
        self._rng = np.random.default_rng(streams[0])
        self._eyes = Eyes(landmarks, noise or AS_A_CAMERA, seed=int(streams[1].generate_state(1)[0]))
        drivable = np.flatnonzero(graph.degrees >= 2)
        first = int(self._rng.choice(drivable)) if start is None else start
        self.state = self.navigator.start(first, float(graph.headings[graph.first[first]]))
        self._visits = np.zeros(len(graph.links), dtype=np.int64)
        self._index = 0
        focal = _WIDTH / 2 / np.tan(_HALF_FOV)
        self._camera = Intrinsics(focal, focal, (_WIDTH - 1) / 2, (_HEIGHT - 1) / 2, _WIDTH, _HEIGHT)
        self.classes = tuple(sorted({label or _UNNAMED for label in landmarks.classes}))

    @property
    def done(self) -> bool:
        """Whether the patrol is over."""
        return self._index >= self.nodes

    @property
    def progress(self) -> float:
        """0..1 of the patrol."""
        return self._index / self.nodes

    def step(self) -> StreetFrame:
        """Drive to the next node and look. Raises BadInputError after the last one (see `done`)."""
        if self.done:
            raise BadInputError("The patrol is over: make a new StreetSimulator to drive on.")
        if self._index:
            self._advance()
        return self.look()

    def act(self, action: Action) -> State:
        """Drive by hand: do one action of the navigator instead of patrolling on."""
        self.state = self.navigator.step(self.state, action)
        return self.state

    def look(self) -> StreetFrame:
        """What the sensors measure here and now, a second after the last time."""
        frame = self._measure()
        self._index += 1
        return frame

    def _advance(self) -> None:
        g = self.graph
        links = np.arange(g.first[self.state.node], g.first[self.state.node + 1])
        links = links[g.degrees[g.links[links, 1]] >= 2]
        back = (self.state.heading + 180) % 360
        turned = np.abs((g.headings[links] - back + 180) % 360 - 180)
        onward = links[turned > 45] if (turned > 45).any() else links
        if not len(onward):
            return  # a node that one cannot leave
        link = int(onward[np.argmin(self._visits[onward] + 0.5 * self._rng.random(len(onward)))])
        self._visits[link] += 1
        for action in self.navigator.actions(self.state, int(g.links[link, 1])):
            self.state = self.navigator.step(self.state, action)

    def _measure(self) -> StreetFrame:
        x, y = (float(v) for v in self.graph.xy[self.state.node])
        yaw = float(yaw_of_heading(self.state.heading))
        sighting = self._eyes.look(np.array([x, y]), yaw)
        boxes, depth = self._project(sighting)
        name = self.graph.panoids[self.state.node]
        rgb = np.full((_HEIGHT, _WIDTH, 3), 128, dtype=np.uint8)
        return StreetFrame(
            index=self._index,
            stamp_ns=_EPOCH_NS + self._index * _PERIOD_NS,
            rgb=rgb if self._panorama is None else self._panorama(name, float(heading_of_yaw(yaw))),
            depth=depth,
            camera=self._camera,
            boxes=boxes,
            classes=self.classes,
            position=np.array([x, y, _CAMERA_HEIGHT]),
            orientation=np.array([0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2)]),
            covariance=_COVARIANCE.copy(),
            base=(x, y, yaw),
            odometry=Odometry(x, y, yaw, 0.0, 0.0),
            caption=caption_of(self.landmarks, sighting),
            sighting=sighting,
            node=self.state.node,
            heading=self.state.heading,
        )

    def _project(self, sighting: Sighting) -> tuple[Boxes2D, NDArray[np.float32]]:
        """Boxes in the picture of the landmarks ahead, and depth: nearer ones hide farther ones, some wholly."""
        c = self._camera
        depth = np.full((_HEIGHT, _WIDTH), 0.0, dtype=np.float32)
        labels, boxes = [], []
        for row, bearing, distance in zip(sighting.rows, sighting.bearings, sighting.distances, strict=True):
            ahead = float(distance * np.cos(bearing))
            if abs(bearing) > _HALF_FOV or ahead < 1.0:
                continue
            u = c.cx - c.fx * np.tan(bearing)
            half = c.fx * _SIZE_M / 2 / ahead
            left, right = np.clip([u - half, u + half], 0, _WIDTH - 1)
            top, bottom = np.clip([c.cy - half, c.cy + half], 0, _HEIGHT - 1)
            columns = slice(round(left), round(right) + 1)
            patch = depth[round(top) : round(bottom) + 1, columns]
            free = patch == 0
            patch[free] = ahead
            if free.mean() < _SHOWN:
                continue
            read = self.landmarks.names[row].lower()
            for label in (self.landmarks.classes[row] or _UNNAMED, *([read] if read else [])):
                labels.append(label)
                boxes.append([left, top, right, bottom])
        found = np.array(boxes, dtype=np.float64).reshape(-1, 4)
        return Boxes2D(tuple(labels), np.full(len(labels), 0.9), found), depth


def load_street(folder: str | Path = "", seed: int = 0, nodes: int = PATROL) -> StreetSimulator:
    """A patrol in the city whose graph/ and osm/ lie in `folder`; "": see `street_folder`.

    Raises NotFoundError with what to do, BadInputError.
    """
    folder = street_folder(folder)
    graph = load_touchdown(folder)
    return StreetSimulator(graph, load_landmarks(folder, graph), seed=seed, nodes=nodes)


def caption_of(landmarks: Landmarks, sighting: Sighting) -> str:
    """What a person would say: names, classes, distances and bearings, nearest first; "nothing" for an empty street."""
    parts = []
    for row, bearing, distance in zip(sighting.rows, sighting.bearings, sighting.distances, strict=True):
        what = " ".join(part for part in (landmarks.classes[row], landmarks.names[row]) if part) or _UNNAMED
        parts.append(f"{what}, {distance:.0f} m {_direction(float(bearing))}")
    return "; ".join(parts) if parts else f"a street with nothing known within {RANGE_M:.0f} m"


def _direction(bearing: float) -> str:
    if abs(bearing) < np.radians(30):
        return "ahead"
    side = "left" if bearing > 0 else "right"
    if abs(bearing) < np.radians(75):
        return f"ahead to the {side}"
    return f"on the {side}" if abs(bearing) < np.radians(105) else f"behind to the {side}"
