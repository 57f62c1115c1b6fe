"""A made-up town for the street world: crossings 44 m apart, a few names, in the files' own form."""

from __future__ import annotations

from pathlib import Path

STEP = 0.0001  # degrees of latitude: 11.1 m
EAST = STEP / 0.7576  # degrees of longitude at 40.75 north: as long
BLOCK, SIDE = 4, 3  # nodes from crossing to crossing, crossings a side
NAMED = {  # name: class, and where it stands in steps east and north of the south-west crossing
    "Zorba Grill": ("restaurant", 4.5, 6.0),
    "Corner Bank": ("bank", 8.5, 8.5),
    "Old Mill": ("pharmacy", 2.0, -0.5),
    "Mama's Kiosk": ("kiosk", 6.0, 4.5),
}
_HEADINGS = {(1, 0): 90, (-1, 0): 270, (0, 1): 0, (0, -1): 180}


def write_town(folder: Path) -> None:
    """graph/ and osm/ of the town."""
    size = BLOCK * (SIDE - 1)
    cells = [(x, y) for x in range(size + 1) for y in range(size + 1) if x % BLOCK == 0 or y % BLOCK == 0]
    nodes = [f"{x}_{y},0,{40.75 + y * STEP:.7f},{-73.99 + x * EAST:.7f}" for x, y in cells]
    links = [
        f"{x}_{y},{heading},{x + dx}_{y + dy}"
        for x, y in cells for (dx, dy), heading in _HEADINGS.items() if (x + dx, y + dy) in cells
    ]  # fmt: skip
    rows = [
        f"{i},{sort},{name},{-73.99 + x * EAST:.7f},{40.75 + y * STEP:.7f}"
        for i, (name, (sort, x, y)) in enumerate(NAMED.items(), start=1)
    ]
    landmarks = ["osm_id,fclass,name,lon,lat", *rows]
    files = {"graph/nodes.txt": nodes, "graph/links.txt": links, "osm/poi_2017.csv": landmarks}
    for name, lines in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
