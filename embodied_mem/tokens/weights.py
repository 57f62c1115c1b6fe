"""What the codec has learnt, for one embedder: read from a checkpoint, or made without training.

Checkpoints stand beside this file, one for each embedder, made by `python -m bench.tokens_train --write`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError, StorageError
from embodied_mem.tokens.coupling import AGES, POINT, Array16, Network, Reader, exponentials
from embodied_mem.tokens.entropy import RATIO, SCALES, SMALLEST
from embodied_mem.tokens.tensors import read_tensors, write_tensors

VERSION = "1"  # of the checkpoint and of what its numbers mean
UNIT = 14  # bits behind the point of the projection and of what is projected
POINTS = range(2, 11)  # bits behind the point that an observation may have
AGE_GROUPS = 5  # writes with 0, 1, 2-3, 4-7 and more earlier ones have tables of their own
DEPTH, TOKEN, LATENT, ATTENDED, HIDDEN = 6, 64, 128, 32, 32
_LONGEST = 1 << 16  # sum of a row's magnitudes: times 2^15, the greatest activation, it stays below 2^31


@dataclass(frozen=True, slots=True, eq=False)
class TokenWeights:
    """model: whose vectors (d,) these are for.

    down (r, d)      int16, UNIT bits: rows of length at most 1, orthogonal; latents are down @ vector
    network          see coupling.py
    scales           (POINTS, AGE_GROUPS, r) uint8: the entropy table of each number of a half
    question (r, d)  float32: a question's vector, to be compared with latents; down itself when nothing was learnt
    readout (r, w)   float32: what a token says in latents
    """

    model: str
    down: Array16
    network: Network
    scales: NDArray[np.uint8]
    question: NDArray[np.float32]
    readout: NDArray[np.float32]

    @property
    def dimension(self) -> int:
        """d: numbers in a vector."""
        return int(self.down.shape[1])

    @property
    def latent(self) -> int:
        """r: numbers that are kept of it."""
        return int(self.down.shape[0])

    @property
    def token(self) -> int:
        """w: numbers in a token."""
        return int(self.network.predict.query.shape[2])

    @property
    def depth(self) -> int:
        """L: coupling blocks."""
        return len(self.network.predict.bias)

    def check(self) -> None:
        """Raise BadInputError where shapes do not fit, or a sum could leave 32 bits."""
        r, d = self.down.shape
        net, depth, w = self.network, self.depth, self.token
        m, hidden = net.memory.shape[0], net.predict.hidden.shape[1]
        wanted: list[tuple[NDArray[Any], tuple[int, ...]]] = [
            (net.memory, (m, r)),
            (self.scales, (len(POINTS), AGE_GROUPS, r)),
            (self.question, (r, d)),
            (self.readout, (r, w)),
        ]
        for side, x, y in ((net.predict, w, r), (net.update, r, w)):
            wanted += [
                (side.query, (depth, m, x)), (side.hidden, (depth, hidden, x + m)), (side.bias, (depth, hidden)),
                (side.out, (depth, y, hidden)), (side.gate, (depth, AGES)), (side.skip, (depth, AGES)),
            ]  # fmt: skip
        if any(array.shape != shape for array, shape in wanted):
            raise BadInputError("The token network's shapes do not fit together: make the checkpoint anew.")
        rows = [
            net.memory,
            *(part for side in (net.predict, net.update) for part in (side.query, side.hidden, side.out)),
        ]
        if any(np.abs(part.astype(np.int64)).sum(axis=-1).max(initial=0) >= _LONGEST for part in rows):
            raise BadInputError("The token network has a row whose sums may leave 32 bits: train with smaller weights.")
        for axis in (0, 1):
            squares = (self.down.astype(np.int64) ** 2).sum(axis=axis)
            if squares.max(initial=0) > (1 << (2 * UNIT)) * 1.02:
                raise BadInputError("The token projection's rows and columns must have a length of at most 1.")
        if self.scales.max(initial=0) >= SCALES:
            raise BadInputError(f"There are {SCALES} entropy tables, and the weights name one beyond.")


def load_weights(path: Path) -> TokenWeights:
    """Read a checkpoint. Raises NotFoundError, StorageError for one that is damaged or of another version."""
    tensors, about = read_tensors(path)
    if about.get("version") != VERSION:
        raise StorageError(f"{path} has version {about.get('version')}, not {VERSION}: train again.")
    try:
        sides = {
            name: Reader(*(tensors[f"{name}.{part}"] for part in Reader._fields)) for name in ("predict", "update")
        }
        found = TokenWeights(
            model=about["model"], down=tensors["down"],
            network=Network(sides["predict"], sides["update"], tensors["memory"], exponentials()),
            scales=tensors["scales"], question=tensors["question"].astype(np.float32),
            readout=tensors["readout"].astype(np.float32),
        )  # fmt: skip
        found.check()
    except (KeyError, IndexError, BadInputError) as error:
        raise StorageError(f"{path} is no checkpoint of tokens ({error}): train again.") from error
    return found


def save_weights(path: Path, weights: TokenWeights, about: dict[str, str]) -> None:
    """Write a checkpoint; `about` says how it was made. Raises BadInputError, StorageError."""
    weights.check()
    tensors: dict[str, NDArray[Any]] = {
        "down": weights.down, "memory": weights.network.memory, "scales": weights.scales,
        "question": weights.question.astype(np.float16), "readout": weights.readout.astype(np.float16),
    }  # fmt: skip
    for name in ("predict", "update"):
        side = getattr(weights.network, name)
        tensors |= {f"{name}.{part}": getattr(side, part) for part in Reader._fields}
    write_tensors(path, tensors, {**about, "model": weights.model, "version": VERSION})


def weights_for(model: str, dimension: int) -> TokenWeights:
    """The trained weights for an embedder's vectors (d,); for one that nobody trained for, those without training."""
    path = Path(__file__).with_name(f"{model}.safetensors")
    if path.is_file():
        found = load_weights(path)
        if found.model == model and found.dimension == dimension:
            return found
    return untrained(model, dimension)


