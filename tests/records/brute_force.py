"""What memory should say, by the slowest means: every question replays the log, record by record, in plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import NotFoundError, UnknownMapError
from embodied_mem.geometry import pose_matrix, quaternion_from_matrix, transform_points, yaw_of
from embodied_mem.records.commands import Correct, Forget, ReAnchor, SetMap, Undo
from embodied_mem.records.entry import Entry
from embodied_mem.records.query import Query, TimeRange

FloatArray = NDArray[np.float64]
NEAR = 2.0  # metres: near_record without a radius


@dataclass(eq=False)
class Story:
    """A record as it stands at some number of the log, in the coordinates of its own map."""

    seq: int
    map_id: str
    robot: str
    session: str
    first: int
    last: int
    text: int  # the entry whose text counts
    pose: FloatArray  # (4, 4)
    labels: list[str]
    scores: FloatArray
    centers: FloatArray


@dataclass(eq=False)
class Found:
    """A record that passes a query: its score, and where the answer says that it is."""

    story: Story
    score: float | None  # None: it has no vector
    position: FloatArray


@dataclass(eq=False)
class BruteForce:
    """Entries in order from number 1 on, and the vectors of their texts."""

    entries: list[Entry] = field(default_factory=list)
    vectors: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    _told: dict[tuple[int, int], list[Story]] = field(default_factory=dict)

    # --- the log -----------------------------------------------------------------------------------------------

    def live(self, seq: int, as_of: int) -> bool:
        """Whether no live undo up to `as_of` names the command."""
        return not any(
            isinstance(entry.command, Undo) and entry.command.command_seq == seq and self.live(entry.seq, as_of)
            for entry in self.entries[:as_of]
        )

    def commands(self, as_of: int) -> list[Entry]:
        return [entry for entry in self.entries[:as_of] if entry.command is not None and self.live(entry.seq, as_of)]

    def stories(self, as_of: int) -> list[Story]:
        """Every record as it stood at a number of the log; what was forgotten by now is missing."""
        key = (len(self.entries), as_of)
        if key not in self._told:
            forgotten = {
                seq
                for entry in self.commands(len(self.entries))
                if isinstance(entry.command, Forget)
                for seq in entry.command.seqs
            }
            commands = self.commands(as_of)
            observed = [entry for entry in self.entries[:as_of] if entry.observation and entry.seq not in forgotten]
            self._told[key] = [self._story(entry, commands, as_of) for entry in observed]
        return self._told[key]

    def _story(self, entry: Entry, commands: list[Entry], as_of: int) -> Story:
        obs, seq = entry.observation, entry.seq
        assert obs is not None
        again = [entry.stamp_ns for entry in self.entries[:as_of] if entry.about == seq]
        out = Story(
            seq, obs.map_id, obs.robot_id, obs.session_id, obs.stamp_ns, max([obs.stamp_ns, *again]), seq,
            pose_matrix(obs.position, obs.orientation), list(obs.detections.labels), obs.detections.scores,
            obs.detections.centers.copy(),
        )  # fmt: skip
        for each in commands:
            command = each.command
            if isinstance(command, Correct) and command.seq == seq:
                _correct(out, command, each.seq)
            elif isinstance(command, ReAnchor) and command.map_id == obs.map_id and seq < each.seq:
                motion = _pose_at(command, 1, obs.stamp_ns) @ np.linalg.inv(_pose_at(command, 0, obs.stamp_ns))
                out.pose = motion @ out.pose
                out.centers = transform_points(motion, out.centers)
        return out

    # --- maps --------------------------------------------------------------------------------------------------

    def transforms(self, query: Query, as_of: int) -> dict[str, FloatArray] | None:
        """Map -> (4, 4) into the query's map; None when every map is meant. Raises UnknownMapError."""
        if query.map_id == "*":
            return None
        known = [name for entry in self.entries for name in _maps_of(entry)]
        edges: dict[tuple[str, str], FloatArray] = {}
        current = next(iter(known), "")
        for entry in self.commands(as_of):
            command = entry.command
            if isinstance(command, SetMap):
                current = command.map_id
                if command.transform is not None:
                    matrix = np.array(command.transform).reshape(4, 4)
                    edges[command.map_id, command.parent] = matrix
                    edges[command.parent, command.map_id] = np.linalg.inv(matrix)
        target = query.map_id or current
        if not target:
            return {}
        if target not in known:
            raise UnknownMapError("unknown")
        joined = {target: np.eye(4)}
        for _ in edges:  # as often as the longest chain needs; where maps are joined in a ring, the short way counts
            reached = {
                here: joined[there] @ matrix
                for (here, there), matrix in edges.items()
                if there in joined and here not in joined
            }
            joined |= reached
        if current not in joined:
            raise UnknownMapError("not joined")
        return joined

    # --- questions ---------------------------------------------------------------------------------------------

    def as_of(self, query: Query) -> int:
        newest = len(self.entries) if query.as_of is None else min(query.as_of, len(self.entries))
        if query.as_of_ns is None:
            return newest
        return min(newest, sum(entry.logged_ns <= query.as_of_ns for entry in self.entries))

    def ask(self, query: Query, vector: NDArray[np.float32] | None) -> list[Found]:
        """Every record that passes the filters. Raises UnknownMapError, NotFoundError."""
        as_of = self.as_of(query)
        maps = self.transforms(query, as_of)
        sphere = self._sphere(query, maps, as_of)
        out = []
        for story in self.stories(as_of):
            if not _who_and_when(story, query):
                continue
            if maps is not None and story.map_id not in maps:
                continue
            into = np.eye(4) if maps is None else maps[story.map_id]
            position = _matched(story, into, query, sphere)
            if position is None:
                continue
            row = self.vectors.get(story.text)
            score = None
            if vector is not None and row is not None:
                score = float(row.astype(np.float64) @ vector.astype(np.float64))
            out.append(Found(story, score, position))
        return out

    def explain(self, query: Query) -> dict[str, int]:
        """How many records each filter leaves, by its name."""
        alone: dict[str, Query] = {"records": Query(map_id="*")}
        if query.map_id != "*":
            alone["map"] = Query(map_id=query.map_id)
        if query.robot_id:
            alone["robot"] = Query(map_id="*", robot_id=query.robot_id)
        if query.session_id:
            alone["session"] = Query(map_id="*", session_id=query.session_id)
        if query.time is not None:
            alone["time"] = Query(map_id="*", time=query.time)
        if query.seqs is not None:
            alone["numbers"] = Query(map_id="*", seqs=query.seqs)
        if query.has_where:
            alone["place"] = Query(
                map_id=query.map_id, box=query.box, center=query.center, radius=query.radius,
                near_record=query.near_record, labels=query.labels,
            )  # fmt: skip
        if query.labels:
            alone["label"] = Query(map_id="*", labels=query.labels)
        alone["all together"] = query
        as_of = self.as_of(query)
        return {name: len(self.ask(replace(each, as_of=as_of, as_of_ns=None), None)) for name, each in alone.items()}

    def _sphere(self, query: Query, maps: dict[str, FloatArray] | None, as_of: int) -> tuple[FloatArray, float] | None:
        if query.near_record is None:
            return None if query.center is None or query.radius is None else (query.center, query.radius)
        near = [story for story in self.stories(as_of) if story.seq == query.near_record]
        if not near:
            raise NotFoundError("no such record")
        story = near[0]
        if maps is None or story.map_id not in maps:
            raise UnknownMapError("in another map")
        center = transform_points(maps[story.map_id], story.pose[None, :3, 3])[0]
        return center, NEAR if query.radius is None else query.radius


