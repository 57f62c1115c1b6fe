"""The semantic forest as one self-contained page: a tree to walk through, what each node says, and where it lies."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from embodied_mem.cli.shape import iso
from embodied_mem.exchange.output import whole_file
from embodied_mem.forest.shown import Shown, highest
from embodied_mem.forest.summarise import Summary
from embodied_mem.forest.view import ForestView
from embodied_mem.report.forest_style import SCRIPT, STYLE
from embodied_mem.report.style import HEAD
from embodied_mem.report.style import STYLE as REPORT_STYLE

_MOST_NODES = 1500
_MOST_CAPTIONS = 5000
_LONGEST = 140  # characters of a caption
_TERMS = 12

_PAGE = Template(
    HEAD
    + """<header><div><h1>$title</h1><p class="subtitle">$subtitle</p></div></header>
<main class="forest">
<section class="walk"><label for="find">Find a word</label><input id="find" type="search" placeholder="tree, shop ...">
<p class="hint" id="found" role="status">Arrow keys walk through the tree; Enter opens and closes a node.</p>
<ul id="tree" role="tree" aria-label="Summaries"></ul></section>
<section class="said" aria-live="polite"><h2 id="name"></h2><p class="hint" id="facts"></p><ol id="sentences"></ol>
<svg id="map" viewBox="0 0 1000 $height" role="img" aria-label="Where the records of this node were made"></svg>
<h2>Spoken of</h2><div id="terms"></div>
<h2>Records</h2><ol id="records"></ol></section>
</main>
<footer>Every sentence names the records that it rests on; numbers count records that speak of a word.</footer>
<script type="application/json" id="data">$data</script>
<script>$script</script>
</body>
</html>
"""
)


def write_forest_page(forest: ForestView, path: Path, title: str, *, map_id: str = "") -> None:
    """Write the page of a map's tree. Raises NotFoundError where it is empty, StorageError."""
    text = forest_page(forest, title, map_id=map_id)
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def forest_page(forest: ForestView, title: str, *, map_id: str = "", most: int = _MOST_NODES) -> str:
    """The page as text: at most `most` nodes, the highest ones. Raises NotFoundError where the tree is empty."""
    with forest.lock:
        shown = highest(forest, most, map_id)
        data = page_data(forest, shown)
    subtitle = f"{shown.records:,} records of the map {shown.map_id}, {shown.total:,} summaries"
    if shown.total > len(shown.nodes):
        subtitle += f", of which the {len(shown.nodes):,} highest are here"
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return _PAGE.substitute(
        title=escape(title), subtitle=escape(subtitle), style=REPORT_STYLE + STYLE, script=SCRIPT, data=text,
        height=round(1000 * data["aspect"]),
    )  # fmt: skip


def page_data(forest: ForestView, shown: Shown) -> dict[str, Any]:
    """What the page's script draws. A node's records are a stretch of `seqs`, since these are in the tree's order.

    nodes by number of line: parent (-1: none), first and end of its records, and what its summary says
    seqs, points ((n, 2) in 0..1000, y down), captions (empty beyond the first 5,000 records)
    """
    frame = shown.summaries[0].map_id
    tree = forest.trees[frame]
    line = {node: i for i, node in enumerate(shown.nodes)}
    leaves = _in_order(forest, frame, shown.nodes[0])
    place = np.empty(tree.leaf_slots, np.int64)
    place[leaves] = np.arange(len(leaves))
    positions = forest.in_map(tree.arrays.positions[leaves], shown.map_id)
    low, span = positions[:, :2].min(axis=0), np.maximum(np.ptp(positions[:, :2], axis=0), 1e-3)
    scale = 960.0 / float(span.max())
    points = 20 + (positions[:, :2] - low) * scale
    height = 40 + float(span[1]) * scale
    points[:, 1] = height - points[:, 1]
    seqs = tree.arrays.seqs[leaves].tolist()
    captions = forest._captions(seqs[:_MOST_CAPTIONS])
    nodes = []
    for node, parent, level, summary in zip(shown.nodes, shown.parents, shown.levels, shown.summaries, strict=True):
        own = place[tree.leaves_under(node)]
        nodes.append({"parent": line.get(parent, -1), "level": level, "first": int(own.min()), **_node(summary)})
    return {
        "nodes": nodes, "seqs": seqs, "points": np.round(points).astype(int).tolist(),
        "captions": [_short(captions[seq]) for seq in seqs[:_MOST_CAPTIONS]],
        "aspect": max(height / 1000.0, 0.2), "metre": scale,
    }  # fmt: skip


def _node(summary: Summary) -> dict[str, Any]:
    size = (summary.high - summary.low)[:2]
    return {
        "name": summary.name, "records": summary.records, "source": summary.source,
        "sentences": [{"text": item.text, "records": list(item.evidence)} for item in summary.sentences],
        "terms": [[term, count] for term, count in list(summary.counts.items())[:_TERMS]],
        "extent": f"{size[0]:.0f} m x {size[1]:.0f} m",
        "time": f"{iso(summary.first_seen)[:16]} to {iso(summary.last_seen)[:16]}".replace("T", " "),
    }  # fmt: skip


def _in_order(forest: ForestView, frame: str, root: int) -> np.ndarray:
    """The leaves as a walk through the tree meets them, so that those of any node are neighbours."""
    tree, found, stack = forest.trees[frame], [], [root]
    while stack:
        node = stack.pop()
        children = tree.children_of(node)
        if tree.arrays.levels[node] == 1:
            found.append(children)
        else:
            stack.extend(children[::-1].tolist())
    return np.concatenate(found)


def _short(caption: str) -> str:
    return caption if len(caption) <= _LONGEST else caption[: _LONGEST - 1].rsplit(" ", 1)[0] + "…"
