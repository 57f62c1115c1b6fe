"""What every test shares: the recorded data beside the checkout, and a ROS 2 graph of one's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from embodied_mem.nodes.private_domain import Domain

ROOT = Path(__file__).resolve().parents[1]


def _isolate_ros() -> Domain:
    """Set the environment before anything imports rclpy: a domain on this machine only, with fields checked.

    ROS_DOMAIN_ID is not kept, since a robot may be listening on it. Each process of a parallel run has its own.
    """
    domain = Domain()
    os.environ["ROS_DOMAIN_ID"] = str(domain.number)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ.pop("ROS_STATIC_PEERS", None)
    os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
    os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
    return domain


DOMAIN = _isolate_ros()  # its lock is held until the process ends


def pytest_report_header() -> str:
    return f"data: {_data_path()}"


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
