"""The parameters of every node, with their defaults. No ROS is imported, so launch files can be checked anywhere."""

from __future__ import annotations

from dataclasses import dataclass

from embodied_mem.nodes.parameters import parameter
from embodied_mem.nodes.planner_settings import ControllerSettings, PlannerSettings

EMBEDDERS = ("auto", "minilm", "hashing", "minilm-int8", "minilm-fp6", "minilm-int4", "minilm-int3")
MAP_FRAMES = ("map", "odom", "world")
RELIABILITIES = ("best_effort", "reliable")


@dataclass(frozen=True)
class RecordSettings:
    """Parameters of `record`."""

    memory: str = parameter("", "Folder of the memory; empty = $EMBODIED_MEM_LOG or ~/.embodied_mem.")
    session_id: str = parameter("", "Name of this run; empty = the next number.")
    embedder: str = parameter("auto", "What turns captions into vectors.", choices=EMBEDDERS)
    threshold: float = parameter(0.3, "Cosine below which a text finds nothing.", low=-1.0, high=1.0)
    disk_budget_mb: float = parameter(
        0.0, "Megabytes of disk; beyond, the oldest clouds go, then what newer records repeat. 0 = no limit.", low=0.0
    )
    queue: int = parameter(200, "Observations that may wait to be written; then the oldest are dropped.", low=1)
    batch: int = parameter(32, "Observations written together at most.", low=1, high=1000)
    max_position_std: float = parameter(0.5, "Metres; a less certain pose is refused.", above=0.0)
    max_yaw_std: float = parameter(0.35, "Radians; a less certain heading is refused.", above=0.0)
    require_covariance: bool = parameter(False, "Refuse poses of a localiser that gives no covariance.")
    frames: tuple[str, ...] = parameter(MAP_FRAMES, "Frames that are fixed to a map; others are refused.")
    lateness: float = parameter(10.0, "Seconds an observation may be older than the newest of its sensor.", above=0.0)
    future: float = parameter(10.0, "Seconds a stamp may be ahead of the clock.", above=0.0)
    jump_starts_session: float = parameter(
        1.0, "Seconds; a clock that goes back by more (a bag in a loop) starts a new session.", above=0.0
    )
    marker_period: float = parameter(2.0, "Seconds between markers for RViz, made only when somebody looks.", low=0.2)


@dataclass(frozen=True)
class PerceptionSettings:
    """Parameters of `perception`."""

    camera: bool = parameter(True, "Read image, depth, camera_info and odom.")
    lidar: bool = parameter(False, "Read points and odom.")
    scan: bool = parameter(False, "Read scan and odom.")
    captions: bool = parameter(False, "Read caption (text) and odom: a robot whose own model describes what it sees.")
    compressed: bool = parameter(False, "The image topic carries CompressedImage.")
    external_detections: bool = parameter(
        False, "Boxes come from another node on detections_2d; a frame waits for its own."
    )
    external_captions: bool = parameter(
        False, "What another model says of each image comes on image_caption; a frame waits for its own."
    )
    detector: str = parameter("", "Path of an ONNX detector of NanoDet or YOLO form; empty = none.")
    detector_names: str = parameter("", "Path of the detector's class names, one a line.")
    detector_score: float = parameter(
        0.3, "Detections with a lower score are left out, external ones too.", low=0.0, high=1.0
    )
    pose: str = parameter("odometry", "What odom carries.", choices=("odometry", "pose_with_covariance", "pose"))
    robot_id: str = parameter("robot", "Name of this robot in its records.")
    sensor_id: str = parameter("", "Name of this sensor in its records; empty = camera, lidar, scan or captioner.")
    map_frame: str = parameter("", "Frame of the observations; empty = the frame that odom names.")
    map_id: str = parameter("", "Map of the observations; empty = the memory's current one.")
    mount: str = parameter(
        "0 0 0 0 0 0", "Where the camera sits, in the frame that odom moves: x y z (metres) roll pitch yaw (radians)."
    )
    lidar_mount: str = parameter("0 0 0 0 0 0", "The same of the LiDAR.")
    scan_mount: str = parameter("0 0 0 0 0 0", "The same of the scanner.")
    min_range: float = parameter(0.2, "Metres; nearer depth is left out.", above=0.0)
    max_range: float = parameter(6.0, "Metres; depth beyond is left out of boxes and clouds.", above=0.0)
    lidar_range: float = parameter(60.0, "Metres; returns of points and scan beyond are left out.", above=0.0)
    clouds: bool = parameter(True, "Keep the cloud of a frame from a new place or direction.")
    cloud_distance: float = parameter(0.5, "Metres to the next frame that keeps its cloud.", above=0.0)
    cloud_angle: float = parameter(0.5, "Radians to the next frame that keeps its cloud.", above=0.0)
    cloud_voxel: float = parameter(0.05, "Metres; a cloud keeps one point a voxel.", above=0.0)
    thumbnails: bool = parameter(True, "Keep a small picture with each cloud.")
    slop: float = parameter(0.02, "Seconds that stamps of one frame may differ.", low=0.0, high=1.0)
    pose_slop: float = parameter(0.2, "Seconds from a frame to the nearest pose at most.", above=0.0)
    wait: float = parameter(0.5, "Seconds a frame waits for its parts before it is given up and counted.", above=0.0)
    queue: int = parameter(10, "Frames that may wait to be worked on; then the oldest are dropped.", low=1)
    reliability: str = parameter("best_effort", "Of the sensor topics.", choices=RELIABILITIES)


