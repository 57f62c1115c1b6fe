"""The memories that bench/objects compares: each is given the same observations and asked the same questions."""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from embodied_mem.objects.view import ObjectView
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Observation

FloatArray = NDArray[np.float64]
_EPS, _SAMPLES = 0.4, 2  # of DBSCAN: taken as sensible for things of 0.1 m and noise of 0.05 m, not tuned
EMEM = "emem 0.3 locate"


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """Where something is: position (3,) or None for "not found"; probability; known: it says that it is unsure."""

    position: FloatArray | None
    probability: float = 1.0


class Arm(Protocol):
    """A memory under test."""

    def now(self, label: str) -> Said: ...
    def before(self, label: str) -> Said: ...
    def present(self) -> list[tuple[str, FloatArray]]: ...
    def identity(self, label: str) -> str: ...


class LastDetection:
    """Where a detector saw the label last."""

    def __init__(self, seen: Sequence[Observation]) -> None:
        self._places: dict[str, list[FloatArray]] = defaultdict(list)
        for obs in seen:
            for label, center in zip(obs.detections.labels, obs.detections.centers, strict=True):
                self._places[label].append(center)

    def now(self, label: str) -> Said:
        return Said(self._places[label][-1]) if self._places.get(label) else Said(None)

    def before(self, label: str) -> Said:
        places = self._places.get(label, [])
        elsewhere = [place for place in places if np.linalg.norm(place - places[-1]) > 0.5]
        return Said(elsewhere[-1]) if elsewhere else Said(None)

    def present(self) -> list[tuple[str, FloatArray]]:
        return [(label, places[-1]) for label, places in self._places.items()]

    def identity(self, label: str) -> str:
        return label if self._places.get(label) else ""


class Clusters:
    """DBSCAN of a label's detections; the newest cluster is where it is, the one before it where it was."""

    def __init__(self, seen: Sequence[Observation]) -> None:
        DBSCAN = import_module("sklearn.cluster").DBSCAN

        places: dict[str, list[tuple[int, FloatArray]]] = defaultdict(list)
        for obs in seen:
            for label, center in zip(obs.detections.labels, obs.detections.centers, strict=True):
                places[label].append((obs.stamp_ns, center))
        self._found: dict[str, list[FloatArray]] = {}
        for label, sights in places.items():
            centers = np.array([center for _, center in sights])
            groups = DBSCAN(eps=_EPS, min_samples=_SAMPLES).fit(centers).labels_
            last = {g: max(i for i in range(len(groups)) if groups[i] == g) for g in set(groups.tolist()) - {-1}}
            self._found[label] = [centers[groups == g].mean(axis=0) for g in sorted(last, key=lambda g: -last[g])]

    def now(self, label: str) -> Said:
        found = self._found.get(label)
        return Said(found[0]) if found else Said(None)

    def before(self, label: str) -> Said:
        found = self._found.get(label, [])
        return Said(found[1]) if len(found) > 1 else Said(None)

    def present(self) -> list[tuple[str, FloatArray]]:
        return [(label, place) for label, places in self._found.items() for place in places]

    def identity(self, label: str) -> str:
        return f"{label} {self._found[label][0].round(1).tolist()}" if self._found.get(label) else ""


class Emem:
    """emem's own `locate`: each detection is an observation, its text the label. It has no question for "before"."""

    def __init__(self, seen: Sequence[Observation], embed: Callable[[list[str]], Any], dim: int) -> None:
        from emem import SpatioTemporalMemory, SpatioTemporalMemoryConfig
        from emem.embeddings import CallableEmbeddingProvider

        self._folder = tempfile.TemporaryDirectory(prefix="bench-emem-")
        config = SpatioTemporalMemoryConfig(
            db_path=str(Path(self._folder.name) / "memory.db"), hnsw_path=str(Path(self._folder.name) / "index.bin"),
            hnsw_max_elements=20_000, embedding_dim=dim,
        )  # fmt: skip
        self._memory = SpatioTemporalMemory(config=config, embedding_provider=CallableEmbeddingProvider(embed, dim))
        self._labels: set[str] = set()
        for obs in seen:
            for label, (x, y, z) in zip(obs.detections.labels, obs.detections.centers.tolist(), strict=True):
                self._memory.add(label, x, y, z, timestamp=obs.stamp_ns * 1e-9)
                self._labels.add(label)

    def now(self, label: str) -> Said:
        text = self._memory.locate(label)
        found = re.search(r"Location: \(([-\d.]+), ([-\d.]+), ([-\d.]+)\)", text)
        return Said(None if found is None else np.array([float(each) for each in found.groups()]))

    def before(self, label: str) -> Said:
        return Said(None)

    def present(self) -> list[tuple[str, FloatArray]]:
        return [(label, said.position) for label in self._labels if (said := self.now(label)).position is not None]

    def identity(self, label: str) -> str:
        return label if label in self._labels else ""


class Ours:
    """The object view of a memory in RAM."""

    def __init__(self, seen: Sequence[Observation], *, absence: bool = True) -> None:
        memory = RecordMemory.in_memory(None, clock=lambda: seen[-1].stamp_ns)
        memory.remember_many(seen)
        self._view = ObjectView(memory.index, absence=absence)

    def now(self, label: str) -> Said:
        located = self._view.locate(label)
        here = located.here
        if here:
            return Said(here[0].position, min(here[0].present, 0.97))
        best = max((thing.present for thing in located.things), default=0.0)
        return Said(None, 1 - best)

    def before(self, label: str) -> Said:
        located = self._view.locate(label)
        here = located.here
        earlier = located.before(here[0]) if here else next(iter(located.gone), None)
        return Said(None if earlier is None else earlier.position)

    def present(self) -> list[tuple[str, FloatArray]]:
        return [(thing.label, thing.position) for kind in self._view.locate_all() for thing in kind.here]

    def identity(self, label: str) -> str:
        here = self._view.locate(label).here
        return here[0].id if here else ""
