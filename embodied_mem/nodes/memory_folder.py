"""Where a memory lies when no folder is named, and which parameters say how it is kept."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "EMBODIED_MEM_LOG"
DEFAULT = "~/.embodied_mem"


def memory_folder(named: str) -> Path:
    """`named`, or the folder in the environment, or the default; "~" means the home folder."""
    return Path(named or os.environ.get(VARIABLE) or DEFAULT).expanduser()
