"""The protocols behind which every model stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


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