@dataclass(frozen=True)
class ReaderSettings:
    """Parameters of every node that reads the log."""

    fetch: int = parameter(500, "Entries fetched at once to catch up.", low=1, high=4096)
    fetch_timeout: float = parameter(
        1.0, "Seconds to wait for the record node before asking again, longer each time.", above=0.0
    )
    poll: float = parameter(1.0, "Seconds between looks whether anything was missed.", above=0.0)
    read_to_timeout: float = parameter(2.0, "Seconds a request waits until its read_to was read.", above=0.0)
    frames: tuple[str, ...] = parameter(MAP_FRAMES, "Frames that are fixed to a map; the first is that of the answers.")


@dataclass(frozen=True)
class AnswererSettings(ReaderSettings):
    """Parameters of a node that answers questions on a thread of its own."""

    queue: int = parameter(50, "Questions that may wait for their answer; more are refused.", low=1)


@dataclass(frozen=True)
class RecallSettings(AnswererSettings):
    """Parameters of `recall`."""

    embedder: str = parameter("auto", "What turns questions into vectors: as in record.", choices=EMBEDDERS)
    threshold: float = parameter(0.3, "Cosine below which a text finds nothing.", low=-1.0, high=1.0)
    max_k: int = parameter(200, "The most hits of one query over ROS.", low=1, high=10_000)
    frames: tuple[str, ...] = parameter(MAP_FRAMES, "Frames in which a question may say where the robot is.")


