"""The arms of bench/tokens: ways to keep n vectors in few bytes, each in its best form.

Every arm also keeps, of each write, its record, time and position. These cost all arms the same (differences as
varints, as in embodied_mem/tokens/chains.py), so `Kept.bytes` is of the vectors and what goes with them: for tokens
everything that the store counts, less these. Codebooks and weights, learnt beforehand, are not counted for any arm.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.tokens.chains import EXACT
from embodied_mem.tokens.codec import TokenCodec
from embodied_mem.tokens.entropy import MOST_BYTES, best_scales, encode, put_varint, tables
from embodied_mem.tokens.store import ELEMENT_KEY, TokenStore
from embodied_mem.tokens.weights import POINTS, TokenWeights, low_bits

Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """vectors (n, d), as they come back (rows of zeros: not at all), and the bytes that they need."""

    vectors: Float32Array
    bytes: float


Arm = Callable[[Float32Array, IntArray], Kept]  # vectors (n, d), the element of each (n,) -> what is kept of them


def exact_bytes(exacts: IntArray, elements: IntArray) -> int:
    """What records, times and positions (n, EXACT) take as differences within elements."""
    out, total = np.zeros(16, np.uint8), 0
    last: dict[int, IntArray] = {}
    for row, element in zip(exacts, elements.tolist(), strict=True):
        before = last.get(element, np.zeros(EXACT, np.int64))
        total += sum(put_varint(int(value), out, 0) for value in row - before)
        last[element] = row
    return total


def with_tokens(weights: TokenWeights, point: int, budget: int = 0) -> Arm:
    """Ours. Records, times and positions are zeros here: their bytes are taken off again."""

    def keep(vectors: Float32Array, elements: IntArray) -> Kept:
        store, numbers = filled(weights, point, vectors, elements)
        n = len(vectors)
        free = EXACT * n + 8 * EXACT * len(store)  # a varint each, and the last values of each element
        if budget:
            store.fold(store.wanted(budget + free))
        out = np.zeros_like(vectors)
        for element in range(len(store)):
            rows = np.flatnonzero(numbers == element)[::-1]
            found = store.recent(element, len(rows))
            out[rows[: len(found)]] = found.vectors
        kept = int(out.any(axis=1).sum())
        return Kept(out, store.nbytes - EXACT * kept - 8 * EXACT * len(store))

    return keep


def filled(
    weights: TokenWeights, point: int, vectors: Float32Array, elements: IntArray
) -> tuple[TokenStore, NDArray[np.intp]]:
    """A store of these writes without times and places, and the number of each one's element."""
    store = TokenStore(TokenCodec(weights, point))
    unique, numbers = np.unique(elements, return_inverse=True)
    keys = np.zeros(len(unique), dtype=ELEMENT_KEY)
    keys["key"] = unique
    store.add(keys)
    nothing = np.zeros(len(vectors), np.int64)
    store.write(numbers, vectors, nothing, nothing, np.zeros((len(vectors), 3)))
    return store, numbers


def transform(weights: TokenWeights, point: int, training: Float32Array) -> Arm:
    """The same projection, grid and entropy coder, with tables chosen for it, but no network: each write by itself."""
    codec = TokenCodec(weights, point)
    low = low_bits(point)
    scales = best_scales(codec.latents(training), low)

    def keep(vectors: Float32Array, elements: IntArray) -> Kept:
        del elements
        latents = codec.latents(vectors)
        out = np.zeros(weights.latent * MOST_BYTES + 3, np.uint8)
        size = sum(len(out) - encode(row, scales, low, tables().starts, out) + 1 for row in latents)
        return Kept(codec.vectors(latents), size)

    return keep


def running(weights: TokenWeights, point: int, training: Float32Array, training_elements: IntArray) -> Arm:
    """As `transform`, of the difference to the write before in the element, with tables chosen for these."""
    codec = TokenCodec(weights, point)
    low = low_bits(point)

    def differences(vectors: Float32Array, elements: IntArray) -> tuple[IntArray, NDArray[np.bool_], IntArray]:
        latents = codec.latents(vectors)
        order = np.argsort(elements, kind="stable")
        first = np.append(True, np.diff(elements[order]) != 0)
        grown = np.diff(latents[order], axis=0, prepend=0)
        grown[first] = latents[order][first]
        return grown, first, latents

    grown, first, _ = differences(training, training_elements)
    scales = [best_scales(grown[first], low), best_scales(grown[~first], low)]

    def keep(vectors: Float32Array, elements: IntArray) -> Kept:
        grown, first, latents = differences(vectors, elements)
        out = np.zeros(weights.latent * MOST_BYTES + 3, np.uint8)
        size = sum(
            len(out) - encode(row, scales[0 if begins else 1], low, tables().starts, out) + 1
            for row, begins in zip(grown, first, strict=True)
        )
        return Kept(codec.vectors(latents), size)

    return keep


def raw16(vectors: Float32Array, elements: IntArray) -> Kept:
    """The log: float16."""
    del elements
    return Kept(vectors.astype(np.float16).astype(np.float32), vectors.shape[1] * 2 * len(vectors))


