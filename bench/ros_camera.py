"""A camera driver in a process of its own, for bench/ros.py: RGB-D at a steady rate, stamped when it is published.

python -m bench.ros_camera FRAMES RATE
"""

from __future__ import annotations

import sys
import time

import numpy as np
import rclpy
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from embodied_mem.nodes import qos
from embodied_mem.nodes.conversions import sensors
from embodied_mem.nodes.conversions.basics import ns_to_stamp
from embodied_mem.nodes.sync import PoseSample
from embodied_mem.perception.depth import Intrinsics

WIDTH, HEIGHT = 640, 480
STEP = 0.05  # metres between frames
_SHAPES = 8  # different pictures, sent in turn
_PATIENCE_S = 60.0
_CAMERA = Intrinsics(525.0, 525.0, 319.5, 239.5, WIDTH, HEIGHT)
_UPRIGHT = np.array([0.0, 0.0, 0.0, 1.0])
_COVARIANCE = np.diag([1e-3] * 6)


def room(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """A picture and its depth in millimetres: floor, slanted wall, boxes before it, noise, and holes without depth."""
    rng = np.random.default_rng([5, number])
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH]
    wall = 3.0 + 0.8 * (u / WIDTH)
    floor = np.where(v > 250, 1.2 * _CAMERA.fy / np.maximum(v - _CAMERA.cy, 1), np.inf)
    depth = np.minimum(wall, floor)
    for _ in range(6):
        x, y, w, h = rng.integers(0, 500), rng.integers(100, 350), rng.integers(40, 140), rng.integers(40, 120)
        depth[y : y + h, x : x + w] = rng.uniform(1.2, 2.8)
    depth += rng.normal(0, 0.002, depth.shape) * depth**2
    depth[rng.random(depth.shape) < 0.03] = 0
    shade = (60 + 40 * depth[..., None] + rng.normal(0, 8, (HEIGHT, WIDTH, 3))).clip(0, 255)
    return shade.astype(np.uint8), (depth * 1000).astype(np.uint16)


def main(frames: int, rate: float) -> None:
    rclpy.init()
    node = Node("camera")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    kinds = {"odom": Odometry, "camera_info": CameraInfo, "depth": Image, "image": Image}
    out = {name: node.create_publisher(kind, name, qos.reliable(10)) for name, kind in kinds.items()}
    pictures = [
        (sensors.image_msg(rgb, "rgb8", 0, "camera"), sensors.image_msg(depth, "16UC1", 0, "camera"))
        for rgb, depth in map(room, range(_SHAPES))
    ]
    deadline = time.monotonic() + _PATIENCE_S
    while not all(publisher.get_subscription_count() for publisher in out.values()):
        if time.monotonic() > deadline:
            sys.exit("Nobody reads the camera's topics.")
        executor.spin_once(timeout_sec=0.05)
    due = time.monotonic() + 1.0  # readers know of the writers by then
    for number in range(frames):
        time.sleep(max(due - time.monotonic(), 0.0))
        due += 1.0 / rate
        stamp = time.time_ns()
        pose = PoseSample(stamp, np.array([STEP * number, 0.0, 0.0]), _UPRIGHT, _COVARIANCE, "map")
        image, depth = pictures[number % _SHAPES]
        image.header.stamp = depth.header.stamp = ns_to_stamp(stamp)
        out["odom"].publish(sensors.odometry_msg(pose, "base_link"))
        out["camera_info"].publish(sensors.camera_info_msg(_CAMERA, stamp, "camera"))
        out["depth"].publish(depth)
        out["image"].publish(image)
        print(stamp, flush=True)
    end = time.monotonic() + 2.0
    while time.monotonic() < end:  # what is under way is delivered
        executor.spin_once(timeout_sec=0.1)
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
