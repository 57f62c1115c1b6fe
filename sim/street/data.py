"""Where the street's data lie: they are no part of the product."""

from __future__ import annotations

import os
from pathlib import Path

from embodied_mem.errors import NotFoundError

VARIABLE = "EMBODIED_MEM_DATA"
_NEEDED = ("graph/nodes.txt", "graph/links.txt", "osm/poi_2017.csv")


def street_folder(given: str | Path = "") -> Path:
    """The folder with graph/ and osm/: the one that is given, else touchdown/ in $EMBODIED_MEM_DATA.

    Raises NotFoundError, with what to do, when there is none or a file is missing.
    """
    data = os.environ.get(VARIABLE, "")
    if not given and not data:
        raise NotFoundError(
            f"The street needs its data, which is not part of this package: set {VARIABLE} to the folder that holds "
            "touchdown/, or name the folder with graph/ and osm/ (docs/street.md says where the data is from)."
        )
    folder = Path(given).expanduser() if given else Path(data).expanduser() / "touchdown"
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if missing:
        raise NotFoundError(
            f"The street's data is not in {folder}: {missing[0]} is missing. Name the folder that holds graph/ and "
            f"osm/, or set {VARIABLE} to the one that holds touchdown/."
        )
    return folder
