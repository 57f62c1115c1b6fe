"""The embedder of a memory, loaded only when a text has to be compared."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from embodied_mem.errors import ModelMismatchError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from embodied_mem.inference.protocols import Embedder


class DeferredEmbedder:
    """An embedder for a memory whose vectors were made by `model` ("" when it has none yet).

    Loading a model takes a second that a query by label or place should not pay.
    """

    def __init__(self, model: str = "") -> None:
        self._model = model

    @cached_property
    def _embedder(self) -> Embedder:
        from embodied_mem.inference.select import default_embedder

        embedder = default_embedder("hashing" if self._model.startswith("hashing") else "auto")
        if self._model and embedder.name != self._model:
            raise ModelMismatchError(
                f"This memory's vectors were made by {self._model!r}, which is not installed here (here: "
                f"{embedder.name!r}): install it, or migrate with `embodied-mem reembed`."
            )
        return embedder

    @property
    def name(self) -> str:
        return self._model or self._embedder.name

    @property
    def dim(self) -> int:
        return self._embedder.dim

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._embedder.embed(texts)
