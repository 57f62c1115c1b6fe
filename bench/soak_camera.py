"""The robot of bench/soak.py, in a process of its own: RGB-D, a detector's boxes and odometry, on a patrol.

python -m bench.soak_camera FRAMES RATE

It drives round and round a circle, so fast that no frame repeats the one before it; every lap comes by the same places.
Each stamp is printed when its frame is published.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import rclpy
from embodied_mem_msgs.msg import ImageDetections
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image

from bench.ros_camera import HEIGHT, WIDTH, room
from embodied_mem.nodes import qos
from embodied_mem.nodes.conversions import sensors
from embodied_mem.nodes.conversions.basics import ns_to_stamp
from embodied_mem.nodes.sync import PoseSample
from embodied_mem.perception.depth import Intrinsics
from embodied_mem.perception.detector import Boxes2D

SPEED = 0.6  # metres a second: over the 5 cm a frame below which a repetition may be folded
RADIUS = 10.0  # metres
CLASSES = ("cup", "book", "chair", "lamp", "plant", "sofa", "table", "clock", "bag", "shoe")
_SEED = 17
_PICTURES = 8
_BOXES = 4  # in a frame
_PLACES = 40  # of different things along the circle
_PATIENCE_S = 60.0
_CAMERA = Intrinsics(525.0, 525.0, 319.5, 239.5, WIDTH, HEIGHT)
_COVARIANCE = np.diag([1e-3] * 6)


def pose_at(travelled: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Position (3,) and orientation (4,) after so many metres along the circle, looking ahead."""
    angle = travelled / RADIUS
    position = np.array([RADIUS * np.cos(angle), RADIUS * np.sin(angle), 1.2])
    return position, Rotation.from_euler("z", angle + np.pi / 2).as_quat()


def boxes_at(travelled: float) -> Boxes2D:
    """What the detector finds there: the same things at the same place, lap by lap, shaking by a pixel or two."""
    place = int(travelled / (2 * np.pi * RADIUS) * _PLACES) % _PLACES
    fixed, shaking = np.random.default_rng([_SEED, place]), np.random.default_rng([_SEED, 0, round(travelled * 1e3)])
    corners = fixed.uniform((20, 120), (460, 300), (_BOXES, 2))
    boxes = np.hstack([corners, corners + fixed.uniform(60, 140, (_BOXES, 2))]) + shaking.normal(0, 1.5, (_BOXES, 4))
    labels = tuple(str(label) for label in fixed.choice(CLASSES, _BOXES, replace=False))
    return Boxes2D(labels, shaking.uniform(0.6, 0.95, _BOXES), boxes)


def main(frames: int, rate: float) -> None:
    rclpy.init()
    node = Node("camera")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    kinds = {
        "odom": Odometry, "camera_info": CameraInfo, "depth": Image, "detections_2d": ImageDetections, "image": Image,
    }  # fmt: skip
    out = {name: node.create_publisher(kind, name, qos.reliable(50)) for name, kind in kinds.items()}
    pictures = [
        (sensors.image_msg(rgb, "rgb8", 0, "camera"), sensors.image_msg(depth, "16UC1", 0, "camera"))
        for rgb, depth in map(room, range(_PICTURES))
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
        stamp, travelled = time.time_ns(), number * SPEED / rate
        image, depth = pictures[number % _PICTURES]
        image.header.stamp = depth.header.stamp = ns_to_stamp(stamp)
        out["odom"].publish(
            sensors.odometry_msg(PoseSample(stamp, *pose_at(travelled), _COVARIANCE, "map"), "base_link")
        )
        out["camera_info"].publish(sensors.camera_info_msg(_CAMERA, stamp, "camera"))
        out["depth"].publish(depth)
        out["detections_2d"].publish(sensors.detections_msg(boxes_at(travelled), "patrol", CLASSES, stamp, "camera"))
        out["image"].publish(image)
        print(stamp, flush=True)
    end = time.monotonic() + 5.0
    while time.monotonic() < end:  # what is under way is delivered
        executor.spin_once(timeout_sec=0.1)
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
