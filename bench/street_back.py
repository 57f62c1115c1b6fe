"""Part C of bench/street alone: going back to something by name: `python -m bench.street_back [--quick] [--json FILE]`.

How far memory of the city gets a robot after more and more patrols, what four years do to it (the map of 2013 in the
streets of 2017), and what compression of the streets costs. No instruction is read, so no evaluation split is opened.
"""

from __future__ import annotations

import sys

from bench.harness import Options, Report, parse
from bench.street_compressed import compression_table
from bench.street_memory import City
from bench.street_return import go_back
from bench.street_tune import data_folder, patrolled
from sim.street.graph import load_touchdown
from sim.street.landmarks import load_landmarks

SEED, FULL_DRIVES = 11, 600
_TRIALS = 300


def return_to(report: Report, city: City, trials: int) -> None:
    """The tables of part C."""
    old = City(city.graph, load_landmarks(data_folder(), city.graph, 2013), city.noise)
    now = set(city.landmarks.names) - {""}
    both = now & set(old.landmarks.names)
    kinds = (("2017", city, now), ("2017", city, both), ("2013 in 2017's streets", old, both))
    rows = []
    for drives in (100,) if trials < 100 else (30, 100, 300, FULL_DRIVES):
        made = {id(seen): patrolled(seen, drives, seed=SEED) for seen in (city, old)}
        for name, seen, asked in kinds:
            kept = made[id(seen)]
            result = go_back(seen, kept, city.landmarks, sorted(asked), trials, SEED)
            figures = [round(100 * result[key], 1) for key in ("SPL", "success", "says unknown")]
            rows.append([name, len(asked), drives, *figures])
    columns = ["memory of", "names", "patrols", "SPL %", "success %", "unknown %"]
    report.table(f"C: go back to X, {trials} names that stand there in 2017", columns, rows)
    drives = 100 if trials < 100 else FULL_DRIVES
    kept = patrolled(city, drives, seed=SEED)
    report.table(
        f"C: compression against stretch, {trials} names after {drives} patrols; what memory does not know left out",
        ["kept", "stretch", "places", "edges", "bytes", "SPL %", "success %"],
        compression_table(city, kept, sorted(now), trials, SEED),
    )


def run(options: Options) -> int:
    report = Report("street_back", options, seeds={"all": SEED}, packages=("rustworkx",))
    graph = load_touchdown(data_folder())
    return_to(report, City(graph, load_landmarks(data_folder(), graph)), 30 if options.quick else _TRIALS)
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
