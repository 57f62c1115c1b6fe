"""The semantic forest -> messages and markers; requests about regions -> queries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from embodied_mem_msgs.msg import SummaryForest, SummaryNode
from embodied_mem_msgs.msg import SummarySentence as SentenceMsg
from visualization_msgs.msg import Marker, MarkerArray

from embodied_mem.forest.regions import Described
from embodied_mem.forest.shown import Shown
from embodied_mem.forest.summarise import Sentence, Summary
from embodied_mem.nodes.conversions.basics import ns_to_stamp, point, typed_array
from embodied_mem.nodes.conversions.markers import color, marker_list, marker_text, markers_cleared

_NAMED = 60  # nodes that bear their name in RViz
_NODE = 0.15  # metres: the diameter of a node of one record


def forest_msg(shown: Shown, frame: str, now_ns: int) -> SummaryForest:
    message = SummaryForest(
        map_id=shown.map_id, total=shown.total, records=shown.records, watermark=shown.watermark,
        nodes=[
            summary_msg(summary, now_ns, node=node, parent=parent, level=level)
            for summary, node, parent, level in zip(
                shown.summaries, shown.nodes, shown.parents, shown.levels, strict=True
            )
        ],
    )  # fmt: skip
    message.header.stamp, message.header.frame_id = ns_to_stamp(now_ns), frame
    return message


def summary_msg(summary: Summary, now_ns: int, *, node: int = -1, parent: int = -1, level: int = 0) -> SummaryNode:
    return SummaryNode(
        id=node, parent=parent, level=level, name=summary.name,
        sentences=[sentence_msg(sentence) for sentence in summary.sentences],
        terms=list(summary.counts), counts=list(summary.counts.values()),
        records=summary.records, center=point(summary.center), low=point(summary.low), high=point(summary.high),
        first_seen=ns_to_stamp(summary.first_seen), last_seen=ns_to_stamp(summary.last_seen),
        age=summary.staleness_s(now_ns), map_id=summary.map_id, source=summary.source,
    )  # fmt: skip


def sentence_msg(sentence: Sentence) -> SentenceMsg:
    return SentenceMsg(kind=sentence.kind, text=sentence.text, records=typed_array("Q", sentence.evidence))


def fill_described(response: Any, told: Described, evidence: Sequence[Any], now_ns: int) -> None:
    """A Describe response."""
    response.found, response.reason, response.text = told.found, told.reason, told.text
    response.sentences = [sentence_msg(sentence) for sentence in told.sentences]
    response.areas = [summary_msg(area.summary, now_ns) for area in told.areas]
    response.shares = typed_array("f", [area.share for area in told.areas])
    response.evidence = list(evidence)


def forest_markers(shown: Shown, height: float, frame: str, now_ns: int) -> MarkerArray:
    """The tree above the map: each level `height` metres above the one below, a node where its records are."""
    stamp = ns_to_stamp(now_ns)
    base = float(np.max(shown.centers[:, 2]))
    places = shown.centers.copy()
    places[:, 2] = base + height * np.array(shown.levels)
    at = {node: places[i] for i, node in enumerate(shown.nodes)}
    ends = [
        end
        for node, parent in zip(shown.nodes, shown.parents, strict=True)
        if parent in at
        for end in (at[parent], at[node])
    ]
    markers = [markers_cleared(frame, stamp)]
    lines = marker_list(Marker.LINE_LIST, "ways", frame, stamp, np.array(ends).reshape(-1, 3), 0.03, color("way", 0.5))
    markers.append(lines)
    for level in sorted(set(shown.levels)):
        mine = [i for i, other in enumerate(shown.levels) if other == level]
        typical = math.sqrt(float(np.median([shown.summaries[i].records for i in mine])))
        size = _NODE * max(height, 1.0) * min(typical, 8.0)
        tint = color(f"level {level}")
        markers.append(marker_list(Marker.SPHERE_LIST, f"level {level}", frame, stamp, places[mine], size, tint))
    for number, (summary, place) in enumerate(zip(shown.summaries[:_NAMED], places, strict=False)):
        words = f"{summary.name} ({summary.records})"
        markers.append(marker_text("names", number, frame, stamp, place + np.array([0.0, 0.0, 0.25 * height]), words))
    return MarkerArray(markers=markers)
