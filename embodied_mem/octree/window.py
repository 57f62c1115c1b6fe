"""The kernels that mark a scan in bit sets: which voxels it hits and which its rays pass.

Voxels are marked in tiles of 32 x 32 x 32, two bit planes each, which the cache holds; tiles are found through a small
hash table and only looked up where a ray leaves one, so range costs nothing. What a scan marks is then read off block
by block, and each block of the map is touched once.

Rays follow OctoMap's computeRayKeys (after J. Amanatides and A. Woo, "A fast voxel traversal algorithm for ray
tracing", Eurographics 1987) to the last rounding, single precision where it has single precision, so that the same
voxels become free; the ends are the centres of the voxels that were hit, each once.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.octree.bits import Number, Word
from embodied_mem.octree.lanes import ALIVE, APART, BORDER, END, LANES, LENGTH, PLACE, STEP, STEPS, STRETCH, WORDS, walk
from embodied_mem.octree.morton import HALF, axis_key, interleave

TILE = 32
TILE_SHIFT = 11
TILE_WORDS = 1 << TILE_SHIFT  # rows along x, of which those with y in 32 .. 63 are not used: they catch who leaves
BLOCKS_A_TILE = 512
_FIRST_TILES = 1024

# Places along a ray are counted from its first voxel, three axes in one double, which holds 2^53 exactly.
_FIELD = 18
_AWAY = 1 << (_FIELD - 1)
LONGEST = _AWAY - TILE  # voxels that a ray carves at most: 13 km at 0.1 m
_TILE_BITS = ~(31 | (31 << _FIELD) | (31 << (2 * _FIELD)))
_UNIT_Y, _UNIT_Z = float(1 << _FIELD), float(1 << (2 * _FIELD))

# Why a point or ray is refused, as indices of the counts that kernels fill.
NOT_FINITE, OUT_OF_RANGE = range(2)


class Window(NamedTuple):
    """slots (2^b,) int32 tile plus one; names (t,) packed tile keys; hits, passed (t * 2048,) uint32 rows along x, of
    which row y + 64 z counts; used (1,) int64 tiles."""

    slots: NDArray[np.int32]
    names: NDArray[np.int64]
    hits: NDArray[np.uint32]
    passed: NDArray[np.uint32]
    used: NDArray[np.int64]


class Blocks(NamedTuple):
    """What a scan says, block by block: keys, which voxels of each it hit, and which it only passed, (n,) uint64."""

    keys: NDArray[np.uint64]
    hits: NDArray[np.uint64]
    passed: NDArray[np.uint64]


def make_window(tiles: int = _FIRST_TILES) -> Window:
    return Window(
        slots=np.zeros(4 * tiles, np.int32),
        names=np.zeros(tiles, np.int64),
        hits=np.zeros(tiles * TILE_WORDS, np.uint32),
        passed=np.zeros(tiles * TILE_WORDS, np.uint32),
        used=np.zeros(1, np.int64),
    )


@njit(cache=True, nogil=True, inline="always")
def _place(name: int, size: int) -> Number:
    return np.int64((np.uint64(name) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)) & (size - 1)


@njit(cache=True, nogil=True)
def name_tiles(w: Window) -> None:
    """Enter the tiles in use into empty slots."""
    last = len(w.slots) - 1
    for tile in range(w.used[0]):
        place = _place(w.names[tile], len(w.slots))
        while w.slots[place]:
            place = (place + 1) & last
        w.slots[place] = tile + 1


@njit(cache=True, nogil=True, inline="always")
def tile_of(slots: NDArray[np.int32], names: NDArray[np.int64], used: NDArray[np.int64], x: int, y: int, z: int) -> int:
    """The tile of a voxel (axis keys), made if need be; -1 when the window is full."""
    name = (x >> 5) | ((y >> 5) << 16) | ((z >> 5) << 32)
    last = len(slots) - 1
    place = _place(name, len(slots))
    while slots[place]:
        tile = slots[place] - 1
        if names[tile] == name:
            return tile
        place = (place + 1) & last
    tile = used[0]
    if tile == len(names):
        return -1
    used[0] += 1
    names[tile] = name
    slots[place] = tile + 1
    return tile


@njit(cache=True, nogil=True)
def to_keys(coordinates: NDArray[Any], scale: float, keys: NDArray[np.int32]) -> int:
    """Axis keys (m,) of coordinates (m,), -1 for those that have none; returns how many these are."""
    outside = 0
    for i in range(len(coordinates)):
        cell = math.floor(np.float64(coordinates[i]) * scale)
        inside = (cell >= -1048576.0) & (cell < 1048576.0)
        keys[i] = np.int32(cell if inside else -1048577.0) + np.int32(1048576)
        outside += 0 if inside else 1
    return outside


@njit(cache=True, nogil=True)
def count_refused(points: NDArray[Any], keys: NDArray[np.int32]) -> NDArray[np.int64]:
    """(2,) how many points have no key since they are not finite, and since they lie too far out."""
    refused = np.zeros(2, np.int64)
    for i in range(len(points)):
        if (keys[i, 0] | keys[i, 1] | keys[i, 2]) < 0:
            finite = math.isfinite(points[i, 0]) and math.isfinite(points[i, 1]) and math.isfinite(points[i, 2])
            refused[OUT_OF_RANGE if finite else NOT_FINITE] += 1
    return refused


@njit(cache=True, nogil=True)
def mark_ends(
    w: Window,
    points: NDArray[np.int32],
    begin: int,
    ends: NDArray[np.int32],
    count: int,
) -> tuple[int, int]:
    """Mark points (n, 3 axis keys, -1 = refused) from `begin` on as hits; voxels that are new go to `ends`, after the
    `count` in it, if it has room at all.

    Returns how many points are through (fewer than all when the window is full) and the count of ends.
    """
    slots, names, used, hits = w.slots, w.names, w.used, w.hits
    listed = len(ends) > 0
    last_x: Any = np.int64(-1)
    last_y = last_z = last_x
    base: Any = np.uint64(0)
    for i in range(begin, len(points)):
        x, y, z = np.int64(points[i, 0]), np.int64(points[i, 1]), np.int64(points[i, 2])
        if ((x ^ last_x) | (y ^ last_y) | (z ^ last_z)) >> 5:
            if (x | y | z) < 0:
                continue
            tile = tile_of(slots, names, used, x, y, z)
            if tile < 0:
                return i, count
            base = np.uint64(tile << TILE_SHIFT)
            last_x, last_y, last_z = x, y, z
        word = base + np.uint64(((z & 31) << 6) | (y & 31))
        bit = np.uint32(1) << np.uint32(x & 31)
        marked = hits[word]
        hits[word] = marked | bit
        if listed:
            ends[count, 0], ends[count, 1], ends[count, 2] = x, y, z
            count += 1 if marked & bit == np.uint32(0) else 0
    return len(points), count


@njit(cache=True, nogil=True)
def carve(
    w: Window,
    ends: NDArray[np.int32],
    begin: int,
    origin: NDArray[np.float64],
    resolution: float,
    max_range: float,
    misses: bool,
    far: NDArray[np.uint8],
) -> int:
    """Mark as passed what lies between the origin and each end (n, 3 axis keys) from `begin` on, the end left out.

    far (n,)  becomes 1 for an end that is no hit: it lies beyond max_range, or rays are `misses`
    Returns how many rays are through.
    """
    ox, oy, oz = np.float32(origin[0]), np.float32(origin[1]), np.float32(origin[2])
    home = np.array([axis_key(np.float64(o), 1.0 / resolution) for o in (ox, oy, oz)])
    rays, path = np.zeros((WORDS, LANES)), np.empty((STRETCH, LANES))
    slots, names, used = w.slots, w.names, w.used
    passed, axis, start = w.passed, (1 << _FIELD) - 1, _start(home)
    x, y, z = (home[0] & ~31) - _AWAY, (home[1] & ~31) - _AWAY, (home[2] & ~31) - _AWAY
    # The place where each ray was last, and the first row of the tile there.
    places, rows = np.empty(LANES, np.int64), np.empty(LANES, np.int64)
    first_tile = tile_of(slots, names, used, home[0], home[1], home[2])
    if first_tile < 0:
        return begin
    for first in range(begin, len(ends), LANES):
        lanes = min(LANES, len(ends) - first)
        rays[ALIVE] = 0.0
        for lane in range(lanes):
            beyond = _aim(rays, lane, ends[first + lane], (ox, oy, oz), home, resolution, max_range)
            far[first + lane] = misses or beyond
        places[:], rows[:] = start, first_tile << TILE_SHIFT
        running = True
        while running:
            rays[STEPS] = 0.0
            walk(rays, path)
            running = False
            for lane in range(lanes):
                last, row = places[lane], np.uint64(rows[lane])
                for step in range(np.int64(rays[STEPS, lane])):
                    place = np.int64(path[step, lane]) + start
                    if (place ^ last) & _TILE_BITS:
                        last = place
                        tile = tile_of(
                            slots,
                            names,
                            used,
                            x + (place & axis),
                            y + ((place >> _FIELD) & axis),
                            z + (place >> (2 * _FIELD)),
                        )
                        if tile < 0:
                            return first
                        row = np.uint64(tile << TILE_SHIFT)
                    # y + 64 z
                    word = row + np.uint64(((place >> _FIELD) & 31) | ((place >> (2 * _FIELD - 6)) & (31 << 6)))
                    passed[word] |= np.uint32(1) << np.uint32(place & 31)
                places[lane], rows[lane] = last, np.int64(row)
                running |= rays[ALIVE, lane] != 0.0
    return len(ends)


@njit(cache=True, nogil=True)
def _aim(
    rays: NDArray[np.float64],
    lane: int,
    end: NDArray[np.int32],
    origin: tuple[Any, Any, Any],
    home: NDArray[np.int64],
    resolution: float,
    max_range: float,
) -> Any:
    """Put a ray from the origin, in the voxel `home`, to the centre of the voxel `end` into its lane.

    Whether that lies beyond max_range, and so the ray goes only as far.
    """
    ox, oy, oz = origin
    px = np.float32((np.int64(end[0]) - HALF + 0.5) * resolution)
    py = np.float32((np.int64(end[1]) - HALF + 0.5) * resolution)
    pz = np.float32((np.int64(end[2]) - HALF + 0.5) * resolution)
    dx, dy, dz = px - ox, py - oy, pz - oz
    length = np.float32(math.sqrt(np.float64(dx * dx + dy * dy + dz * dz)))
    ex, ey, ez = np.int64(end[0]), np.int64(end[1]), np.int64(end[2])
    beyond = np.float64(length) > max_range
    if beyond:
        reach = np.float32(max_range)
        px, py, pz = ox + dx / length * reach, oy + dy / length * reach, oz + dz / length * reach
        ex = axis_key(np.float64(px), 1.0 / resolution)
        ey = axis_key(np.float64(py), 1.0 / resolution)
        ez = axis_key(np.float64(pz), 1.0 / resolution)
        dx, dy, dz = px - ox, py - oy, pz - oz
        length = np.float32(math.sqrt(np.float64(dx * dx + dy * dy + dz * dz)))
    goal = _packed(ex - home[0], ey - home[1], ez - home[2])
    rays[END, lane] = goal
    rays[LENGTH, lane] = np.float64(length)
    rays[PLACE, lane] = 0.0
    if goal == 0.0:
        return beyond  # the ray ends where it begins, and stays as dead as it is
    rays[ALIVE, lane] = 1.0
    half = np.float64(np.float32(resolution * 0.5))
    for axis, unit, o, d in ((0, 1.0, ox, dx), (1, _UNIT_Y, oy, dy), (2, _UNIT_Z, oz, dz)):
        border, step, apart = _first_border(home[axis], np.float64(o), np.float64(d / length), resolution, half)
        rays[BORDER + axis, lane] = border
        rays[APART + axis, lane] = apart
        rays[STEP + axis, lane] = step * unit
    return beyond


@njit(cache=True, nogil=True, inline="always")
def _start(home: NDArray[np.int64]) -> Number:
    """The place of a ray's first voxel, counted from a corner of a tile far off, so that no axis is negative."""
    x, y, z = (home[0] & 31) + _AWAY, (home[1] & 31) + _AWAY, (home[2] & 31) + _AWAY
    return x + (y << _FIELD) + (z << (2 * _FIELD))


