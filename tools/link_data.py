"""Links the data files that setup.py names into the running environment.

`pip install -e` leaves data files out. With links, an edited launch file, parameter file or node needs no new install.
"""

from __future__ import annotations

import os
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any
from unittest import mock

NAME = "embodied_mem"


def data_files_of(root: Path) -> list[tuple[str, list[str]]]:
    """(folder under the prefix, files relative to root) as setup.py names them; makes `root` the current folder."""
    os.chdir(root)
    arguments: dict[str, Any] = {}
    with mock.patch("setuptools.setup", lambda **given: arguments.update(given)):
        runpy.run_path(str(root / "setup.py"))
    return list(arguments["data_files"])


def link_data(root: Path, prefix: Path) -> int:
    """Link each data file of root/setup.py under `prefix`; returns how many. Links of an earlier run are dropped."""
    for owned in (prefix / "share" / NAME, prefix / "lib" / NAME):
        shutil.rmtree(owned, ignore_errors=True)
    count = 0
    for folder, files in data_files_of(root):
        target = prefix / folder
        target.mkdir(parents=True, exist_ok=True)
        for file in files:
            link = target / Path(file).name
            link.unlink(missing_ok=True)
            link.symlink_to(root / file)
            count += 1
    return count


if __name__ == "__main__":
    print(link_data(Path(__file__).resolve().parents[1], Path(sys.prefix)), "files linked")