@dataclass(frozen=True)
class SpatialSettings(ReaderSettings):
    """Parameters of `spatial`."""

    embedder: str = parameter(
        "auto", "What turns words about places into vectors, once somebody asks: as in record.", choices=EMBEDDERS
    )
    resolution: float = parameter(0.1, "Metres: the edge of a voxel.", low=0.01, high=10.0)
    memory_mb: float = parameter(
        0.0, "Megabytes for each map; beyond, what was seen longest ago goes. 0 = no limit.", low=0.0
    )
    memory: str = parameter("", "Folder of the memory, as in record: there the maps' checkpoints are kept.")
    checkpoints: bool = parameter(True, "Keep them, if the folder is there; else a restart reads every cloud again.")
    grid_min_z: float = parameter(0.1, "Metres: what is lower is no obstacle on the occupancy grid.")
    grid_max_z: float = parameter(1.8, "Metres: what is higher is no obstacle there.")
    publish_period: float = parameter(1.0, "Seconds between maps, made only when somebody looks.", low=0.1)
    place_distance: float = parameter(2.0, "Metres to the next place at least.", above=0.0)
    place_likeness: float = parameter(
        0.85, "Cosine of what was remembered there and here from which it is the same place.", low=-1.0, high=1.0
    )
    place_step: float = parameter(
        15.0, "Metres between two observations of a robot beyond which they are no way: it was carried.", above=0.0
    )
    landmark_score: float = parameter(0.35, "Detections with a lower score are no landmarks.", low=0.0, high=1.0)
    robot_radius: float = parameter(
        0.25, "Metres that paths keep from what stands between grid_min_z and grid_max_z, where that can be.", low=0.0
    )
    place_tokens_kb: float = parameter(
        0.0, "Kilobytes of memory tokens from which recall_place answers for texts; 0 = the log's own vectors.", low=0.0
    )
    nearby_entries: int = parameter(256, "Records that short-term memory holds.", low=1, high=100_000)
    nearby_half_life: float = parameter(120.0, "Seconds after which a use of one of them counts half.", above=0.0)
    nearby_radius: float = parameter(10.0, "Metres around the robot that recall_nearby asks for.", above=0.0)
    nearby_likeness: float = parameter(
        0.5, "Cosine from which short-term memory answers; below it the long-term store is asked.", low=-1.0, high=1.0
    )
    read_to_timeout: float = parameter(5.0, "Seconds a request waits until its read_to is in the maps.", above=0.0)


@dataclass(frozen=True)
class ObjectSettings(AnswererSettings):
    """Parameters of `object`."""

    publish_period: float = parameter(1.0, "Seconds between lists of things, made when somebody looks.", low=0.1)


@dataclass(frozen=True)
class ForestSettings(AnswererSettings):
    """Parameters of `forest`."""

    weight: float = parameter(0.5, "Of place against meaning in growing the tree.", low=0.0, high=1.0)
    fan_out: int = parameter(16, "The most children of a node.", low=4, high=64)
    vertical: float = parameter(
        10.0, "Metres in the plane that a metre of height counts as, which keeps floors apart.", low=1.0
    )
    geodesic: bool = parameter(
        True, "Distances follow the ways between places, where nearly all of these are joined by ways."
    )
    settle_after: float = parameter(
        10.0, "Seconds without news after which trees that were changed in the past are grown anew.", low=0.5
    )
    publish_period: float = parameter(2.0, "Seconds between summaries and markers, made when somebody looks.", low=0.2)
    shown: int = parameter(200, "The most nodes published, the highest first.", low=1, high=5000)
    marker_height: float = parameter(3.0, "Metres between two levels of the tree in RViz.", above=0.0)
    model_url: str = parameter(
        "", "OpenAI-compatible endpoint whose model words summaries, as http://localhost:11434/v1; empty = none."
    )
    model: str = parameter("", "The model's name there.")
    model_key_variable: str = parameter("", "Environment variable with the endpoint's key; empty = it wants none.")
    model_timeout: float = parameter(20.0, "Seconds that a reply may take.", above=0.0)
    model_period: float = parameter(30.0, "Seconds of one budget of calls.", low=1.0)
    model_calls: int = parameter(10, "Calls within it at most.", low=1)


@dataclass(frozen=True)
class EpisodeSettings(AnswererSettings):
    """Parameters of `episode`."""

    budget_mb: float = parameter(16.0, "Megabytes that moments may take; then some are forgotten.", low=0.01)
    rule: str = parameter(
        "learned",
        "What is forgotten first.",
        choices=("learned", "fifo", "lifo", "most visited first", "least visited first", "random"),
    )
    spacing: float = parameter(2.0, "Metres between places.", above=0.0)
    surprising: float = parameter(
        0.8, "Surprise (0 as expected, 1 nothing like it) from which a moment is published as an event; above 1: none.",
        low=0.0, high=2.0,
    )  # fmt: skip
    embedder: str = parameter(
        "auto", "What turns words into vectors, once somebody asks: as in record.", choices=EMBEDDERS
    )


