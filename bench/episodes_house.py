"""The part of bench/episodes about real material, in simulated houses: a drive takes minutes to render."""

from __future__ import annotations

import sys

from bench.episodes_real import HOUSES, drives
from bench.harness import Options, Report, parse


def run(options: Options) -> int:
    report = Report("episodes_house", options, seeds={"first house": HOUSES[0]})
    if options.quick:
        report.note("Quick: no house is driven through.")
    drives(report, options, houses=True)
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