@njit(cache=True, nogil=True, inline="always")
def _packed(x: Number, y: Number, z: Number) -> float:
    """Three steps from the ray's first voxel as one double, which holds them exactly: 2^53 > 3 x 17 bits."""
    return np.float64(x) + np.float64(y) * _UNIT_Y + np.float64(z) * _UNIT_Z


@njit(cache=True, nogil=True, inline="always")
def _first_border(
    key: Word, origin: float, direction: float, resolution: float, half: float
) -> tuple[float, int, float]:
    """How far along the ray the voxel's border on this axis lies, the step across it, and how far apart borders are."""
    if direction == 0.0:
        return 1.7976931348623157e308, 0, 1.7976931348623157e308
    center = (np.float64(key - HALF) + 0.5) * resolution
    if direction > 0.0:
        return (center + half - origin) / direction, 1, resolution / direction
    return (center - half - origin) / direction, -1, resolution / -direction


@njit(cache=True, nogil=True)
def unmark(w: Window, ends: NDArray[np.int32], far: NDArray[np.uint8]) -> None:
    """Ends that are no hits lose their mark."""
    slots, names, used = w.slots, w.names, w.used
    for i in range(len(ends)):
        if far[i]:
            x, y, z = np.int64(ends[i, 0]), np.int64(ends[i, 1]), np.int64(ends[i, 2])
            word = (tile_of(slots, names, used, x, y, z) << TILE_SHIFT) | ((z & 31) << 6) | (y & 31)
            w.hits[word] &= ~(np.uint32(1) << np.uint32(x & 31))


