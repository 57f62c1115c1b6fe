from __future__ import annotations

import hashlib

import numpy as np
import pytest

from embodied_mem.errors import BadInputError
from embodied_mem.inference.hashing import HashingEmbedder

TEXTS = [
    "where is a mug?",
    "I see a mug on the table and two chairs.",
    "A truck drives on the highway.",
    "Ein Café ☕",
    "???",
]


def test_the_vectors_are_the_same_on_every_machine():
    """The digest was made once: a change of it orphans every memory that holds such vectors."""
    digest = hashlib.sha256(HashingEmbedder().embed(TEXTS).astype("<f4").tobytes()).hexdigest()
    assert digest == "900ff68b3a864162213297101f36c9b355b0f86fa411bf29e24bfbcd387e141f"


def test_rows_are_unit_vectors_and_do_not_depend_on_the_batch():
    embedder = HashingEmbedder()
    together = embedder.embed(TEXTS)
    assert together.shape == (len(TEXTS), embedder.dim) and together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(together, np.concatenate([embedder.embed([text]) for text in TEXTS]))
    assert embedder.embed([]).shape == (0, embedder.dim)


@pytest.mark.parametrize(
    ("query", "near", "far"),
    [
        ("where is a mug?", "I see a mug on the table and two chairs.", "I see a chair and the table is empty."),
        ("is there a chair?", "two chairs stand at the window", "two people stand at the window"),
        ("café", "I passed a CAFE.", "I passed a shop."),
        (
            "where did you see the fire extinguisher",
            "a fire extinguisher hangs on the wall",
            "where did you see the cat",
        ),
    ],
)
def test_shared_words_count_more_than_common_ones(query, near, far):
    embedder = HashingEmbedder()
    scores = embedder.embed([near, far]) @ embedder.embed([query])[0]
    assert scores[0] > scores[1] + 0.1


def test_unrelated_texts_are_nearly_orthogonal():
    words = [
        f"{first}{second}{third}" for first in "bdfgk" for second in ("ala", "oru", "ist") for third in ("m", "xt", "w")
    ]
    vectors = HashingEmbedder().embed(words)
    others = np.abs((vectors @ vectors.T)[~np.eye(len(words), dtype=bool)])
    assert others.mean() < 0.15


def test_a_seed_makes_another_model():
    first, second = HashingEmbedder(), HashingEmbedder(seed=1)
    assert first.name == "hashing-384-v1" != second.name
    assert abs(float(first.embed(TEXTS[:1])[0] @ second.embed(TEXTS[:1])[0])) < 0.5


@pytest.mark.parametrize("text", ["", "  \n", None, 3, b"mug", "\udcff"])
def test_what_is_no_text_is_refused_with_its_place(text):
    with pytest.raises(BadInputError, match="Text 1 cannot be embedded"):
        HashingEmbedder().embed(["a mug", text])


def test_a_single_string_is_not_taken_for_a_list_of_letters():
    with pytest.raises(BadInputError, match="list"):
        HashingEmbedder().embed("a mug")
