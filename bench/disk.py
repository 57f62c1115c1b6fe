"""What memory costs on disk, what a disk budget costs memory, and whether what was forgotten is gone.

Bytes an hour: the simulated house with its camera as the demo drives it; its LiDAR (16 x 1024 rays at 10 Hz) once as
perception keeps it (a cloud each 0.5 m or 0.5 rad) and once with every sweep kept. Then the latter again with a tenth
of what it took as its budget: it must keep answering, stay within the budget, and say what it dropped. And a third of
the house is forgotten and compacted, and every file is searched for its texts, vectors, clouds and pictures.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.harness import Options, Report, parse
from bench.house import remember
from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.perception.keyframes import CloudKeyframer
from embodied_mem.perception.ranges import observe_cloud
from embodied_mem.records.check import check
from embodied_mem.records.clouds import encode_cloud
from embodied_mem.records.compaction import Compaction
from embodied_mem.records.log import RecordLog
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query
from embodied_mem.records.retention import dropped, usage
from sim.house.config import SimConfig
from sim.house.simulator import HouseSimulator, SimFrame

_SEED = 101
_LOOK = 50  # sweeps between questions
Sweep = tuple[int, np.ndarray, np.ndarray, np.ndarray]  # stamp, points, position, orientation


@dataclass(frozen=True, slots=True)
class Size:
    """frames of the house's camera, 0 = its whole run; sweeps of the LiDAR"""

    frames: int
    sweeps: int


QUICK, FULL = Size(60, 120), Size(0, 3000)


class Limited(HouseSimulator):
    """The house, ended after some frames."""

    limit = 0
    made = 0

    @property
    def done(self) -> bool:
        return super().done or bool(self.limit and self.made >= self.limit)

    def step(self) -> SimFrame:
        frame = super().step()
        self.made += 1
        return frame


def open_memory(folder: Path, budget_mb: float = 0.0) -> RecordMemory:
    return RecordMemory.open(folder, HashingEmbedder(), clock=lambda: 2 * 10**18, disk_budget_mb=budget_mb)


def log_of(memory: RecordMemory) -> RecordLog:
    assert isinstance(memory.log, RecordLog)
    memory.flush()
    return memory.log


def house(folder: Path, frames: int) -> tuple[RecordMemory, float]:
    """The house remembered, and the simulated seconds that it took."""
    simulator = Limited(seed=_SEED)
    simulator.limit = frames
    begin, memory = simulator.stamp_ns, open_memory(folder)
    remember(simulator, memory)
    return memory, (simulator.stamp_ns - begin) * 1e-9


def sweeps(count: int) -> list[Sweep]:
    """Stamps, points, positions, orientations of LiDAR sweeps at 10 Hz while the robot explores."""
    config = SimConfig()
    script = replace(config.script, frame_rate=10.0)
    simulator = HouseSimulator(replace(config, script=script, lidar=replace(config.lidar, enabled=True)), _SEED)
    found: list[Sweep] = []
    while len(found) < count and not simulator.done:
        frame = simulator.step()
        if frame.lidar is not None:
            found.append((frame.stamp_ns, frame.lidar.points, frame.lidar.position, frame.lidar.orientation))
    return found


