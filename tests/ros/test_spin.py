"""The process around the nodes: it ends by itself when it hangs before anybody could see it."""

from __future__ import annotations

import subprocess
import sys


def test_a_process_that_hangs_at_its_start_says_where_and_ends() -> None:
    code = (
        "import time\nfrom embodied_mem.nodes import spin\nspin._START_S = 0.5\n"
        "def hang():\n    time.sleep(60.0)\nspin.run(hang)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=40.0)
    assert ended.returncode == 1
    assert "in hang" in ended.stderr


def test_a_node_outlives_the_watch_over_its_start() -> None:
    code = (
        "import os, signal, threading\nfrom rclpy.node import Node\nfrom embodied_mem.nodes import spin\n"
        "spin._START_S = 5.0\n"
        "def make():\n    threading.Timer(6.0, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()\n"
        "    return [Node('alive')]\n"
        "raise SystemExit(spin.run(make))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=40.0)
    assert ended.returncode == 0, ended.stderr
