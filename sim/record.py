"""What a robot's drivers publish, as a ROS 2 bag (MCAP): the simulated house without ROS, small enough to hand around.

/odom has the base as its localisation believes it, with covariance; /tf_static the mounts of its sensors; /camera/color
JPEG pictures and their camera_info; /camera/depth every second pixel of every second row, as 16-bit PNG in millimetres;
/detections_2d what the noisy detector found in the pictures; /scan and /points, where the robot has these sensors.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import UnavailableError
from embodied_mem.exchange.definitions import typestore
from embodied_mem.exchange.mcap_file import Channels
from embodied_mem.exchange.messages import MessageMaker
from embodied_mem.exchange.output import whole_file
from embodied_mem.geometry import quaternion_from_matrix, quaternion_from_yaw, rotation_matrices
from embodied_mem.perception.frames import BODY_FROM_OPTICAL
from sim.house.robot import Mount
from sim.house.simulator import HouseSimulator, LaserScan, LidarSweep, SimFrame

BASE, CAMERA, LIDAR, SCANNER = "base_link", "camera_optical", "lidar", "scanner"
COLOR, DEPTH = "/camera/color/image_raw/compressed", "/camera/depth/image_raw/compressedDepth"
_JPEG_QUALITY = 80
# Depth is nine tenths of a bag, since its noise does not compress: fewer pixels, in steps of about their noise.
_DEPTH_STEP, _DEPTH_UNIT = 2, 8  # pixels, millimetres
_DEPTH_HEADER = bytes(12)  # compressed_depth_image_transport puts its settings there; PNG needs none of them
_DETECTIONS = "embodied_mem_msgs/msg/ImageDetections"

Message = tuple[str, str, Any]  # topic, type, message


def write_bag(world: HouseSimulator, frames: Iterable[SimFrame], path: Path) -> int:
    """Write the frames that the world gave, whole file or none; returns how many.

    Raises StorageError where the file cannot be written, UnavailableError without mcap, rosbags or Pillow.
    """
    try:
        from mcap.writer import CompressionType, Writer
    except ImportError:
        raise UnavailableError("MCAP files need the package mcap: pip install embodied_mem[tools].") from None
    store = typestore()
    maker = MessageMaker(store)
    count = 0
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        writer = Writer(file, compression=CompressionType.ZSTD)
        writer.start(profile="ros2", library="embodied_mem")
        channels = Channels(writer, store)
        for frame in frames:
            messages = _frame(maker, frame)
            if not count:
                messages = iter([_mounts(maker, world, frame.stamp_ns), *messages])
            for topic, kind, message in messages:
                channels.write(topic, kind, frame.stamp_ns, message)
            count += 1
        writer.finish()
    return count


def _frame(maker: MessageMaker, frame: SimFrame) -> Iterator[Message]:
    """The messages of one time; the pose comes first, so that nothing has to wait for it."""
    yield "/odom", "nav_msgs/msg/Odometry", _odometry(maker, frame)
    header = maker.header(frame.stamp_ns, CAMERA)
    yield "/camera/color/camera_info", "sensor_msgs/msg/CameraInfo", _camera_info(maker, header, frame)
    kind = "sensor_msgs/msg/CompressedImage"
    yield DEPTH, kind, maker.make(kind, header=header, format="16UC1; compressedDepth png", data=_depth(frame.depth))
    yield COLOR, kind, maker.make(kind, header=header, format="jpeg", data=_jpeg(frame.rgb))
    yield (
        "/detections_2d",
        _DETECTIONS,
        maker.make(
            _DETECTIONS,
            header=header,
            detector=frame.detector,
            classes=list(frame.classes),
            labels=list(frame.boxes.labels),
            scores=frame.boxes.scores.astype(np.float32),
            boxes=frame.boxes.boxes.astype(np.float32).reshape(-1),
        ),
    )
    if frame.scan is not None:
        yield "/scan", "sensor_msgs/msg/LaserScan", _scan(maker, frame.stamp_ns, frame.scan)
    if frame.lidar is not None:
        yield "/points", "sensor_msgs/msg/PointCloud2", _points(maker, frame.stamp_ns, frame.lidar)


def _mounts(maker: MessageMaker, world: HouseSimulator, stamp_ns: int) -> Message:
    """/tf_static: where the sensors sit on the base."""
    camera = rotation_matrices(world.camera_mount.quaternion) @ BODY_FROM_OPTICAL
    turns = {
        CAMERA: (world.camera_mount, quaternion_from_matrix(camera)),
        LIDAR: (world.lidar_mount, world.lidar_mount.quaternion),
        SCANNER: (world.scan_mount, world.scan_mount.quaternion),
    }
    transforms = [_transform(maker, stamp_ns, child, mount, turn) for child, (mount, turn) in turns.items()]
    return "/tf_static", "tf2_msgs/msg/TFMessage", maker.make("tf2_msgs/msg/TFMessage", transforms=transforms)


def _transform(maker: MessageMaker, stamp_ns: int, child: str, mount: Mount, turn: NDArray[np.float64]) -> Any:
    pose = maker.pose((mount.forward, 0.0, mount.height), turn)
    moved = maker.make(
        "geometry_msgs/msg/Transform",
        translation=maker.vector3((mount.forward, 0.0, mount.height)),
        rotation=pose.orientation,
    )
    header = maker.header(stamp_ns, BASE)
    return maker.make("geometry_msgs/msg/TransformStamped", header=header, child_frame_id=child, transform=moved)


def _odometry(maker: MessageMaker, frame: SimFrame) -> Any:
    x, y, yaw = frame.base
    pose = maker.make(
        "geometry_msgs/msg/PoseWithCovariance",
        pose=maker.pose((x, y, 0.0), quaternion_from_yaw(yaw)),
        covariance=np.asarray(frame.covariance, dtype=np.float64).reshape(36),
    )
    speed = maker.make(
        "geometry_msgs/msg/Twist",
        linear=maker.vector3((frame.odometry.linear, 0.0, 0.0)),
        angular=maker.vector3((0.0, 0.0, frame.odometry.angular)),
    )
    twist = maker.make("geometry_msgs/msg/TwistWithCovariance", twist=speed, covariance=np.zeros(36))
    header = maker.header(frame.stamp_ns, frame.frame_id)
    return maker.make("nav_msgs/msg/Odometry", header=header, child_frame_id=BASE, pose=pose, twist=twist)


def _camera_info(maker: MessageMaker, header: Any, frame: SimFrame) -> Any:
    c = frame.camera
    return maker.make(
        "sensor_msgs/msg/CameraInfo",
        header=header,
        height=c.height,
        width=c.width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=np.array([c.fx, 0, c.cx, 0, c.fy, c.cy, 0, 0, 1.0]),
        r=np.eye(3).reshape(9),
        p=np.array([c.fx, 0, c.cx, 0, 0, c.fy, c.cy, 0, 0, 0, 1.0, 0]),
        binning_x=0,
        binning_y=0,
        roi=maker.make("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    )


def _depth(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(h, w) float32 metres -> a smaller and coarser 16-bit PNG in millimetres, 0 where nothing was measured."""
    known = np.nan_to_num(depth[::_DEPTH_STEP, ::_DEPTH_STEP], nan=0.0, posinf=0.0, neginf=0.0)
    units = np.rint(np.clip(known, 0, 65) * (1000 / _DEPTH_UNIT))
    return _encoded((units * _DEPTH_UNIT).astype(np.uint16), "PNG", _DEPTH_HEADER)


