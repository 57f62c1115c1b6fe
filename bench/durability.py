"""Is the log to be trusted? Killed writers, cut power, disks that refuse, flipped bits; all with the shipped SQLite.

1. kill -9 at random moments of a write load: through the record node (real processes, real DDS), and of a plain writer.
2. Power cuts: the recorded writes, syncs and names of a run, replayed to a moment; what was not synced is there, not
   there, or torn at sector borders. Also where some syncs fail, after which Linux forgets what they were to write; and
   with SQLite's synchronous=NORMAL, to see that a loss would be seen.
3. An error at the n-th write, sync, opening or naming of a file, for every n of a workload; and folders that are
   read-only, another user's, or gone.
4. Single bits flipped in rows, vectors, blobs, caches, and anywhere else in the database.

What is promised, and what is assumed of the disk: docs/durability.md. The parts are in bench/faults/.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.faults import flips, kills, power, shim
from bench.harness import Options, Report, parse

_SEED = 5
_SHOWN = 20  # problems kept in the result


@dataclass(frozen=True, slots=True)
class Size:
    """node_kills, writer_kills; cuts of each of `runs` recorded runs of `rounds` lives; every `step`-th n; flips."""

    node_kills: int
    writer_kills: int
    runs: int
    rounds: int
    cuts: int
    step: int
    flips: int
    cache_flips: int


QUICK = Size(1, 10, 1, 3, 30, 29, 100, 10)
FULL = Size(200, 200, 4, 6, 400, 1, 2_100, 200)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder in memory where there is one: what is shown here does not depend on how fast a disk is."""
    fast = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=fast if fast.is_dir() else None) as name:
        yield Path(name)


def disk_errors(report: Report, size: Size) -> None:
    """Part 3."""
    with _folder() as folder:
        out = folder / "outcomes.json"
        (folder / "disk").mkdir()
        shim.run("bench.faults.errors", str(folder / "disk" / "memory"), str(size.step), str(out))
        outcomes: list[dict[str, Any]] = json.loads(out.read_text())
        (folder / "places").mkdir(mode=0o755)
        folder.chmod(0o755)
        places: dict[str, str] = json.loads(shim.plain("bench.faults.places", str(folder / "places")))
    names = list(dict.fromkeys(outcome["case"] for outcome in outcomes))
    rows = []
    for name in names:
        of = [outcome for outcome in outcomes if outcome["case"] == name]
        wrong = sum(bool(outcome["problems"]) for outcome in of)
        rows.append([name, len(of), sum(outcome["told"] > 0 for outcome in of), wrong])
    report.table("disk errors", ["error", "n tried", "callers told", "wrong"], rows)
    problems = [f"{item['case']}, n = {item['n']}: {problem}" for item in outcomes for problem in item["problems"]]
    _show(report, problems)
    report.bar("disk errors after which something was lost, unsaid or stuck", len(problems), at_most=0)
    bad = [f"{what}: {problem}" for what, problem in places.items() if problem]
    report.note(f"{len(places)} ways of using a folder that is read-only, another user's or gone were tried.")
    _show(report, bad)
    report.bar("folders that cannot be used and are not named in a sentence, or can and are not", len(bad), at_most=0)


def power_cuts(report: Report, size: Size) -> None:
    """Part 2."""
    lost: list[str] = []
    malformed: list[str] = []
    rows: list[list[Any]] = []
    for name, level, runs in (("FULL", "FULL", size.runs), ("FULL, some syncs fail", "FAILING", size.runs)):
        every = [_cuts(size, _SEED + run, level) for run in range(runs)]
        lost += [problem for found in every for problem in found.lost]
        malformed += [problem for found in every for problem in found.malformed]
        rows.append([name, *_sums(every)])
    control = _cuts(size, _SEED, "NORMAL")
    total = sum(row[2] for row in rows)
    columns = ["synchronous", "operations", "cuts", "records looked for", "records lost", "malformed"]
    report.table("power cuts", columns, [*rows, ["NORMAL", *_sums([control])]])
    _show(report, lost + malformed)
    report.bar("power cuts", total, at_least=60 if report.options.quick else 1000)
    report.bar("acknowledged records lost by power cuts", len(lost), at_most=0)
    report.bar("memories malformed by power cuts", len(malformed), at_most=0)
    report.bar("records that synchronous=NORMAL loses: the test can see a loss", len(control.lost), at_least=1)


