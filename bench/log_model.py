"""A memory through thousands of made-up lives, against a plain list of what happened.

The state machine is that of tests/records/test_log_model.py: remember, see again, correct, forget, undo, re-anchor,
change the map, compact, close and open, back up. After every step the current state is compared, and at random the
past. Here it runs longer and differently each time; the seed says how to run it again.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from bench.harness import Options, Report, parse
from tests.records.log_machine import LogMachine

QUICK, FULL = (25, 30), (600, 60)  # lives, steps of each at most


class Counting(LogMachine):
    """The machine, counting what it did."""

    done: Counter[str] = Counter()
    lives = 0

    def teardown(self) -> None:
        if hasattr(self, "oracle"):
            type(self).done.update(event.kind for event in self.oracle.events)
            type(self).lives += 1
        super().teardown()


def run(options: Options) -> int:
    number = 1 if options.quick else random.SystemRandom().randrange(1 << 30)
    report = Report("log_model", options, seeds={"hypothesis": number}, packages=("hypothesis",))
    lives, steps = QUICK if options.quick else FULL
    given = settings(
        max_examples=lives, stateful_step_count=steps, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    machine: Any = seed(number)(Counting)
    begin, failure = time.perf_counter(), ""
    try:
        run_state_machine_as_test(machine, settings=given)
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
        report.note(failure)
    rows = [[kind, count] for kind, count in sorted(Counting.done.items())]
    report.table("entries that came of it", ["kind", "entries"], rows)
    report.note(f"{Counting.lives} lives of up to {steps} steps, {time.perf_counter() - begin:,.0f} s")
    report.bar("lives led", Counting.lives, at_least=lives)
    report.bar("answers that differ from a plain list of what happened", int(bool(failure)), at_most=0)
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