def _jpeg(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return _encoded(rgb, "JPEG", quality=_JPEG_QUALITY)


def _encoded(pixels: NDArray[Any], form: str, before: bytes = b"", **options: Any) -> NDArray[np.uint8]:
    try:
        from PIL import Image
    except ImportError:
        raise UnavailableError("Pictures in a bag need Pillow: pip install embodied_mem[sim].") from None
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return np.frombuffer(before + buffer.getvalue(), dtype=np.uint8)


def _scan(maker: MessageMaker, stamp_ns: int, scan: LaserScan) -> Any:
    last = scan.angle_min + scan.angle_increment * (len(scan.ranges) - 1)
    return maker.make(
        "sensor_msgs/msg/LaserScan",
        header=maker.header(stamp_ns, SCANNER),
        angle_min=scan.angle_min,
        angle_max=last,
        angle_increment=scan.angle_increment,
        time_increment=0.0,
        scan_time=0.0,
        range_min=scan.range_min,
        range_max=scan.range_max,
        ranges=scan.ranges.astype(np.float32),
        intensities=np.zeros(0, np.float32),
    )


def _points(maker: MessageMaker, stamp_ns: int, sweep: LidarSweep) -> Any:
    points = np.ascontiguousarray(sweep.points, dtype="<f4")
    field = "sensor_msgs/msg/PointField"
    return maker.make(
        "sensor_msgs/msg/PointCloud2",
        header=maker.header(stamp_ns, LIDAR),
        height=1,
        width=len(points),
        fields=[maker.make(field, name=name, offset=4 * i, datatype=7, count=1) for i, name in enumerate("xyz")],
        is_bigendian=False,
        point_step=12,
        row_step=12 * len(points),
        data=points.view(np.uint8).reshape(-1),
        is_dense=True,
    )
