"""Turns what sensors publish into observations.

Subscribes  odom, and as configured: image, depth, camera_info, detections_2d, image_caption; points; scan; caption
            memory_events       what became of its observations: those unheard of are sent again
Publishes   observations; memory_events for frames that made none

Threads: the executor pairs messages by their stamps; one worker thread decodes and perceives. Every queue is bounded,
and what is dropped or stays without a partner is counted by name in /diagnostics.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from embodied_mem_msgs.msg import Caption, ImageDetections, MemoryEvent
from embodied_mem_msgs.msg import Observation as ObservationMsg
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, LaserScan, PointCloud2
from std_msgs.msg import String

from embodied_mem.errors import EmbodiedMemError
from embodied_mem.nodes import qos
from embodied_mem.nodes.base import MemoryNode
from embodied_mem.nodes.conversions import sensors
from embodied_mem.nodes.conversions.basics import ns_to_stamp, stamp_to_ns
from embodied_mem.nodes.conversions.observations import observation_to_msg
from embodied_mem.nodes.outbox import Outbox
from embodied_mem.nodes.perceiving import Perceiver
from embodied_mem.nodes.settings import PerceptionSettings
from embodied_mem.nodes.spin import run
from embodied_mem.nodes.sync import FrameSync, PoseTrack
from embodied_mem.nodes.worker import Worker
from embodied_mem.records.observation import Observation

_POSES = {"odometry": Odometry, "pose_with_covariance": PoseWithCovarianceStamped, "pose": PoseStamped}
_LOOK_S = 0.1  # how often frames that wait in vain are looked for; what comes in completes the others at once
_AGAIN_S = 0.5  # how often it is seen to that memory has heard


class PerceptionNode(MemoryNode):
    """See the module docstring. `deliver` takes observations to a record node of the same process instead."""

    Parameters = PerceptionSettings

    def __init__(self, *, deliver: Callable[[Observation], None] | None = None, **kwargs: Any) -> None:
        super().__init__("perception", **kwargs)
        self._deliver = deliver
        self._syncs: dict[str, FrameSync] = {}
        self._perceivers: dict[str, Callable[..., Observation | None]] = {}
        self._worker: Any = None
        self._perceiver: Any = None

    def configure(self) -> None:
        p: PerceptionSettings = self.parameters
        self._perceiver = Perceiver(p)
        self._track = PoseTrack()
        self._camera_info: CameraInfo | None = None
        self._observations = self.publish_to(ObservationMsg, "observations", qos.OBSERVATIONS)
        self._events = self.publish_to(MemoryEvent, "memory_events", qos.EVENTS)
        self._outbox: Outbox[Any] = Outbox(self._observations.publish)
        if self._deliver is None:
            self.subscribe(MemoryEvent, "memory_events", qos.EVENTS, self._heard)
            self.every(_AGAIN_S, lambda: self._outbox.send_again(time.monotonic()))
        self._worker = Worker(
            "perception", self._perceive, capacity=p.queue, on_error=lambda error: self.fault("perceiving", error)
        )
        profile = qos.sensor_in(p.reliability, depth=max(p.queue, 10))
        self.subscribe(_POSES[p.pose], "odom", qos.sensor_in(p.reliability, 100), self._pose)
        if p.camera:
            image = CompressedImage if p.compressed else Image
            external = {"detections_2d": p.external_detections, "image_caption": p.external_captions}
            others = ("depth", *(name for name, wanted in external.items() if wanted))
            self._lead("image", others, self._camera)
            self.subscribe(image, "image", profile, self._leading("image"))
            self.subscribe(Image, "depth", profile, self._other("image", "depth"))
            self.subscribe(CameraInfo, "camera_info", profile, self._info)
            if p.external_detections:
                self.subscribe(ImageDetections, "detections_2d", profile, self._other("image", "detections_2d"))
            if p.external_captions:
                self.subscribe(Caption, "image_caption", profile, self._other("image", "image_caption"))
        if p.lidar:
            self._lead("points", (), self._points)
            self.subscribe(PointCloud2, "points", profile, self._leading("points"))
        if p.scan:
            self._lead("scan", (), self._scan)
            self.subscribe(LaserScan, "scan", profile, self._leading("scan"))
        if p.captions:
            self._lead("caption", (), self._caption)
            self.subscribe(String, "caption", qos.reliable(20), self._said)
        self.every(_LOOK_S, self._forward)

    def deactivate(self) -> None:
        self._worker.wait_idle(5.0)

    def cleanup(self) -> None:
        if self._worker is not None:
            self._worker.stop()
        self._syncs.clear()

    def clock_jumped_back(self, by_ns: int) -> None:
        for sync in self._syncs.values():
            sync.clear()
        if self._syncs:
            self._track.clear()

    def diagnose(self) -> Mapping[str, object]:
        if self._perceiver is None:
            return {}
        waiting = {f"{name}_waiting": len(sync) for name, sync in self._syncs.items()}
        lost = {f"{name}_{what}": count for name, sync in self._syncs.items() for what, count in sync.counters.items()}
        queue = {f"queue_{name}": count for name, count in self._worker.counters.items()}
        return {**self._perceiver.counters, **waiting, **lost, **queue, **self._outbox.counters}

    # --- pairing, on the executor -------------------------------------------------------------------------------

    def _lead(self, name: str, others: tuple[str, ...], perceive: Callable[..., Observation | None]) -> None:
        p = self.parameters
        self._syncs[name] = FrameSync(others, round(p.slop * 1e9), p.wait)
        self._perceivers[name] = perceive

    def _leading(self, name: str) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            self._syncs[name].lead(stamp_to_ns(message.header.stamp), message, time.monotonic())
            self._forward()

        return take

    def _other(self, leading: str, name: str) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            self._syncs[leading].other(name, stamp_to_ns(message.header.stamp), message)
            self._forward()

        return take

    def _heard(self, event: MemoryEvent) -> None:
        if event.type in ("admitted", "folded", "refused", "dropped"):
            self._outbox.heard(stamp_to_ns(event.header.stamp))

    def _pose(self, message: Any) -> None:
        self._track.add(sensors.pose_of(message))
        self._forward()

    def _info(self, message: CameraInfo) -> None:
        self._camera_info = message

    def _said(self, message: String) -> None:
        self._syncs["caption"].lead(self.now_ns(), message, time.monotonic())
        self._forward()

    def _forward(self) -> None:
        slop = round(self.parameters.pose_slop * 1e9)
        for name, sync in self._syncs.items():
            if name == "image" and self._camera_info is None and sync.waited(time.monotonic()) <= sync.wait_s:
                continue  # the topic's first message is still under way
            for frame in sync.complete(time.monotonic(), self._track, slop):
                self._worker.offer((name, self._camera_info, frame))

    # --- perceiving, on the worker ------------------------------------------------------------------------------

    def _perceive(self, frames: Sequence[Any]) -> None:
        for name, info, (stamp_ns, message, parts, pose) in frames:
            if name == "image" and info is None:  # not the frame's fault: a simulator may send it again
                self.counters["frames_without_camera_info"] += 1
                continue
            try:
                seen = self._perceivers[name](stamp_ns, message, parts, pose, info)
            except EmbodiedMemError as error:
                self.refused_message(name, error)
                self._skipped(name, stamp_ns, str(error))
                continue
            if seen is None:
                self._skipped(name, stamp_ns, "The frame shows nothing that could be remembered.")
            elif self._deliver is not None:
                self._deliver(seen)
            else:
                self._outbox.put(stamp_ns, observation_to_msg(seen), time.monotonic())

    def _skipped(self, name: str, stamp_ns: int, why: str) -> None:
        """Say that a frame of the leading sensor came to nothing: a simulator in lock-step waits for it."""
        if name != next(iter(self._syncs)):
            return
        event = MemoryEvent(type="skipped", text=why)
        event.header.stamp = ns_to_stamp(stamp_ns)
        self._events.publish(event)

    def _camera(self, stamp_ns: int, image: Any, parts: Any, pose: Any, info: Any) -> Observation | None:
        boxes, said = parts.get("detections_2d"), parts.get("image_caption")
        return self._perceiver.camera(
            stamp_ns, sensors.rgb_of(image), sensors.depth_of(parts["depth"]), sensors.intrinsics_of(info), pose,
            *((sensors.boxes_of(boxes), boxes.detector, tuple(boxes.classes)) if boxes is not None else ()),
            caption=said.text if said is not None else "",
        )  # fmt: skip

    def _points(self, stamp_ns: int, cloud: Any, parts: Any, pose: Any, info: Any) -> Observation | None:
        return self._perceiver.lidar(stamp_ns, sensors.points_of(cloud), pose)

    def _scan(self, stamp_ns: int, scan: Any, parts: Any, pose: Any, info: Any) -> Observation | None:
        return self._perceiver.scan(stamp_ns, *sensors.scan_of(scan), pose)

    def _caption(self, stamp_ns: int, words: Any, parts: Any, pose: Any, info: Any) -> Observation | None:
        return self._perceiver.caption(stamp_ns, words.data, pose)


def main() -> int:
    return run(lambda: [PerceptionNode()])


if __name__ == "__main__":
    sys.exit(main())
