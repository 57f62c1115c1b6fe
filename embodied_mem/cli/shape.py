"""Records, hits and answers as plain dictionaries (what --json prints), and these as text for people."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embodied_mem.forest.regions import Described
    from embodied_mem.objects.histories import Known
    from embodied_mem.recall.answer import Answer, Evidence
    from embodied_mem.records.observation import Record
    from embodied_mem.records.query import Hit

Shape = dict[str, Any]


def record_shape(record: Record) -> Shape:
    """A record without its cloud and pictures."""
    obs = record.observation
    return {
        "seq": record.seq,
        "stamp_ns": obs.stamp_ns,
        "time": iso(obs.stamp_ns),
        "map_id": obs.map_id,
        "robot_id": obs.robot_id,
        "session_id": obs.session_id,
        "sensor_id": obs.sensor_id,
        "position": [float(value) for value in obs.position],
        "orientation": [float(value) for value in obs.orientation],
        "caption": obs.caption,
        "detections": [
            {
                "label": label,
                "score": float(score),
                "position": center.tolist(),
                "size": size.tolist(),
                "yaw": float(yaw),
            }
            for label, score, center, size, yaw in zip(
                obs.detections.labels,
                obs.detections.scores,
                obs.detections.centers,
                obs.detections.sizes,
                obs.detections.yaws,
                strict=True,
            )
        ],
        "seen_count": record.seen_count,
        "last_seen_ns": record.last_seen_ns,
    }


def hit_shape(hit: Hit) -> Shape:
    """A hit as evidence: the same keys as an answer's evidence has."""
    obs = hit.record.observation
    return {
        "seq": hit.record.seq,
        "stamp_ns": obs.stamp_ns,
        "time": iso(obs.stamp_ns),
        "map_id": hit.map_id,
        "frame_id": obs.frame_id,
        "pose": {"position": [float(v) for v in obs.position], "orientation": [float(v) for v in obs.orientation]},
        "position": [float(value) for value in hit.position],
        "score": float(hit.score),
        "age_s": float(hit.age_s),
        "caption": obs.caption,
        "labels": list(obs.detections.labels),
    }


def iso(stamp_ns: int) -> str:
    """Nanoseconds since 1970 as local time with its zone; "" when out of range."""
    try:
        return datetime.fromtimestamp(stamp_ns / 1e9).astimezone().isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return ""


def age_words(seconds: float | None) -> str:
    """12 s, 4 min, 3.2 h, 5 days: how old something is."""
    if seconds is None or not math.isfinite(seconds):
        return "of unknown age"
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h"), (math.inf, 86_400, "days")):
        if abs(seconds) < limit:
            value = seconds / size
            return f"{value:.1f} {unit}" if unit == "h" else f"{value:.0f} {unit}"
    return f"{seconds:.0f} s"


def place_words(position: list[float] | None) -> str:
    """(1.20, 0.35, 0.80)."""
    return "" if not position else "(" + ", ".join(f"{value:.2f}" for value in position) + ")"


def evidence_lines(evidence: list[Shape], limit: int = 10) -> Iterator[str]:
    """One line for each record behind an answer."""
    for item in evidence[:limit]:
        caption = textwrap.shorten(item["caption"] or ", ".join(item["labels"]), 70, placeholder=" …")
        place, age = place_words(item["position"]), age_words(item["age_s"])
        yield f"  record {item['seq']:>5}  {place:<24} {age:>8} ago  {item['score']:.2f}  {caption}"
    if len(evidence) > limit:
        yield f"  … and {len(evidence) - limit} more"


def answer_lines(answer: Shape) -> Iterator[str]:
    """An answer in words, with what it rests on."""
    yield answer["sentence"] or answer["reason"]
    facts = [f"probability {answer['probability']:.2f}"]
    if answer.get("pose"):
        facts.append(f"at {place_words(answer['pose']['position'])} in {answer['map_id'] or 'the map'}")
    if answer["evidence"]:
        facts.append(f"last seen {age_words(answer['age_s'])} ago")
    yield "  " + ", ".join(facts)
    if answer["interpretation"]:
        yield f"  understood as: {answer['interpretation']}"
    if answer["reason"] and answer["sentence"]:
        yield f"  because: {answer['reason']}"
    yield from evidence_lines(answer["evidence"])


def record_line(record: Shape) -> str:
    """One record in one line."""
    caption = record["caption"] or ", ".join(item["label"] for item in record["detections"])
    times = f" x{record['seen_count']}" if record["seen_count"] > 1 else ""
    return (
        f"{record['seq']:>6}  {record['time'][:23].replace('T', ' ')}  {place_words(record['position']):<24} "
        f"{textwrap.shorten(caption, 80, placeholder=' …')}{times}"
    )


