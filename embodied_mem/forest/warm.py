"""Compiles the forest's kernels once, on a few made-up records, so that the first real one is not late."""

from __future__ import annotations

from embodied_mem.forest.describe import compare, describe
from embodied_mem.forest.search import Ranking, retrieve
from embodied_mem.forest.view import ForestView
from embodied_mem.records.query import Query
from embodied_mem.records.warm import warm as warm_records


def warm() -> None:
    """Grow, change, settle, search and tell. Seconds where everything was compiled before, else a minute or two."""
    memory = warm_records()
    forest = ForestView(memory)
    forest.update()
    memory.forget([50, 60])
    forest.update()
    forest.settle()
    for width in (0, 4):
        retrieve(forest, Query(text="thing 7", k=3), Ranking(by="hybrid", width=width))
    describe(forest)
    compare(forest, Query(seqs=(5, 6, 7)), Query(seqs=(70, 71)))
    memory.close()


if __name__ == "__main__":
    warm()
