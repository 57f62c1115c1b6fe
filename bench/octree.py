"""The octree beside C++ OctoMap (Debian's liboctomap-dev) and Open3D: 200 scans of 60,000 points, CPU time of a thread.

Scans come from bench/octree_stream.py: rooms along a corridor, and a street. OctoMap runs in a process of its own and
is asked turn by turn; a turn is ten scans, since what the other process leaves in the caches is nobody's cost. Its
insert is taken in the faster of two forms: point by point, or each voxel once; its carving is insertPointCloud,
discretised, which is the faster one and the one that we equal voxel by voxel. Bonxai's core stands beside it where
BONXAI_INCLUDE names its headers. Pictures of real maps are written to runs/octree.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.harness import ROOT, Options, Report, parse
from bench.octree_maps import draw_real_maps
from bench.octree_peers import BonxaiArm, OctoMapArm, Open3DArm
from bench.octree_stream import Stream, rooms, street
from embodied_mem.octree.octomap import read_octomap, write_octomap
from embodied_mem.octree.tree import Octree
from embodied_mem.octree.warm import warm

RESOLUTION = 0.1
RANGE = 20.0  # metres, of ray queries
_SEED = 1
_TURN = 10  # scans
_EVERYWHERE = ([-np.inf] * 3, [np.inf] * 3)
_DATA = Path(os.environ.get("EMBODIED_MEM_DATA") or ROOT.parent / "shared" / "data")

FloatArray = NDArray[np.float64]


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of this thread, and what came out."""
    begin = time.thread_time()
    out = call()
    return time.thread_time() - begin, out


