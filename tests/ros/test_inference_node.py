"""The inference node over real DDS: vectors as in process, deadlines, refusals, a model that is replaced, prompts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from embodied_mem_msgs.srv import Embed, Generate
from std_srvs.srv import Trigger

from embodied_mem.errors import BadInputError, ModelMismatchError, UnavailableError
from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.nodes import diagnostics, qos
from embodied_mem.nodes.inference_node import InferenceNode
from tests.inference.test_serving import language_model
from tests.ros.conftest import SMALL
from tests.ros.graph import Graph, until

TEXTS = ["a red mug", "two chairs", "where is the lamp?"]


@pytest.fixture(scope="module")
def graph() -> Iterator[Graph]:
    with Graph() as made:
        yield made


@pytest.fixture(scope="module")
def node(graph: Graph) -> Any:
    return graph.up(InferenceNode, {**SMALL, "queue": 8, "batch": 4})


@pytest.fixture(scope="module")
def client(graph: Graph, node: Any) -> Any:
    return graph.client()


def test_vectors_are_those_of_the_process_and_say_whose_they_are(client: Any) -> None:
    response = client.call(Embed, "embed", Embed.Request(texts=TEXTS, deadline=5.0))
    vectors = np.array(response.vectors, dtype=np.float32).reshape(-1, response.dim)
    np.testing.assert_array_equal(vectors, HashingEmbedder().embed(TEXTS))
    assert response.model == HashingEmbedder().name and response.source == "" and response.backend


def test_bad_requests_get_a_sentence(client: Any) -> None:
    with pytest.raises(BadInputError, match="empty"):
        client.call(Embed, "embed", Embed.Request(texts=["mug", " "]))
    with pytest.raises(BadInputError, match="deadline"):
        client.call(Embed, "embed", Embed.Request(texts=["mug"], deadline=-1.0))
    with pytest.raises(ModelMismatchError, match="another-model"):
        client.call(Embed, "embed", Embed.Request(texts=["mug"], model="another-model"))
    with pytest.raises(UnavailableError, match="endpoint"):
        client.call(Generate, "generate", Generate.Request(prompt="hello"), timeout_s=0.5)


def test_more_than_may_wait_is_refused_with_the_reason(graph: Graph, node: Any, client: Any) -> None:
    service = graph.probe.create_client(Embed, "embed")
    assert service.wait_for_service(10)
    before = node.counters["embed_refused"]
    response = _result(service.call_async(Embed.Request(texts=["mug"] * 9)))
    assert response.error_code == Embed.Response.REFUSED and response.reason == "queue_full"
    assert node.counters["embed_refused"] == before  # an answer, and no mistake of the caller's


def test_reloading_goes_on_without_a_pause_and_is_counted(graph: Graph, node: Any, client: Any) -> None:
    told = graph.inbox(DiagnosticArray, diagnostics.TOPIC, qos.reliable(100))
    old = node._server.embedder
    service = graph.probe.create_client(Trigger, "inference/reload")
    assert service.wait_for_service(10)
    future = service.call_async(Trigger.Request())
    assert client.call(Embed, "embed", Embed.Request(texts=TEXTS)).dim == 384
    response = _result(future)
    assert response.success and old.name in response.message and node._server.embedder is not old
    assert client.call(Embed, "embed", Embed.Request(texts=TEXTS)).dim == 384

    def said(message: DiagnosticArray) -> bool:
        values = {item.key: item.value for status in message.status for item in status.values}
        return values.get("swaps") == "1" and "latency_p99_ms" in values and "batch_mean" in values

    told.wait(said)


def test_prompts_reach_the_endpoint(graph: Graph) -> None:
    with language_model() as (url, _):
        node = graph.up(InferenceNode, {**SMALL, "endpoint": url, "endpoint_model": "tiny"}, namespace="/other")
        service = graph.probe.create_client(Generate, "/other/generate")
        assert service.wait_for_service(10)
        response = _result(service.call_async(Generate.Request(prompt="hello")))
        assert (response.error_code, response.text, response.completion_tokens) == (0, "HELLO", 2)
        response = _result(service.call_async(Generate.Request(prompt="slow", deadline=0.1)))
        assert response.error_code == Generate.Response.UNAVAILABLE
        assert node.active


def _result(future: Any) -> Any:
    return until(lambda: future.result() if future.done() else None, "a response")
