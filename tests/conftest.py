"""What every test shares: the recorded data beside the checkout, and a ROS 2 graph of one's own."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _isolate_ros() -> None:
    """Set the environment before anything imports rclpy: a random domain on this machine only, with fields checked.

    Domains above 101 collide with the ports that Linux hands out for outgoing connections. A domain set by the caller
    through EMBODIED_MEM_TEST_DOMAIN_ID is kept; ROS_DOMAIN_ID is not, since a robot may be listening on it.
    """
    # Not `random` as seeded by a test: two runs side by side must not meet.
    domain = os.environ.get("EMBODIED_MEM_TEST_DOMAIN_ID") or str(random.SystemRandom().randint(1, 101))
    os.environ["ROS_DOMAIN_ID"] = domain
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ.pop("ROS_STATIC_PEERS", None)
    os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
    os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)


_isolate_ros()


def pytest_report_header() -> str:
    return f"ROS_DOMAIN_ID={os.environ['ROS_DOMAIN_ID']} (EMBODIED_MEM_TEST_DOMAIN_ID repeats it), data: {_data_path()}"


def _data_path() -> Path:
    return Path(os.environ.get("EMBODIED_MEM_DATA") or ROOT.parent / "shared" / "data")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded data; the test is skipped where there is none."""
    path = _data_path()
    if not path.is_dir():
        pytest.skip(f"no recorded data at {path}: name their folder in EMBODIED_MEM_DATA")
    return path
