"""One scan as bit sets: which voxels it hits and which its rays pass, before anything touches the map.

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
from embodied_mem.octree.morton import HALF, axis_key, interleave

TILE = 32
TILE_WORDS = TILE * TILE
_FIRST_TILES = 1024
_KEPT_TILES = 4096  # a larger window is given back after its scan

# Why a point or ray is refused, as indices of the counts that kernels fill.
NOT_FINITE, OUT_OF_RANGE = range(2)


class Window(NamedTuple):
    """slots (2^b,) int32 tile plus one; names (t,) packed tile keys; hits, passed (t * 1024,) uint32 rows along x;
    used (1,) int64 tiles."""

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


class Scan:
    """Marks scans, one after another. Not locked: its owner is."""

    def __init__(self, resolution: float) -> None:
        self._resolution = resolution
        self._window = make_window()

    def mark(
        self, points: NDArray[Any], origin: NDArray[np.float64] | None, max_range: float, *, misses: bool = False
    ) -> tuple[Blocks, NDArray[np.int64]]:
        """What points (n, 3) say, and how many were refused (2,): not finite, outside of the keys.

        origin     (3,) whose rays to the points carve; None: nothing is carved
        max_range  of farther points only the ray counts, up to there
        misses     the rays met nothing: their ends are not hits
        """
        refused = np.zeros(2, np.int64)
        ends = np.empty((len(points) if origin is not None else 0, 3), np.int32)
        count = done = 0
        while done < len(points):
            done, count = mark_ends(self._window, points, 1.0 / self._resolution, done, ends, count, refused)
            self._enlarge(done < len(points))
        if origin is not None:
            far = np.zeros(count, np.uint8)
            done = 0
            while done < count:
                done = carve(self._window, ends[:count], done, origin, self._resolution, max_range, misses, far)
                self._enlarge(done < count)
            unmark(self._window, ends[:count], far)
        size = count_blocks(self._window)
        blocks = Blocks(*(np.empty(size, np.uint64) for _ in range(3)))
        read_blocks(self._window, blocks)
        if len(self._window.names) > _KEPT_TILES:
            self._window = make_window()
        return blocks, refused

    def _enlarge(self, full: bool) -> None:
        if not full:
            return
        old, tiles = self._window, int(self._window.used[0])
        self._window = new = make_window(2 * len(old.names))
        new.names[:tiles] = old.names[:tiles]
        new.hits[: tiles * TILE_WORDS] = old.hits[: tiles * TILE_WORDS]
        new.passed[: tiles * TILE_WORDS] = old.passed[: tiles * TILE_WORDS]
        new.used[0] = tiles
        name_tiles(new)


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


@njit(cache=True, nogil=True)
def tile_of(w: Window, x: int, y: int, z: int) -> int:
    """The tile of a voxel (axis keys), made if need be; -1 when the window is full."""
    name = (x >> 5) | ((y >> 5) << 16) | ((z >> 5) << 32)
    last = len(w.slots) - 1
    place = _place(name, len(w.slots))
    while w.slots[place]:
        tile = w.slots[place] - 1
        if w.names[tile] == name:
            return tile
        place = (place + 1) & last
    tile = w.used[0]
    if tile == len(w.names):
        return -1
    w.used[0] += 1
    w.names[tile] = name
    w.slots[place] = tile + 1
    return tile


@njit(cache=True, nogil=True)
def mark_ends(
    w: Window,
    points: NDArray[Any],
    scale: float,
    begin: int,
    ends: NDArray[np.int32],
    count: int,
    refused: NDArray[np.int64],
) -> tuple[int, int]:
    """Mark points from `begin` on as hits; new voxels go to `ends` after the `count` in it, if it has room at all.

    Returns how many points are through (fewer than all when the window is full) and the count of ends.
    """
    listed = len(ends) > 0
    tile_x, tile_y, tile_z, tile = -1, -1, -1, 0
    for i in range(begin, len(points)):
        x = axis_key(np.float64(points[i, 0]), scale)
        y = axis_key(np.float64(points[i, 1]), scale)
        z = axis_key(np.float64(points[i, 2]), scale)
        if (x | y | z) < 0:
            finite = math.isfinite(points[i, 0]) and math.isfinite(points[i, 1]) and math.isfinite(points[i, 2])
            refused[1 if finite else 0] += 1
            continue
        if ((x ^ tile_x) | (y ^ tile_y) | (z ^ tile_z)) >> 5:
            tile = tile_of(w, x, y, z)
            if tile < 0:
                return i, count
            tile_x, tile_y, tile_z = x, y, z
        word = (tile << 10) | ((z & 31) << 5) | (y & 31)
        bit = np.uint32(1) << np.uint32(x & 31)
        if not w.hits[word] & bit:
            w.hits[word] |= bit
            if listed:
                ends[count, 0], ends[count, 1], ends[count, 2] = x, y, z
                count += 1
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
    scale = 1.0 / resolution
    ox, oy, oz = np.float32(origin[0]), np.float32(origin[1]), np.float32(origin[2])
    kx = axis_key(np.float64(ox), scale)
    ky = axis_key(np.float64(oy), scale)
    kz = axis_key(np.float64(oz), scale)
    half = np.float64(np.float32(resolution * 0.5))
    home = tile_of(w, kx, ky, kz)
    if home < 0:
        return begin
    for i in range(begin, len(ends)):
        ex, ey, ez = np.int64(ends[i, 0]), np.int64(ends[i, 1]), np.int64(ends[i, 2])
        px = np.float32((ex - HALF + 0.5) * resolution)
        py = np.float32((ey - HALF + 0.5) * resolution)
        pz = np.float32((ez - HALF + 0.5) * resolution)
        dx, dy, dz = px - ox, py - oy, pz - oz
        length = np.float32(math.sqrt(np.float64(dx * dx + dy * dy + dz * dz)))
        if np.float64(length) > max_range:
            far[i] = 1
            reach = np.float32(max_range)
            px, py, pz = ox + dx / length * reach, oy + dy / length * reach, oz + dz / length * reach
            ex = axis_key(np.float64(px), scale)
            ey = axis_key(np.float64(py), scale)
            ez = axis_key(np.float64(pz), scale)
            dx, dy, dz = px - ox, py - oy, pz - oz
            length = np.float32(math.sqrt(np.float64(dx * dx + dy * dy + dz * dz)))
        elif misses:
            far[i] = 1
        if ex == kx and ey == ky and ez == kz:
            continue
        x, y, z, tile = kx, ky, kz, home
        tx, step_x, delta_x = _first_border(kx, np.float64(ox), np.float64(dx / length), resolution, half)
        ty, step_y, delta_y = _first_border(ky, np.float64(oy), np.float64(dy / length), resolution, half)
        tz, step_z, delta_z = _first_border(kz, np.float64(oz), np.float64(dz / length), resolution, half)
        bx, by, bz = x, y, z
        w.passed[(tile << 10) | ((z & 31) << 5) | (y & 31)] |= np.uint32(1) << np.uint32(x & 31)
        while True:
            # Not one branch depends on the axis: it cannot be predicted.
            less_xy = tx < ty
            on_x = less_xy and tx < tz
            on_y = (not less_xy) and ty < tz
            on_z = not (on_x or on_y)
            x += step_x if on_x else 0
            y += step_y if on_y else 0
            z += step_z if on_z else 0
            tx += delta_x if on_x else 0.0
            ty += delta_y if on_y else 0.0
            tz += delta_z if on_z else 0.0
            if ((x ^ ex) | (y ^ ey) | (z ^ ez)) == 0 or min(tx, min(ty, tz)) > length:
                break
            if ((x ^ bx) | (y ^ by) | (z ^ bz)) >> 5:
                tile = tile_of(w, x, y, z)
                if tile < 0:
                    return i
                bx, by, bz = x, y, z
            w.passed[(tile << 10) | ((z & 31) << 5) | (y & 31)] |= np.uint32(1) << np.uint32(x & 31)
    return len(ends)


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
    for i in range(len(ends)):
        if far[i]:
            x, y, z = np.int64(ends[i, 0]), np.int64(ends[i, 1]), np.int64(ends[i, 2])
            word = (tile_of(w, x, y, z) << 10) | ((z & 31) << 5) | (y & 31)
            w.hits[word] &= ~(np.uint32(1) << np.uint32(x & 31))


@njit(cache=True, nogil=True)
def count_blocks(w: Window) -> int:
    """How many blocks hold a mark."""
    count = 0
    for tile in range(w.used[0]):
        for strip in range(64):
            together = _strip(w.hits, tile, strip) | _strip(w.passed, tile, strip)
            while together:
                count += 1 if together & np.uint32(15) else 0
                together >>= np.uint32(4)
    return count


@njit(cache=True, nogil=True, inline="always")
def _strip(plane: NDArray[np.uint32], tile: int, strip: int) -> Word:
    """The union of the 16 rows along x that cross the eight blocks of a strip (y, z) of a tile."""
    first = (tile << 10) | ((strip >> 3) << 7) | ((strip & 7) << 2)
    together = np.uint32(0)
    for z in range(4):
        for y in range(4):
            together |= plane[first + (z << 5) + y]
    return together


@njit(cache=True, nogil=True)
def read_blocks(w: Window, out: Blocks) -> None:
    """Read off what is marked, and leave the window clean. A voxel that was hit was not passed."""
    count = 0
    for tile in range(w.used[0]):
        name = w.names[tile]
        x, y, z = (name & 0xFFFF) << 3, ((name >> 16) & 0xFFFF) << 3, (name >> 32) << 3
        for strip in range(64):
            hits, passed = _strip(w.hits, tile, strip), _strip(w.passed, tile, strip)
            together = hits | passed
            if not together:
                continue
            first = (tile << 10) | ((strip >> 3) << 7) | ((strip & 7) << 2)
            for block in range(8):
                shift = np.uint32(4 * block)
                if not (together >> shift) & np.uint32(15):
                    continue
                hit = _block_mask(w.hits, first, shift) if (hits >> shift) & np.uint32(15) else np.uint64(0)
                free = _block_mask(w.passed, first, shift) & ~hit
                out.keys[count] = interleave(x + block, y + (strip & 7), z + (strip >> 3))
                out.hits[count], out.passed[count] = hit, free
                count += 1
        w.hits[tile << 10 : (tile + 1) << 10] = np.uint32(0)
        w.passed[tile << 10 : (tile + 1) << 10] = np.uint32(0)
    w.used[0] = 0
    w.slots[:] = 0


@njit(cache=True, nogil=True, inline="always")
def _block_mask(plane: NDArray[np.uint32], first: int, shift: int) -> Word:
    mask = np.uint64(0)
    for z in range(4):
        for y in range(4):
            nibble = np.uint64((plane[first + (z << 5) + y] >> shift) & np.uint32(15))
            mask |= nibble << np.uint64(4 * (y + 4 * z))
    return mask
