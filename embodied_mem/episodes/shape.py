"""What a reader is made of, as plain facts: the variants that are compared differ in nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embodied_mem.errors import BadInputError, ModelMismatchError

FLAT, TIME_CHUNKS, PLACE_CHUNKS = "flat", "time chunks", "place chunks"


@dataclass(frozen=True, slots=True)
class ReaderShape:
    """Raises BadInputError for a shape that cannot be.

    knows      blocks that the tokens of memories carry (coding.BLOCKS); questions carry every block
    reads      every memory, or coarse to fine by chunks of time or of place
    chunk      steps in a chunk of time
    top        chunks that are read inside
    flat_kinds  kinds of questions (tasks.py) that are read flat all the same: they name no place
    sharpness  of the kernel that query and key projections begin as: the logit of two equal blocks
    """

    knows: tuple[str, ...] = ("code", "time", "place", "origin", "visit")
    reads: str = PLACE_CHUNKS
    chunk: int = 8
    top: int = 2
    flat_kinds: tuple[int, ...] = ()
    layers: int = 2
    hidden: int = 64
    kinds: int = 4
    sharpness: float = 6.0

    def __post_init__(self) -> None:
        if self.reads not in (FLAT, TIME_CHUNKS, PLACE_CHUNKS):
            raise BadInputError(f"{self.reads!r} is no way of reading: use {FLAT}, {TIME_CHUNKS} or {PLACE_CHUNKS}.")
        if min(self.chunk, self.top, self.layers, self.hidden, self.kinds) < 1 or not self.sharpness > 0:
            raise BadInputError("A reader's chunk, top, layers, hidden, kinds and sharpness must be positive.")

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> ReaderShape:
        """The shape that `dataclasses.asdict` took apart. Raises ModelMismatchError for other facts."""
        try:
            plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()}
            return cls(**plain)
        except TypeError as error:
            raise ModelMismatchError(f"These are not the facts of a reader: {error}.") from error


VARIANTS: dict[str, ReaderShape] = {
    "time only": ReaderShape(knows=("code", "time"), reads=FLAT),
    "time + action": ReaderShape(knows=("code", "time", "action"), reads=FLAT),
    "space": ReaderShape(reads=FLAT),
    "space + time chunks": ReaderShape(reads=TIME_CHUNKS, top=4),
    "place memory": ReaderShape(),
}