def _sums(every: list[power.Cuts]) -> list[int]:
    return [
        sum(sum(found.operations.values()) for found in every), sum(found.cuts for found in every),
        sum(found.acknowledged for found in every), sum(len(found.lost) for found in every),
        sum(len(found.malformed) for found in every),
    ]  # fmt: skip


def _cuts(size: Size, seed: int, level: str) -> power.Cuts:
    with _folder() as folder:
        recorded = power.record(folder, rounds=size.rounds, seed=seed, level=level)
        return power.cut(recorded, folder, cuts=size.cuts, seed=seed)


def bit_flips(report: Report, size: Size) -> None:
    """Part 4."""
    found = flips.Flips()
    with _folder() as folder:
        flips.build(folder / "small", 150)
        found = flips.judge(folder / "small", flips.spots(folder / "small", size.flips, _SEED))
        flips.build(folder / "large", 1_010)
        cached = flips.spots(folder / "large", size.cache_flips, _SEED, "cache")
        found.verdicts += flips.judge(folder / "large", cached).verdicts
    columns = ["where", "flips", "found by check", "found on reading", "changed nothing", "wrong"]
    report.table("bit flips", columns, found.table())
    _show(report, [str(verdict) for verdict in found.failures])
    report.bar("bits flipped", len(found.verdicts), at_least=100 if report.options.quick else 2000)
    report.bar("flips in rows, vectors, blobs or caches not found, or that changed an answer", len(found.failures),
               at_most=0)  # fmt: skip


def killed_writers(report: Report, size: Size) -> None:
    """Part 1, without ROS."""
    with _folder() as folder:
        _killed(report, "plain writer", kills.kill_writers(folder / "memory", kills=size.writer_kills, seed=_SEED))


def killed_nodes(size: Size) -> kills.Kills:
    """Part 1, through the record node. Raises ImportError without ROS 2."""
    from bench.faults.kills_node import kill_nodes
    from embodied_mem.nodes.private_domain import private_domain

    def progress(number: int) -> None:
        if number % 20 == 0:
            print(f"{number} record nodes killed", flush=True)

    with _folder() as folder, private_domain():
        return kill_nodes(folder, kills=size.node_kills, seed=_SEED, progress=progress)


def _killed(report: Report, name: str, found: kills.Kills) -> None:
    report.note(
        f"{name}: {found.kills} kills in {found.seconds:.0f} s, {found.acknowledged} records acknowledged, "
        f"{len(found.lost)} lost, {len(found.malformed)} problems, {len(found.views)} differences between a view that "
        "followed and one rebuilt."
    )
    _show(report, found.lost + found.malformed + found.views)
    report.bar(f"kills of the {name}", found.kills, at_least=1 if report.options.quick else 200)
    report.bar(f"whole after every kill of the {name}", found.whole)


def _show(report: Report, problems: list[str]) -> None:
    for problem in problems[:_SHOWN]:
        report.note(f"  {problem}")
    if len(problems) > _SHOWN:
        report.note(f"  and {len(problems) - _SHOWN} more")


def run(options: Options) -> int:
    why_not = shim.why_not()
    if why_not:
        print(f"bench/durability cannot run: {why_not}.")
        return 2
    size = QUICK if options.quick else FULL
    report = Report("durability", options, seeds={"faults": _SEED})
    with ThreadPoolExecutor(1) as beside:  # it mostly waits for nodes that start
        nodes = beside.submit(killed_nodes, size)
        disk_errors(report, size)
        power_cuts(report, size)
        bit_flips(report, size)
        killed_writers(report, size)
        try:
            _killed(report, "record node", nodes.result())
        except ImportError as error:
            report.note(f"Without ROS 2 ({error}) nothing is shown of the node.")
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
