"""kill -9 of the record node while a client writes; a small form of bench/durability.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("embodied_mem_msgs", reason="the interfaces are not installed: run `make setup`")

from bench.faults.kills_node import kill_nodes
from embodied_mem.nodes.private_domain import Domain


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    taken = Domain()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(taken.number))
    yield
    taken.release()


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("domain")
def test_a_killed_record_node_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    found = kill_nodes(tmp_path, kills=1, seed=4)
    assert found.kills == 1 and found.acknowledged > 5
    assert found.whole, found
