"""The message definitions that an MCAP file carries, for a machine with and without ROS."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

from embodied_mem.errors import UnavailableError

PACKAGE = "embodied_mem_msgs"
RECORD = f"{PACKAGE}/msg/Record"


@cache
def typestore() -> Any:
    """A rosbags typestore that knows the standard messages and ours. Raises UnavailableError."""
    try:
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore
    except ImportError:
        raise UnavailableError("MCAP files need the package rosbags: pip install rosbags.") from None
    store = get_typestore(Stores.ROS2_HUMBLE)
    types: dict[str, Any] = {}
    for path in sorted(definitions_folder().glob("*.msg")):
        types.update(get_types_from_msg(path.read_text(encoding="utf-8"), f"{PACKAGE}/msg/{path.stem}"))
    store.register(types)
    return store


def definitions_folder() -> Path:
    """Where the .msg files are: in a ROS prefix, in the environment, or beside a checkout. Raises UnavailableError."""
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    folders = [Path(prefix, "share", PACKAGE, "msg") for prefix in prefixes if prefix]
    folders.append(Path(__file__).parents[2] / "msgs" / "msg")
    for folder in folders:
        if (folder / "Record.msg").is_file():
            return folder
    raise UnavailableError(
        f"The message definitions of {PACKAGE} are not installed: pip install ./msgs, or source the workspace."
    )
