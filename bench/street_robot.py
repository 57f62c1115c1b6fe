"""Following instructions with a memory that is asked through its own interface: in process, or through nodes over DDS.

Both backends are given the same observations in the same order and the same questions; what is measured is whether
they answer alike. The robot asks where a description leads, drives on for some places, remembers what it perceives
there, and asks again with the way so far.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from embodied_mem.errors import UnreachableError
from embodied_mem.geometry import quaternion_from_yaw
from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.instructions.guide import guide, understood
from embodied_mem.instructions.problem import Lengths
from embodied_mem.nodes.perceiving import Perceiver
from embodied_mem.nodes.settings import PerceptionSettings, SpatialSettings
from embodied_mem.nodes.spatial_view import place_settings
from embodied_mem.nodes.stack import OF_THE_STREET, PLACES_OF_THE_STREET
from embodied_mem.nodes.sync import PoseSample
from embodied_mem.perception.detector import Boxes2D
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Observation
from embodied_mem.topology.view import TopologyView
from sim.street.graph import TouchdownGraph, yaw_of_heading
from sim.street.landmarks import Landmarks
from sim.street.navigator import State
from sim.street.simulator import StreetFrame, StreetSimulator

FloatArray = NDArray[np.float64]
LENGTHS = Lengths()  # the same prior on the length of a way as in bench.street
_ON = 10  # places that are driven before the robot asks again
_APART_NS = 1_000_000  # between what it perceives while it follows: the clock of the nodes has stopped by then
_BATCH = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """An answer: the points (k, 3) of the way, how sure it is; no points: the reason why there is none."""

    points: FloatArray
    confidence: float
    reason: str = ""


class Backend(Protocol):
    """A memory that is told and asked."""

    def remember(self, seen: Observation) -> None: ...
    def follow(self, text: str, driven: FloatArray, heading: float) -> Told: ...


class InProcess:
    """The core's own objects, without ROS."""

    def __init__(self, folder: Path, lengths: Lengths = LENGTHS) -> None:
        self.now_ns, self._lengths = 0, lengths
        self.memory = RecordMemory.open(folder, HashingEmbedder(), clock=lambda: self.now_ns)
        places = place_settings(SpatialSettings(**PLACES_OF_THE_STREET))
        self.places = TopologyView(self.memory.index, places, clock=lambda: self.now_ns)
        self.refused = 0

    def remember(self, seen: Observation) -> None:
        self.now_ns = max(self.now_ns, seen.stamp_ns)
        self.refused += sum(isinstance(outcome, Exception) for outcome in self.memory.remember_many([seen]))

    def follow(self, text: str, driven: FloatArray, heading: float) -> Told:
        while entries := self.memory.entries(self.places.watermark + 1, _BATCH):
            self.places.apply(entries)
        graph = self.places.graph
        instruction, _ = understood(text)
        try:
            found = guide(
                graph, self.memory.map_id, instruction, driven, heading, now_ns=self.now_ns, lengths=self._lengths
            )  # fmt: skip
        except UnreachableError as error:
            return Told(np.zeros((0, 3)), 0.0, error.reason)
        return Told(graph.positions.data[found.places].copy(), found.confidence)


class OverNodes:
    """The same through the services of the record and the spatial node."""

    def __init__(self, client: Any, lengths: Lengths = LENGTHS) -> None:
        self._client, self._lengths = client, lengths

    def remember(self, seen: Observation) -> None:
        self._client.remember(seen)

    def follow(self, text: str, driven: FloatArray, heading: float) -> Told:
        from embodied_mem_msgs.srv import FollowInstruction
        from geometry_msgs.msg import Point

        request = FollowInstruction.Request(
            text=text, driven=[Point(x=x, y=y, z=z) for x, y, z in driven.tolist()], use_heading=True, heading=heading,
            min_places=self._lengths.shortest, max_places=self._lengths.longest, read_to=self._client.wrote,
        )  # fmt: skip
        response = self._client.call(FollowInstruction, "follow_instruction", request)
        if not response.found:
            return Told(np.zeros((0, 3)), 0.0, response.reason)
        line = [
            (pose.pose.position.x, pose.pose.position.y, pose.pose.position.z) for pose in response.route.path.poses
        ]
        return Told(np.array(line), float(response.confidence))


class Eyes:
    """What the robot perceives where it stands, as an observation of the street's perception."""

    def __init__(self, graph: TouchdownGraph, landmarks: Landmarks, seed: int) -> None:
        self._world = StreetSimulator(graph, landmarks, seed=seed, nodes=1)
        self.perceiver = Perceiver(PerceptionSettings(**OF_THE_STREET))

    def at(self, node: int, yaw: float, stamp_ns: int) -> Observation:
        """The observation from a node, looking to `yaw`."""
        self._world.state = State(node, round(90 - np.degrees(yaw)) % 360)
        frame = replace(self._world.look(), stamp_ns=stamp_ns)
        return perceived(self.perceiver, frame)


def perceived(perceiver: Perceiver, frame: StreetFrame) -> Observation:
    """The observation of a frame, with boxes in the precision of their message."""
    x, y, yaw = frame.base
    pose = PoseSample(
        frame.stamp_ns, np.array([x, y, 0.0]), quaternion_from_yaw(yaw), frame.covariance, frame.frame_id
    )  # fmt: skip
    boxes = Boxes2D(
        frame.boxes.labels, frame.boxes.scores.astype(np.float32).astype(np.float64),
        frame.boxes.boxes.astype(np.float32).astype(np.float64),
    )  # fmt: skip
    seen = perceiver.camera(
        frame.stamp_ns, frame.rgb, frame.depth, frame.camera, pose, boxes, frame.detector, frame.classes, frame.caption
    )
    assert seen is not None  # a detector ran
    return seen


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """One episode: every answer on the way, and the nodes that were driven over."""

    told: list[Told]
    path: NDArray[np.int32]


def follow(
    backend: Backend, eyes: Eyes, graph: TouchdownGraph, text: str, start: int, heading: float, stamp_ns: int
) -> Followed:
    """Follow one description from a node, looking to compass degrees; what is perceived is remembered.

    The robot drives along the answer, at each step to the node nearest to its next point.
    """
    tree = cKDTree(graph.xy)
    path, told, yaw = [start], [], float(yaw_of_heading(heading))
    while True:
        driven = np.column_stack([graph.xy[path], np.zeros(len(path))])
        answer = backend.follow(text, driven, float(yaw_of_heading(heading)))
        told.append(answer)
        way = [int(node) for node in tree.query(answer.points[:, :2])[1]] if len(answer.points) else []
        here = [i for i, node in enumerate(way) if node == path[-1]] or [len(path) - 1]
        onward = way[here[-1] + 1 : here[-1] + 1 + _ON]
        if not onward or len(path) > LENGTHS.longest:
            return Followed(told, np.array(path, np.int32))
        for node in onward:
            step = graph.xy[node] - graph.xy[path[-1]]
            yaw = float(np.arctan2(step[1], step[0])) if step.any() else yaw
            path.append(node)
            backend.remember(eyes.at(node, yaw, stamp_ns + len(path) * _APART_NS))
