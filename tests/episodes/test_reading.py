"""Reading with cached tokens against a plain, uncached reading of the same definitions; and torch against numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.episodes.allocator import STRATEGIES
from embodied_mem.episodes.coding import WIDTH, layer_norm
from embodied_mem.episodes.memory import EpisodicMemory
from embodied_mem.episodes.reading import Reading, load_reading
from embodied_mem.episodes.shape import FLAT, PLACE_CHUNKS, ReaderShape
from embodied_mem.episodes.tasks import AGO, WHERE
from embodied_mem.errors import BadInputError, ModelMismatchError, NotFoundError
from tests.episodes.readers import reading, weights


def filled(seed: int, n: int, rooms: int, capacity: int = 1000) -> tuple[EpisodicMemory, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    memory = EpisodicMemory(capacity, STRATEGIES["fifo"])
    tokens, places = rng.normal(size=(n, WIDTH)).astype(np.float32) * 0.2, rng.integers(rooms, size=n)
    memory.extend(tokens, places, np.arange(n), np.ones(n, dtype=np.int64), np.zeros(n))
    return memory, tokens, places


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def plain(reader: Reading, asked, kind, tokens, places):
    """The definition, in float64: keys and values of every memory made anew, summaries by mean, the best few chunks."""
    w = {name: value.astype(np.float64) for name, value in reader.weights.items()}
    stream, tokens = asked + w["kind"][kind], tokens.astype(np.float64)
    for i in range(reader.shape.layers):
        layer = {
            name: w[f"layers.{i}.{name}"] for name in ("query", "key", "chunk", "value", "out", "into", "bias", "back")
        }
        query, keys, values = stream @ layer["query"], tokens @ layer["key"], tokens @ layer["value"]
        attention = np.zeros(len(tokens))
        if reader.shape.reads == FLAT or kind in reader.shape.flat_kinds:
            attention = softmax(keys @ query)
        else:
            rooms = np.unique(places)
            coarse = np.array([tokens[places == room].mean(axis=0) @ layer["chunk"] @ query for room in rooms])
            best = np.argsort(-coarse)[: reader.shape.top]
            for room, share in zip(rooms[best], softmax(coarse[best]), strict=True):
                attention[places == room] = share * softmax(keys[places == room] @ query)
        stream = stream + attention @ values @ layer["out"]
        x = stream @ layer["into"] + layer["bias"]
        stream = stream + 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) @ layer["back"]
    return stream @ w["head"], attention


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 60),
    st.integers(1, 6),
    st.sampled_from([FLAT, PLACE_CHUNKS]),
    st.sampled_from([AGO, WHERE]),
)
def test_a_cached_reading_is_the_uncached_one(seed, n, rooms, reads, kind):
    reader = reading(ReaderShape(reads=reads, flat_kinds=(WHERE,)), seed)
    memory, tokens, places = filled(seed, n, rooms)
    asked = np.random.default_rng(seed + 1).normal(size=WIDTH).astype(np.float32) * 0.3
    read = reader.read(asked, kind, memory)
    answer, attention = plain(reader, asked, kind, tokens, places)
    np.testing.assert_allclose(read.answer, answer, atol=1e-5 * max(1, np.abs(answer).max()))
    found = np.zeros(n)
    found[memory.steps_of(read.rows)] = read.attention
    np.testing.assert_allclose(found, attention, atol=1e-5)


def test_what_was_forgotten_is_not_read():
    memory, tokens, places = filled(0, 50, 3, capacity=7)
    reader = reading(ReaderShape(reads=FLAT))
    asked = tokens[3]
    read = reader.read(asked, AGO, memory)
    answer, _ = plain(reader, asked, AGO, tokens[-7:], places[-7:])
    assert set(memory.steps_of(read.rows).tolist()) <= set(range(43, 50))
    np.testing.assert_allclose(read.answer, answer, atol=1e-4)


def test_coarse_to_fine_reads_the_chosen_places_alone():
    memory, _, places = filled(1, 90, 9)
    read = reading(ReaderShape(top=2)).read(np.ones(WIDTH, dtype=np.float32) * 0.1, AGO, memory)
    assert len(set(places[memory.steps_of(read.rows)].tolist())) == 2
    assert read.tokens_read == len(read.rows) < 90
    assert read.attention.sum() == pytest.approx(1, abs=1e-5)


def test_the_shipped_reader_equals_torch():
    torch = pytest.importorskip("torch", reason="training needs torch: pip install 'embodied_mem[torch]'")
    from embodied_mem.episodes.train import reader_of

    reader = load_reading()
    trained = reader_of(reader.weights, {"shape": {k: getattr(reader.shape, k) for k in ReaderShape.__slots__}})
    memory, tokens, places = filled(2, 40, 5)
    asked = layer_norm(np.random.default_rng(3).normal(size=WIDTH))
    for kind in (AGO, WHERE):
        chunks = torch.nn.functional.one_hot(torch.from_numpy(places)[None], 5).float()
        with torch.no_grad():
            answer, _ = trained(
                torch.from_numpy(asked)[None, None], torch.tensor([[kind]]), torch.from_numpy(tokens)[None], chunks
            )
        np.testing.assert_allclose(reader.read(asked, kind, memory).answer, answer[0, 0].numpy(), atol=1e-4)


def test_bad_questions_are_refused_with_a_sentence():
    memory, _, _ = filled(0, 5, 2)
    reader, asked = reading(), np.zeros(WIDTH, dtype=np.float32)
    for bad in (np.full(WIDTH, np.nan, dtype=np.float32), np.zeros(WIDTH - 1, dtype=np.float32)):
        with pytest.raises(BadInputError, match="NaN"):
            reader.read(bad, AGO, memory)
    with pytest.raises(BadInputError, match="kinds of questions"):
        reader.read(asked, 9, memory)
    with pytest.raises(NotFoundError, match="empty"):
        reader.read(asked, AGO, EpisodicMemory(3, STRATEGIES["fifo"]))


def test_weights_of_another_shape_are_refused():
    shape = ReaderShape()
    found = weights(shape)
    with pytest.raises(ModelMismatchError, match="one side only"):
        Reading(replace(shape, layers=1), found)
    with pytest.raises(ModelMismatchError, match="size"):
        Reading(replace(shape, hidden=32), found)
    with pytest.raises(ModelMismatchError, match="facts"):
        ReaderShape.of({"depth": 3})
    with pytest.raises(BadInputError, match="way of reading"):
        ReaderShape(reads="diagonally")
