"""Commands that go through running nodes, by services."""

from __future__ import annotations

import math
import os
from types import TracebackType
from typing import Any

from embodied_mem.cli.console import Console
from embodied_mem.cli.filters import Where
from embodied_mem.cli.shape import Shape, answer_shape, area_shape, evidence_shape, sentence_shape
from embodied_mem.errors import BadInputError, RefusedError, UnavailableError
from embodied_mem.records.memory import Admitted
from embodied_mem.records.observation import Observation

_CALL_S = 30.0  # for a service of a node that was found


class NodesBackend:
    """See backend.Backend. Raises UnavailableError when rclpy is missing or no node answers within `wait_s`."""

    def __init__(self, wait_s: float) -> None:
        self._client = connect(wait_s)

    @property
    def source(self) -> str:
        return f"the running nodes in ROS domain {os.environ.get('ROS_DOMAIN_ID', '0')}"

    def ask(self, question: str, *, map_id: str, robot: tuple[float, ...] | None, as_of: int | None) -> Shape:
        pose = None if robot is None else (robot, (0.0, 0.0, 0.0, 1.0))
        return answer_shape(self._client.ask(question, robot=pose, map_id=map_id, as_of=as_of or 0))

    def query(self, text: str | None, where: Where, *, k: int, min_score: float | None, explain: bool) -> Shape:
        fields = _restrictions(where)
        result = self._client.query(text, when=where.when, k=k, min_score=min_score, explain=explain, **fields)
        return {
            "found": result.found,
            "reason": result.reason,
            "exact": result.exact,
            "model": result.model,
            "watermark": result.watermark,
            "explanation": result.explanation,
            "hits": [evidence_shape(hit) for hit in result.hits],
        }

    def locate(self, label: str, where: Where) -> Shape:
        return answer_shape(self._client.locate(label, when=where.when, **_restrictions(where)))

    def things(self, label: str, *, id_: str, map_id: str, now_only: bool) -> Shape:
        from embodied_mem.cli.shape import thing_of_message

        response = self._client.object_history(label, id_=id_, map_id=map_id, now_only=now_only)
        return {"found": bool(response.found), "objects": [thing_of_message(item) for item in response.objects]}

    def goto(self, label: str, *, start: tuple[float, ...] | None, map_id: str, radius: float, eye: float) -> Shape:
        response = self._client.goal_near(label, start=start, map_id=map_id, robot_radius=radius, sensor_height=eye)
        if not response.found:
            return {"found": False, "reason": response.reason}
        pose, target = response.goal.pose, response.target.point
        return {
            "found": True,
            "reason": response.reason,
            "map_id": response.map_id,
            "position": [pose.position.x, pose.position.y, pose.position.z],
            "heading": 2 * math.atan2(pose.orientation.z, pose.orientation.w),
            "target": [target.x, target.y, target.z],
            "instructions": response.route.instructions if len(response.route.places) > 1 else "",
            "evidence": [int(item.seq) for item in response.evidence],
        }

    def describe(
        self,
        question: str,
        where: Where,
        *,
        against: tuple[float, ...] | None,
        robot: tuple[float, ...] | None,
        areas: int,
    ) -> Shape:
        from embodied_mem.nodes.conversions.results import evidence_of

        response = self._client.describe(
            question, against=against, robot=robot, areas=areas, when=where.when, **_restrictions(where)
        )
        return {
            "found": bool(response.found),
            "reason": response.reason,
            "sentences": [
                sentence_shape(sentence.kind, sentence.text, sentence.records) for sentence in response.sentences
            ],
            "areas": [
                area_shape(area, (area.center.x, area.center.y, area.center.z), share)
                for area, share in zip(response.areas, response.shares, strict=True)
            ],
            "evidence": [evidence_shape(evidence_of(item)) for item in response.evidence],
        }

    def forget(self, seqs: tuple[int, ...], where: Where, *, dry_run: bool) -> Shape:
        if not seqs and where.empty:
            raise BadInputError("Forget what? Give numbers of records, or a filter such as --label or --when.")
        before = self._client.wrote
        restrictions = _restrictions(where)
        del restrictions["seqs"]  # the numbers are named for themselves
        count = self._client.forget(seqs, dry_run=dry_run, when=where.when, **restrictions)
        command = self._client.wrote if self._client.wrote > before else None
        return {"count": count, "seqs": list(seqs), "command_seq": command}

    def undo(self, command_seq: int | None) -> Shape:
        undone = self._client.undo(command_seq or 0)
        return {"undone": undone, "undo_seq": self._client.wrote}

    def correct(self, seq: int, **changes: Any) -> Shape:
        return {"seq": seq, "command_seq": self._client.correct(seq, **changes)}

    def change_things(self, action: str, detections: tuple[str, ...]) -> Shape:
        return {"command_seq": self._client.change_objects(action, detections)}

    def compact(self, console: Console) -> Shape:
        return {"message": self._client.compact()}

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> NodesBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class NodesSink:
    """Sends observations to the record node. `become`: the map that the robot is in when observations are of it."""

    def __init__(self, become: str = "", wait_s: float = 10.0) -> None:
        self._client = connect(wait_s)
        self._become = become
        self._known: set[str] = set()

    def remember_many(self, observations: list[Observation]) -> list[Admitted | RefusedError]:
        outcomes: list[Admitted | RefusedError] = []
        for observation in observations:
            self._know(observation.map_id)
            try:
                outcomes.append(self._client.remember(observation))
            except RefusedError as refusal:
                outcomes.append(refusal)
        return outcomes

    def close(self) -> None:
        self._client.close()

    def _know(self, map_id: str) -> None:
        """Make the map known; the current one stays current unless the robot is in this one now."""
        if not map_id or map_id in self._known:
            return
        before = self._client.set_map(map_id)
        if before and before != map_id and map_id != self._become:
            self._client.set_map(before)
        self._known.add(map_id)


def connect(wait_s: float) -> Any:
    """A client of running nodes, once one answered. Raises UnavailableError."""
    try:
        from embodied_mem.nodes.client import MemoryClient
    except ImportError as error:
        raise UnavailableError(
            f"The nodes cannot be asked: {error.name or error} is not installed; source your ROS workspace, "
            "or open the folder with --direct."
        ) from None
    client = MemoryClient(timeout_s=wait_s)
    try:
        client.wait_until_ready(wait_s)
    except BaseException:
        client.close()
        raise
    client.timeout_s = _CALL_S
    return client


def _restrictions(where: Where) -> dict[str, Any]:
    """The fields of Query that restrict."""
    query = where.query()
    names = (
        "box",
        "center",
        "radius",
        "near_record",
        "time",
        "labels",
        "robot_id",
        "session_id",
        "map_id",
        "seqs",
        "as_of",
    )
    return {name: getattr(query, name) for name in names}