def _maps_of(entry: Entry) -> list[str]:
    if entry.observation is not None:
        return [entry.observation.map_id]
    command = entry.command
    if isinstance(command, SetMap):
        return [command.map_id] if command.transform is None else [command.map_id, command.parent]
    return []


def _who_and_when(story: Story, query: Query) -> bool:
    time = query.time or TimeRange()
    if query.seqs is not None and story.seq not in list(query.seqs):
        return False
    if (query.robot_id and story.robot != query.robot_id) or (query.session_id and story.session != query.session_id):
        return False
    if time.start_ns is not None and story.last < time.start_ns:
        return False
    return time.end_ns is None or story.first < time.end_ns


def _matched(
    story: Story, into: FloatArray, query: Query, sphere: tuple[FloatArray, float] | None
) -> FloatArray | None:
    """Where the record matches, in the query's map: its best matching detection, else its sensor; None: nowhere."""

    def inside(point: FloatArray) -> bool:
        if query.box is not None and not ((point >= query.box[0]).all() and (point <= query.box[1]).all()):
            return False
        return sphere is None or float(((point - sphere[0]) ** 2).sum()) <= sphere[1] ** 2

    if not query.labels:
        position = transform_points(into, story.pose[None, :3, 3])[0]
        return position if inside(position) else None
    centers = transform_points(into, story.centers)
    hits = [d for d, label in enumerate(story.labels) if label in query.labels and inside(centers[d])]
    return centers[max(hits, key=lambda d: story.scores[d])] if hits else None


def _correct(story: Story, command: Correct, number: int) -> None:
    if command.caption is not None:
        story.text = number
    if command.labels is not None:
        story.labels = list(command.labels)
    position = story.pose[:3, 3] if command.position is None else np.array(command.position)
    turn = quaternion_from_matrix(story.pose[:3, :3]) if command.orientation is None else np.array(command.orientation)
    moved = pose_matrix(position, turn)
    story.centers = transform_points(moved @ np.linalg.inv(story.pose), story.centers)
    story.pose = moved


def _pose_at(command: ReAnchor, which: int, stamp: int) -> FloatArray:
    """(4, 4): the trajectory before (0) or after (1), between its two poses; poses here turn about z only."""
    poses = np.array((command.before, command.after)[which])
    first, last = command.stamps_ns[0], command.stamps_ns[-1]
    share = 0.0 if first == last else (min(max(stamp, first), last) - first) / (last - first)
    yaws = yaw_of(poses[:, 3:])
    step = (yaws[-1] - yaws[0] + np.pi) % (2 * np.pi) - np.pi
    half = (yaws[0] + share * step) / 2
    place = poses[0, :3] + share * (poses[-1, :3] - poses[0, :3])
    return pose_matrix(place, (0.0, 0.0, np.sin(half), np.cos(half)))
