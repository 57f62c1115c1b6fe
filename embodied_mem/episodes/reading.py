"""Reading with trained weights, in numpy: one question at a time, over any number of memories.

Memory tokens are never rewritten, so what a layer makes of them is linear: a key is W_k t, a value W_v t. Both
projections are taken into the question instead, q·(W_k t) = (W_k'q)·t and Σ a W_v t = W_v Σ a t, so the cached tokens
serve every layer as they are, a read costs only the question's own work, and it equals the uncached one (`model.py`)
up to rounding. Of chunks, the sums of their tokens are cached the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from embodied_mem.episodes import weights as files
from embodied_mem.episodes.coding import BLOCKS, WIDTH, FloatArray, IntArray, place_code
from embodied_mem.episodes.shape import FLAT, ReaderShape
from embodied_mem.errors import BadInputError, NotFoundError

_FAR = 25.0  # below the highest logit, from which a memory is left out: all of these together weigh less than 1e-5
_SEEN = 1e-6  # attention below which a memory is left out of such a sum
_FEW = 4096  # memories whose logits are worked out again in double precision
Doubles = NDArray[np.float64]


class Memories(Protocol):
    """What is read: tokens (n, WIDTH); chunks with any, as numbers (c,) and means (c, WIDTH)."""

    @property
    def tokens(self) -> FloatArray: ...

    @property
    def chunks(self) -> tuple[IntArray, FloatArray]: ...

    def members(self, chunk: int) -> IntArray:
        """Rows of the tokens of a chunk."""


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """answer (WIDTH,); rows (m,) of the memories read in the last layer, their attention (m,); tokens read a layer."""

    answer: FloatArray
    rows: IntArray
    attention: FloatArray
    tokens_read: int


class Reading:
    """A trained reader. Raises ModelMismatchError for weights of another shape."""

    def __init__(self, shape: ReaderShape, weights: Mapping[str, NDArray[Any]]) -> None:
        self.shape = shape
        self.weights = files.arrays(weights, _sizes(shape))
        w = {name: value.astype(np.float64) for name, value in self.weights.items()}  # a question's own work is little
        self._head, self._kinds = w["head"], w["kind"]
        self._layers = [
            (
                w[f"layers.{i}.query"] @ w[f"layers.{i}.key"].T, w[f"layers.{i}.query"] @ w[f"layers.{i}.chunk"].T,
                w[f"layers.{i}.value"] @ w[f"layers.{i}.out"],
                w[f"layers.{i}.into"], w[f"layers.{i}.bias"], w[f"layers.{i}.back"],
            )
            for i in range(shape.layers)
        ]  # fmt: skip

    def read(self, asked: FloatArray, kind: int, memories: Memories) -> Read:
        """What memory says to a question's token (WIDTH,), of a kind (tasks.py).

        Raises BadInputError for a token that is not finite or an unknown kind, NotFoundError when memory is empty.
        """
        if asked.shape != (WIDTH,) or not np.isfinite(asked).all():
            raise BadInputError(f"A question is {WIDTH} finite numbers: this one holds NaN, infinity or another size.")
        if not 0 <= kind < self.shape.kinds:
            raise BadInputError(f"This reader was trained for {self.shape.kinds} kinds of questions, {kind} is none.")
        if not len(memories.tokens):
            raise NotFoundError("Memory is empty: there is nothing to read yet.")
        flat = self.shape.reads == FLAT or kind in self.shape.flat_kinds
        stream = asked + self._kinds[kind]
        rows, attention, looked = np.zeros(0, dtype=np.int64), np.zeros(0), 0
        for fine, coarse, value, into, bias, back in self._layers:
            if flat:
                rows, tokens, attention = _every(stream @ fine, memories.tokens)
                looked = len(memories.tokens)
            else:
                rows, tokens, attention = self._coarse_to_fine(stream @ coarse, stream @ fine, memories)
                looked = len(rows)
            stream = stream + (attention @ tokens) @ value
            stream = stream + _gelu(stream @ into + bias) @ back
        return Read(np.asarray(stream @ self._head, dtype=np.float32), rows, attention.astype(np.float32), looked)

    def choose(self, read: Read, *, codes: FloatArray | None = None, cells: NDArray[Any] | None = None) -> Doubles:
        """(n,) probabilities of the codes (n, CODE) or else the places at these cells (n, 2) to be the answer."""
        if codes is not None:
            logits: Doubles = codes.astype(np.float64) @ read.answer[BLOCKS["code"]]
            return _softmax(logits * float(self.weights["code_scale"]))
        assert cells is not None
        logits = place_code(cells).astype(np.float64) @ read.answer[BLOCKS["place"]]
        return _softmax(logits * float(self.weights["place_scale"]))

    def _coarse_to_fine(self, coarse: Doubles, fine: Doubles, memories: Memories) -> tuple[IntArray, Doubles, Doubles]:
        numbers, means = memories.chunks
        logits = means.astype(np.float64) @ coarse
        count = min(self.shape.top, len(logits))
        best = np.argpartition(-logits, count - 1)[:count]
        shares = _softmax(np.asarray(logits[best], dtype=np.float64))
        parts = [memories.members(int(chunk)) for chunk in numbers[best]]
        rows = np.concatenate(parts)
        tokens = memories.tokens[rows].astype(np.float64)
        inside = tokens @ fine
        ends = np.cumsum([len(part) for part in parts])
        pieces = np.split(inside, ends[:-1])
        attention = np.concatenate(
            [share * _softmax(np.asarray(piece, dtype=np.float64)) for share, piece in zip(shares, pieces, strict=True)]
        )
        return rows, tokens, attention


def load_reading(name: str = "reader") -> Reading:
    """The reader that comes with the package. Raises what `weights.load` raises."""
    found, facts = files.load(files.FOLDER / f"{name}.safetensors", "reader")
    return Reading(ReaderShape.of(facts["shape"]), found)


def _sizes(shape: ReaderShape) -> dict[str, tuple[int, ...]]:
    square, hidden = (WIDTH, WIDTH), shape.hidden
    sizes: dict[str, tuple[int, ...]] = {
        "kind": (shape.kinds, WIDTH), "head": square, "code_scale": (), "place_scale": (),
    }  # fmt: skip
    for i in range(shape.layers):
        sizes |= {f"layers.{i}.{name}": square for name in ("query", "key", "chunk", "value", "out")}
        sizes |= {
            f"layers.{i}.into": (WIDTH, hidden), f"layers.{i}.bias": (hidden,), f"layers.{i}.back": (hidden, WIDTH)
        }  # fmt: skip
    return sizes


def _every(query: Doubles, tokens: FloatArray) -> tuple[IntArray, Doubles, Doubles]:
    """Rows that a flat read attends to, their tokens, and the attention.

    In single precision first; in double where few matter. Where many do, each matters little.
    """
    rough = tokens @ query.astype(np.float32)
    rows = np.flatnonzero(rough > rough.max() - _FAR)
    if len(rows) <= _FEW:
        chosen = tokens[rows].astype(np.float64)
        return rows, chosen, _softmax(np.asarray(chosen @ query, dtype=np.float64))
    attention = _softmax(rough.astype(np.float64))
    rows = np.flatnonzero(attention > _SEEN)
    return rows, tokens[rows].astype(np.float64), attention[rows]


def _softmax(logits: Doubles) -> Doubles:
    found = np.exp(logits - logits.max())
    return np.asarray(found / found.sum())


def _gelu(x: Doubles) -> Doubles:
    return np.asarray(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))))
