"""What the benchmarks share: arms measured side by side, tables, bars, and a result file that says where it comes from.

options = parse(__doc__)
report = Report("search", options, seeds={"world": 1})
timings = measure({"ours": ours, "peer": peer}, repeats=100)   # each arm is called with 0, 1, 2 ...
report.table("unfiltered", ["arm", "ms"], [[name, timing.median_ms] for name, timing in timings.items()])
report.bar("unfiltered p95 (ms)", timings["ours"].quantile_ms(0.95), at_most=15)
report.finish()
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
_PACKAGES = ("numpy", "numba", "scipy")
_SPEED_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "NUMBA_NUM_THREADS",
)


@dataclass(frozen=True, slots=True)
class Options:
    """quick: small sizes, to see that everything works; json: also write the result there."""

    quick: bool = False
    json: Path | None = None


def parse(description: str | None, arguments: Sequence[str] | None = None) -> Options:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    found = parser.parse_args(arguments)
    return Options(found.quick, found.json)


@dataclass(frozen=True, slots=True, eq=False)
class Timing:
    """seconds (n,) of each call, and what each call returned."""

    seconds: NDArray[np.float64]
    outputs: list[Any]

    @property
    def median_ms(self) -> float:
        return self.quantile_ms(0.5)

    def quantile_ms(self, share: float) -> float:
        return float(np.quantile(self.seconds, share) * 1e3)

    def summary(self) -> dict[str, float]:
        """Median and spread, in milliseconds."""
        quantiles = {"p50": 0.5, "p25": 0.25, "p75": 0.75, "p95": 0.95, "max": 1.0}
        return {name: round(self.quantile_ms(share), 4) for name, share in quantiles.items()} | {"n": len(self.seconds)}


def measure(
    arms: Mapping[str, Callable[[int], Any]],
    repeats: int,
    *,
    warmup: int = 3,
    clock: Callable[[], float] = time.thread_time,
) -> dict[str, Timing]:
    """Call every arm with 0 .. repeats - 1, turn by turn, so that whatever slows the machine slows all of them alike.

    clock  the calling thread's CPU time by default; time.process_time for arms that use threads, time.perf_counter
           for latency
    """
    for arm in arms.values():
        for turn in range(min(warmup, repeats)):
            arm(turn)
    seconds = {name: np.empty(repeats) for name in arms}
    outputs: dict[str, list[Any]] = {name: [] for name in arms}
    for turn in range(repeats):
        for name, arm in arms.items():
            begin = clock()
            output = arm(turn)
            seconds[name][turn] = clock() - begin
            outputs[name].append(output)
    return {name: Timing(seconds[name], outputs[name]) for name in arms}


@dataclass(eq=False)
class Report:
    """Prints as it goes along, and writes bench/results/NAME.json after a full run."""

    name: str
    options: Options
    seeds: Mapping[str, int] = field(default_factory=dict)
    packages: Sequence[str] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    bars: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._begin = time.perf_counter()
        self._where = _where([*_PACKAGES, *self.packages])
        kind = "quick run: figures say nothing about speed" if self.options.quick else "full run"
        print(f"bench/{self.name}, {kind}\n{self._where['machine']['cpu']}, commit {self._where['commit']}")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, keep: bool = True) -> None:
        """Print a table, and keep it among the figures."""
        print(f"\n{title}\n{layout(columns, rows)}", flush=True)
        if keep:
            self.figures[title] = [dict(zip(columns, row, strict=True)) for row in rows]

    def note(self, text: str) -> None:
        print(text, flush=True)
        self.figures.setdefault("notes", []).append(text)

    def bar(
        self,
        name: str,
        value: float | bool | None,
        *,
        at_most: float | None = None,
        at_least: float | None = None,
        why_open: str = "",
    ) -> None:
        """State whether a bar holds. `why_open`: only another run can say, and why; then it neither holds nor fails."""
        if at_most is not None:
            bar, holds = f"<= {at_most:g}", value is not None and value <= at_most
        elif at_least is not None:
            bar, holds = f">= {at_least:g}", value is not None and value >= at_least
        else:
            bar, holds = "true", bool(value)
        entry: dict[str, Any] = {"name": name, "value": _plain(value), "bar": bar, "holds": None if why_open else holds}
        if why_open:
            entry["why"] = why_open
        self.bars.append(entry)

    def finish(self) -> int:
        """Print the bars, write the files; the exit status: 0 unless a bar fails."""
        verdict = {True: "holds", False: "FAILS", None: "open"}
        rows = [[bar["name"], bar["value"], bar["bar"], verdict[bar["holds"]]] for bar in self.bars]
        self.table("bars", ["bar", "value", "wanted", ""], rows, keep=False)
        elapsed = time.perf_counter() - self._begin
        result = {
            "name": self.name,
            "quick": self.options.quick,
            **self._where,
            "seeds": dict(self.seeds),
            "elapsed_s": round(elapsed, 1),
            "bars": self.bars,
            "figures": self.figures,
        }
        text = json.dumps(result, indent=1, default=_plain, ensure_ascii=False) + "\n"
        targets = [path for path in (self.options.json, None if self.options.quick else self._result_file()) if path]
        for path in targets:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"written: {path}")
        print(f"{elapsed:.0f} s")
        return int(any(bar["holds"] is False for bar in self.bars))

    def _result_file(self) -> Path:
        return RESULTS / f"{self.name}.json"


def layout(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table as text: words to the left, numbers to the right."""
    cells = [list(columns), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    right = [bool(rows) and all(isinstance(row[i], int | float | None) for row in rows) for i in range(len(columns))]
    lines = [
        "  ".join(
            cell.rjust(width) if end else cell.ljust(width) for cell, width, end in zip(row, widths, right, strict=True)
        )
        for row in cells
    ]
    return "\n".join(
        [lines[0].rstrip(), "  ".join("-" * width for width in widths), *(line.rstrip() for line in lines[1:])]
    )


def peak_memory_mb() -> float:
    """The most memory this process ever held."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory_mb() -> float:
    """The memory this process holds now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        number = float(value)
        return f"{number:.3g}" if abs(number) < 100 else f"{number:,.0f}"
    return f"{value:,}" if isinstance(value, int | np.integer) else str(value)


def _plain(value: Any) -> bool | int | float | str | None:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return value if isinstance(value, int | str | None) else str(value)


def _where(packages: Sequence[str]) -> dict[str, Any]:
    """Commit, machine and versions."""
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "commit": _commit(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": " ".join(["python -m", getattr(sys.modules["__main__"].__spec__, "name", "?"), *sys.argv[1:]]),
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
            "system": f"{platform.system()} {platform.machine()}",
            "load_at_start": round(os.getloadavg()[0], 2),
            "variables": {name: os.environ[name] for name in _SPEED_VARIABLES if name in os.environ},
        },
        "versions": versions,
    }


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
