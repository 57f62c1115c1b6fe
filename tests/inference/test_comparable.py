"""A variant in few bits asks a memory that its source made: allowed at a measured bound only, and both are named."""

from __future__ import annotations

import numpy as np
import pytest

from embodied_mem.errors import ModelMismatchError
from embodied_mem.inference.cache import CachedEmbedder
from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Observation
from embodied_mem.records.query import Query


class Variant(HashingEmbedder):
    """Says that it is hashing in few bits."""

    def __init__(self, cosine, source="hashing-384-v1"):
        super().__init__()
        self.cosine, self.source = cosine, source

    @property
    def name(self):
        return "hashing-384-v1/int8"


@pytest.fixture
def memory(tmp_path):
    made = RecordMemory.open(tmp_path / "memory", HashingEmbedder())
    for second, caption in enumerate(("a red mug", "a blue chair")):
        made.remember(
            Observation(
                stamp_ns=(second + 1) * 10**9, frame_id="map", position=np.zeros(3),
                orientation=np.array([0.0, 0, 0, 1]), map_id="home", caption=caption,
            )
        )  # fmt: skip
    yield made
    made.close()


def test_a_variant_within_the_bound_finds_what_its_source_remembered_and_the_answer_names_both(memory):
    memory.embedder = CachedEmbedder(Variant(0.995))
    result = memory.query(Query(text="where is the mug?", map_id="home"))
    assert result.hits[0].record.observation.caption == "a red mug"
    assert result.model == "hashing-384-v1, asked by hashing-384-v1/int8"
    memory.embedder = HashingEmbedder()
    assert memory.query(Query(text="where is the mug?", map_id="home")).model == "hashing-384-v1"


@pytest.mark.parametrize("embedder", [Variant(0.98), Variant(0.999, "another"), Variant(float("nan"))])
def test_another_model_or_a_variant_too_far_away_is_refused(memory, embedder):
    memory.embedder = CachedEmbedder(embedder)
    with pytest.raises(ModelMismatchError, match="int8"):
        memory.query(Query(text="where is the mug?", map_id="home"))


def test_vectors_of_a_variant_are_not_mixed_into_those_of_its_source(memory):
    memory.embedder = Variant(0.995)
    memory.remember(
        Observation(
            stamp_ns=9 * 10**9, frame_id="map", position=np.zeros(3), orientation=np.array([0.0, 0, 0, 1]),
            map_id="home", caption="a green lamp",
        )
    )  # fmt: skip
    assert memory.index.model == "hashing-384-v1"
    found = memory.query(Query(text="a green lamp", map_id="home"))
    assert all(hit.record.observation.caption != "a green lamp" for hit in found.hits)
    memory.embedder = HashingEmbedder()
    for _ in memory.embed_missing():
        pass
    assert memory.query(Query(text="a green lamp", map_id="home")).hits[0].record.observation.caption == "a green lamp"
