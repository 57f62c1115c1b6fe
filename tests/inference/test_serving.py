from __future__ import annotations

import http.server
import json
import threading
import time
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from embodied_mem.errors import BadInputError, RefusedError, UnavailableError
from embodied_mem.inference.generator import OpenAIGenerator, Prompt
from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.inference.serving import Server


class Gate(HashingEmbedder):
    """Waits until it is let through, and notes what came together."""

    def __init__(self):
        super().__init__()
        self.batches: list[list[str]] = []
        self.let = threading.Event()
        self.let.set()
        self.entered = threading.Event()

    def embed(self, texts):
        self.entered.set()
        assert self.let.wait(30)
        if any("broken" in text for text in texts):
            raise RuntimeError("no memory left")
        self.batches.append(list(texts))
        return super().embed(texts)


class Waiter:
    """What became of a request."""

    def __init__(self):
        self.made = self.error = None
        self.ended = threading.Event()

    def done(self, made):
        self.made = made
        self.ended.set()

    def failed(self, error):
        self.error = error
        self.ended.set()


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def server(gate):
    made = Server(gate, capacity=20, batch=4)
    made.start()
    gate.batches.clear()
    gate.entered.clear()
    yield made
    gate.let.set()
    made.stop()


def _ask(server, texts, within_s=20.0):
    waiter = Waiter()
    server.submit(texts, within_s, waiter.done, waiter.failed)
    return waiter


def _hold(server, gate):
    """Keep the owner busy with a first request."""
    gate.let.clear()
    first = _ask(server, ["first"])
    assert gate.entered.wait(10)
    return first


def test_each_caller_gets_the_vectors_of_its_own_texts(server, gate):
    first = _hold(server, gate)
    waiters = [_ask(server, [f"mug {number}", f"lamp {number}"]) for number in range(5)]
    gate.let.set()
    for number, waiter in enumerate(waiters):
        assert waiter.ended.wait(10)
        expected = HashingEmbedder().embed([f"mug {number}", f"lamp {number}"])
        np.testing.assert_array_equal(waiter.made.vectors, expected)
    assert first.ended.is_set()
    assert [len(batch) for batch in gate.batches] == [1, 4, 4, 2]
    assert server.figures()["batch_mean"] == pytest.approx(11 / 4, abs=0.1)


def test_the_earliest_deadline_goes_first(server, gate):
    _hold(server, gate)
    order = {"late": 20.0, "soon": 10.0, "middle": 15.0, "first of all": 9.0, "last": 25.0}
    waiters = [_ask(server, [text] * 4, within) for text, within in order.items()]
    gate.let.set()
    assert all(waiter.ended.wait(10) for waiter in waiters)
    assert [batch[0] for batch in gate.batches[1:]] == sorted(order, key=order.__getitem__)


def test_a_full_queue_refuses_and_loses_nothing(server, gate):
    _hold(server, gate)
    waiting = [_ask(server, ["text"] * 5) for _ in range(4)]
    with pytest.raises(RefusedError, match="wait already") as refusal:
        _ask(server, ["one more"])
    assert refusal.value.reason == "queue_full"
    gate.let.set()
    assert all(waiter.ended.wait(10) and waiter.made is not None for waiter in waiting)
    assert server.counters["refused_queue_full"] == 1 and len(server) == 0


def test_what_cannot_be_done_in_time_is_refused_at_once_and_so_is_what_would_make_others_late(server, gate):
    server._seconds[:] = [1.0] * len(server._seconds)  # every batch takes a second
    _hold(server, gate)
    with pytest.raises(RefusedError) as refusal:
        _ask(server, ["in no time"], 0.5)
    assert refusal.value.reason == "too_late" and "It could not" in str(refusal.value)
    kept = _ask(server, ["text"] * 4, 4.0)
    with pytest.raises(RefusedError) as refusal:
        _ask(server, ["text"] * 8, 3.9)  # two batches before it
    assert refusal.value.reason == "too_late"
    gate.let.set()
    assert kept.ended.wait(10) and kept.made is not None


