"""--help is quick, complete and says what the exit codes mean."""

from __future__ import annotations

import subprocess
import sys

import pytest

from embodied_mem.cli.exits import MEANING, Exit
from embodied_mem.cli.parser import COMMANDS
from tests.cli.conftest import Run


def test_help_names_commands_and_codes(run: Run):
    ran = run("--help")
    assert ran.code == Exit.OK
    for name in COMMANDS:
        assert f"\n    {name} " in ran.out
    for code, meaning in MEANING.items():
        assert f"{int(code):<4} {meaning}" in ran.out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(run: Run, name: str):
    ran = run(name, "--help")
    assert ran.code == Exit.OK
    assert "--memory" in ran.out and len(ran.out) > 300


def test_help_imports_nothing_heavy():
    heavy = ["numpy", "sqlite3", "rclpy", "matplotlib", "tqdm", "scipy", "numba", "open3d", "rerun", "torch"]
    script = (
        "import sys\nfrom embodied_mem.cli.main import main\nmain(['--help'])\n"
        f"loaded = [name for name in {heavy!r} if name in sys.modules]\nassert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
