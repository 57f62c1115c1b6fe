"""Commands: the entries of the log that change what memory says. Each is data, applied by every view in log order.

A command can be undone: the state of memory is its observations with every command that was not undone applied in
order, so an undo brings back exactly what would have been without it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from embodied_mem.errors import BadInputError, StorageError


@dataclass(frozen=True, slots=True)
class Correct:
    """Change a record: only the fields that are not None. Its detections move rigidly with a corrected pose.

    position (3,) metres and orientation (4,) x, y, z, w in the record's map; labels: one for each detection.
    """

    name: ClassVar[str] = "correct"
    seq: int
    caption: str | None = None
    position: tuple[float, float, float] | None = None
    orientation: tuple[float, float, float, float] | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Forget:
    """Take records out of every answer, also out of `as_of`; compaction takes them out of every file."""

    name: ClassVar[str] = "forget"
    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Undo:
    """Take back the command with this number."""

    name: ClassVar[str] = "undo"
    command_seq: int


@dataclass(frozen=True, slots=True)
class SetMap:
    """Name the current metric frame. `transform` (16 floats, row-major 4 x 4) maps its points into `parent`."""

    name: ClassVar[str] = "set_map"
    map_id: str
    parent: str = ""
    transform: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class ReAnchor:
    """Move a map's records by a corrected trajectory: pose n of `before` and of `after` belong to stamps_ns[n].

    Poses are 7 floats each: x, y, z, qx, qy, qz, qw. Records between two stamps follow the interpolated poses.
    """

    name: ClassVar[str] = "re_anchor"
    map_id: str
    stamps_ns: tuple[int, ...]
    before: tuple[tuple[float, ...], ...]
    after: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Compact:
    """Forgotten records whose content is erased from every file from here on: their forgetting can no more be undone.

    The numbers of the records, of their repetitions and of their corrections stay in the log as empty tombstones.
    """

    name: ClassVar[str] = "compact"
    seqs: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many records it is about."""
        return len(self.seqs)


@dataclass(frozen=True, slots=True)
class Drop:
    """What retention gave up to keep within the disk budget; nothing brings it back.

    what     "clouds": only the clouds and thumbnails of these records; "records": the records themselves
    clouds, thumbnails   how many were dropped
    freed    bytes that this freed, about
    """

    name: ClassVar[str] = "drop"
    seqs: tuple[int, ...]
    what: str = "clouds"
    clouds: int = 0
    thumbnails: int = 0
    freed: int = 0

    @property
    def count(self) -> int:
        """How many records it is about."""
        return len(self.seqs)


@dataclass(frozen=True, slots=True)
class MergePlaces:
    """The places at which these records were made are one. Records name them: any change may number places anew."""

    name: ClassVar[str] = "merge_places"
    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BlockWay:
    """The way between the places of two records is closed until a time, in both directions or only from the first."""

    name: ClassVar[str] = "block_way"
    seqs: tuple[int, int]
    until_ns: int
    both_ways: bool = True


@dataclass(frozen=True, slots=True)
class UniteThings:
    """These detections, each a record and a place among its detections, are of one thing, wherever it was."""

    name: ClassVar[str] = "unite_things"
    detections: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class PartThings:
    """These detections are of different things. Undo brings back what memory makes of them by itself."""

    name: ClassVar[str] = "part_things"
    detections: tuple[tuple[int, int], ...]


Command = (
    Correct | Forget | Undo | SetMap | ReAnchor | Compact | Drop | MergePlaces | BlockWay | UniteThings | PartThings
)
_KINDS: dict[str, type[Command]] = {
    kind.name: kind
    for kind in (Correct, Forget, Undo, SetMap, ReAnchor, Compact, Drop, MergePlaces, BlockWay, UniteThings, PartThings)
}


def erased_by(command: Command | None) -> tuple[int, ...]:
    """The records whose content a command erases for good."""
    if isinstance(command, Compact):
        return command.seqs
    return command.seqs if isinstance(command, Drop) and command.what == "records" else ()


def to_json(command: Command) -> str:
    """The command as one line of JSON, with its name."""
    return json.dumps({"name": command.name, **asdict(command)}, separators=(",", ":"))


