"""A simulated robot: publishes what its sensors measure, and the time.

Subscribes  memory_events (lock-step), cmd_vel (drive: cmd_vel)
Publishes   /clock, image, depth, camera_info, detections_2d, odom, scan and points as configured, ~/progress;
            image_caption in a street; ~/truth, only when asked for: markers for a person who watches

`odom` is the robot's base as its localisation believes it, in the frame map, with covariance. Nothing that is
published is true, except ~/truth, which no node reads.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from embodied_mem_msgs.msg import Caption, ImageDetections, MemoryEvent
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2
from visualization_msgs.msg import MarkerArray

from embodied_mem.nodes import qos
from embodied_mem.nodes.base import MemoryNode
from embodied_mem.nodes.conversions import simulated
from embodied_mem.nodes.conversions.basics import ns_to_stamp, stamp_to_ns
from embodied_mem.nodes.settings import SimSettings
from embodied_mem.nodes.simulating import Run, make_world, write_truth
from embodied_mem.nodes.spin import run

_CLOCK_PERIOD_S = 0.1  # also while nothing moves: a node that is started late must learn the time


class SimNode(MemoryNode):
    """See the module docstring. `run` exists while configured; `run.world` is for judges."""

    Parameters = SimSettings

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("sim", **kwargs)
        self.run: Any = None

    def configure(self) -> None:
        p: SimSettings = self.parameters
        self.run = Run(
            make_world(p), p, self._publish, listening=self._listening, finished=self._finish,
            failed=lambda error: self.fault("simulating", error),
        )  # fmt: skip
        kinds: dict[str, type] = {
            "image": Image, "depth": Image, "camera_info": CameraInfo, "odom": Odometry,
            "detections_2d": ImageDetections,
        }  # fmt: skip
        kinds |= ({"points": PointCloud2} if p.points else {}) | ({"scan": LaserScan} if p.scan else {})
        kinds |= {"image_caption": Caption} if p.world == "street" else {}
        self._sensors = {name: self.publish_to(kind, name, qos.SENSOR_OUT) for name, kind in kinds.items()}
        self._clock_out = self.publish_to(Clock, "/clock", qos.CLOCK)
        self._progress = self.publish_to(DiagnosticStatus, "~/progress", qos.LATCHED)
        self._truth = self.publish_to(MarkerArray, "~/truth", qos.MARKERS) if p.truth else None
        self._heard = self.subscribe(MemoryEvent, "memory_events", qos.EVENTS, self._remembered)
        if p.drive == "cmd_vel":
            self.subscribe(Twist, "cmd_vel", qos.reliable(10), self._drive)
        self.every(_CLOCK_PERIOD_S, self._tick)
        self.every(1.0, self._tell)

    def activate(self) -> None:
        self.run.start()

    def deactivate(self) -> None:
        self.run.pause()

    def cleanup(self) -> None:
        self.run = None

    def diagnose(self) -> Mapping[str, object]:
        if self.run is None:
            return {}
        return {"progress": round(self.run.world.progress, 3), "done": self.run.done, **self.run.counters}

    # --- on the world's thread ----------------------------------------------------------------------------------

    def _publish(self, frame: Any) -> None:
        self._clock_out.publish(Clock(clock=ns_to_stamp(frame.stamp_ns)))
        for name, message in simulated.messages_of(frame):
            publisher = self._sensors.get(name)
            if publisher is not None:
                publisher.publish(message)

    def _listening(self) -> bool:
        """Whether somebody takes the frames, and in lock-step says so: before that, the first ones would be lost."""
        ready = all(self._sensors[name].get_subscription_count() for name in ("image", "depth", "camera_info", "odom"))
        return ready and (self.parameters.real_time_factor > 0 or self._heard.get_publisher_count() > 0)

    def _finish(self) -> None:
        if self.parameters.truth_file:
            write_truth(self.run.world, Path(self.parameters.truth_file))
        self._tell()
        self.get_logger().info(f"The run is over after {self.run.counters['frames']} frames.")

    # --- on the executor ----------------------------------------------------------------------------------------

    def _remembered(self, event: MemoryEvent) -> None:
        if event.type in ("admitted", "folded", "refused", "dropped", "skipped"):
            self.run.perceived(stamp_to_ns(event.header.stamp))

    def _drive(self, command: Twist) -> None:
        self.run.world.drive(command.linear.x, command.angular.z)

    def _tick(self) -> None:
        if self.run.stamp_ns:
            self._clock_out.publish(Clock(clock=ns_to_stamp(self.run.stamp_ns)))

    def _tell(self) -> None:
        state = "done" if self.run.done else "running"
        values = {"frames": self.run.counters["frames"], "progress": f"{self.run.world.progress:.3f}"}
        values |= {"stamp_ns": self.run.stamp_ns, "lock_step_timeouts": self.run.counters["lock_step_timeouts"]}
        self._progress.publish(
            DiagnosticStatus(
                level=DiagnosticStatus.OK, name=self.get_fully_qualified_name().lstrip("/"), message=state,
                values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
            )
        )  # fmt: skip
        if self._truth is not None and self._truth.get_subscription_count():
            self._truth.publish(simulated.truth_markers(self.run.world, ns_to_stamp(self.run.stamp_ns)))


def main() -> int:
    return run(lambda: [SimNode()])


if __name__ == "__main__":
    sys.exit(main())
