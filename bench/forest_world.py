"""What bench/forest asks about: real captions with their vectors, and questions whose answers follow from rules.

A thing is where a caption speaks of it (clauses that deny something are left out); nothing is labelled by hand.
Questions and regions are drawn by seed; the odd ones tune the arms, the even ones are reported.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.harness import ROOT
from embodied_mem.forest.words import asserted
from embodied_mem.inference.protocols import Embedder
from embodied_mem.perception.readers.captions import CaptionFile
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Observation

FloatArray = NDArray[np.float64]
CACHE = ROOT / "runs" / "cache"  # never committed

# (what is asked for, the rule for captions that speak of it)
THINGS = (
    ("bus stop", r"bus (?:stop|shelter)"), ("bench", r"bench"), ("fire hydrant", r"hydrant"),
    ("bicycle rack", r"(?:bike|bicycle) racks?"), ("parking garage", r"parking (?:garage|structure|deck)"),
    ("statue or sculpture", r"statue|sculpture"), ("water fountain", r"fountain"), ("playground", r"playground"),
    ("cafe", r"caf[eé]|coffee"), ("restaurant", r"restaurant"),
    ("construction site", r"construction (?:site|zone|area|work|equipment)|excavator"), ("tennis court", r"tennis"),
    ("sports field", r"(?:sports?|athletic|football|soccer) field"), ("pond", r"pond"), ("bridge", r"bridge"),
    ("church", r"church|cathedral"), ("greenhouse", r"greenhouse|conservatory"), ("trash can", r"trash|garbage"),
    ("traffic light", r"traffic (?:light|signal)"), ("crosswalk", r"crosswalk|zebra crossing"),
    ("flags", r"flags?\b"), ("mural", r"mural"), ("library", r"library"), ("hotel", r"hotel"),
    ("bank or ATM", r"\bbank\b|\batm\b"), ("stairs", r"stair"), ("picnic table", r"picnic"),
    ("railroad tracks", r"railroad|railway|train track"), ("school bus", r"school bus"), ("truck", r"truck"),
    ("dog", r"\bdogs?\b"), ("flower garden", r"flower"), ("museum", r"museum"), ("gym", r"\bgym\b|fitness"),
    ("tunnel", r"tunnel"), ("umbrella", r"umbrella"), ("parking lot", r"parking lot"), ("columns", r"column"),
    ("clock", r"clock"), ("snow", r"snow"), ("market or grocery store", r"grocery|market|supermarket"),
    ("books", r"book"), ("piano", r"piano"), ("laboratory", r"laborator|\blab\b"), ("hospital", r"hospital|medical"),
    ("scooter", r"scooter"), ("solar panels", r"solar"), ("wheelchair ramp", r"wheelchair|\bramp"),
    ("cemetery", r"cemetery|grave"), ("gazebo", r"gazebo|pavilion"),
)  # fmt: skip

# (class, the rule for a text that claims it, the question in which it is looked for)
CLASSES = (
    ("trees", r"\btrees?\b", "where are there more trees?"),
    ("grass", r"grass|lawn", "where is it greener, with lawns and grass?"),
    ("pond", r"pond|lake", "where are there ponds?"),
    ("parking garage", r"garage", "where are there parking garages?"),
    ("parked cars", r"parked|\bcars?\b", "where are there more parked cars?"),
    ("road", r"\broads?\b|\bstreets?\b", ""),
    ("crossing", r"crosswalk|intersection|zebra", "where are there more intersections and crosswalks?"),
    ("sidewalk", r"sidewalk", ""), ("path", r"pathway|\bpaths?\b|walkway", "where are there more walkways?"),
    ("brick", r"brick", "where are there more brick buildings?"),
    ("glass", r"glass", "where are there more glass buildings?"),
    ("stone", r"stone", "where are there more stone buildings?"), ("building", r"building", ""),
    ("residential", r"residential|suburban|\bhouses?\b", "where is it more residential?"),
    ("campus", r"campus|university|academic", "where is the university campus?"),
    ("sport", r"\bsports?\b|athletic|tennis|stadium|\btrack\b", "where are there more sports fields?"),
    ("construction", r"construction", "where is there more construction?"),
    ("bench", r"bench", "where are there more benches?"),
    ("bicycles", r"bicycle|bike", "where are there more bicycles?"),
    ("stairs", r"stair|steps", "where are there more stairs?"),
    ("restaurants", r"caf[eé]|restaurant|dining", "where are there more cafes and restaurants?"),
    ("indoors", r"indoor|interior|hallway|lobby|corridor|ceiling", "where is it indoors?"),
    ("shops", r"\bshops?\b|\bstores?\b|commercial|retail", "where are there more shops?"),
    ("people", r"\bpeople\b|pedestrian|\bperson\b|individual|student", "where are there more people?"),
    ("fence", r"fence|railing", "where are there more fences?"), ("bridge", r"bridge", "where are there bridges?"),
    ("autumn", r"autumn|\bfall\b", "where is it autumn?"), ("winter", r"winter|snow|leafless", "where is it winter?"),
    ("woods", r"forest|wooded|\bwoods?\b|woodland", "where are there more woods?"),
    ("hill", r"hill|slope", "where is it hilly?"),
)  # fmt: skip
RULES = tuple((name, re.compile(rule)) for name, rule, _ in CLASSES)


@dataclass(frozen=True, eq=False)
class World:
    """n captions: positions (n, 3) metres, stamps (n,) ns, vectors (n, d); spoken (n, classes) what each speaks of."""

    observations: list[Observation]
    said: list[str]
    positions: FloatArray
    stamps: NDArray[np.int64]
    vectors: NDArray[np.float32]
    spoken: NDArray[np.bool_]
    model: str

    def __len__(self) -> int:
        return len(self.said)

    def memory(self, embedder: Embedder) -> RecordMemory:
        """A memory of everything; record numbers are `seq = index + 2` (entry 1 names the map)."""
        memory = RecordMemory.in_memory(embedder)
        order = np.argsort(self.stamps, kind="stable")  # the gate wants time to go on
        rows = [
            replace(self.observations[i], vector=self.vectors[i], vector_model=self.model, sensor_id=str(i))
            for i in order.tolist()
        ]
        memory.remember_many(rows)
        return memory


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A question, the indices of the captions that answer it, and its split: tuned on, or reported."""

    text: str
    relevant: NDArray[np.int64]
    tune: bool
    kind: str


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A circle and the captions in it."""

    center: FloatArray
    radius: float
    inside: NDArray[np.int64]
    tune: bool


def classes_of(text: str) -> NDArray[np.bool_]:
    """(classes,) which classes a text claims."""
    lower = asserted(text).lower()
    return np.array([bool(rule.search(lower)) for _, rule in RULES])


def data_folder() -> Path:
    return Path(os.environ.get("EMBODIED_MEM_DATA") or ROOT.parent / "shared" / "data") / "cmu500"


def load(embedder: Embedder, few: int | None = None) -> World:
    """The captions (the first `few`), with vectors from the cache or made now (100 CPU-seconds for all)."""
    found = list(CaptionFile(data_folder() / "streetview_graph.gml"))[:few]
    captions = [obs.caption for obs in found]
    said = [asserted(caption).lower() for caption in captions]
    return World(
        found, said, np.array([obs.position for obs in found]),
        np.array([obs.stamp_ns for obs in found], np.int64), embedded(embedder, captions),
        np.array([classes_of(caption) for caption in captions]), embedder.name,
    )  # fmt: skip


def embedded(embedder: Embedder, texts: list[str]) -> NDArray[np.float32]:
    """(n, d) vectors, kept in a folder that is not committed."""
    name = hashlib.sha256("\0".join([embedder.name, *texts]).encode()).hexdigest()[:16]
    path = CACHE / f"forest_{name}.npy"
    if path.is_file():
        return np.asarray(np.load(path), np.float32)
    parts = [embedder.embed(texts[i : i + 64]) for i in range(0, len(texts), 64)]
    vectors = np.concatenate(parts)
    CACHE.mkdir(parents=True, exist_ok=True)
    np.save(path, vectors)
    return vectors


def questions(world: World, seed: int) -> list[Question]:
    """Things, signs (their words stand in 2 to 60 captions), and the authors' questions that some caption answers."""
    rows: list[tuple[str, NDArray[np.int64], str]] = []
    rows += [(f"Where can I find a {thing}?", matching(world, rule), "thing") for thing, rule in THINGS]
    quoted = Counter(
        sign for obs in world.observations
        for sign in set(re.findall(r"[\"“]([^\"“”.,]{4,30})[.,]?[\"”]", obs.caption.lower()))
    )  # fmt: skip
    signs = sorted(sign for sign, count in quoted.items() if 2 <= count <= 60)
    picked = np.random.default_rng(seed).permutation(len(signs))[:60]
    rows += [
        (f'Where is the sign "{signs[i]}"?', matching(world, rf"\b{re.escape(signs[i])}\b"), "sign")
        for i in sorted(picked.tolist())
    ]
    lines = (data_folder() / "location_queries.txt").read_text(encoding="utf-8").splitlines()
    rows += [(line.strip(), matching(world, _rule_of(line)), "authors") for line in lines]
    rows = [row for row in rows if 1 <= len(row[1]) <= 0.25 * len(world)]
    return [Question(text, relevant, i % 2 == 1, kind) for i, (text, relevant, kind) in enumerate(rows)]


