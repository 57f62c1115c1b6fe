"""Text by a language model behind an OpenAI-compatible endpoint (Ollama, vLLM, llama.cpp and others)."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from embodied_mem.errors import BadInputError, UnavailableError

_LONGEST_REPLY = 2**20  # bytes


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is asked. schema: of a JSON reply, as text; seed -1: the endpoint's own."""

    prompt: str
    system: str = ""
    schema: str = ""
    max_tokens: int = 512
    temperature: float = 0.0
    seed: int = -1


@dataclass(frozen=True, slots=True)
class Reply:
    """What it said; why it ended; tokens as the endpoint counts them, 0 when it does not say."""

    text: str
    model: str
    finish: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class OpenAIGenerator:
    """base_url such as http://localhost:11434/v1, the model's name there, a bearer token where one is wanted."""

    base_url: str
    model: str
    key: str = ""

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")) or not self.model:
            raise BadInputError("A language model needs a base URL that begins with http and the model's name.")

    def generate(self, prompt: Prompt, timeout_s: float) -> Reply:
        """Raises BadInputError for a prompt that makes no sense, UnavailableError without a reply in time."""
        body = json.dumps(self._body(prompt)).encode()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        url = f"{self.base_url.rstrip('/')}/chat/completions"
        end = time.monotonic() + timeout_s
        try:
            request = urllib.request.Request(url, body, headers)
            with urllib.request.urlopen(request, timeout=timeout_s) as response:
                data = b""
                while part := response.read1(65_536):
                    data += part
                    if len(data) > _LONGEST_REPLY or time.monotonic() > end:
                        raise TimeoutError("the reply was too long or took too long")
            return self._reply(json.loads(data))
        except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError, LookupError, TypeError) as error:
            raise UnavailableError(
                f"The language model at {url} gave no reply ({error}): is it running, and is {self.model!r} there?"
            ) from error

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        if not prompt.prompt.strip() or prompt.max_tokens < 1 or not 0 <= prompt.temperature <= 2:
            raise BadInputError("A prompt, max_tokens of at least 1 and a temperature from 0 to 2 are wanted.")
        messages = [{"role": "system", "content": prompt.system}] if prompt.system else []
        body: dict[str, Any] = {
            "model": self.model, "messages": [*messages, {"role": "user", "content": prompt.prompt}],
            "max_tokens": prompt.max_tokens, "temperature": prompt.temperature,
        }  # fmt: skip
        if prompt.seed >= 0:
            body["seed"] = prompt.seed
        if prompt.schema:
            try:
                schema = json.loads(prompt.schema)
            except ValueError as error:
                raise BadInputError(f"The schema is no JSON ({error}).") from error
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
        return body

    def _reply(self, data: Any) -> Reply:
        choice, usage = data["choices"][0], data.get("usage") or {}
        text = choice["message"]["content"]
        if not isinstance(text, str):
            raise ValueError("the reply has no text")
        return Reply(
            text, str(data.get("model") or self.model), str(choice.get("finish_reason") or ""),
            int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0),
        )  # fmt: skip