@dataclass(frozen=True)
class InferenceSettings:
    """Parameters of `inference`."""

    embedder: str = parameter("auto", "The sentence model that it serves.", choices=EMBEDDERS)
    queue: int = parameter(512, "Texts that may wait; more are refused.", low=1, high=100_000)
    batch: int = parameter(32, "Texts embedded at once.", low=1, high=1024)
    deadline: float = parameter(1.0, "Seconds within which an answer is of use, unless a request says it.", above=0.0)
    endpoint: str = parameter("", "Of a language model, OpenAI-compatible: http://localhost:11434/v1; empty = none.")
    endpoint_model: str = parameter("", "The language model's name there.")
    endpoint_key: str = parameter("", "Environment variable that holds the endpoint's bearer token; empty = none.")
    prompts: int = parameter(8, "Prompts that may wait for the language model; more are refused.", low=1)
    generate_deadline: float = parameter(30.0, "As deadline, of a prompt.", above=0.0)


@dataclass(frozen=True)
class SimSettings:
    """Parameters of `sim`."""

    world: str = parameter(
        "house",
        "The generated house, recorded frames, or the streets of Touchdown.",
        choices=("house", "frames", "street"),
    )
    config: str = parameter("", "YAML file with settings of the house and its robot; empty = defaults.")
    frames: str = parameter("", "Folder of the frames to play, for world: frames.")
    street: str = parameter(
        "", "Folder that holds graph/ and osm/, for world: street; empty = touchdown/ in $EMBODIED_MEM_DATA."
    )
    seed: int = parameter(1, "Everything that is random follows from it.", low=0)
    real_time_factor: float = parameter(
        1.0, "Simulated seconds a second; 0 = lock-step: the next frame follows as soon as the last one is remembered.",
        low=0.0, high=100.0,
    )  # fmt: skip
    lock_step_timeout: float = parameter(2.0, "Seconds to wait for that in lock-step.", above=0.0)
    drive: str = parameter("explore", "Who drives.", choices=("explore", "cmd_vel"))
    max_frames: int = parameter(0, "Stop after so many frames; 0 = when the world says that it is done.", low=0)
    scan: bool = parameter(False, "Publish scan too.")
    points: bool = parameter(False, "Publish points (LiDAR) too.")
    truth: bool = parameter(False, "Publish ~/truth, markers of what really is where, for a person who watches.")
    truth_file: str = parameter("", "Write what really was where here, for judges; empty = nowhere.")
    checkpoint: str = parameter(
        "", "File that says how far the run is; a simulator that is started again goes on there. Empty = begins anew."
    )


@dataclass(frozen=True)
class ManagerSettings:
    """Parameters of `manager`."""

    nodes: tuple[str, ...] = parameter(
        ("record", "recall", "spatial", "object", "forest", "perception"),
        "Nodes to bring up, in this order, in the manager's own namespace.",
    )
    autostart: bool = parameter(True, "Bring them up without being asked.")
    heartbeat_timeout: float = parameter(8.0, "Seconds of silence after which a node counts as hung.", above=1.5)
    transition_timeout: float = parameter(120.0, "Seconds that configuring or activating may take.", above=0.0)
    kill_hung: bool = parameter(True, "Kill a hung node of this machine, so that whoever started it starts it again.")


@dataclass(frozen=True)
class StackSettings:
    """Parameters of `stack`, which holds the other nodes in one process."""

    nodes: tuple[str, ...] = parameter(
        ("record", "recall", "spatial", "object", "forest", "perception"),
        "Nodes to hold, brought up in this order, in the stack's own namespace.",
    )


SETTINGS: dict[str, type] = {
    "record": RecordSettings,
    "perception": PerceptionSettings,
    "recall": RecallSettings,
    "spatial": SpatialSettings,
    "object": ObjectSettings,
    "forest": ForestSettings,
    "episode": EpisodeSettings,
    "inference": InferenceSettings,
    "planner": PlannerSettings,
    "controller": ControllerSettings,
    "sim": SimSettings,
    "manager": ManagerSettings,
    "stack": StackSettings,
}
