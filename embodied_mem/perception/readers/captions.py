"""Captions with positions, from GML, JSON lines or CSV.

GML: nodes with `caption` and `position [ x y z ]`, longitude and latitude when they look like them; `timestamp` a date.
JSON lines: {"caption": "...", "x": 1, "y": 2, "z": 0, "time": ...}; CSV: the same names as a header line. Instead of
x, y: lat and lon, degrees. `time`: seconds since 1970, or ISO 8601. Latitudes and longitudes become metres east and
north of an origin (equirectangular), in a map of their own.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from embodied_mem.perception.ranges import observe_caption
from embodied_mem.records.observation import Observation

_EARTH = 6_378_137.0  # metres, WGS-84 equator
_LEVEL = np.array([0.0, 0.0, 0.0, 1.0])
_DEFAULT_NS = 1_600_000_000_000_000_000


@dataclass
class CaptionFile:
    """The captions of a file. What is wrong with a row is in `refused`, (where, why); the other rows are read.

    datum  latitude and longitude, degrees, of the map's origin; None: their median in this file
    Raises BadInputError when the file cannot be read at all or holds no caption, or for a datum that is nowhere.
    """

    path: Path
    map_id: str = ""
    datum: tuple[float, float] | None = None
    refused: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.path = Path(self.path)
        self.map_id = self.map_id or re.sub(r"\W+", "_", self.path.stem).lower()
        try:
            text = self.path.read_bytes().decode("utf-8", errors="replace")
        except OSError as error:
            raise BadInputError(f"{self.path} cannot be read ({error.strerror}).") from error
        readers = {".gml": _gml, ".jsonl": _json_lines, ".ndjson": _json_lines, ".csv": _csv}
        reader = readers.get(self.path.suffix.lower())
        if reader is None:
            raise BadInputError(f"{self.path.name} is none of .gml, .jsonl and .csv.")
        self._rows = [row for where, raw in reader(text) if (row := self._checked(where, raw)) is not None]
        if not self._rows:
            why = f": {self.refused[0][0]}: {self.refused[0][1]}" if self.refused else ""
            raise BadInputError(f"{self.path.name} holds no caption with a position{why}.")
        geographic = [row.place[:2] for row in self._rows if row.degrees]
        self.geographic = bool(geographic)
        self._origin = np.median(geographic or [np.zeros(2)], axis=0)
        if self.datum is not None:
            lat, lon = self.datum
            if not (abs(lat) <= 90 and abs(lon) <= 180):
                raise BadInputError(f"The origin is a latitude and a longitude in degrees, not {lat:g} and {lon:g}.")
            self._origin = np.array([lon, lat])

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def origin(self) -> tuple[float, float]:
        """Longitude and latitude of the map's origin, degrees; (0, 0) for a file in metres."""
        return float(self._origin[0]), float(self._origin[1])

    def metres(self, lon: float, lat: float) -> NDArray[np.float64]:
        """(2,) east and north of the origin."""
        scale = np.radians(1) * _EARTH
        east = (lon - self._origin[0]) * scale * np.cos(np.radians(self._origin[1]))
        return np.array([east, (lat - self._origin[1]) * scale])

    def __iter__(self) -> Iterator[Observation]:
        for number, row in enumerate(self._rows):
            place = np.append(self.metres(*row.place[:2]), row.place[2]) if row.degrees else row.place
            stamp = row.stamp_ns or _DEFAULT_NS + number * 1_000_000_000
            yield observe_caption(stamp, row.caption, place, _LEVEL, map_id=self.map_id, session_id=self.path.stem)

    def _checked(self, where: str, raw: dict[str, Any] | str) -> _Row | None:
        try:
            if isinstance(raw, str):
                raise BadInputError(raw)
            return _row(raw)
        except (BadInputError, ValueError, TypeError) as error:
            self.refused.append((where, str(error)))
            return None


@dataclass(frozen=True, slots=True)
class _Row:
    caption: str
    place: NDArray[np.float64]
    degrees: bool
    stamp_ns: int


def _row(raw: dict[str, Any]) -> _Row:
    caption = " ".join(html.unescape(str(raw.get("caption") or raw.get("text") or "")).split())
    if not caption:
        raise BadInputError("no caption")
    degrees = "lat" in raw or raw.get("degrees") is True
    names = ("lon", "lat") if "lat" in raw else ("x", "y")
    if any(raw.get(name) in (None, "") for name in names):
        raise BadInputError(f"no position ({' and '.join(names)})")
    place = np.array([float(raw[names[0]]), float(raw[names[1]]), float(raw.get("z") or 0)])
    if not np.isfinite(place).all() or (degrees and (abs(place[0]) > 180 or abs(place[1]) > 90)):
        raise BadInputError(f"impossible position {place.tolist()}")
    return _Row(caption, place, degrees, _stamp(raw.get("time") or raw.get("timestamp") or raw.get("stamp")))


def _stamp(value: Any) -> int:
    """Nanoseconds since 1970 of seconds, or of an ISO date down to the month; 0 for nothing."""
    if value in (None, ""):
        return 0
    try:
        seconds = float(value)
    except ValueError:
        text = str(value)
        text = f"{text}-01" if re.fullmatch(r"\d{4}-\d{2}", text) else text
        try:
            moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError as error:
            raise BadInputError(f"time {value!r} is neither seconds nor ISO 8601") from error
        return round((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()) * 1_000_000_000
    if not np.isfinite(seconds) or seconds < 0:
        raise BadInputError(f"impossible time {value!r}")
    return round(seconds * 1e9)


def _json_lines(text: str) -> Iterator[tuple[str, dict[str, Any] | str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            yield f"line {number}", f"not JSON ({error})"
            continue
        yield f"line {number}", value if isinstance(value, dict) else "not a JSON object"


def _csv(text: str) -> Iterator[tuple[str, dict[str, Any] | str]]:
    reader = csv.DictReader(io.StringIO(text))
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise BadInputError(f"This is no CSV file that can be read ({error}).") from error
    for line, row in rows:
        yield f"line {line}", {str(name).strip().lower(): value for name, value in row.items()}


def _gml(text: str) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """The node blocks of a GML file. Written for captions: networkx would need every label to be unique."""
    for block in re.finditer(r"^\s*node\s*\[(.*?)^  \]", text, re.DOTALL | re.MULTILINE):
        line = text.count("\n", 0, block.start()) + 1 if block.start() < 4000 else 0
        values: dict[str, Any] = dict(re.findall(r'^\s*(\w+)\s+"((?:[^"\\]|\\.)*)"', block[1], re.MULTILINE))
        numbers = {
            name: float(value) for name, value in re.findall(r"^\s*([xyz])\s+(-?[\d.eE+-]+)", block[1], re.MULTILINE)
        }
        identity = re.search(r"^\s*id\s+(\d+)", block[1], re.MULTILINE)
        degrees = abs(numbers.get("x", 999)) <= 180 and abs(numbers.get("y", 999)) <= 90
        where = f"node {identity[1]}" if identity else f"line {line}"
        yield where, {**values, **numbers, "degrees": degrees}
