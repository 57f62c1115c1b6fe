"""Order and number in time, asked in words and as typed questions."""

from __future__ import annotations

import numpy as np
import pytest

from embodied_mem.episodes.memory import BYTES
from embodied_mem.episodes.view import EpisodeView
from embodied_mem.errors import BadInputError
from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.recall import moments
from embodied_mem.recall.episodes import AROUND, DURING, FIRST, HAPPENED, HOW_OFTEN, LAST, EpisodeQuestion, Episodes
from embodied_mem.recall.recall import Recall
from embodied_mem.records.query import Query
from tests.records.builders import SECOND, START, detections, memory, observation

NOW = START + 1000 * SECOND


@pytest.fixture
def seen():
    """A mug in the first room on visits 1 and 3, a chair in the second one on visit 2; two looks a visit."""
    memory_ = memory(embedder=HashingEmbedder())
    plan = [(0.0, ["mug"]), (10.0, ["chair"]), (0.0, ["mug"]), (10.0, [])]
    seqs = []
    for visit, (x, labels) in enumerate(plan):
        for look in range(2):
            things = detections(labels, [[x, 1.0, 1.0]] * len(labels)) if labels else None
            caption = f"{'a ' + labels[0] if labels else 'nothing'} {visit} {look}"
            fields = {"detections": things} if things is not None else {}
            seqs.append(memory_.remember(observation(60.0 * visit + look, (x, 0, 0), caption, **fields)).seq)
    return memory_, seqs


@pytest.mark.parametrize(
    "question",
    [
        "which came first, the mug or the chair?",
        "what did you see first, a chair or a mug?",
        "which was seen earlier, chair or mug",
    ],
)
def test_which_came_first_in_words(seen, question):
    memory_, seqs = seen
    answer = Recall(memory_).ask(question, now_ns=NOW)
    assert answer.found and answer.sentence.startswith("The mug came first") and answer.probability > 0.9
    assert [evidence.seq for evidence in answer.evidence] == [seqs[0], seqs[2]]
    assert answer.kind == "order"


def test_how_often_counts_visits_not_looks(seen):
    memory_, _ = seen
    answer = Recall(memory_).ask("how often did you see the mug?", now_ns=NOW)
    assert answer.found and answer.count == 2 and "2 visits" in answer.sentence
    assert Recall(memory_).ask("how many times did you see the chair?", now_ns=NOW).count == 1
    assert Recall(memory_).ask("how many mugs did you see?", now_ns=NOW).kind == "how_many"


def test_what_was_never_seen_is_not_ordered(seen):
    memory_, _ = seen
    answer = Recall(memory_).ask("which came first, the mug or the zebra?", now_ns=NOW)
    assert not answer.found and answer.reason.startswith("Not found")
    with pytest.raises(BadInputError, match="Two things"):
        Recall(memory_).ask("which came first, the mug?", now_ns=NOW)


def test_memory_abstains_when_too_much_was_forgotten(seen):
    memory_, _ = seen
    view = EpisodeView(
        memory_.index, budget_mb=3 * BYTES / 1e6, rule="fifo"
    )  # the chair's and most of the mug's are gone
    told = moments.last(view, memory_, "mug", Query(), NOW)
    often = moments.often(view, memory_, "mug", Query(), NOW)
    assert told.found  # nothing after it was forgotten
    assert not often.found and often.probability < moments.ENOUGH and "forgotten" in often.reason


def test_typed_questions(seen):
    memory_, seqs = seen
    view = EpisodeView(memory_.index)
    episodes = Episodes(memory_, view)

    def ask(kind, **fields):
        return episodes.answer(EpisodeQuestion(kind, NOW, **fields))

    here = ask(HAPPENED, position=np.zeros(3), visits_ago=1)
    assert here.found and {hit.record.seq for hit in here.hits} == set(seqs[0:2])
    assert sum(here.weights) == pytest.approx(here.probability, abs=1e-5) and here.place == view.place_at(np.zeros(3))
    assert len(here.weights) == len(here.surprise) == len(here.hits)
    during = ask(DURING, start_ns=START + 59 * SECOND, end_ns=START + 100 * SECOND)
    assert {hit.record.seq for hit in during.hits} == set(seqs[2:4])
    assert [hit.record.seq for hit in ask(AROUND, record=seqs[3], steps=1).hits] == seqs[2:5]
    assert ask(FIRST, things=("mug", "chair")).sentence.startswith("The mug came first")
    assert ask(HOW_OFTEN, things=("mug",)).count == 2
    assert "15 minutes ago" in ask(LAST, things=("mug",)).sentence
    assert (here.retained, here.seen) == (8, 8)
    for bad in ({"kind": 9}, {"kind": LAST, "things": ()}, {"kind": HAPPENED, "position": np.zeros(3), "k": 0}):
        with pytest.raises(BadInputError):
            ask(**bad)
