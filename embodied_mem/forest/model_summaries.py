"""Summaries by a language model, believed only as far as the records bear them out.

Any OpenAI-compatible endpoint (Ollama, vLLM, llama.cpp and others). The reply must be JSON of the schema below; every
sentence must name records of the node, and every content word in it must be in the captions of the records that it
names. So no object is claimed that no record mentions; denials and refusals are refused too, since captions cannot
prove them. A reply that fails is asked for once more, with the reason; then the extractive summary stays.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from embodied_mem.errors import BadInputError, UnavailableError
from embodied_mem.forest.summarise import MODEL, Sentence, Summary
from embodied_mem.forest.view import ForestView
from embodied_mem.forest.words import asserted, terms

_SHOWN = 12  # captions shown to the model
_LONGEST = 400  # characters of a name or sentence
_REPLY = 200_000  # bytes read of a reply
_REFUSAL = re.compile(
    r"\b(?:sorry|cannot|can't|unable|as an ai|not enough|insufficient|additional context|more information"
    r"|enough information|no information"
    r"|unnamed|unknown|unspecified|provided descriptions?)\b",
    re.IGNORECASE,
)
_PROMPT = (
    "Summarise what these observations of one area have in common. Use only words that stand in the observations. "
    'Reply with JSON only: {"name": "two to five words", "sentences": [{"text": "...", "records": [numbers]}]}, with '
    "one "
    "to three sentences, each naming the numbers of the observations that it rests on."
)


@dataclass(eq=False)
class ModelSummariser:
    """Asks one model; counts what came of it in `counters`: calls, accepted, rejected, failed.

    base_url  such as http://localhost:11434/v1; model: its name there; timeout_s: of one call, reading included
    key       a bearer token, where the server wants one
    """

    base_url: str
    model: str
    timeout_s: float = 20.0
    key: str = ""
    counters: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")) or not self.model:
            raise BadInputError("A language model needs a base URL that begins with http and the model's name.")

    def improve(
        self, summary: Summary, captions: Mapping[int, str], deadline: float = float("inf"), calls: int = 2
    ) -> Summary:
        """The summary in the model's words, or the one that was given when the model has nothing that can be believed.

        captions  by number, of the records to show; deadline: monotonic seconds; calls: how many may be made, at most 2
        """
        messages = [
            {"role": "system", "content": _PROMPT},
            {"role": "user", "content": "\n".join(f"[{seq}] {caption}" for seq, caption in captions.items())},
        ]
        for _ in range(min(calls, 2)):
            left = min(self.timeout_s, deadline - time.monotonic())
            if left <= 0:
                return summary
            self.counters["calls"] += 1
            try:
                reply = self._ask(messages, left)
            except UnavailableError:
                self.counters["failed"] += 1
                return summary  # a server that is slow or gone is not asked twice
            made, wrong = checked_reply(reply, captions)
            if made is not None:
                self.counters["accepted"] += 1
                return replace(summary, name=made[0], sentences=made[1], source=self.model)
            self.counters["rejected"] += 1
            messages += [{"role": "assistant", "content": reply[:2000]}, {"role": "user", "content": f"Wrong: {wrong}"}]
        return summary

    def _ask(self, messages: Sequence[Mapping[str, str]], timeout: float) -> str:
        """The text of the reply. Raises UnavailableError."""
        body = json.dumps({
            "model": self.model, "messages": list(messages), "temperature": 0,
            "response_format": {"type": "json_object"},
        })  # fmt: skip
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        url = f"{self.base_url.rstrip('/')}/chat/completions"
        request = urllib.request.Request(url, body.encode(), headers)
        end = time.monotonic() + timeout
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                data = b""
                while len(data) < _REPLY and (part := response.read1(65_536)):
                    data += part
                    if time.monotonic() > end:  # a server that trickles
                        raise TimeoutError("the reply took too long")
            content = json.loads(data)["choices"][0]["message"]["content"]
        except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError, LookupError, TypeError) as error:
            raise UnavailableError(f"The language model at {url} gave no reply ({error}).") from error
        if not isinstance(content, str):
            raise UnavailableError(f"The language model at {url} replied without text.")
        return content


def checked_reply(reply: str, captions: Mapping[int, str]) -> tuple[tuple[str, tuple[Sentence, ...]] | None, str]:
    """The name and sentences of a reply when all of it can be believed, else None and what is wrong."""
    match = re.search(r"\{.*\}", reply, re.DOTALL)
    try:
        data: Any = json.loads(match[0]) if match else None
    except (ValueError, RecursionError) as error:
        return None, f"it is not JSON ({error})."
    if (
        not isinstance(data, dict)
        or not isinstance(data.get("name"), str)
        or not isinstance(data.get("sentences"), list)
    ):
        return None, "it lacks a name or a list of sentences."
    if not 1 <= len(data["sentences"]) <= 3:
        return None, "it must have one to three sentences."
    name, sentences = data["name"].strip(), []
    if wrong := _unsupported(name, captions, tuple(captions)):
        return None, wrong
    for item in data["sentences"]:
        if (
            not isinstance(item, dict)
            or not isinstance(item.get("text"), str)
            or not isinstance(item.get("records"), list)
        ):
            return None, "a sentence lacks its text or its records."
        if not item["records"] or not all(type(seq) is int and seq in captions for seq in item["records"]):
            return None, "a sentence rests on records that were not shown."
        seqs = tuple(dict.fromkeys(item["records"]))
        if wrong := _unsupported(item["text"].strip(), captions, seqs):
            return None, wrong
        sentences.append(Sentence(MODEL, item["text"].strip(), seqs))
    return (name, tuple(sentences)), ""


def _unsupported(text: str, captions: Mapping[int, str], seqs: Sequence[int]) -> str:
    """What a text says that the captions of these records do not; "" when nothing."""
    if not text or len(text) > _LONGEST:
        return f"a name or sentence is empty or longer than {_LONGEST} characters."
    if _REFUSAL.search(text):
        return f"{text[:60]!r} says nothing of the place."
    if asserted(text) != text:
        return f"{text[:60]!r} denies something, which observations cannot prove."
    known = {word for seq in seqs for term in terms(captions[seq]) for word in term.strip('"').split()}
    known |= set(re.findall(r"\d+", " ".join(captions[seq] for seq in seqs)))
    said = {word for term in terms(text) for word in term.strip('"').split()} | set(re.findall(r"\d+", text))
    missing = sorted(said - known)
    return f"no observation that it names mentions {', '.join(missing[:5])}." if missing else ""


def improve_forest(
    forest: ForestView, frame: str, summariser: ModelSummariser, *, calls: int = 10, seconds: float = 30.0
) -> int:
    """Let the model word the summaries that are out of date, from the top down, within a budget; returns its calls.

    The forest is not locked while the model is asked; a summary whose node changed meanwhile is dropped.
    """
    deadline, before = time.monotonic() + seconds, summariser.counters["calls"]
    for node in forest.unworded(frame):
        left = calls - (summariser.counters["calls"] - before)
        if left <= 0 or time.monotonic() >= deadline:
            break
        failed = summariser.counters["failed"]
        started = forest.to_word(frame, node, _SHOWN)
        if started is None:
            continue
        version, summary, captions = started
        forest.take_wording(frame, node, version, summariser.improve(summary, captions, deadline, left))
        if summariser.counters["failed"] > failed:
            break
    return summariser.counters["calls"] - before
