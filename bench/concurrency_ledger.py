"""What readers may rely on while others write, forget and compact: the ledger of bench/concurrency.

Record number i says the same in its caption, label, place and picture, so that an answer made of two records, or of two
states of one, shows. What was acknowledged before a question was asked must be in its answer; what was forgotten before
must not; in between both are right.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from embodied_mem.records.observation import Detections, Observation

START_NS = 1_700_000_000 * 10**9
_UPRIGHT = np.array([0.0, 0.0, 0.0, 1.0])


def place(i: int) -> tuple[float, float, float]:
    return float(i % 97), float(i % 13), 1.0


def picture(i: int) -> bytes:
    return b"picture %d" % i if i % 4 == 0 else b""


def observation(i: int, stamp_ns: int = 0) -> Observation:
    x, y, z = place(i)
    thing = Detections((f"label{i}",), np.array([0.9]), np.array([[x, y, 0.0]]), np.full((1, 3), 0.2), np.zeros(1))
    cloud = np.full((50, 3), i % 500, np.float32) + np.arange(50, dtype=np.float32)[:, None] if i % 4 == 0 else None
    return Observation(
        stamp_ns or START_NS + i * 20 * 10**9, np.array([x, y, z]), _UPRIGHT, caption=f"thing {i} as seen",
        detections=thing, cloud=cloud, thumbnail=picture(i),
    )  # fmt: skip


def torn(caption: str, labels: tuple[str, ...], position: np.ndarray, thumbnail: bytes | None = None) -> str:
    """What is wrong with a record, "" when it is of one piece."""
    words = caption.split()
    if len(words) != 4 or words[0] != "thing" or " ".join(words[2:]) not in ("as seen", "as corrected"):
        return f"the caption {caption!r}"
    i = int(words[1])
    if labels != (f"label{i}",):
        return f"caption {caption!r} with labels {labels}"
    if not np.allclose(position, place(i)):
        return f"caption {caption!r} at {position}"
    if thumbnail is not None and thumbnail != picture(i):
        return f"caption {caption!r} with picture {thumbnail!r}"
    return ""


@dataclass
class Ledger:
    """Who was acknowledged and who forgotten, by sequence number; thread-safe."""

    alive: dict[int, int] = field(default_factory=dict)
    corrected: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    newest: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def admitted(self, seq: int, i: int) -> None:
        with self.lock:
            self.alive[seq] = i
            self.newest = max(self.newest, seq)

    def forgetting(self, seqs: list[int]) -> None:
        """Before the forgetting: from here on both answers are right."""
        with self.lock:
            for seq in seqs:
                del self.alive[seq]

    def forgot(self, seqs: list[int]) -> None:
        """After it was acknowledged."""
        with self.lock:
            self.gone.update(seqs)

    def pick(self, rng: random.Random) -> tuple[list[int], list[int], int]:
        """Some that must be found, some that must not, and the number up to which an answer must have read."""
        with self.lock:
            alive, gone = list(self.alive), list(self.gone)
            return rng.sample(alive, min(5, len(alive))), rng.sample(gone, min(5, len(gone))), self.newest

    def judge(self, wanted: list[int], unwanted: list[int], found: set[int], watermark: int, least: int) -> None:
        with self.lock:
            self.counts["answers judged"] += 1
            for seq in wanted:
                if seq not in found and seq in self.alive:
                    self.failures.append(f"record {seq} was acknowledged before the question and not found")
            for seq in unwanted:
                if seq in found:
                    self.failures.append(f"record {seq} was forgotten before the question and found")
            if watermark < least:
                self.failures.append(f"an answer had read up to {watermark}, the question needed {least}")

    def count(self, what: str, n: int = 1) -> None:
        with self.lock:
            self.counts[what] += n

    def fail(self, text: str) -> None:
        with self.lock:
            self.failures.append(text)