def zipped16(vectors: Float32Array, elements: IntArray) -> Kept:
    """The log by zlib at its best: writes of one element together, high and low bytes of float16 apart."""
    order = np.argsort(elements, kind="stable")
    half = vectors[order].astype(np.float16)
    planes = np.ascontiguousarray(half).view(np.uint8).reshape(-1, 2).T
    return Kept(vectors.astype(np.float16).astype(np.float32), len(zlib.compress(planes.tobytes(), 9)))


def zipped_steps(step: float) -> Arm:
    """The log on a grid of this step (relative to the largest number), differences within elements, by zlib."""

    def keep(vectors: Float32Array, elements: IntArray) -> Kept:
        order = np.argsort(elements, kind="stable")
        whole = np.rint(vectors / step).astype(np.int64)
        grown = np.diff(whole[order], axis=0, prepend=0)
        first = np.append(True, np.diff(elements[order]) != 0)
        grown[first] = whole[order][first]
        best = min(len(zlib.compress(each.astype(np.int16).tobytes(), 9)) for each in (grown, whole[order]))
        best = min(best, *(len(zlib.compress(np.clip(each, -128, 127).astype(np.int8).tobytes(), 9))
                           for each in (grown, whole[order]) if np.abs(each).max() < 128), best)  # fmt: skip
        return Kept(_unit((whole * step).astype(np.float32)), best)

    return keep


def ring(budget: float) -> Arm:
    """The newest float16 vectors that fit."""

    def keep(vectors: Float32Array, elements: IntArray) -> Kept:
        del elements
        count = min(len(vectors), int(budget // (2 * vectors.shape[1])))
        out = np.zeros_like(vectors)
        if count:
            out[-count:] = vectors[-count:].astype(np.float16)
        return Kept(out, count * 2 * vectors.shape[1])

    return keep


def recurrent(weights: TokenWeights) -> Arm:
    """One irreversible token for each element, the mean of what was written: every write is answered with it."""

    def keep(vectors: Float32Array, elements: IntArray) -> Kept:
        store, numbers = filled(weights, 5, vectors, elements)
        said = store.tokens.data.astype(np.float32) @ weights.readout.T @ weights.down.astype(np.float32)
        return Kept(_unit(said)[numbers], 2 * weights.token * len(store))

    return keep


def product(parts: int, training: Float32Array) -> Arm:
    """Product quantisation with a learnt rotation (Ge et al., 2013), 8 bits for each of so many parts, by faiss."""
    index = _quantiser(parts, np.ascontiguousarray(training, dtype=np.float32))

    def keep(vectors: Float32Array, elements: IntArray) -> Kept:
        del elements
        codes = index.sa_encode(np.ascontiguousarray(vectors))
        return Kept(_unit(index.sa_decode(codes)), codes.nbytes)

    return keep


_LEARNT: dict[tuple[int, int], Any] = {}  # by parts and number of vectors: learnt once a run


def learn_quantisers(sizes: Sequence[int], training: Float32Array) -> dict[tuple[int, int], NDArray[np.uint8]]:
    """The quantisers of these numbers of parts as bytes, to be learnt in another process: see `use_quantisers`."""
    import faiss

    vectors = np.ascontiguousarray(training, dtype=np.float32)
    return {(parts, len(vectors)): faiss.serialize_index(_quantiser(parts, vectors)) for parts in sizes}


def use_quantisers(learnt: dict[tuple[int, int], NDArray[np.uint8]]) -> None:
    """Take over what another process learnt."""
    import faiss

    _LEARNT.update({key: faiss.deserialize_index(data) for key, data in learnt.items()})


def _quantiser(parts: int, training: Float32Array) -> Any:
    if (parts, len(training)) not in _LEARNT:
        import faiss

        faiss.omp_set_num_threads(1)
        inner = faiss.ProductQuantizer(training.shape[1], parts, 8)
        rotation, codes = faiss.OPQMatrix(training.shape[1], parts), faiss.IndexPQ(training.shape[1], parts, 8)
        rotation.niter, rotation.max_train_points, rotation.pq = 10, 8192, inner
        for quantiser in (inner, codes.pq):
            quantiser.cp.min_points_per_centroid = 1  # else it warns, at every step
        index = faiss.IndexPreTransform(rotation, codes)
        index.train(training)
        _LEARNT[parts, len(training)] = index
    return _LEARNT[parts, len(training)]


def largest_that_fits(
    arms: Sequence[Arm], vectors: Float32Array, elements: IntArray, budget: float
) -> tuple[int, Kept] | None:
    """Of arms of growing size the last within a budget, with its place among them."""
    found: tuple[int, Kept] | None = None
    for place, arm in enumerate(arms):
        kept = arm(vectors, elements)
        if kept.bytes > budget:
            break
        found = place, kept
    return found


def fitted_tokens(weights: TokenWeights, vectors: Float32Array, elements: IntArray, budget: float) -> tuple[int, Kept]:
    """Tokens at the finest grid at which all is kept; else the coarsest, with the rest folded."""
    arms = [with_tokens(weights, point) for point in POINTS]
    found = largest_that_fits(arms, vectors, elements, budget)
    if found is None:
        return POINTS.start, with_tokens(weights, POINTS.start, int(budget))(vectors, elements)
    return POINTS[found[0]], found[1]


def _unit(rows: Float32Array) -> Float32Array:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), dtype=np.float32)
