"""One model for many callers: a thread that owns it, batches of what waits, the earliest deadline first.

A request is admitted only when everything that was admitted before, and it, can be done in time by what batches were
seen to take; else it is refused at once with the reason, so that under overload the work that is done is of use.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError, RefusedError, UnavailableError
from embodied_mem.inference.protocols import Embedder
from embodied_mem.inference.texts import checked_texts

_MARGIN = 1.3  # batches may take so much longer than they were seen to
_FORGETTING = 0.9  # of the longest seen, at each batch that was faster
_REMEMBERED = 1024  # requests of which latencies are kept


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Vectors (n, d), and the model that made them."""

    vectors: NDArray[np.float32]
    embedder: Embedder


@dataclass(slots=True, eq=False)
class Request:
    """Texts that somebody waits for. `done` or `failed` is called once, on the owner's thread."""

    texts: list[str]
    came: float
    deadline: float  # monotonic seconds
    done: Callable[[Made], None]
    failed: Callable[[Exception], None]


@dataclass(eq=False)
class Server:
    """Embeds for many callers; see the module docstring. Call `start` first, and `stop` at the end.

    embedder  without a cache, whose hits would be taken for its speed
    capacity  texts that may wait
    batch     texts that are embedded at once
    clock     monotonic seconds
    """

    embedder: Embedder
    capacity: int = 512
    batch: int = 32
    clock: Callable[[], float] = time.monotonic
    counters: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if self.capacity < 1 or self.batch < 1:
            raise BadInputError("The queue and a batch must have room for at least one text.")
        self._waiting: list[Request] = []  # by deadline
        self._changed = threading.Condition()
        self._stopping = False
        self._busy_until = 0.0
        self._seconds = [0.0] * (self.batch.bit_length() + 1)  # longest seen, by the batch's size in powers of two
        self._latencies: deque[float] = deque(maxlen=_REMEMBERED)
        self._sizes: deque[int] = deque(maxlen=_REMEMBERED)
        self._thread = threading.Thread(target=self._run, name="embed", daemon=True)

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def start(self, text: str = "a red mug stands on the table next to the window") -> None:
        """Embed a batch of every size class, which also measures them, and begin."""
        self.measure(text)
        self._thread.start()

    def measure(self, text: str) -> None:
        """Run a batch of every size class through the model, and keep how long each took."""
        for place in range(len(self._seconds)):
            texts = [f"{text} {number}" for number in range(min(2**place, self.batch))]
            self.embedder.embed(texts)
            begin = self.clock()
            self.embedder.embed(texts)
            self._seconds[place] = self.clock() - begin

    def submit(
        self,
        texts: Sequence[str],
        within_s: float,
        done: Callable[[Made], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Take a request that is of use within so many seconds.

        Raises BadInputError for texts that cannot be embedded; RefusedError with the reason queue_full (too many wait)
        or too_late (it could not be done in time, or others not with it); UnavailableError when stopping.
        """
        cleaned = checked_texts(texts)
        if not cleaned or not np.isfinite(within_s) or within_s <= 0:
            raise BadInputError("At least one text is wanted, and a deadline above 0 seconds.")
        now = self.clock()
        request = Request(cleaned, now, now + within_s, done, failed)
        with self._changed:
            if self._stopping:
                raise UnavailableError("The model is being shut down: ask again when it is back.")
            place = self._admit(request, now)
            self._waiting.insert(place, request)
            self.counters["admitted"] += 1
            self._changed.notify_all()

    def swap(self, embedder: Embedder) -> None:
        """Go on with another model, which has embedded something before, from the next batch on."""
        with self._changed:
            self.embedder = embedder
            self.counters["swaps"] += 1

    def stop(self, timeout_s: float = 5.0) -> None:
        """Fail what waits, finish the batch that runs."""
        with self._changed:
            self._stopping = True
            left, self._waiting = self._waiting, []
            self._changed.notify_all()
        for request in left:
            request.failed(UnavailableError("The model is being shut down: ask again when it is back."))
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def __len__(self) -> int:
        return sum(len(request.texts) for request in self._waiting)

    def figures(self) -> dict[str, float]:
        """Of the last requests: percentiles of the latency in ms, mean texts of a batch."""
        with self._changed:
            latencies, sizes = list(self._latencies), list(self._sizes)
        if not latencies:
            return {}
        p50, p95, p99 = np.quantile(latencies, (0.5, 0.95, 0.99)) * 1e3
        return {
            "latency_p50_ms": round(float(p50), 2), "latency_p95_ms": round(float(p95), 2),
            "latency_p99_ms": round(float(p99), 2), "batch_mean": round(float(np.mean(sizes)), 1),
        }  # fmt: skip

    # --- inside ------------------------------------------------------------------------------------------------

    def _admit(self, request: Request, now: float) -> int:
        """Where in the queue it goes. Raises RefusedError."""
        if len(self) + len(request.texts) > self.capacity:
            self.counters["refused_queue_full"] += 1
            raise RefusedError(
                f"{len(self)} texts wait already and no more than {self.capacity} may: ask again later.", "queue_full"
            )
        place = next((at for at, other in enumerate(self._waiting) if other.deadline > request.deadline), None)
        place = len(self._waiting) if place is None else place
        end, count = max(now, self._busy_until), 0
        for at, other in enumerate([*self._waiting[:place], request, *self._waiting[place:]]):
            count += len(other.texts)
            if at >= place and end + self._expected(count) > other.deadline:
                self.counters["refused_too_late"] += 1
                whose = "it" if other is request else "what was admitted before"
                raise RefusedError(f"{whose.capitalize()} could not be done in time: ask for less.", "too_late")
        return place

    def _expected(self, count: int) -> float:
        """Seconds that so many texts take, in full batches and a rest."""
        full, rest = divmod(count, self.batch)
        return _MARGIN * (full * self._seconds[-1] + (self._seconds[(rest - 1).bit_length()] if rest else 0.0))

    def _take(self) -> list[Request]:
        """The next requests to embed, at least one; empty when stopping. What is past its deadline is refused."""
        with self._changed:
            self._busy_until = 0.0
            self._changed.wait_for(lambda: self._waiting or self._stopping)
            now = self.clock()
            missed = [request for request in self._waiting if request.deadline <= now]
            self._waiting = self._waiting[len(missed) :]
            taken: list[Request] = []
            count = 0
            while self._waiting and (not taken or count + len(self._waiting[0].texts) <= self.batch):
                taken.append(self._waiting.pop(0))
                count += len(taken[-1].texts)
            self._busy_until = now + self._expected(count)
        for request in missed:
            self.counters["missed"] += 1
            request.failed(RefusedError("It could not be done in time after all: ask again.", "missed"))
        return taken

    def _run(self) -> None:
        while True:
            taken = self._take()
            if taken:
                self._embed(taken)
            elif self._stopping:
                return

    def _embed(self, taken: list[Request]) -> None:
        texts = [text for request in taken for text in request.texts]
        embedder = self.embedder
        begin = self.clock()
        try:
            vectors = embedder.embed(texts)
        except Exception as error:
            self.counters["batches_failed"] += 1
            for request in taken:
                request.failed(UnavailableError(f"The model failed ({type(error).__name__}: {error}): ask again."))
            return
        end = self.clock()
        self._learn(len(texts), end - begin)
        at = 0
        for request in taken:
            stop = at + len(request.texts)
            with self._changed:
                self._latencies.append(end - request.came)
                self.counters["late"] += end > request.deadline
                self.counters["done"] += 1
            request.done(Made(vectors[at:stop], embedder))
            at = stop

    def _learn(self, count: int, seconds: float) -> None:
        place = min((count - 1).bit_length(), len(self._seconds) - 1)
        seconds *= min(2**place, self.batch) / count if count > self.batch else 1.0
        with self._changed:
            self._sizes.append(count)
            self._seconds[place] = max(seconds, _FORGETTING * self._seconds[place] + (1 - _FORGETTING) * seconds)
