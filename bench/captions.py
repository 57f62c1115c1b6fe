"""Real captions through the command line: 3,313 street views around a campus are imported, then 10 things are looked
for, five anywhere and five within 200 m of a point. Every answer was judged by reading its whole caption; the verdicts
stand in captions_judged.json. Queries and points were written down before the first run.

`ask` gives one sentence, `query` the best three captions.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import ROOT, Options, Report, parse

_FILE = Path("cmu500") / "streetview_graph.gml"
_SOURCE = "Captions: CMU-500 street views of the Embodied-RAG authors, MIT."
_JUDGED = Path(__file__).with_name("captions_judged.json")
_RADIUS = 200.0
_EARTH = 6_378_137.0
_K = 3
_VERDICTS = ("right", "partly", "wrong")


@dataclass(frozen=True)
class Search:
    """What is looked for, and the name and (latitude, longitude) of the point that it must be near."""

    what: str
    place: str = ""
    point: tuple[float, float] | None = None


SEARCHES = (
    Search("a bus stop"),
    Search("a parking garage"),
    Search("a bridge over a valley"),
    Search("a grand stone building with columns"),
    Search("a swimming pool"),
    Search("a greenhouse", "the conservatory", (40.4390, -79.9477)),
    Search("a restaurant or cafe", "Forbes and Craig", (40.4446, -79.9490)),
    Search("parked bicycles", "the middle of the campus", (40.4433, -79.9436)),
    Search("a construction site", "Forbes and Morewood", (40.4447, -79.9428)),
    Search("a sports field", "the stadium", (40.4433, -79.9397)),
)


def command(*words: object) -> dict[str, Any]:
    """What `embodied-mem` prints with --json; "nothing found" is an answer, any other failure is raised."""
    line = [sys.executable, "-m", "embodied_mem", *map(str, words), "--json", "--quiet"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(line)} failed with {done.returncode}: {done.stderr.strip()}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def metres(point: tuple[float, float], origin: tuple[float, float]) -> tuple[float, float]:
    """East and north of the origin; both are latitude and longitude, degrees."""
    north, east = np.radians(np.subtract(point, origin)) * _EARTH
    return float(east * np.cos(np.radians(origin[0]))), float(north)


def identity(caption: str) -> str:
    return hashlib.sha256(caption.encode()).hexdigest()[:12]


def judged() -> dict[tuple[str, str], dict[str, str]]:
    """(what, caption's identity, or "" where nothing was found) -> {"verdict", "why"}."""
    entries = json.loads(_JUDGED.read_text(encoding="utf-8")) if _JUDGED.is_file() else []
    for entry in entries:
        if entry["verdict"] not in _VERDICTS:
            raise SystemExit(f"{_JUDGED.name}: {entry['verdict']!r} is none of {', '.join(_VERDICTS)}.")
    return {(entry["what"], entry["caption"]): entry for entry in entries}


def run(options: Options) -> int:
    report = Report("captions", options, packages=("onnxruntime", "tokenizers"))
    data = Path(os.environ.get("EMBODIED_MEM_DATA") or ROOT.parent / "shared" / "data") / _FILE
    if not data.is_file():
        report.bar("answers and hits that nobody judged", None, why_open=f"{data} is not here")
        return report.finish()
    report.note(_SOURCE)
    with tempfile.TemporaryDirectory() as folder:
        memory = Path(folder) / "memory"
        begin = time.perf_counter()
        imported = command("import", _shortened(data, Path(folder)) if options.quick else data, "--memory", memory)
        report.note(f"{imported['admitted']:,} captions were imported in {time.perf_counter() - begin:.0f} s.")
        report.bar("captions refused", sum(imported["refused"].values()), at_most=0)
        searches = SEARCHES[::4] if options.quick else SEARCHES
        answers = [_looked_for(search, memory, tuple(imported["origin"])) for search in searches]
    _tell(report, answers)
    return report.finish()


def _shortened(data: Path, folder: Path) -> Path:
    """The first captions of the file, as JSON lines."""
    from embodied_mem.perception.readers.captions import CaptionFile

    captions, path = CaptionFile(data), folder / "few.jsonl"
    lon, lat = captions.origin
    rows = [obs for obs, _ in zip(captions, range(60), strict=False)]
    scale = np.degrees(1 / _EARTH)
    with path.open("w", encoding="utf-8") as file:
        for obs in rows:
            east, north = float(obs.position[0]), float(obs.position[1])
            place = {"lat": lat + north * scale, "lon": lon + east * scale / float(np.cos(np.radians(lat)))}
            file.write(json.dumps({"caption": obs.caption, **place, "time": obs.stamp_ns / 1e9}) + "\n")
    return path


def _looked_for(search: Search, memory: Path, origin: tuple[float, float]) -> dict[str, Any]:
    """The sentence of `ask` and the hits of `query`, with their distances from the point."""
    question, filters, center = f"where can I find {search.what}?", [], None
    if search.point is not None:
        x, y = metres(search.point, origin)
        center = np.array([round(x), round(y)])
        question = f"where can I find {search.what} within {_RADIUS:g} m of ({center[0]}, {center[1]})?"
        filters = ["--near", center[0], center[1], 0, "--radius", _RADIUS]
    asked = command("ask", question, "--memory", memory, "--now", "last")
    found = command("query", search.what, "--memory", memory, "-k", _K, *filters)
    hits = [
        {
            "caption": hit["caption"],
            "identity": identity(hit["caption"]),
            "score": round(hit["score"], 3),
            "east_north_m": [round(value) for value in hit["position"][:2]],
            "from_point_m": None if center is None else round(float(np.linalg.norm(hit["position"][:2] - center)), 1),
        }
        for hit in found["hits"]
    ]
    return {
        "what": search.what,
        "place": search.place,
        "question": question,
        "sentence": asked["sentence"],
        "probability": round(asked["probability"], 2),
        "first_evidence": identity(asked["evidence"][0]["caption"]) if asked["evidence"] else "",
        "hits": hits,
        "reason": found.get("reason", ""),
    }


def _tell(report: Report, answers: list[dict[str, Any]]) -> None:
    verdicts, rows, unjudged, outside = judged(), [], 0, 0
    asked, first, all_of = Counter[str](), Counter[str](), Counter[str]()
    for answer in answers:
        entry = verdicts.get((answer["what"], answer["first_evidence"]))
        unjudged += entry is None
        answer["verdict"], answer["why"] = (entry["verdict"], entry["why"]) if entry else ("not judged", "")
        asked[answer["verdict"]] += 1
        said = f"{answer['sentence']} (probability {answer['probability']}, {answer['verdict']})"
        report.note(f"\n{answer['question']}\n  {said}")
        if not answer["hits"]:
            rows.append([answer["what"], answer["place"] or "anywhere", "", None, None, "none", answer["reason"]])
        for rank, hit in enumerate(answer["hits"]):
            entry = verdicts.get((answer["what"], hit["identity"]))
            unjudged += entry is None
            hit["verdict"], hit["why"] = (entry["verdict"], entry["why"]) if entry else ("not judged", "")
            all_of[hit["verdict"]] += 1
            first[hit["verdict"]] += rank == 0
            outside += hit["from_point_m"] is not None and hit["from_point_m"] > _RADIUS
            head = " ".join(hit["caption"].split()[:16])
            row = [answer["what"], answer["place"] or "anywhere", head, hit["from_point_m"], hit["score"]]
            rows.append([*row, hit["verdict"], hit["why"]])
    columns = ["what", "near", "caption", "m from it", "score", "verdict", "why"]
    report.table("answers", columns, rows, keep=False)
    report.figures["answers"] = answers
    report.figures["verdicts of ask"] = dict(asked)
    report.figures["verdicts of first hits"] = dict(first)
    report.figures["verdicts of all hits"] = dict(all_of)
    report.note(f"\nask: {_counted(asked)}. First hits: {_counted(first)}. All hits: {_counted(all_of)}.")
    report.bar("hits outside the radius that was asked for", outside, at_most=0)
    quick = "a quick run has few of the captions and queries" if report.options.quick else ""
    report.bar("queries answered and listed", len(answers), at_least=10, why_open=quick)
    report.bar("answers and hits that nobody judged", unjudged, at_most=0, why_open=quick)


def _counted(verdicts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in verdicts.most_common())


if __name__ == "__main__":
    sys.exit(run(parse(__doc__)))
