"""Words for things: number, synonyms, and what tells two kinds apart."""

from __future__ import annotations

import pytest

from embodied_mem.objects.labels import meant, same_kind, singular


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("mugs", "mug"), ("boxes", "box"), ("dishes", "dish"), ("benches", "bench"), ("batteries", "battery"),
        ("shelves", "shelf"), ("knives", "knife"), ("mice", "mouse"), ("people", "person"), ("vases", "vase"),
        ("houses", "house"), ("glasses", "glasses"), ("scissors", "scissors"), ("bus", "bus"), ("glass", "glass"),
        ("potted plants", "potted plant"), ("Dining Tables", "dining table"), ("keys", "keys"), ("shoes", "shoe"),
        ("gas", "gas"), ("tv", "tv"),
    ],
)  # fmt: skip
def test_singular(plural: str, one: str) -> None:
    assert singular(plural) == one


@pytest.mark.parametrize(
    ("word", "known", "labels"),
    [
        ("couch", ["sofa", "mug"], ("sofa",)),
        ("sofas", ["couch"], ("couch",)),
        ("fridge", ["refrigerator"], ("refrigerator",)),
        ("cup", ["mug", "bowl"], ("mug",)),
        ("bowl", ["mug", "bowl"], ("bowl",)),
        ("potted plants", ["plant"], ("plant",)),
        ("book", ["books"], ("books",)),
        ("dragon", ["mug"], ()),
        ("mug", [], ()),
    ],
)
def test_meant(word: str, known: list[str], labels: tuple[str, ...]) -> None:
    assert meant(word, known) == labels


def test_a_detector_that_tells_two_words_apart_means_two_things() -> None:
    assert meant("tv", ["tv", "monitor"]) == ("tv", "monitor")
    assert meant("tv", ["tv", "monitor"], [("tv", "monitor", "mug")]) == ("tv",)
    assert meant("television", ["tv", "monitor"], [("tv", "mug")]) == ("tv", "monitor")


def test_every_synonym_means_the_others() -> None:
    assert set(same_kind("settee")) == set(same_kind("sofa")) == set(same_kind("couches"))
