"""What every node of the stack shares: a lifecycle, parameters, guards, diagnostics, clean endings.

A node overrides `configure`, `activate`, `deactivate`, `cleanup` and `diagnose`, and makes its subscriptions, services
and timers with `subscribe`, `serve`, `publish_to` and `every` inside `configure`. These exist until cleanup and do
nothing while the node is not active: ROS 2 itself gates only publishers.

Threads. All callbacks run on the executor's one thread; heavy work goes to a Worker. Housekeeping runs on the steady
clock, so that a clock that stops or jumps back (a bag in a loop) stops no timer.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile
from rclpy.task import Future

from embodied_mem.errors import BadInputError, EmbodiedMemError, UnavailableError
from embodied_mem.nodes import diagnostics, qos
from embodied_mem.nodes.parameters import declare

UNAVAILABLE, INTERNAL = 7, 8  # error codes of every service
_HASTE = 5  # heartbeats a second before a node is active


class MemoryNode(LifecycleNode):
    """Base of the stack's nodes; see the module docstring."""

    Parameters: ClassVar[type]

    def __init__(self, name: str, **kwargs: Any) -> None:
        """`kwargs` are those of rclpy's Node. Raises BadInputError for a bad parameter."""
        super().__init__(name, **kwargs)
        try:
            self.parameters: Any = declare(self, self.Parameters)
        except BaseException:
            self.destroy_node()
            raise
        self.active = False
        self.problem = ""
        self.counters: Counter[str] = Counter()
        self._entities: list[tuple[Callable[[Any], object], Any]] = []
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._streams = MutuallyExclusiveCallbackGroup()
        self._services_group = ReentrantCallbackGroup()  # an awaiting service must not hold up the streams
        self._newest_stamp_ns = 0
        self._reporter = diagnostics.Reporter(self.get_fully_qualified_name())
        self._diagnostics = self.create_publisher(DiagnosticArray, diagnostics.TOPIC, qos.reliable(10))
        self._beats = 0
        self._heart = self.create_timer(
            diagnostics.PERIOD_S / _HASTE, self._beat, callback_group=ReentrantCallbackGroup(), clock=self._steady
        )
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=False)
        self._jump_handle = self.get_clock().create_jump_callback(threshold, post_callback=self._jumped)

    @property
    def lifecycle_state(self) -> str:
        """unconfigured, inactive, active or finalized."""
        return str(self._state_machine.current_state[1])

    # --- for nodes to override ---------------------------------------------------------------------------------

    def configure(self) -> None:
        """Take resources, make entities. EmbodiedMemError leaves the node unconfigured, its sentence reported."""

    def activate(self) -> None:
        """Begin."""

    def deactivate(self) -> None:
        """Pause; what waits in queues is finished."""

    def cleanup(self) -> None:
        """Give resources back; also after a failed `configure`, so it must bear what was never made."""

    def diagnose(self) -> Mapping[str, object]:
        """Values for /diagnostics, besides the counters."""
        return {}

    def clock_jumped_back(self, by_ns: int) -> None:
        """ROS time went back by so much."""

    # --- entities ----------------------------------------------------------------------------------------------

    def subscribe(
        self, kind: type, topic: str, profile: QoSProfile, callback: Callable[[Any], None], *, raw: bool = False
    ) -> Any:
        """Call `callback` with messages while active. A malformed one is counted and named in the log."""

        def guarded(message: Any) -> None:
            if not self.active:
                self.counters["ignored_while_inactive"] += 1
                return
            try:
                callback(message)
            except EmbodiedMemError as error:
                self.refused_message(topic, error)
            except Exception as error:
                self.fault(f"handling a message on {topic}", error)

        entity = self.create_subscription(kind, topic, guarded, profile, callback_group=self._streams, raw=raw)
        self._entities.append((self.destroy_subscription, entity))
        return entity

    def publish_to(self, kind: type, topic: str, profile: QoSProfile) -> Any:
        """A publisher that is silent while the node is not active."""
        entity = self.create_lifecycle_publisher(kind, topic, profile)
        self._entities.append((self.destroy_lifecycle_publisher, entity))
        return entity

    def serve(self, kind: Any, name: str, handler: Callable[[Any, Any], Any], *, depth: int = qos.REQUESTS) -> None:
        """A service. `handler(request, response)`, plain or async, fills the response; errors become its error_code.

        depth: requests that may wait for the executor; DDS loses more than that without a word
        """

        async def guarded(request: Any, response: Any) -> Any:
            try:
                if not self.active:
                    response.error_code = UNAVAILABLE
                    response.message = f"Node {self.get_name()} is not active yet: try again in a moment."
                    self.counters["refused_while_inactive"] += 1
                    return response
                waiting = handler(request, response)
                if inspect.isawaitable(waiting):
                    await waiting
            except EmbodiedMemError as error:
                response = kind.Response()
                response.error_code, response.message = error.code, str(error)
                self.counters[f"{name}_refused"] += 1
                self.get_logger().info(f"{name} refused: {error}", throttle_duration_sec=1.0)
            except Exception as error:
                self.fault(f"serving {name}", error)
                response = kind.Response()
                response.error_code, response.message = INTERNAL, f"{name} failed inside the node; see its log."
            return response

        profile = qos.reliable(depth)
        entity = self.create_service(kind, name, guarded, qos_profile=profile, callback_group=self._services_group)
        self._entities.append((self.destroy_service, entity))

    def serve_plain(self, kind: Any, name: str, handler: Callable[[Any, Any], Any]) -> None:
        """A service of a standard type with `success` and `message`; `handler` is async and returns the response."""

        async def guarded(request: Any, response: Any) -> Any:
            if self.active:
                return await handler(request, response)
            self.counters["refused_while_inactive"] += 1
            return kind.Response(success=False, message=f"Node {self.get_name()} is not active yet: try again.")

        entity = self.create_service(kind, name, guarded, callback_group=self._services_group)
        self._entities.append((self.destroy_service, entity))

    def client_of(self, kind: type, name: str) -> Any:
        """A client in a callback group of its own: it may be awaited inside callbacks."""
        entity = self.create_client(kind, name, callback_group=MutuallyExclusiveCallbackGroup())
        self._entities.append((self.destroy_client, entity))
        return entity

    def every(self, period_s: float, callback: Callable[[], None]) -> None:
        """Call `callback` while active, by the steady clock."""

        def guarded() -> None:
            if self.active:
                try:
                    callback()
                except Exception as error:
                    self.fault("housekeeping", error)

        entity = self.create_timer(period_s, guarded, callback_group=self._streams, clock=self._steady)
        self._entities.append((self.destroy_timer, entity))

    def future(self) -> Future:
        """A future that other threads may complete and coroutines of this node may await."""
        future: Future = Future(executor=self.executor)
        future.add_done_callback(lambda _: None)  # without a callback, completing it would not wake the executor
        return future

    async def within(self, future: Future, timeout_s: float, sentence: str) -> Any:
        """The future's result. Raises UnavailableError with `sentence` when it takes longer."""

        def give_up() -> None:
            if not future.done():
                future.set_exception(UnavailableError(sentence))

        timer = self.create_timer(timeout_s, give_up, callback_group=ReentrantCallbackGroup(), clock=self._steady)
        try:
            return await future
        finally:
            self.destroy_timer(timer)

    async def call(self, client: Any, request: Any, timeout_s: float) -> Any:
        """The response of another node's service. UnavailableError without one in time, or with its error message."""
        if not client.service_is_ready():
            raise UnavailableError(f"Service {client.srv_name} is not there.")
        future = client.call_async(request)
        try:
            response = await self.within(
                future, timeout_s, f"Service {client.srv_name} did not answer within {timeout_s:g} s."
            )
        finally:
            client.remove_pending_request(future)
        if response.error_code:
            raise UnavailableError(response.message)
        return response

    # --- time, faults, reports ---------------------------------------------------------------------------------

    def now_ns(self) -> int:
        """ROS time; until the first /clock arrives under use_sim_time, the newest stamp that was `noticed`."""
        return self.get_clock().now().nanoseconds or self._newest_stamp_ns

    def notice_stamp(self, stamp_ns: int) -> None:
        self._newest_stamp_ns = max(self._newest_stamp_ns, stamp_ns)

    def refused_message(self, topic: str, error: EmbodiedMemError) -> None:
        """A message that could not be used: count it and say why, at most once a second."""
        self.counters["malformed" if isinstance(error, BadInputError) else "refused"] += 1
        self.get_logger().warning(f"Message on {topic} not used: {error}", throttle_duration_sec=1.0)

    def fault(self, doing: str, error: Exception) -> None:
        """A mistake of ours: logged with where it happened, and the node goes on."""
        self.counters["faults_failed"] += 1
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace is not None else ""
        self.get_logger().error(f"Error while {doing}: {type(error).__name__}: {error}{where}")

    def report(self) -> None:
        """Publish the heartbeat."""
        try:
            values = {**self.diagnose(), **self.counters}
        except Exception as error:
            self.fault("reporting", error)
            values = dict(self.counters)
        stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(self._reporter.message(stamp, self.lifecycle_state, self.problem, values))

    def _beat(self) -> None:
        """Every second; more often until the node is active, so that the manager need not wait for it."""
        self._beats += 1
        if not self.active or self._beats % _HASTE == 0:
            self.report()

    def _jumped(self, jump: TimeJump) -> None:
        by_ns = -jump.delta.nanoseconds
        self.counters["clock_jumps_back"] += 1
        self._newest_stamp_ns = 0
        self.get_logger().info(f"The clock went back by {by_ns / 1e9:.3f} s.")
        try:
            self.clock_jumped_back(by_ns)
        except Exception as error:
            self.fault("following the clock back", error)

    # --- lifecycle ---------------------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        if not self._attempt("configuring", self.configure):
            self._give_back()
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = super().on_activate(state)  # the publishers
        self.active = self._attempt("activating", self.activate)
        self.report()
        return result if self.active else TransitionCallbackReturn.FAILURE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.active = False
        self._attempt("deactivating", self.deactivate)
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._give_back()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        if self.active:
            self.active = False
            self._attempt("deactivating", self.deactivate)
        self._give_back()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.active = False
        self._give_back()
        return TransitionCallbackReturn.SUCCESS  # back to unconfigured

    def shut_down(self) -> None:
        """End in order: finish queues, close files. The process may exit then."""
        if self.lifecycle_state in ("unconfigured", "inactive", "active"):
            self.trigger_shutdown()

    def destroy_node(self) -> None:
        if hasattr(self, "_jump_handle"):
            self._jump_handle.unregister()
        super().destroy_node()

    def _attempt(self, doing: str, step: Callable[[], None]) -> bool:
        try:
            step()
        except EmbodiedMemError as error:
            self.problem = str(error)
            self.get_logger().error(f"{doing.capitalize()} {self.get_name()} failed: {error}")
            return False
        except Exception as error:
            self.problem = f"{doing.capitalize()} failed: {error}"
            self.fault(doing, error)
            return False
        self.problem = ""
        return True

    def _give_back(self) -> None:
        for destroy, entity in self._entities:
            destroy(entity)
        self._entities.clear()
        problem = self.problem
        self._attempt("cleaning up", self.cleanup)
        self.problem = problem or self.problem
