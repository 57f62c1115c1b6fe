"""RGB-D camera and pose -> observation."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.geometry import rotation_matrices
from embodied_mem.perception.captions import caption_of
from embodied_mem.perception.depth import Intrinsics, back_project
from embodied_mem.perception.detector import Boxes2D, Detector
from embodied_mem.perception.keyframes import CloudKeyframer, thin
from embodied_mem.perception.lift import lift
from embodied_mem.perception.view import view_of_camera
from embodied_mem.records.observation import Observation

_THUMBNAIL = (160, 120)
_VIEW_STRIDE = 4  # pixels: the view's cells are much larger


@dataclass(frozen=True, slots=True, eq=False)
class RgbdFrame:
    """One image with its depth and the camera's pose.

    rgb                    (h, w, 3) uint8
    depth                  (h, w) float32 metres along the optical axis, 0 = nothing, registered to rgb
    camera                 intrinsics at the resolution of depth
    position, orientation  (3,) metres and (4,) x, y, z, w of the camera's body-convention frame in `frame_id`
    covariance             (6, 6) or None
    boxes                  what a detector found in it when it was recorded, with its name and all its classes; None:
                           none ran
    """

    stamp_ns: int
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    camera: Intrinsics
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    covariance: NDArray[np.float64] | None = None
    frame_id: str = "map"
    map_id: str = ""
    robot_id: str = "robot"
    session_id: str = ""
    sensor_id: str = "camera"
    boxes: Boxes2D | None = None
    detector: str = ""
    classes: tuple[str, ...] = ()


@dataclass
class RgbdObserver:
    """Makes observations of one camera's frames.

    detector    run on each frame whose boxes are not given; None: the frame's own boxes, if it has any
    min_score   of a detection that is kept
    min_range, max_range  metres along the optical axis
    keyframer   decides which frames carry their cloud; None: none does
    thumbnails  keep a small JPEG with each keyframe
    `without_depth` counts boxes that had no usable depth.
    """

    detector: Detector | None = None
    min_score: float = 0.3
    min_range: float = 0.2
    max_range: float = 6.0
    keyframer: CloudKeyframer | None = field(default_factory=CloudKeyframer)
    thumbnails: bool = True
    without_depth: int = 0

    def observe(
        self, frame: RgbdFrame, boxes: Boxes2D | None = None, *, detector_name: str = "", classes: tuple[str, ...] = ()
    ) -> Observation:
        """The observation of a frame; `boxes` of another detector (with its name and classes) are used as they are.

        Raises BadInputError for images that do not fit each other or the intrinsics.
        """
        _check(frame)
        if boxes is None and self.detector is not None:
            boxes = self.detector.detect(frame.rgb)
            detector_name, classes = self.detector.name, self.detector.classes
        elif boxes is None:
            boxes, detector_name, classes = frame.boxes, frame.detector, frame.classes
        depth = np.where((frame.depth >= self.min_range) & (frame.depth <= self.max_range), frame.depth, np.float32(0))
        found, lost = lift(
            boxes or Boxes2D(), depth, frame.camera, frame.position, frame.orientation, min_score=self.min_score
        )
        self.without_depth += lost
        key = self.keyframer is not None and self.keyframer.due(frame.position, frame.orientation)
        points = back_project(depth, frame.camera, stride=_VIEW_STRIDE)
        cloud = None
        if key and self.keyframer is not None:
            cloud = thin(back_project(depth, frame.camera, stride=2), self.keyframer.voxel)
        return Observation(
            stamp_ns=frame.stamp_ns,
            position=frame.position,
            orientation=frame.orientation,
            frame_id=frame.frame_id,
            map_id=frame.map_id,
            robot_id=frame.robot_id,
            session_id=frame.session_id,
            sensor_id=frame.sensor_id,
            covariance=frame.covariance,
            caption=caption_of(found, stacked=_is_upright(frame.orientation)),
            detections=found,
            view=view_of_camera(
                frame.camera,
                points,
                min_range=self.min_range,
                max_range=self.max_range,
                detector=detector_name if boxes is not None else "",
                classes=tuple(label.strip().lower() for label in classes),
            ),
            cloud=cloud if cloud is not None and len(cloud) else None,
            thumbnail=thumbnail(frame.rgb) if key and self.thumbnails else b"",
        )


def _is_upright(orientation: NDArray[np.float64]) -> bool:
    """Whether the camera's upper side looks up the map's z axis, to within 60 degrees.

    Hand-held recordings often come in the optical frame of their first picture, whose z axis is no height.
    """
    return bool(rotation_matrices(orientation)[2, 2] > 0.5)


def thumbnail(rgb: NDArray[np.uint8], size: tuple[int, int] = _THUMBNAIL) -> bytes:
    """A small JPEG of an image (h, w, 3); empty where Pillow is not installed."""
    try:
        from PIL import Image
    except ImportError:
        return b""
    picture = Image.fromarray(rgb)
    picture.thumbnail(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=70)
    return buffer.getvalue()


def _check(frame: RgbdFrame) -> None:
    if frame.rgb.ndim != 3 or frame.rgb.shape[2] != 3 or frame.rgb.dtype != np.uint8:
        raise BadInputError(
            f"A colour image must be (height, width, 3) uint8, not {frame.rgb.shape} {frame.rgb.dtype}."
        )
    if frame.depth.shape != (frame.camera.height, frame.camera.width):
        raise BadInputError(
            f"The depth image is {frame.depth.shape[1]} x {frame.depth.shape[0]}, the intrinsics are for "
            f"{frame.camera.width} x {frame.camera.height}: use the camera_info of the depth image."
        )
    if frame.rgb.shape[:2] != frame.depth.shape:
        raise BadInputError(
            f"The colour image is {frame.rgb.shape[1]} x {frame.rgb.shape[0]} and the depth image "
            f"{frame.depth.shape[1]} x {frame.depth.shape[0]}: register depth to colour first."
        )