class Questions:
    """Look-ups near what was seen, rays from where the robot was, boxes around what was hit."""

    def __init__(self, stream: Stream, count: int) -> None:
        rng = np.random.default_rng(_SEED)
        points = np.concatenate(stream.scans)
        near = points[rng.integers(0, len(points), count)]
        self.points = (near + rng.normal(0, 0.3, near.shape)).astype(np.float32)
        origins = stream.origins[rng.integers(0, len(stream.origins), count // 5)]
        ways = rng.normal(size=origins.shape) * [1, 1, 0.3]
        self.rays = np.concatenate([origins, ways], axis=1).astype(np.float32)
        self.boxes = points[rng.integers(0, len(points), 300)].astype(np.float32)

    def parts(self) -> list[NDArray[np.float32]]:
        return [self.points, self.rays, self.boxes]


def feed(
    report: Report, stream: Stream, arm: OctoMapArm, name: str, carve: bool, max_range: float
) -> tuple[Octree, FloatArray, FloatArray]:
    """A map of the stream; seconds a scan of ours, and of OctoMap's best form (nan where it is missing)."""
    tree = Octree(RESOLUTION)
    ours, theirs = np.empty(len(stream.scans)), np.full((len(stream.scans), 1 if carve else 2), np.nan)
    for begin in range(0, len(stream.scans), _TURN):
        turn = range(begin, min(begin + _TURN, len(stream.scans)))
        for i in turn:
            options: dict[str, Any] = {"origin": stream.origins[i], "max_range": max_range} if carve else {}
            ours[i] = timed(partial(tree.insert, stream.scans[i], stamp_ns=i, record=i + 1, **options))[0]
        for form in range(theirs.shape[1] if arm else 0):
            for i in turn:
                reach = max_range if np.isfinite(max_range) else -1
                words = ("carve", name, i, reach) if carve else ("hits", f"{name}{form}", i, form)
                theirs[i, form] = arm.ask(*words)[0] / 1e9
    best = theirs[:, np.argmin(np.median(theirs, axis=0))]
    count = np.array([len(scan) for scan in stream.scans])
    forms = ["OctoMap"] if carve else ["OctoMap, point by point", "OctoMap, each voxel once"]
    rows = [_speeds("embodied_mem", ours, count)]
    rows += [_speeds(form, times, count) for form, times in zip(forms, theirs.T, strict=True)]
    report.table(
        f"{name}: {'carving' if carve else 'hits only'}",
        ["arm", "M/s, median", "M/s, with growth", "ms a scan, median", "p99", "max"],
        rows,
    )
    return tree, ours, best


def _speeds(who: str, seconds: FloatArray, count: NDArray[np.int64]) -> list[Any]:
    rates = [float(np.median(count / seconds)) / 1e6, float(count.sum() / seconds.sum()) / 1e6]
    return [who, *rates, *(float(np.quantile(seconds, share)) * 1e3 for share in (0.5, 0.99, 1))]


def ask(report: Report, title: str, tree: Octree, arm: OctoMapArm, name: str, questions: Questions) -> dict[str, float]:
    """How many times faster than OctoMap look-ups, rays and boxes are, turn by turn; and their own speed."""
    size, rounds = len(questions.points), 5  # all of them at once, as one asks an array
    seconds: dict[str, list[tuple[float, float]]] = {"look-ups": [], "rays": [], "boxes": []}
    agree = True
    points, rays, boxes = (part.astype(np.float64) for part in questions.parts())
    for _ in range(rounds):
        part = slice(0, size)
        ours, states = timed(partial(tree.state, points[part]))
        theirs = arm.ask("look", name, part.start, part.stop) if arm else [np.nan, np.nan]
        agree &= not arm or (states == 1).sum() == theirs[1]
        seconds["look-ups"].append((ours / size, theirs[0] / 1e9 / size))
        count = len(rays)
        lines = slice(0, count)
        ours, _ = timed(partial(tree.cast, rays[lines, :3], rays[lines, 3:], RANGE))
        theirs = arm.ask("rays", name, lines.start, lines.stop, RANGE) if arm else [np.nan]
        seconds["rays"].append((ours / count, theirs[0] / 1e9 / count))
    for number, box in enumerate(boxes):
        ours, found = timed(partial(tree.box, box - 1, box + 1))
        theirs = arm.ask("box", name, number, 1.0) if arm else [np.nan, np.nan]
        agree &= not arm or abs(len(found) - theirs[1]) <= 0.02 * len(found) + 2  # rounding of the box's own corners
        seconds["boxes"].append((ours, theirs[0] / 1e9))
    rows, ratios = [], {}
    for kind, pairs in seconds.items():
        ours_of, theirs_of = np.median(np.array(pairs), axis=0)
        ratios[kind] = float(np.median(np.array(pairs)[:, 1] / np.array(pairs)[:, 0]))
        rows.append([kind, 1e-6 / ours_of, 1e-6 / theirs_of, ours_of * 1e6, theirs_of * 1e6, ratios[kind]])
    report.table(
        f"questions, {title}", ["kind", "M/s", "M/s OctoMap", "us each", "us OctoMap", "times faster, median"], rows
    )
    report.bar(f"answers equal OctoMap's, {title}", agree)
    return ratios


def compare_voxels(tree: Octree, arm: OctoMapArm, name: str, folder: Path) -> bool:
    """Whether every leaf of OctoMap's is a voxel of ours with the same log-odds, and the other way round."""
    path = folder / "leaves.bin"
    arm.ask("dump", name, path)
    leaves = np.fromfile(path, np.dtype([("key", "<i4", 3), ("odds", "<f4")]))
    found = tree.box(*_EVERYWHERE, occupied_only=False)
    keys = np.floor(found.centers / RESOLUTION).astype(np.int32)
    ours, theirs = np.lexsort(keys.T), np.lexsort(leaves["key"].T)
    return np.array_equal(keys[ours], leaves["key"][theirs]) and np.array_equal(
        found.log_odds[ours], leaves["odds"][theirs]
    )


def sizes(report: Report, hits: Octree, carved: Octree) -> None:
    free = int((carved.box(*_EVERYWHERE, occupied_only=False).log_odds < 0).sum())
    occupied = len(hits)
    each, known = hits.nbytes / occupied, (carved.nbytes - hits.nbytes) / free
    report.table(
        "memory",
        ["map", "voxels hit", "known-free voxels", "MB", "bytes a voxel"],
        [["hits only", occupied, 0, hits.nbytes / 1e6, each], ["what carving adds", 0, free,
         (carved.nbytes - hits.nbytes) / 1e6, known]],
    )  # fmt: skip
    report.bar("bytes an occupied voxel, with its record", each, at_most=80)
    report.bar("bytes a known-free voxel", known, at_most=3)
    report.bar("goal: bytes an occupied voxel", each, at_most=64)
    report.bar("further goal: bytes an occupied voxel", each, at_most=24)


def cold_open(report: Report, tree: Octree, folder: Path, repeats: int) -> None:
    """From a file that is not in the page cache to the first answer, wall time."""
    path = folder / "map"
    tree.save(path)
    point = tree.box(*_EVERYWHERE).centers[:1]
    times = []
    for _ in range(repeats):
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)
        begin = time.perf_counter()
        assert Octree.open(path).state(point)[0] == 1
        times.append((time.perf_counter() - begin) * 1e3)
    report.note(f"cold open of {len(tree):,} voxels: {np.median(times):.1f} ms, {path.stat().st_size / 1e6:.1f} MB")
    report.bar("cold open and first answer, 665,000 voxels or more (ms, median)", float(np.median(times)), at_most=10)


def flatness(report: Report, stream: Stream, copies: int) -> None:
    """The cost of a scan in a map that grows by copies of the stream, each in a place of its own."""
    tree, medians = Octree(RESOLUTION), []
    for copy in range(copies):
        shift = np.array([0, 40.0 * copy, 0], np.float32)
        scans = [scan + shift for scan in stream.scans]
        times = [
            timed(partial(tree.insert, scan, origin=origin + shift))[0]
            for scan, origin in zip(scans, stream.origins, strict=True)
        ]
        medians.append(float(np.median(times)) * 1e3)
    report.table(
        "cost per scan as the map grows", ["copy", "ms a scan, median"], [[i + 1, ms] for i, ms in enumerate(medians)]
    )
    ratio = float(np.mean(medians[-2:]) / np.mean(medians[:2]))
    report.bar(f"cost per scan, map {copies} times as large, over the first", ratio, at_most=1.2)


def real_octomap(report: Report, folder: Path) -> None:
    path = _DATA / "octomap" / "geb079.bt"
    if not path.exists():
        report.bar("geb079.bt: 532,566 nodes, and exported byte by byte", None, why_open=f"no recorded data at {_DATA}")
        return
    seconds, tree = timed(lambda: read_octomap(path))
    nodes = write_octomap(folder / "out.bt", tree)
    body = b"\ndata\n"
    same = (folder / "out.bt").read_bytes().split(body, 1)[1] == path.read_bytes().split(body, 1)[1]
    report.note(
        f"geb079.bt: {nodes:,} nodes read in {seconds:.2f} s, {tree.nbytes / 1e6:.1f} MB, {tree.blocks:,} blocks"
    )
    report.bar("geb079.bt: 532,566 nodes, and exported byte by byte", same and nodes == 532_566)


def ratio(theirs: FloatArray, ours: FloatArray, total: bool) -> float:
    return float(theirs.sum() / ours.sum()) if total else float(np.median(theirs) / np.median(ours))


def run(options: Options) -> int:
    report = Report("octree", options, seeds={"worlds": _SEED}, packages=("open3d-cpu",))
    warm()
    gc.collect()
    gc.freeze()  # what compiling kernels left behind is no cost of a scan
    scans = 8 if options.quick else 200
    stream = rooms(scans, _SEED)
    questions = Questions(stream, 10_000 if options.quick else 100_000)
    report.note(
        f"rooms: {scans} scans, {np.mean([len(s) for s in stream.scans]):,.0f} points, {stream.mean_range:.1f} m"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arm = OctoMapArm(folder, stream, questions.parts(), RESOLUTION)
        if arm.why:
            report.note(f"OctoMap: skipped, {arm.why}")
        why = "a quick run says nothing about speed" if options.quick else arm.why
        hits, insert, their_insert = feed(report, stream, arm, "rooms", False, np.inf)
        arm_open3d(report, stream, questions)
        carved, carve, their_carve = feed(report, stream, arm, "carved", True, np.inf)
        report.bar("insert, times OctoMap's median", ratio(their_insert, insert, False), at_least=5, why_open=why)
        report.bar("insert with growth, times OctoMap's", ratio(their_insert, insert, True), at_least=3.5, why_open=why)
        report.bar("carve, times OctoMap's", ratio(their_carve, carve, True), at_least=20, why_open=why)
        form = np.argmin([arm.ask("size", f"rooms{form}")[0] for form in (0, 1)]) if arm else 0
        for title, tree, theirs in (("hits only", hits, f"rooms{form}"), ("carved", carved, "carved")):
            found = ask(report, title, tree, arm, theirs, questions)
            report.bar(f"look-up, times OctoMap's, {title}", found["look-ups"], at_least=7, why_open=why)
            report.bar(f"ray queries, times OctoMap's, {title}", found["rays"], at_least=10, why_open=why)
            report.bar(f"box of 1 m to each side, times OctoMap's, {title}", found["boxes"], at_least=1, why_open=why)
        if arm:
            report.bar("occupancy equals OctoMap's, voxel by voxel", compare_voxels(carved, arm, "carved", folder))
            arm.close()
        else:
            report.bar("occupancy equals OctoMap's, voxel by voxel", None, why_open=arm.why)
        report.bar(
            "60,000-ray scan with carving, p99 (ms)", float(np.quantile(carve, 0.99) * 1e3), at_most=20,
            why_open="a quick run says nothing about speed" if options.quick else "",
        )  # fmt: skip
        points = np.array([len(scan) for scan in stream.scans])
        report.bar("further goal: insert, M points a CPU-second", float(np.median(points / insert) / 1e6), at_least=100,
                   why_open="a goal beyond" if options.quick else "")  # fmt: skip
        report.bar("further goal: carve, M rays a CPU-second", float(np.median(points / carve) / 1e6), at_least=18,
                   why_open="a goal beyond" if options.quick else "")  # fmt: skip
        sizes(report, hits, carved)
        cold_open(report, hits, folder, 5 if options.quick else 21)
        real_octomap(report, folder)
        if not options.quick:
            outdoors(report, folder)
            flatness(report, Stream(stream.origins[:60], stream.scans[:60], stream.max_range), 10)
    beside_bonxai(report, stream, questions, options.quick)
    if not options.quick:
        for picture in draw_real_maps(_DATA, ROOT / "runs" / "octree"):
            report.note(picture)
    return report.finish()


def beside_bonxai(report: Report, stream: Stream, questions: Questions, quick: bool) -> None:
    """Goals beyond the bars: the insert and look-up of Bonxai's core, turn by turn."""
    with tempfile.TemporaryDirectory() as folder:
        arm = BonxaiArm(Path(folder), stream, questions.parts(), RESOLUTION)
        if not arm:
            report.note(f"Bonxai: skipped, {arm.why}")
            return
        tree, scans = Octree(RESOLUTION), len(stream.scans)
        ours, theirs = np.empty(scans), np.empty(scans)
        for begin in range(0, scans, _TURN):
            turn = range(begin, min(begin + _TURN, scans))
            for i in turn:
                ours[i] = timed(partial(tree.insert, stream.scans[i], stamp_ns=i, record=i + 1))[0]
            for i in turn:
                theirs[i] = arm.ask("hits", "rooms", i, 0)[0] / 1e9
        points = questions.points.astype(np.float64)
        looks = np.array([
            (timed(partial(tree.state, points))[0], arm.ask("look", "rooms", 0, len(points))[0] / 1e9) for _ in range(5)
        ])  # fmt: skip
        size = arm.ask("size", "rooms")
        arm.close()
    count = np.array([len(scan) for scan in stream.scans])
    report.table(
        "beside Bonxai: hits only", ["arm", "M/s, median", "M/s, with growth", "look-ups, M/s", "bytes a voxel"],
        [[who, *_speeds(who, times, count)[1:3], len(points) / np.median(look) / 1e6, each]
         for who, times, look, each in (("embodied_mem", ours, looks[:, 0], tree.nbytes / len(tree)),
                                        ("Bonxai", theirs, looks[:, 1], size[0] / size[1]))],
    )  # fmt: skip
    why = "a quick run says nothing about speed" if quick else ""
    report.bar("goal: insert with growth, times Bonxai's", ratio(theirs, ours, True), at_least=1, why_open=why)
    report.bar("goal: look-up, times Bonxai's", float(np.median(looks[:, 1] / looks[:, 0])), at_least=0.9, why_open=why)


def outdoors(report: Report, folder: Path) -> None:
    stream = street(40, _SEED)
    report.note(f"street: 40 scans, {np.mean([len(s) for s in stream.scans]):,.0f} points, {stream.mean_range:.1f} m")
    arm = OctoMapArm(folder, stream, Questions(stream, 10_000).parts(), RESOLUTION)
    tree, ours, theirs = feed(report, stream, arm, "street", True, np.inf)
    if arm:
        report.bar("occupancy equals OctoMap's on the street", compare_voxels(tree, arm, "street", folder))
        report.note(f"street: carving {ratio(theirs, ours, True):.1f} times as fast as OctoMap")
        arm.close()


def arm_open3d(report: Report, stream: Stream, questions: Questions) -> None:
    arm = Open3DArm(RESOLUTION)
    if not arm:
        report.note(f"Open3D: skipped, {arm.why}")
        return
    seconds = [arm.insert(scan) for scan in stream.scans]
    total = sum(len(scan) for scan in stream.scans)
    found = [arm.find(questions.points) for _ in range(3)]
    report.table(
        "Open3D's HashSet, CPU time of its threads",
        ["what", "M/s"],
        [["insert", total / sum(seconds) / 1e6], ["look-up", len(questions.points) / np.median(found) / 1e6]],
    )


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
