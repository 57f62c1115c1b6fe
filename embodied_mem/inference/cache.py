"""A cache in front of an embedder: robots say and ask the same things again and again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embodied_mem.inference.protocols import Embedder
from embodied_mem.inference.texts import checked_texts


class CachedEmbedder:
    """Remembers the vectors of the texts that were used last. Thread safe when the embedder is.

    Texts that are not remembered are embedded once each, in one batch, outside the lock: a long batch delays nobody
    whose text is remembered.
    """

    def __init__(self, embedder: Embedder, capacity: int = 4096) -> None:
        """capacity texts (1.5 kB each at 384 dimensions)."""
        if capacity < 1:
            raise ValueError(f"A cache needs room for at least one text, not {capacity}.")
        self._embedder = embedder
        self._capacity = capacity
        self._vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()
        # Of a variant in few bits; see `comparable`.
        self.source = str(getattr(embedder, "source", ""))
        self.cosine = float(getattr(embedder, "cosine", -1.0))

    @property
    def name(self) -> str:
        return self._embedder.name

    @property
    def dim(self) -> int:
        return self._embedder.dim

    def __len__(self) -> int:
        return len(self._vectors)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dim) float32, L2 normalised; the caller's own copy. Raises BadInputError for an empty text."""
        cleaned = checked_texts(texts)
        known: dict[str, NDArray[np.float32]] = {}
        with self._lock:
            for text in cleaned:
                vector = self._vectors.get(text)
                if vector is not None:
                    self._vectors.move_to_end(text)
                    known[text] = vector
        missing = [text for text in dict.fromkeys(cleaned) if text not in known]
        if missing:
            for text, vector in zip(missing, self._embedder.embed(missing), strict=True):
                known[text] = vector.copy()  # not a view, which would keep the whole batch alive
            with self._lock:
                for text in missing:
                    self._vectors[text] = known[text]
                    self._vectors.move_to_end(text)
                while len(self._vectors) > self._capacity:
                    self._vectors.popitem(last=False)
        out = np.empty((len(cleaned), self.dim), dtype=np.float32)
        for row, text in enumerate(cleaned):
            out[row] = known[text]
        return out

    def clear(self) -> None:
        """Forget every text: what a memory was told to forget must not survive in a cache."""
        with self._lock:
            self._vectors.clear()
