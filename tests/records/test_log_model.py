"""A memory through lives that hypothesis makes up, against a plain list of what happened (oracle.py)."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.records.log_machine import LogMachine


def test_a_memory_says_what_a_plain_list_of_what_happened_says() -> None:
    run_state_machine_as_test(
        LogMachine,
        settings=settings(
            max_examples=20, stateful_step_count=35, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
