"""Every setting of the simulated house and its robot, with defaults that make the demo; to and from YAML."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

from embodied_mem.errors import BadInputError, NotFoundError

T = TypeVar("T")


def _check(owner: object, **bounds: tuple[float, float]) -> None:
    for name, (low, high) in bounds.items():
        value = getattr(owner, name)
        if not (isinstance(value, int | float) and math.isfinite(value) and low <= value <= high):
            where = type(owner).__name__
            raise BadInputError(f"{where}.{name} is {value!r}; it must lie between {low:g} and {high:g}.")


@dataclass(frozen=True)
class HouseConfig:
    """The building and what stands in it.

    min_area, max_area    m^2 of floor, outer walls included
    door_width            metres, clear
    wall_height           metres
    min_objects, max_objects  small things at the start
    same_label_gap        metres between two things of one label
    """

    min_area: float = 62.0
    max_area: float = 88.0
    door_width: float = 0.95
    wall_height: float = 2.5
    min_objects: int = 26
    max_objects: int = 34
    same_label_gap: float = 1.3

    def __post_init__(self) -> None:
        _check(self, min_area=(60, 200), max_area=(60, 200), door_width=(0.9, 1.4), wall_height=(2.2, 4))
        _check(self, min_objects=(10, 45), max_objects=(10, 45), same_label_gap=(0.8, 2.5))
        if self.min_area > self.max_area or self.min_objects > self.max_objects:
            raise BadInputError("HouseConfig: a minimum is above its maximum (area or objects).")


@dataclass(frozen=True)
class CameraConfig:
    """RGB-D camera on a mast. Pixel (u, v) has its centre at integer coordinates.

    hfov_deg             horizontal field of view
    height, forward      metres above the floor and ahead of the robot's axis
    pitch_deg            downwards is positive (REP 103)
    min_depth, max_depth metres along the optical axis; outside there is no measurement
    """

    width: int = 320
    height_px: int = 240
    hfov_deg: float = 86.0
    height: float = 1.2
    forward: float = 0.05
    pitch_deg: float = 16.0
    min_depth: float = 0.25
    max_depth: float = 6.0

    def __post_init__(self) -> None:
        _check(self, width=(32, 1920), height_px=(24, 1440), hfov_deg=(30, 120), height=(0.3, 2.2))
        _check(self, forward=(-0.3, 0.3), pitch_deg=(-30, 45), min_depth=(0.01, 2), max_depth=(0.5, 30))

    @property
    def intrinsics(self) -> tuple[float, float, float, float]:
        """fx, fy, cx, cy in pixels."""
        focal = self.width / 2 / math.tan(math.radians(self.hfov_deg) / 2)
        return focal, focal, (self.width - 1) / 2, (self.height_px - 1) / 2


@dataclass(frozen=True)
class RobotConfig:
    """Differential drive. Metres, radians, seconds."""

    radius: float = 0.2
    max_speed: float = 0.8
    max_turn_rate: float = 1.6
    acceleration: float = 1.5
    turn_acceleration: float = 5.0
    control_rate: float = 20.0

    def __post_init__(self) -> None:
        _check(self, radius=(0.1, 0.3), max_speed=(0.05, 2), max_turn_rate=(0.1, 4), acceleration=(0.1, 10))
        _check(self, turn_acceleration=(0.1, 30), control_rate=(5, 200))


@dataclass(frozen=True)
class LocalisationConfig:
    """How wrong the pose is that the robot believes, and what it says of it.

    position_std, yaw_std   metres, radians of the error that wanders with the time constant correlation_s
    reported_*              standard deviations in the covariance while all is well, and during a jump
    odometry_slip, odometry_turn  noise of wheel odometry, fractions of the way and of the turn
    jumps_per_minute        localisation jumps: the pose is off by a distance in jump_distance and the covariance is
                            large, both for a time in jump_duration_s
    """

    position_std: float = 0.02
    yaw_std: float = 0.008
    correlation_s: float = 4.0
    reported_position_std: float = 0.04
    reported_yaw_std: float = 0.015
    odometry_slip: float = 0.02
    odometry_turn: float = 0.02
    jumps_per_minute: float = 0.7
    jump_distance: tuple[float, float] = (0.8, 2.5)
    jump_yaw: float = 0.6
    jump_duration_s: tuple[float, float] = (1.0, 3.0)
    reported_jump_position_std: float = 1.3
    reported_jump_yaw_std: float = 0.7

    def __post_init__(self) -> None:
        _check(self, position_std=(0, 1), yaw_std=(0, 1), correlation_s=(0.1, 1e3), reported_position_std=(1e-4, 10))
        _check(self, reported_yaw_std=(1e-4, 3), odometry_slip=(0, 1), odometry_turn=(0, 1), jumps_per_minute=(0, 60))
        _check(self, jump_yaw=(0, math.pi), reported_jump_position_std=(1e-4, 100), reported_jump_yaw_std=(1e-4, 10))


@dataclass(frozen=True)
class SensorConfig:
    """The noisy detector and the noisy depth.

    min_pixels, min_fraction  an instance below is not detected at all; the fraction is of its unoccluded silhouette
    min_fraction_furniture    the same for furniture, of which a picture often shows a part only
    miss_rate, confusion_rate per visible instance and frame
    false_rate                false detections a frame, with scores in false_score
    score_std, box_jitter_px  noise of scores and of each side of a box
    depth_std, depth_std_z2   metres: std = depth_std + depth_std_z2 * z^2
    dropout                   fraction of pixels without a depth
    edge_*                    what becomes of a pixel at a jump of depth: fractions that turn 0, NaN or float between
    """

    min_pixels: int = 40
    min_fraction: float = 0.35
    min_fraction_furniture: float = 0.15
    miss_rate: float = 0.10
    confusion_rate: float = 0.02
    false_rate: float = 0.03
    false_score: tuple[float, float] = (0.15, 0.5)
    score_std: float = 0.06
    box_jitter_px: float = 1.0
    depth_std: float = 0.003
    depth_std_z2: float = 0.0015
    dropout: float = 0.005
    edge_jump: float = 0.15
    edge_zero: float = 0.25
    edge_nan: float = 0.10
    edge_flying: float = 0.25

    def __post_init__(self) -> None:
        _check(self, min_pixels=(1, 1e6), min_fraction=(0, 1), min_fraction_furniture=(0, 1), miss_rate=(0, 1))
        _check(self, confusion_rate=(0, 1), false_rate=(0, 20), score_std=(0, 1), box_jitter_px=(0, 50))
        _check(self, depth_std=(0, 1), depth_std_z2=(0, 1), dropout=(0, 1), edge_jump=(1e-3, 10))
        _check(self, edge_zero=(0, 1), edge_nan=(0, 1), edge_flying=(0, 1))
        if self.edge_zero + self.edge_nan + self.edge_flying > 1:
            raise BadInputError("SensorConfig: edge_zero, edge_nan and edge_flying add up to more than 1.")


@dataclass(frozen=True)
class LidarConfig:
    """A spinning LiDAR above the camera. Points are in its own frame, metres."""

    enabled: bool = False
    rows: int = 16
    columns: int = 1024
    fov_up_deg: float = 15.0
    fov_down_deg: float = 15.0
    height: float = 1.4
    min_range: float = 0.3
    max_range: float = 20.0
    range_std: float = 0.015
    dropout: float = 0.01

    def __post_init__(self) -> None:
        _check(self, rows=(1, 128), columns=(8, 4096), fov_up_deg=(0, 90), fov_down_deg=(0, 90), height=(0.1, 2.4))
        _check(self, min_range=(0, 5), max_range=(0.5, 200), range_std=(0, 1), dropout=(0, 1))


@dataclass(frozen=True)
class ScanConfig:
    """A 2-D laser scanner near the floor, all around, first beam straight back."""

    enabled: bool = False
    beams: int = 360
    height: float = 0.2
    min_range: float = 0.1
    max_range: float = 10.0
    range_std: float = 0.01
    dropout: float = 0.01

    def __post_init__(self) -> None:
        _check(self, beams=(8, 4096), height=(0.05, 1.5), min_range=(0, 5), max_range=(0.5, 100))
        _check(self, range_std=(0, 1), dropout=(0, 1))


@dataclass(frozen=True)
class ScriptConfig:
    """What happens: sweeps through the house, and changes between the first and the second half of them.

    frame_rate     camera frames a second of simulated time
    epoch_ns       stamp of the start
    view_range     metres: every surface is visited to within this distance
    max_sweep_s    a sweep that takes longer is cut off
    """

    frame_rate: float = 5.0
    sweeps: int = 2
    moved: int = 3
    removed: int = 1
    added: int = 1
    epoch_ns: int = 1_700_000_000_000_000_000
    view_range: float = 3.0
    max_sweep_s: float = 180.0

    def __post_init__(self) -> None:
        _check(self, frame_rate=(0.5, 30), sweeps=(1, 20), moved=(0, 8), removed=(0, 4), added=(0, 4))
        _check(self, epoch_ns=(1, 9e18), view_range=(1.6, 6), max_sweep_s=(5, 3600))


@dataclass(frozen=True)
class SimConfig:
    """All settings of one run; with a seed they determine it."""

    house: HouseConfig = field(default_factory=HouseConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)
    robot: RobotConfig = field(default_factory=RobotConfig)
    localisation: LocalisationConfig = field(default_factory=LocalisationConfig)
    sensor: SensorConfig = field(default_factory=SensorConfig)
    lidar: LidarConfig = field(default_factory=LidarConfig)
    scan: ScanConfig = field(default_factory=ScanConfig)
    script: ScriptConfig = field(default_factory=ScriptConfig)

    @classmethod
    def load(cls, path: str | Path) -> SimConfig:
        """Read a YAML file. BadInputError names the setting that is unknown or out of range."""
        try:
            with open(path, encoding="utf-8") as file:
                tree = yaml.safe_load(file)
        except OSError as error:
            raise NotFoundError(f"The simulator's settings {path} cannot be read: {error}.") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise BadInputError(f"{path} is not YAML: {error}") from error
        return from_tree(cls, tree or {}, str(path))

    def dump(self, path: str | Path) -> None:
        """Write every setting as YAML."""
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump(_plain(asdict(self)), file, sort_keys=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def from_tree(kind: type[T], tree: Any, where: str) -> T:
    """Nested dictionaries -> nested dataclasses. Integers pass as floats; anything else of a wrong type is refused."""
    if not isinstance(tree, dict):
        raise BadInputError(f"{where} must hold settings by name, not {type(tree).__name__}.")
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(map(str, tree)) - known)
    if unknown:
        raise BadInputError(f"{where}: unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}.")
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, value in tree.items():
        here, hint = f"{where}: {name}", hints[name]
        if is_dataclass(hint):
            values[name] = from_tree(hint, value or {}, here)  # type: ignore[arg-type]
        else:
            values[name] = _leaf(hint, value, here)
    return kind(**values)


def _leaf(hint: Any, value: Any, where: str) -> Any:
    if hint is bool and isinstance(value, bool):
        return value
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint not in (bool, int, float) and isinstance(value, list | tuple) and len(value) == 2:
        low, high = (_leaf(float, item, where) for item in value)
        if low > high:
            raise BadInputError(f"{where}: the range {value} is upside down.")
        return low, high
    kind = hint.__name__ if hint in (bool, int, float) else "a pair of numbers"
    raise BadInputError(f"{where} is {value!r}, which is not of the type {kind}.")