def test_what_missed_its_deadline_is_not_embedded(server, gate):
    _hold(server, gate)
    server._seconds[:] = [0.0] * len(server._seconds)
    server._busy_until = 0.0
    missed, kept = _ask(server, ["missed"], 0.05), _ask(server, ["kept"])
    time.sleep(0.1)
    gate.let.set()
    assert missed.ended.wait(10) and missed.error.reason == "missed"
    assert kept.ended.wait(10) and kept.made is not None
    assert all("missed" not in batch for batch in gate.batches)


def test_a_model_that_fails_fails_its_batch_and_the_next_goes_on(server, gate):
    broken = _ask(server, ["broken"])
    assert broken.ended.wait(10) and isinstance(broken.error, UnavailableError) and "no memory" in str(broken.error)
    whole = _ask(server, ["a mug"])
    assert whole.ended.wait(10) and whole.made is not None


def test_another_model_takes_over_between_two_batches(server, gate):
    first = _hold(server, gate)
    waiting = _ask(server, ["a mug"])
    server.swap(HashingEmbedder(seed=1))
    gate.let.set()
    assert waiting.ended.wait(10) and first.ended.wait(10)
    assert first.made.embedder is gate and waiting.made.embedder.name != gate.name


def test_stopping_fails_what_waits_and_refuses_what_comes(server, gate):
    first = _hold(server, gate)
    waiting = _ask(server, ["a mug"])
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    assert waiting.ended.wait(10) and isinstance(waiting.error, UnavailableError)
    with pytest.raises(UnavailableError):
        _ask(server, ["too late"])
    gate.let.set()
    stopping.join(10)
    assert first.made is not None


@pytest.mark.parametrize(("texts", "within"), [([], 1.0), (["mug", ""], 1.0), (["mug"], 0.0), (["mug"], float("nan"))])
def test_bad_requests_are_refused_and_trouble_nobody(server, texts, within):
    with pytest.raises(BadInputError):
        _ask(server, texts, within)
    assert len(server) == 0


@contextmanager
def language_model():
    """An endpoint that answers with what it was asked ("garbage": no JSON, "slow": late), and a list of that."""
    asked: list[Any] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, self.headers.get("Authorization"), body))
            said = body["messages"][-1]["content"]
            usage = {"prompt_tokens": 3, "completion_tokens": 2}
            choice = {"message": {"content": said.upper()}, "finish_reason": "stop"}
            reply = json.dumps({"model": "tiny-1", "choices": [choice], "usage": usage}).encode()
            if said == "slow":
                time.sleep(0.5)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>" if said == "garbage" else reply)

        def log_message(self, *args):
            pass

    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}/v1", asked
    served.shutdown()
    served.server_close()


@pytest.fixture
def endpoint():
    with language_model() as made:
        yield made


def test_a_language_model_is_asked_as_the_protocol_wants_it(endpoint):
    url, asked = endpoint
    generator = OpenAIGenerator(url, "tiny", key="secret")
    reply = generator.generate(Prompt("where?", "Be short.", '{"type": "object"}', 7, 0.5, 3), 10)
    assert (reply.text, reply.model, reply.finish) == ("WHERE?", "tiny-1", "stop")
    assert (reply.prompt_tokens, reply.completion_tokens) == (3, 2)
    path, key, body = asked[0]
    assert path == "/v1/chat/completions" and key == "Bearer secret"
    assert body["messages"][0] == {"role": "system", "content": "Be short."}
    assert (body["max_tokens"], body["temperature"], body["seed"]) == (7, 0.5, 3)
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_a_language_model_without_a_reply_is_unavailable(endpoint):
    url, _ = endpoint
    for generator, prompt in (
        (OpenAIGenerator(url, "tiny"), "garbage"),
        (OpenAIGenerator(url, "tiny"), "slow"),
        (OpenAIGenerator("http://127.0.0.1:9/v1", "tiny"), "hello"),
    ):
        with pytest.raises(UnavailableError, match="is it running"):
            generator.generate(Prompt(prompt), 0.2)
    with pytest.raises(BadInputError):
        OpenAIGenerator(url, "tiny").generate(Prompt("x", schema="{"), 1)
    with pytest.raises(BadInputError):
        OpenAIGenerator("ftp://x", "tiny")