@njit(cache=True, nogil=True, inline="always")
def _strip(plane: NDArray[np.uint32], first: int) -> Word:
    """The union of the 16 rows along x that cross the eight blocks of a strip, whose first row is given."""
    together = np.uint32(0)
    for z in range(4):
        for y in range(4):
            together |= plane[first + (z << 6) + y]
    return together


@njit(cache=True, nogil=True)
def read_blocks(w: Window, out: Blocks, carved: bool) -> int:
    """Read off what is marked and leave the window clean; returns how many blocks. A voxel that was hit was not passed.

    carved: anything was passed at all
    """
    count = 0
    hit_rows, passed_rows = w.hits, w.passed
    for tile in range(w.used[0]):
        name = w.names[tile]
        x, y, z = (name & 0xFFFF) << 3, ((name >> 16) & 0xFFFF) << 3, (name >> 32) << 3
        for strip in range(64):
            first = (tile << TILE_SHIFT) | ((strip >> 3) << 8) | ((strip & 7) << 2)
            hits = _strip(hit_rows, first)
            passed = _strip(passed_rows, first) if carved else np.uint32(0)
            together = hits | passed
            if not together:
                continue
            for block in range(8):
                shift = np.uint32(4 * block)
                if not (together >> shift) & np.uint32(15):
                    continue
                hit = _block_mask(hit_rows, first, shift) if (hits >> shift) & np.uint32(15) else np.uint64(0)
                free = _block_mask(passed_rows, first, shift) & ~hit if carved else np.uint64(0)
                out.keys[count] = interleave(x + block, y + (strip & 7), z + (strip >> 3))
                out.hits[count], out.passed[count] = hit, free
                count += 1
            _wipe(hit_rows, first)
            if carved:
                _wipe(passed_rows, first)
    w.used[0] = 0
    w.slots[:] = 0
    return count


@njit(cache=True, nogil=True, inline="always")
def _wipe(plane: NDArray[np.uint32], first: int) -> None:
    for z in range(4):
        for y in range(4):
            plane[first + (z << 6) + y] = np.uint32(0)


@njit(cache=True, nogil=True, inline="always")
def _block_mask(plane: NDArray[np.uint32], first: int, shift: int) -> Word:
    mask = np.uint64(0)
    for z in range(4):
        for y in range(4):
            nibble = np.uint64((plane[first + (z << 6) + y] >> shift) & np.uint32(15))
            mask |= nibble << np.uint64(4 * (y + 4 * z))
    return mask
