"""Search over descriptors: exact, one matrix product; above a size faiss proposes where it is installed.

What is proposed is ranked exactly. How often the true best are among it must be measured where it is used: `recall`.
"""

from __future__ import annotations

import importlib.util

import numpy as np

from embodied_mem.tokens.codec import Float32Array, IntArray

EXACT_UP_TO = 200_000  # descriptors: about 20 ms for 128 numbers each
_LINKS, _EFFORT = 32, 256  # of the graph: Malkov and Yashunin, 2018


def rank(descriptors: Float32Array, rows: IntArray, question: Float32Array, k: int) -> IntArray:
    """The k of `rows` whose descriptors (n, r) are most like a question (r,), best first; of equals the later row."""
    scores = descriptors[rows] @ question
    if len(rows) > k:
        surely = np.partition(scores, len(rows) - k)[len(rows) - k]
        chosen = np.flatnonzero(scores >= surely)
        rows, scores = rows[chosen], scores[chosen]
    return np.asarray(rows[np.lexsort((-rows, -scores))[:k]])


class Proposer:
    """The nearest of many descriptors (n, r): by faiss above EXACT_UP_TO where it is installed, else exactly.

    exact   whether all were compared
    """

    def __init__(self, descriptors: Float32Array, *, exact_up_to: int = EXACT_UP_TO) -> None:
        self._descriptors = descriptors
        self.exact = len(descriptors) <= exact_up_to or importlib.util.find_spec("faiss") is None
        if not self.exact:
            import faiss

            faiss.omp_set_num_threads(1)
            self._graph = faiss.IndexHNSWFlat(descriptors.shape[1], _LINKS, faiss.METRIC_INNER_PRODUCT)
            self._graph.hnsw.efSearch = _EFFORT
            self._graph.add(descriptors)

    def __call__(self, question: Float32Array, k: int) -> IntArray:
        """The k rows most like a question (r,), best first."""
        every = np.arange(len(self._descriptors))
        if self.exact:
            return rank(self._descriptors, every, question, k)
        found = self._graph.search(question[None], 4 * k)[1][0]
        return rank(self._descriptors, found[found >= 0].astype(np.int64), question, k)

    def recall(self, questions: Float32Array, k: int) -> float:
        """The share of the k exact best for questions (q, r) that it finds."""
        every = np.arange(len(self._descriptors))
        hits = [len(np.intersect1d(self(each, k), rank(self._descriptors, every, each, k))) for each in questions]
        return float(np.mean(hits)) / min(k, len(every))
