"""Requests and responses of the inference node."""

from __future__ import annotations

import array
from typing import Any

import numpy as np

from embodied_mem.errors import RefusedError
from embodied_mem.inference.generator import Prompt, Reply
from embodied_mem.inference.protocols import Embedder
from embodied_mem.inference.serving import Made


def backend_of(embedder: Embedder) -> str:
    """What executes it, in a word."""
    return str(getattr(embedder, "runtime", "") or "numpy")


def fill_embedded(response: Any, made: Made) -> None:
    """The vectors, and whose they are."""
    embedder = made.embedder
    response.model, response.backend, response.dim = embedder.name, backend_of(embedder), embedder.dim
    response.source = str(getattr(embedder, "source", ""))
    response.cosine = float(getattr(embedder, "cosine", 0.0))
    numbers = array.array("f")
    numbers.frombytes(np.ascontiguousarray(made.vectors, dtype=np.float32).tobytes())
    response.vectors = numbers


def refuse(response: Any, refusal: RefusedError) -> None:
    response.error_code, response.message, response.reason = refusal.code, str(refusal), refusal.reason


def prompt_of(request: Any) -> Prompt:
    return Prompt(request.prompt, request.system, request.schema, request.max_tokens, request.temperature, request.seed)


def fill_reply(response: Any, reply: Reply) -> None:
    response.text, response.model, response.finish = reply.text, reply.model, reply.finish
    response.prompt_tokens, response.completion_tokens = reply.prompt_tokens, reply.completion_tokens