def _rule_of(line: str) -> str:
    """The rule for one of the authors' questions: what is left without the words of asking."""
    words = re.sub(
        r"^(?:where (?:is|can i (?:find|get|buy))|find(?: me)?|show me|locate|lead me to)\s+|[?.]"
        r"|\b(?:the|a|an|to sit on|nearby|nearest|closest|public|pet-friendly|for kids|for electric vehicles)\b",
        " ", line.strip().lower(),
    ).split()  # fmt: skip
    plural = "" if words and words[-1].endswith("s") else "s?"
    return r"\b" + r"\s+".join(re.escape(word) for word in words) + plural + r"\b"


def matching(world: World, rule: str) -> NDArray[np.int64]:
    pattern = re.compile(rule)
    return np.array([i for i, text in enumerate(world.said) if pattern.search(text)], dtype=np.int64)


def regions(world: World, count: int, seed: int) -> list[Region]:
    """Circles of 60 to 200 m around random captions that hold 20 captions or more."""
    rng = np.random.default_rng(seed)
    found: list[Region] = []
    while len(found) < count:
        center, radius = world.positions[rng.integers(len(world))], float(rng.uniform(60, 200))
        inside = np.flatnonzero(np.linalg.norm(world.positions - center, axis=1) <= radius)
        if len(inside) >= 20:
            found.append(Region(center, radius, inside, len(found) % 2 == 1))
    return found
