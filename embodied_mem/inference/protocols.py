"""The protocols behind which every model stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

COMPARABLE = 0.995  # cosine of a variant's vectors to its source's from which the two may be compared


class Embedder(Protocol):
    """Turns texts into vectors that can be compared by dot product."""

    @property
    def name(self) -> str:
        """Identity of the model and its version; vectors of two names are never compared."""
        ...

    @property
    def dim(self) -> int:
        """Length d of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, d) float32, L2 normalised rows, one for each text, in order. Raises BadInputError for an empty text."""
        ...


def comparable(embedder: Embedder, model: str) -> bool:
    """Whether the embedder's vectors may be compared with those of `model`.

    They may when it is that model, or a variant of it in few bits (`source`) whose vectors were never measured to be
    further from the model's own than the cosine COMPARABLE (`cosine`). Then an answer names both.
    """
    if embedder.name == model:
        return True
    return getattr(embedder, "source", "") == model and getattr(embedder, "cosine", -1.0) >= COMPARABLE
