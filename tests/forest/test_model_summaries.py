"""Whatever a language model replies, nothing untrue gets into the forest, and nobody waits for it."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from embodied_mem.errors import BadInputError
from embodied_mem.forest.model_summaries import ModelSummariser, checked_reply, improve_forest
from embodied_mem.forest.view import ForestView
from tests.forest.test_view import remember
from tests.records.builders import memory

CAPTIONS = {4: "a red mug on a wooden table", 9: "two mugs by a sink", 11: "no dog is here, 3 chairs"}


def reply(name="red mug", *sentences) -> str:
    made = sentences or ({"text": "A red mug stands on a wooden table.", "records": [4]},)
    return json.dumps({"name": name, "sentences": list(made)})


class Server:
    """An OpenAI-compatible server that says what `behave(number, request)` returns: text, bytes or seconds to wait."""

    def __init__(self) -> None:
        self.behave = lambda number, request: ""
        self.requests: list[dict] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append({"path": self.path, "key": self.headers.get("Authorization"), **request})
                said = outer.behave(len(outer.requests), request)
                if isinstance(said, float):
                    time.sleep(said)
                    return
                body = said if isinstance(said, bytes) else json.dumps(
                    {"choices": [{"message": {"role": "assistant", "content": said}}]}
                ).encode()  # fmt: skip
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"


@pytest.fixture
def server():
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def forest() -> ForestView:
    mem = memory()
    remember(mem, 60)
    view = ForestView(mem)
    view.update()
    return view


def echo(number, request):
    """A model that is good: it repeats an observation."""
    line = request["messages"][1]["content"].splitlines()[0]
    seq, caption = line[1:].split("] ", 1)
    return json.dumps({"name": caption[:20].rsplit(" ", 1)[0], "sentences": [{"text": caption, "records": [int(seq)]}]})


def test_a_reply_that_the_records_bear_out_is_believed():
    made, wrong = checked_reply("Here it is: " + reply() + " Bye", CAPTIONS)
    assert made is not None and not wrong
    assert made[0] == "red mug" and made[1][0].evidence == (4,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "lacks"),
        ("I cannot do that.", "lacks"),
        ('{"name": "mug", "sentences": [', "lacks"),
        ('{"name": "mug", "sentences": [}', "not JSON"),
        ('{"name": 3, "sentences": []}', "lacks a name"),
        ('{"name": "mug", "sentences": []}', "one to three"),
        (reply("mug", *[{"text": "A mug.", "records": [4]}] * 4), "one to three"),
        (reply("mug", "a mug"), "lacks its text"),
        (reply("mug", {"text": "A mug.", "records": []}), "not shown"),
        (reply("mug", {"text": "A mug.", "records": [5]}), "not shown"),
        (reply("mug", {"text": "A mug.", "records": [True]}), "not shown"),
        (reply("mug", {"text": "A mug and an elephant.", "records": [4]}), "elephant"),
        (reply("mug", {"text": "A sink by a mug.", "records": [4]}), "sink"),
        (reply("elephant"), "elephant"),
        (reply("mug", {"text": "There are 7 mugs.", "records": [9]}), "7"),
        (reply("mug", {"text": "A dog.", "records": [11]}), "dog"),
        (reply("mug", {"text": "There are no cups.", "records": [4]}), "denies"),
        (reply("mug", {"text": "The descriptions lack additional context.", "records": [4]}), "says nothing"),
        (reply("Unnamed place"), "says nothing"),
        (reply("mug", {"text": "mug " * 200, "records": [4]}), "longer"),
        (reply("mug", {"text": " ", "records": [4]}), "empty"),
        ("[" * 100_000, "lacks"),
    ],
)  # fmt: skip
def test_any_other_reply_is_refused_with_the_reason(text, words):
    made, wrong = checked_reply(text, CAPTIONS)
    assert made is None and words in wrong


def test_a_good_model_words_the_summaries_within_its_budget(server, forest):
    server.behave = echo
    model = ModelSummariser(server.url, "tiny", key="secret")
    frame = forest.frame_of()
    nodes = forest.trees[frame].nodes().tolist()
    assert improve_forest(forest, frame, model, calls=2) == 2
    assert [forest.summary(frame, node).source for node in nodes[:3]] == ["tiny", "tiny", "extractive"]
    assert forest.summary(frame, nodes[0]).records == 60
    improve_forest(forest, frame, model, calls=1000)
    assert not forest.unworded(frame) and improve_forest(forest, frame, model) == 0
    assert server.requests[0]["model"] == "tiny" and server.requests[0]["path"] == "/v1/chat/completions"
    assert server.requests[0]["key"] == "Bearer secret"


def test_a_model_that_lies_is_asked_once_more_and_then_not_believed(server, forest):
    server.behave = lambda number, request: reply("a purple elephant")
    model = ModelSummariser(server.url, "liar")
    frame = forest.frame_of()
    assert improve_forest(forest, frame, model, calls=4) == 4
    assert model.counters == {"calls": 4, "rejected": 4}
    assert "elephant" in server.requests[1]["messages"][-1]["content"]
    assert {forest.summary(frame, node).source for node in forest.trees[frame].nodes().tolist()} == {"extractive"}
    server.behave = lambda number, request: reply("a lie") if number % 2 else echo(number, request)
    assert improve_forest(forest, frame, model, calls=2) == 2
    assert model.counters["accepted"] == 1


@pytest.mark.parametrize(
    "nonsense", [b"", b"<html>", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}']
)
def test_a_server_that_talks_nonsense_is_given_up_at_once(server, forest, nonsense):
    server.behave = lambda number, request: nonsense
    model = ModelSummariser(server.url, "broken")
    assert improve_forest(forest, forest.frame_of(), model) == 1
    assert model.counters["failed"] == 1


def test_a_slow_server_holds_up_nobody(server, forest):
    server.behave = lambda number, request: 5.0
    model = ModelSummariser(server.url, "slow", timeout_s=0.3)
    frame = forest.frame_of()
    asking = threading.Thread(target=improve_forest, args=(forest, frame, model))
    asking.start()
    assert forest.summary(frame, forest.trees[frame].root).source == "extractive"  # while the model is asked
    asking.join(4)
    assert not asking.is_alive() and model.counters["failed"] == 1
    gone = ModelSummariser("http://127.0.0.1:9", "gone")
    assert improve_forest(forest, frame, gone) == 1 and gone.counters["failed"] == 1


def test_a_wording_of_what_was_forgotten_meanwhile_is_dropped(server, forest):
    mem = forest.memory

    def forget_first(number, request):
        said = echo(number, request)
        if number == 1:
            mem.forget([int(json.loads(said)["sentences"][0]["records"][0])])
            forest.update()
            forest.settle()
        return said

    server.behave = forget_first
    frame = forest.frame_of()
    improve_forest(forest, frame, ModelSummariser(server.url, "tiny"), calls=1)
    assert {forest.summary(frame, node).source for node in forest.trees[frame].nodes().tolist()} == {"extractive"}


def test_a_model_without_an_address_is_refused():
    with pytest.raises(BadInputError, match="base URL"):
        ModelSummariser("localhost", "x")
