"""A robot's memory in ten lines: remember, find, ask.

    from embodied_mem.nodes.client import MemoryClient

    with MemoryClient() as memory:
        memory.remember("A red mug stands on the kitchen table.", position=(1.0, 2.0, 0.9))
        print(memory.ask("where is the red mug?").sentence)
        for hit in memory.query("something to drink from", k=3).hits:
            print(hit.seq, hit.position, hit.score)

Every call has a time-out and raises the errors of embodied_mem.errors with the sentence that the node gave. What this
client wrote, its questions find: each waits until the answering node has read that far.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np
import rclpy
from embodied_mem_msgs.srv import (
    Ask,
    ChangeObjects,
    Correct,
    Describe,
    Forget,
    GetRecords,
    GoalNear,
    Locate,
    ObjectHistory,
    PlanRoute,
    ReAnchor,
    Remember,
    SetMap,
    Undo,
)
from embodied_mem_msgs.srv import Query as QuerySrv
from geometry_msgs.msg import PoseStamped, Quaternion, Transform, Vector3
from numpy.typing import ArrayLike
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

from embodied_mem import errors
from embodied_mem.geometry import quaternion_from_matrix
from embodied_mem.nodes.conversions.basics import make_pose, point
from embodied_mem.nodes.conversions.observations import observation_to_msg
from embodied_mem.nodes.conversions.packed import unpack_entries
from embodied_mem.nodes.conversions.queries import filter_from_query, request_from_query
from embodied_mem.nodes.conversions.results import answer_of, path_msg, query_result
from embodied_mem.nodes.results import QueryResult
from embodied_mem.recall.answer import Answer
from embodied_mem.records.entry import Entry
from embodied_mem.records.memory import Admitted
from embodied_mem.records.numeric import floats
from embodied_mem.records.observation import Observation
from embodied_mem.records.query import Query

_ERRORS: dict[int, type[errors.EmbodiedMemError]] = {
    kind.code: kind
    for kind in (
        errors.BadInputError, errors.UnknownMapError, errors.ModelMismatchError, errors.NotFoundError,
        errors.RefusedError, errors.StorageError, errors.UnavailableError,
    )
}  # fmt: skip
_RETRY_S = 0.1
_FIRST_PATIENCE_S = 1.0  # a request to a node that was just killed is lost: asked again after this, then after twice it
_REPEATABLE = (  # remember: a repetition is folded into the first
    "query", "locate", "ask", "get_records", "remember", "goal_near", "plan_route", "recall_place", "query_volume",
    "recall_nearby", "follow_instruction",
    "cast_rays", "nearest_obstacle", "describe", "object_history",
)  # fmt: skip
_UPRIGHT = (0.0, 0.0, 0.0, 1.0)


class MemoryClient:
    """Talks to the record and recall nodes of `namespace`; not thread-safe.

    timeout_s  for discovery and for every call; a node that is being restarted is waited for that long
    node       an existing node to use (nobody else may be spinning it); default: one of its own
    """

    def __init__(
        self, namespace: str = "", *, timeout_s: float = 15.0, node: Node | None = None, use_sim_time: bool = False
    ) -> None:
        self.timeout_s = timeout_s
        self.wrote = 0  # the highest number that this client caused
        self._space = namespace.rstrip("/")
        self._context: Context | None = None
        if node is None:
            self._context = Context()
            rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
            overrides = [rclpy.parameter.Parameter("use_sim_time", value=use_sim_time)]
            node = Node("memory_client", context=self._context, parameter_overrides=overrides, enable_rosout=False)
        self._node = node
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._clients: dict[str, Any] = {}

    def wait_until_ready(self, timeout_s: float | None = None) -> None:
        """Wait until memory answers. Raises UnavailableError with the reason when it does not in time."""
        self.query(k=1, timeout_s=timeout_s)

    # --- writing -----------------------------------------------------------------------------------------------

    def remember(
        self,
        what: str | Observation,
        *,
        position: ArrayLike = (0.0, 0.0, 0.0),
        orientation: ArrayLike = _UPRIGHT,
        stamp_ns: int | None = None,
        frame_id: str = "map",
        durable: bool = False,
        **fields: Any,
    ) -> Admitted:
        """A caption seen from a pose, or a whole observation. `fields` are further ones of Observation.

        stamp_ns: None is now, by the clock of the record node.

        A node that is killed on the way is asked again; what it had written before is then answered as `folded`.
        """
        if not isinstance(what, str | Observation):
            raise errors.BadInputError(
                f"What is to be remembered must be a caption or an Observation, not a {type(what).__name__}."
            )
        if isinstance(what, str):
            where = np.array(floats(position, 3, "position")), np.array(floats(orientation, 4, "orientation"))
            what = Observation(stamp_ns or 0, *where, frame_id=frame_id, caption=what, **fields)
        request = Remember.Request(observation=observation_to_msg(what), ack=int(durable))
        response = self.call(Remember, "remember", request)
        self._note(response.seq)
        return Admitted(response.seq, response.folded)

    def correct(
        self,
        seq: int,
        *,
        caption: str | None = None,
        position: ArrayLike | None = None,
        orientation: ArrayLike | None = None,
        labels: Sequence[str] | None = None,
    ) -> int:
        """Change a record; returns the number of the command."""
        request = Correct.Request(seq=seq)
        if caption is not None:
            request.fields.append("caption")
            request.caption = caption
        if position is not None or orientation is not None:
            if position is None or orientation is None:
                known = self.query(seqs=(seq,), map_id="*", k=1).hits
                if not known:
                    raise errors.NotFoundError(f"There is no record {seq}.")
                position = known[0].sensor_position if position is None else position
                orientation = known[0].sensor_orientation if orientation is None else orientation
            request.fields.append("pose")
            request.pose = make_pose(position, orientation)
        if labels is not None:
            request.fields.append("labels")
            request.labels = list(labels)
        return self._note(self.call(Correct, "correct", request).command_seq)

    def forget(self, seqs: Sequence[int] = (), *, dry_run: bool = False, when: str = "", **restrictions: Any) -> int:
        """Forget records by number, or all that the restrictions (fields of Query) leave; returns how many."""
        request = Forget.Request(
            seqs=list(seqs), filter=filter_from_query(Query(**restrictions), when), dry_run=dry_run
        )
        response = self.call(Forget, "forget", request)
        self._note(response.command_seq)
        return int(response.count)

    def undo(self, command_seq: int = 0) -> int:
        """Take a command back, the newest when none is named; returns which it was."""
        response = self.call(Undo, "undo", Undo.Request(command_seq=command_seq))
        self._note(response.undo_seq)
        return int(response.undone)

    def compact(self, timeout_s: float = 600.0) -> str:
        """Erase what was forgotten from every file, for good; returns what was done, in words. Raises StorageError."""
        deadline = time.monotonic() + timeout_s
        response, sentence = self._try(Trigger, "compact", Trigger.Request(), deadline, deadline)
        if response is None:
            raise errors.UnavailableError(sentence)
        if not response.success:
            raise errors.StorageError(response.message)
        return str(response.message)

    def change_objects(self, action: str, detections: Sequence[str]) -> int:
        """Say that detections ("record.place") are of one thing (unite) or of different ones (part); the command."""
        response = self.call(
            ChangeObjects, "change_objects", ChangeObjects.Request(action=action, detections=list(detections))
        )
        self._note(response.command_seq)
        return int(response.command_seq)

    def set_map(self, map_id: str, *, parent: str = "", transform: ArrayLike | None = None) -> str:
        """Name the current map; `transform` (4, 4) leads from it to `parent`. Returns the map before."""
        request = SetMap.Request(map_id=map_id, parent_map_id=parent, use_transform=transform is not None)
        if transform is not None:
            matrix = np.asarray(transform, dtype=np.float64)
            x, y, z, w = quaternion_from_matrix(matrix[:3, :3]).tolist()
            tx, ty, tz = matrix[:3, 3].tolist()
            request.transform = Transform(
                translation=Vector3(x=tx, y=ty, z=tz), rotation=Quaternion(x=x, y=y, z=z, w=w)
            )
        response = self.call(SetMap, "set_map", request)
        self._note(response.command_seq)
        return str(response.previous)

    def re_anchor(self, map_id: str, stamps_ns: ArrayLike, before: ArrayLike, after: ArrayLike) -> int:
        """Move a map's records: stamps (n,) and poses (n, 7) before and after. Returns how many moved."""
        request = ReAnchor.Request(map_id=map_id, before=path_msg(stamps_ns, before), after=path_msg(stamps_ns, after))
        response = self.call(ReAnchor, "re_anchor", request)
        self._note(response.command_seq)
        return int(response.moved)

    # --- reading -----------------------------------------------------------------------------------------------

    def query(
        self, text: str | None = None, *, when: str = "", timeout_s: float | None = None, **restrictions: Any
    ) -> QueryResult:
        """Exact search; `restrictions` are the fields of records.query.Query, `when` a time in words."""
        request = request_from_query(Query(text=text, **restrictions), when)
        request.read_to = self.wrote
        return query_result(self.call(QuerySrv, "query", request, timeout_s))

    def locate(self, label: str, *, when: str = "", **restrictions: Any) -> Answer:
        """Where the thing with this label is."""
        request = Locate.Request(label=label, filter=filter_from_query(Query(**restrictions), when), read_to=self.wrote)
        return answer_of(self.call(Locate, "locate", request).answer)

    def object_history(self, label: str = "", *, id_: str = "", map_id: str = "", now_only: bool = False) -> Any:
        """Where things were and are: the response of ObjectHistory. Without a label or an id, of everything."""
        request = ObjectHistory.Request(id=id_, label=label, map_id=map_id, now_only=now_only, read_to=self.wrote)
        return self.call(ObjectHistory, "object_history", request)

    def goal_near(self, label: str, *, start: ArrayLike | None = None, map_id: str = "", **robot: float) -> Any:
        """A pose from which the thing is seen, and the way there: the response of GoalNear, whose `found` may be false.

        start (3,): where the robot is (default: where the newest record was made); robot: further fields of the request
        """
        request = GoalNear.Request(label=label, map_id=map_id, read_to=self.wrote, **robot)
        if start is not None:
            request.use_start, request.start = True, point(start)
        return self.call(GoalNear, "goal_near", request)

    def plan_route(self, landmark: str = "", **fields: Any) -> Any:
        """A way to where a landmark was seen, or to what the request's other fields say: the response of PlanRoute."""
        request = PlanRoute.Request(goal_landmark=landmark, read_to=self.wrote, **fields)
        return self.call(PlanRoute, "plan_route", request)

    def ask(
        self, question: str, *, robot: tuple[ArrayLike, ArrayLike] | None = None, map_id: str = "", as_of: int = 0
    ) -> Answer:
        """A question in words; `robot`: position (3,) and orientation (4,), for "here" and "near me"."""
        request = Ask.Request(question=question, map_id=map_id, as_of=as_of, read_to=self.wrote)
        if robot is not None:
            request.robot = PoseStamped(pose=make_pose(*robot))
            request.robot.header.frame_id = "map"
        return answer_of(self.call(Ask, "ask", request).answer)

    def describe(
        self,
        question: str = "",
        *,
        against: ArrayLike | None = None,
        robot: ArrayLike | None = None,
        areas: int = 3,
        when: str = "",
        **restrictions: Any,
    ) -> Any:
        """What a region is like, or the answer to a question about one: the response of Describe.

        restrictions are those of `query`; against (3,): compare with the same region around this point; robot (3,):
        where "here" is
        """
        query = Query(**restrictions)
        request = Describe.Request(
            question=question, area=filter_from_query(query, when), areas=areas, read_to=self.wrote
        )
        if against is not None:
            request.use_other, request.other = True, filter_from_query(query, when)
            request.other.center = point(against)
        if robot is not None:
            request.robot = PoseStamped(pose=make_pose(robot, _UPRIGHT))
            request.robot.header.frame_id = "map"
        return self.call(Describe, "describe", request)

    def entries(self, first: int = 1, limit: int = 256, *, blobs: bool = False) -> list[Entry]:
        """Entries of the log from number `first` on."""
        request = GetRecords.Request(first=first, limit=limit, include_blobs=blobs, packed=True)
        return unpack_entries(self.call(GetRecords, "get_records", request).packed)

    # --- calling -----------------------------------------------------------------------------------------------

    def call(self, kind: Any, name: str, request: Any, timeout_s: float | None = None) -> Any:
        """Call a service by its type and relative name. A node that is not ready yet is asked again until the time-out.

        Raises the error that the node's error_code means, UnavailableError when nobody answers in time.
        """
        deadline = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        patience, said = _FIRST_PATIENCE_S, ""
        while True:
            until = min(time.monotonic() + patience, deadline) if name in _REPEATABLE else deadline
            response, sentence = self._try(kind, name, request, until, deadline)
            patience *= 2
            if response is not None and response.error_code == 0:
                return response
            if response is not None and response.error_code != errors.UnavailableError.code:
                raise _ERRORS.get(response.error_code, errors.EmbodiedMemError)(response.message)
            said = response.message if response is not None else said  # the node's own reason says most
            left = deadline - time.monotonic()
            if left <= 0:
                raise errors.UnavailableError(said or sentence)
            self._executor.spin_once(timeout_sec=min(_RETRY_S, left))

    def close(self) -> None:
        """Leave the ROS graph (unless the node was given)."""
        for client in self._clients.values():
            self._node.destroy_client(client)
        self._clients.clear()
        self._executor.remove_node(self._node)
        self._executor.shutdown()
        if self._context is not None:
            self._node.destroy_node()
            self._context.try_shutdown()

    def __enter__(self) -> MemoryClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _try(self, kind: Any, name: str, request: Any, until: float, deadline: float) -> tuple[Any, str]:
        """The response, or None and the reason why there is none. The service is awaited to `deadline`."""
        full = f"{self._space}/{name}" if self._space else name
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = self._node.create_client(kind, full)
        if not client.service_is_ready() and not client.wait_for_service(max(deadline - time.monotonic(), 0.0)):
            return (
                None,
                f"Nobody serves {client.srv_name}: are the nodes running (`embodied-mem up`) in this ROS domain?",
            )
        try:
            future = client.call_async(request)
        except UnicodeEncodeError as error:  # half of a surrogate pair
            raise errors.BadInputError(f"A text of the request cannot be sent: {error}.") from error
        self._executor.spin_until_future_complete(future, max(until - time.monotonic(), 0.0))
        if not future.done():
            client.remove_pending_request(future)
            doubt = (
                "" if name in _REPEATABLE else " It may have been carried out all the same: look before you repeat it."
            )
            return None, f"Service {client.srv_name} did not answer in time.{doubt}"
        return future.result(), ""

    def _note(self, seq: int) -> int:
        self.wrote = max(self.wrote, int(seq))
        return int(seq)
