"""Holds the networks that other nodes use: a sentence embedder, and the way to a language model.

Serves      embed, generate, ~/reload (reads the model's file again and goes on with it, without a pause)

Threads: one owns the embedder and batches what waits, the earliest deadline first (inference/serving.py); one waits
for the language model; one loads what replaces the embedder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from embodied_mem_msgs.srv import Embed, Generate
from std_srvs.srv import Trigger

from embodied_mem.errors import BadInputError, EmbodiedMemError, ModelMismatchError, RefusedError, UnavailableError
from embodied_mem.inference.generator import OpenAIGenerator, Reply
from embodied_mem.inference.select import default_embedder
from embodied_mem.inference.serving import Made, Server
from embodied_mem.nodes import qos
from embodied_mem.nodes.base import MemoryNode
from embodied_mem.nodes.conversions import inference
from embodied_mem.nodes.recording import Job
from embodied_mem.nodes.settings import InferenceSettings
from embodied_mem.nodes.spin import run
from embodied_mem.nodes.worker import Worker

_WARM = "a red mug stands on the table next to the window"


class InferenceNode(MemoryNode):
    """See the module docstring."""

    Parameters = InferenceSettings

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("inference", **kwargs)
        self._server: Any = None
        self._generator: Any = None
        self._talker: Any = None
        self._loader: Any = None

    def configure(self) -> None:
        p: InferenceSettings = self.parameters
        key = os.environ.get(p.endpoint_key, "") if p.endpoint_key else ""
        self._generator = OpenAIGenerator(p.endpoint, p.endpoint_model, key) if p.endpoint else None
        self._server = Server(default_embedder(p.embedder, cache=False), capacity=p.queue, batch=p.batch)
        self._talker = Worker("generate", _run_jobs, capacity=p.prompts, on_error=lambda e: self.fault("generating", e))
        self._loader = Worker("load", _run_jobs, capacity=1, on_error=lambda e: self.fault("loading", e))
        self.serve(Embed, "embed", self._embed, depth=qos.MANY_REQUESTS)
        self.serve(Generate, "generate", self._generate)
        self.serve_plain(Trigger, "~/reload", self._reload)

    def activate(self) -> None:
        if not self._server.running:
            self._server.start(_WARM)

    def cleanup(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.stop()
        for worker in (self._talker, self._loader):
            for job in worker.stop(1.0) if worker is not None else ():
                job.failed(UnavailableError("The inference node is stopping: ask again when it is back."))
        self._talker = self._loader = self._generator = None

    def diagnose(self) -> Mapping[str, object]:
        if self._server is None:
            return {}
        embedder = self._server.embedder
        return {
            "model": embedder.name, "backend": inference.backend_of(embedder), "queue": len(self._server),
            "prompts": len(self._talker), **self._server.figures(), **self._server.counters,
        }  # fmt: skip

    # --- services ----------------------------------------------------------------------------------------------

    async def _embed(self, request: Any, response: Any) -> None:
        server: Server = self._server
        if request.model and request.model != server.embedder.name:
            raise ModelMismatchError(
                f"This node holds {server.embedder.name!r}, not {request.model!r}: ask another one, or configure it."
            )
        future = self.future()
        try:
            server.submit(
                request.texts, request.deadline or self.parameters.deadline, future.set_result, future.set_exception
            )
            made: Made = await future
        except RefusedError as refusal:
            inference.refuse(response, refusal)
            return
        inference.fill_embedded(response, made)

    async def _generate(self, request: Any, response: Any) -> None:
        generator: OpenAIGenerator | None = self._generator
        if generator is None:
            raise UnavailableError("No language model is configured: set the parameters endpoint and endpoint_model.")
        prompt = inference.prompt_of(request)
        within = request.deadline or self.parameters.generate_deadline
        if not within > 0:
            raise BadInputError(f"A deadline is above 0 seconds, not {within:g}.")
        future = self.future()
        if not self._talker.insist(Job(lambda: generator.generate(prompt, within), *_ends(future))):
            inference.refuse(response, RefusedError("Too many prompts wait already: ask again later.", "queue_full"))
            return
        reply: Reply = await self.within(future, within, f"The language model did not answer within {within:g} s.")
        inference.fill_reply(response, reply)

    async def _reload(self, request: Any, response: Any) -> Any:
        server: Server = self._server
        future = self.future()

        def load() -> str:
            embedder = default_embedder(self.parameters.embedder, cache=False)
            embedder.embed([_WARM])
            server.swap(embedder)
            return embedder.name

        if not self._loader.insist(Job(load, *_ends(future))):
            return Trigger.Response(success=False, message="A model is being loaded already: wait for it.")
        try:
            response.success, response.message = True, f"{await future} is in use."
        except EmbodiedMemError as error:  # the model that is there stays
            response.success, response.message = False, str(error)
        return response


def _ends(future: Any) -> tuple[Callable[[Any], None], Callable[[Exception], None]]:
    """What a job calls at its end; nobody may be waiting any more."""
    return (
        lambda result: None if future.done() else future.set_result(result),
        lambda error: None if future.done() else future.set_exception(error),
    )


def _run_jobs(jobs: Sequence[Job]) -> None:
    jobs[0].run()  # a batch is one


def main() -> int:
    return run(lambda: [InferenceNode()])


if __name__ == "__main__":
    sys.exit(main())
