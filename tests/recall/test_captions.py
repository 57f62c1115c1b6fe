"""Questions to a robot whose perception only speaks: captions, and no detector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.recall.recall import Recall
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.observation import Observation

START = 1_700_000_000_000_000_000
S = 1_000_000_000
CAPTIONS = ("a red mug stands on the kitchen table", "a fire extinguisher on the wall", "a sofa in front of a window")


@pytest.fixture
def recall() -> Recall:
    """The captions were made 2 m and 10 s apart, along x; ten minutes have passed since the first."""
    memory = RecordMemory.in_memory(HashingEmbedder(), clock=lambda: START + 600 * S)
    for i, caption in enumerate(CAPTIONS):
        position = np.array([2.0 * i, 0, 1])
        memory.remember(Observation(START + 10 * i * S, position, np.array([0, 0, 0, 1.0]), "map", caption=caption))
    return Recall(memory)


def test_a_thing_is_found_by_the_words_of_a_caption(recall: Recall) -> None:
    answer = recall.ask("where is the fire extinguisher?")
    assert answer.found and answer.evidence[0].caption == CAPTIONS[1] and "fire extinguisher" in answer.sentence
    assert answer.position is not None and answer.position.tolist() == [2, 0, 1]
    assert answer.age_s == pytest.approx(590) and "meaning" in answer.reason


def test_what_no_caption_speaks_of_is_not_found(recall: Recall) -> None:
    answer = recall.ask("where is the piano?")
    assert not answer.found and answer.position is None and answer.reason.startswith("Not found")


def test_captions_are_not_counted(recall: Recall) -> None:
    answer = recall.ask("how many red mugs are there?")
    assert answer.count == -1 and "cannot be counted" in answer.reason


def test_a_place_is_described_by_what_was_said_there(recall: Recall) -> None:
    answer = recall.ask("what is near me?", robot_position=np.array([4.5, 0, 0]))
    assert answer.found and CAPTIONS[2] in answer.sentence and CAPTIONS[0] not in answer.sentence
    nothing = recall.ask("what is around (50, 0)?")
    assert not nothing.found and nothing.reason


def test_a_time_is_described_by_what_was_said_then(recall: Recall) -> None:
    answer = recall.ask("what did you see in the last 585 seconds?")
    assert answer.found and CAPTIONS[2] in answer.sentence and CAPTIONS[1] not in answer.sentence
    assert [item.caption for item in answer.evidence] == [CAPTIONS[2]]


def test_words_that_fit_no_pattern_say_so(recall: Recall) -> None:
    found = recall.ask("red mug kitchen table")
    assert found.found and found.reason.startswith("The question fits no pattern")
    missing = recall.ask("quantum chromodynamics lecture notes")
    assert not missing.found and missing.sentence.startswith("I do not understand")


def test_of_captions_that_are_alike_the_one_with_the_words_is_the_answer() -> None:
    class OneMeaning(HashingEmbedder):
        """Finds every caption alike, the later ones a little more."""

        count = 0

        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            rows = np.zeros((len(texts), 8), np.float32)
            for row in rows:
                angle = 0.5 / (1 + OneMeaning.count)
                row[:2] = np.cos(angle), np.sin(angle)
                OneMeaning.count += 1
            return rows

    memory = RecordMemory.in_memory(OneMeaning(), clock=lambda: START + 600 * S)
    for i, caption in enumerate(["a fountain in a park", "a shop for shoes", "a shop for hats"]):
        position = np.array([9.0 * i, 0, 1])
        memory.remember(Observation(START + 10 * i * S, position, np.array([0, 0, 0, 1.0]), "map", caption=caption))
    answer = Recall(memory).ask("where is a fountain?")
    assert answer.found and answer.evidence[0].caption == "a fountain in a park" and len(answer.evidence) == 3