def from_json(text: str) -> Command:
    """The command that `to_json` wrote. Raises StorageError for anything else."""
    try:
        fields = json.loads(text)
        kind = _KINDS[fields.pop("name")]
        return kind(**{key: _tuples(value) for key, value in fields.items()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            f"The log holds a command that this version cannot read ({error}): {text[:80]!r}."
        ) from error


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def validate(command: Command) -> None:
    """Raise BadInputError where a command is malformed whatever memory holds."""
    checks: dict[type, Callable[[Any], None]] = {
        Correct: _check_correct,
        SetMap: _check_set_map,
        ReAnchor: _check_re_anchor,
        MergePlaces: _check_places,
        BlockWay: _check_places,
        UniteThings: _check_things,
        PartThings: _check_things,
    }
    try:
        json.dumps(asdict(command), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise BadInputError("The command holds a text that is not valid Unicode: decode it first.") from error
    check = checks.get(type(command))
    if check is not None:
        check(command)


def _check_correct(command: Correct) -> None:
    if command.caption is None and command.position is None and command.orientation is None and command.labels is None:
        raise BadInputError("Correct changes nothing: give a caption, a pose or labels.")
    for what, values in (("position", command.position), ("orientation", command.orientation)):
        if values is not None and not np.all(np.isfinite(values)):
            raise BadInputError(f"The corrected {what} holds NaN or infinity: {values}.")
    if command.orientation is not None and abs(np.linalg.norm(command.orientation) - 1) > 1e-3:
        raise BadInputError(f"The corrected orientation is not a unit quaternion: {command.orientation}.")
    if command.labels is not None and not all(label.strip() for label in command.labels):
        raise BadInputError("A corrected label is empty: give a word for each detection.")


def _check_places(command: MergePlaces | BlockWay) -> None:
    if len(set(command.seqs)) < 2:
        raise BadInputError(f"Give records of two places at least, not {command.seqs}.")


def _check_things(command: UniteThings | PartThings) -> None:
    if len(set(command.detections)) < 2:
        raise BadInputError(f"Give two different detections at least, not {command.detections}.")


def _check_set_map(command: SetMap) -> None:
    if not command.map_id.strip() or command.map_id == "*":
        raise BadInputError(f"{command.map_id!r} cannot name a map: give a word such as 'ground_floor'.")
    if command.transform is None:
        return
    matrix = np.array(command.transform, dtype=np.float64)
    if matrix.size != 16 or not np.all(np.isfinite(matrix)):
        raise BadInputError("The map's transform must be 16 finite numbers, a row-major 4 x 4 matrix.")
    rotation = matrix.reshape(4, 4)[:3, :3]
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) or np.linalg.det(rotation) < 0:
        raise BadInputError("The map's transform is not rigid: its rotation part must be orthonormal.")
    if not np.allclose(matrix.reshape(4, 4)[3], (0, 0, 0, 1)):
        raise BadInputError("The last row of the map's transform must be 0, 0, 0, 1.")
    if not command.parent or command.parent == command.map_id:
        raise BadInputError("A transform needs the name of another map that it leads to.")


def _check_re_anchor(command: ReAnchor) -> None:
    sizes = {len(command.stamps_ns), len(command.before), len(command.after)}
    if sizes == {0} or len(sizes) != 1:
        raise BadInputError(
            "Re-anchoring needs as many stamps as poses before and after, and at least one; "
            f"got {len(command.stamps_ns)}, {len(command.before)} and {len(command.after)}."
        )
    if np.any(np.diff(command.stamps_ns) <= 0):
        raise BadInputError("The trajectory's stamps must increase.")
    poses = np.array([command.before, command.after], dtype=np.float64)
    if poses.ndim != 3 or poses.shape[-1] != 7 or not np.all(np.isfinite(poses)):
        raise BadInputError("Each pose of a trajectory must be 7 finite numbers: x, y, z, qx, qy, qz, qw.")
    if np.any(np.abs(np.linalg.norm(poses[..., 3:], axis=-1) - 1) > 1e-3):
        raise BadInputError("A pose of the trajectory does not hold a unit quaternion.")