def answer_shape(answer: Answer) -> Shape:
    """An answer, from the core or from a node."""
    placed = answer.position is not None
    return {
        "kind": answer.kind,
        "found": bool(answer.found),
        "sentence": answer.sentence,
        "probability": float(answer.probability),
        "pose": {"position": _floats(answer.position), "orientation": _floats(answer.orientation)} if placed else None,
        "extent": _floats(answer.extent),
        "age_s": float(answer.age_s),
        "map_id": answer.map_id,
        "frame_id": answer.frame_id,
        "count": int(answer.count),
        "interpretation": answer.interpretation,
        "reason": answer.reason,
        "exact": bool(answer.exact),
        "evidence": [evidence_shape(item) for item in answer.evidence],
    }


def thing_shape(known: Known) -> Shape:
    """A thing at one place, from the core."""
    thing = known.thing
    return {
        "id": thing.id,
        "label": thing.label,
        "state": known.state,
        "probability": float(thing.present),
        "position": thing.position.tolist(),
        "extent": thing.extent.tolist(),
        "inside": thing.inside,
        "first_seen_ns": thing.first_seen,
        "last_seen_ns": thing.last_seen,
        "missed_ns": thing.missed_ns or 0,
        "records": list(thing.evidence),
    }


def thing_of_message(item: Any) -> Shape:
    """The same from an ObjectState message."""
    place, size = item.pose.pose.position, item.extent
    first, last, missed = (
        stamp.sec * 10**9 + stamp.nanosec for stamp in (item.first_seen, item.last_seen, item.missed)
    )
    return {
        "id": item.id,
        "label": item.label,
        "state": item.state,
        "probability": float(item.probability),
        "position": [place.x, place.y, place.z],
        "extent": [size.x, size.y, size.z],
        "inside": item.inside,
        "first_seen_ns": first,
        "last_seen_ns": last,
        "missed_ns": missed,
        "records": [int(seq) for seq in item.records],
    }


def thing_lines(told: Shape) -> Iterator[str]:
    """One line for each thing at each of its places, those before a thing's newest place indented."""
    if not told["found"]:
        yield "Nothing was seen often enough to be believed in."
    before = ""
    for item in told["objects"]:
        indent = "  before: " if item["id"] == before else ""
        before = item["id"]
        span = f"{iso(item['first_seen_ns'])[:19]} to {iso(item['last_seen_ns'])[:19]}".replace("T", " ")
        held = f" in the {item['inside']}" if item["inside"] else ""
        yield (
            f"{indent}{item['id']:<10} {item['label'] + held:<22} {item['state']:<9} {item['probability']:.2f}  "
            f"{place_words(item['position']):<24} seen {span}"
        )


def evidence_shape(item: Evidence) -> Shape:
    """One record behind an answer, from the core or from a node; the same keys as `hit_shape`."""
    return {
        "seq": int(item.seq),
        "stamp_ns": int(item.stamp_ns),
        "time": iso(item.stamp_ns),
        "map_id": item.map_id,
        "frame_id": item.frame_id,
        "pose": {"position": _floats(item.sensor_position), "orientation": _floats(item.sensor_orientation)},
        "position": _floats(item.position),
        "score": float(item.score),
        "age_s": float(item.age_s),
        "caption": item.caption,
        "labels": list(item.labels),
    }


def described_shape(told: Described, evidence: list[Shape]) -> Shape:
    """What is said of a region, with the areas that it is about."""
    return {
        "found": told.found,
        "reason": told.reason,
        "sentences": [sentence_shape(item.kind, item.text, item.evidence) for item in told.sentences],
        "areas": [area_shape(area.summary, area.summary.center, area.share) for area in told.areas],
        "evidence": evidence,
    }


def sentence_shape(kind: str, text: str, records: Iterable[int]) -> Shape:
    """One sentence and the numbers of the records that it rests on."""
    return {"kind": kind, "text": text, "records": [int(seq) for seq in records]}


def area_shape(summary: Any, center: Iterable[float], share: float) -> Shape:
    """An area, from the core (Summary) or from a node (SummaryNode)."""
    return {
        "name": summary.name,
        "records": int(summary.records),
        "center": [float(value) for value in center],
        "share": round(float(share), 6),
        "map_id": summary.map_id,
        "source": summary.source,
    }


def _floats(values: Any) -> list[float] | None:
    return None if values is None else [float(value) for value in values]