def untrained(
    model: str, dimension: int, *, latent: int | None = None, token: int = TOKEN, depth: int = DEPTH, seed: int = 0
) -> TokenWeights:
    """Weights that predict an observation by the running mean of the earlier ones; attention and hidden units are 0.

    latent   numbers kept of a vector: all of them as they are (None), or so many random directions of the seed
    """
    kept = dimension if latent is None else latent
    token = min(token, kept)
    if not 0 < token <= kept <= dimension:
        raise BadInputError(f"Tokens need 0 < token <= latent <= dimension; got {token}, {kept}, {dimension}.")
    if latent is None:
        down = np.eye(dimension)
    else:
        down = np.linalg.qr(np.random.default_rng(seed).normal(size=(dimension, kept)))[0].T
    ages = np.arange(AGES)
    predict, update = _silent(depth, token, kept), _silent(depth, kept, token)
    predict.skip[0] = fixed((ages > 0).astype(np.float64), POINT)
    update.skip[0] = fixed(1 / (1 + ages), POINT)
    network = Network(predict, update, np.zeros((ATTENDED, kept), np.int16), exponentials())
    sigma = float(SMALLEST) * float(RATIO) ** np.arange(SCALES)
    likely = np.array([2.0 ** min(point, 5) / np.sqrt(dimension) for point in POINTS])
    nearest = np.abs(np.log(sigma[None] / likely[:, None])).argmin(axis=1).astype(np.uint8)
    scales = np.broadcast_to(nearest[:, None, None], (len(POINTS), AGE_GROUPS, kept)).copy()
    readout = np.eye(kept, token, dtype=np.float32)
    return TokenWeights(model, fixed(down, UNIT), network, scales, down.astype(np.float32), readout)


def fixed(values: NDArray[Any], point: int = POINT) -> Array16:
    """Numbers as 16-bit fixed point. Raises BadInputError for those that do not fit."""
    rounded = np.rint(np.asarray(values, dtype=np.float64) * (1 << point))
    if np.abs(rounded).max(initial=0) > 32767:
        raise BadInputError(f"Weights must be below {32768 / (1 << point):g} in magnitude.")
    return np.ascontiguousarray(rounded, dtype=np.int16)


def _silent(depth: int, x: int, y: int) -> Reader:
    """A side that says nothing, until its gates are opened."""
    shapes = {
        "query": (depth, ATTENDED, x), "hidden": (depth, HIDDEN, x + ATTENDED), "bias": (depth, HIDDEN),
        "out": (depth, y, HIDDEN), "gate": (depth, AGES), "skip": (depth, AGES),
    }  # fmt: skip
    return Reader(**{name: np.zeros(shape, np.int16) for name, shape in shapes.items()})


def low_bits(point: int) -> int:
    """How many bits of a half's numbers are kept as they are: below what their tables can tell."""
    return max(0, point - 5)