def drive(folder: Path, made: list[Sweep], keyframes: bool, budget_mb: float = 0.0) -> tuple[RecordMemory, float, int]:
    """The sweeps remembered, the most bytes there were, and the questions that were not answered."""
    memory = open_memory(folder, budget_mb)
    keyframer = CloudKeyframer(0.5, 0.5, 0.05)
    highest, silent = 0, 0
    for i, (stamp, points, position, orientation) in enumerate(made):
        if not keyframes:
            keyframer = CloudKeyframer(0.5, 0.5, 0.05)
        seen = observe_cloud(stamp, points, position, orientation, keyframer=keyframer, max_range=60.0)
        if seen is not None:
            memory.remember_many([seen], durable=True)  # at 10 Hz each has its own commit
        if i % _LOOK == _LOOK - 1:
            highest = max(highest, usage(log_of(memory)))
            was = made[i // 2][2]  # a place of long ago
            near = [memory.query(Query(center=center, radius=1.0, k=3)).found for center in (position, was)]
            silent += near.count(False)
    return memory, highest, silent


def forgotten(report: Report, memory: RecordMemory, folder: Path) -> None:
    """Forget a third, compact, and search every file."""
    rng = np.random.default_rng(3)
    seqs = memory.select(Query(map_id="*"))
    gone = np.sort(rng.choice(seqs, len(seqs) // 3, replace=False))
    texts = {int(seq): memory.get(int(seq)).observation.caption for seq in seqs}
    kept_texts = {texts[int(seq)] for seq in seqs if seq not in set(gone.tolist())}
    kept = [memory.index.vector_of(int(seq)) for seq in seqs if texts[int(seq)] in kept_texts]
    kept_vectors = {vector.tobytes() for vector in kept if vector is not None}  # other words may have the same
    shared = {
        data
        for seq in set(seqs.tolist()) - set(gone.tolist())
        for obs in [memory.get(seq, blobs=True).observation]
        for data in (obs.thumbnail, b"" if obs.cloud is None else encode_cloud(obs.cloud))
    }
    needles: dict[str, set[bytes]] = {"texts": set(), "vectors": set(), "clouds": set(), "pictures": set()}
    for seq in gone.tolist():
        obs = memory.get(seq, blobs=True).observation
        vector = memory.index.vector_of(seq)
        if obs.caption not in kept_texts and obs.caption.strip():
            needles["texts"].add(obs.caption.encode())
            if vector is not None and vector.tobytes() not in kept_vectors:
                needles["vectors"].add(vector.tobytes())
        if obs.cloud is not None:
            needles["clouds"].add(encode_cloud(obs.cloud))
        if obs.thumbnail:
            needles["pictures"].add(obs.thumbnail)
    for what in ("clouds", "pictures"):
        needles[what] -= shared  # a robot that stands still makes the same picture again
    memory.flush()
    before = _found(folder, needles)
    memory.forget(gone)
    work = Compaction(memory).run()
    memory.close()
    after = _found(folder, needles)
    rows = [[what, len(needles[what]), before[what], after[what]] for what in needles]
    report.table(f"{len(gone)} of {len(seqs)} records forgotten", ["what", "searched", "before", "after"], rows)
    report.note(work.sentence())
    report.bar("forgotten texts, vectors, clouds, pictures found in any file", sum(after.values()), at_most=0)
    report.bar("the search finds them before compaction", sum(before.values()), at_least=1)
    report.bar("the log is whole after compaction", check(folder).whole)


def _found(folder: Path, needles: dict[str, set[bytes]]) -> dict[str, int]:
    everything = b"\0".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return {what: sum(needle in everything for needle in own) for what, own in needles.items()}


def run(options: Options) -> int:
    report = Report("disk", options, seeds={"house": _SEED})
    size = QUICK if options.quick else FULL
    rows: list[tuple[str, float, int, float]] = []
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        memory, seconds = house(base / "house", size.frames)
        rows.append(("house, camera", seconds, len(memory.index), usage(log_of(memory)) / 1e6))
        forgotten(report, memory, base / "house")
        made = sweeps(size.sweeps)
        seconds = (made[-1][0] - made[0][0]) * 1e-9
        whole = 0.0
        for title, keyframes in (("LiDAR 10 Hz, keyframes", True), ("LiDAR 10 Hz, every sweep", False)):
            memory, _, _ = drive(base / title, made, keyframes)
            whole = usage(log_of(memory)) / 1e6
            rows.append((title, seconds, len(memory.index), whole))
            memory.close()
        columns = ["run", "simulated s", "records", "MB", "MB an hour"]
        report.table("bytes an hour", columns, [[*row, row[3] * 3600 / row[1]] for row in rows])
        budget = whole / 10
        memory, highest, silent = drive(base / "budget", made, False, budget)
        told = dropped(memory)
        report.table("the same with a tenth of that as its budget", ["what", "count"], [
            ["budget MB", budget], ["most MB", highest / 1e6], ["records", len(memory.index)],
            ["questions not answered", silent], *([key, value] for key, value in told.items()),
        ])  # fmt: skip
        if memory.retention.problem:
            report.note(memory.retention.problem)
        remembered = memory.counters["retention_failed"]
        memory.close()
        report.bar("run at 10 x its disk budget: questions not answered", silent, at_most=0)
        report.bar("the most it took, to its budget", highest / 1e6 / budget, at_most=1.1, why_open=_why(options))
        report.bar("it says what it dropped: clouds", told["dropped_clouds"], at_least=1)
        report.bar("retention failed", remembered, at_most=0)
        report.bar("the log is whole after retention", check(base / "budget").whole)
    return report.finish()


def _why(options: Options) -> str:
    return "a budget of a few records is exceeded by the next ones" if options.quick else ""


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
