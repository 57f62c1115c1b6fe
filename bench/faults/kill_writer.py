"""Writers that are to be killed: python -m bench.faults.kill_writer FOLDER. No ROS.

For each line on its standard input it forks a writer, which is spared the imports, and prints "pid NUMBER". The writer
prints "open" when it has opened the memory, then writes durable observations, one by one and in batches, and prints
"RECORD SAMPLE" for each that is on disk (a line is shorter than a pipe's atomic write). When it was killed: "ended".
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bench.faults.samples import clock, embedder, sample
from embodied_mem.records.memory import Admitted, RecordMemory
from embodied_mem.records.query import Query


def say(text: str) -> None:
    """A line; on its own, so that a kill never leaves half of it."""
    os.write(1, f"{text}\n".encode())


def write_for_ever(folder: Path) -> None:
    memory = RecordMemory.open(folder, embedder(), clock=clock)
    key = 100 + 2 * memory.watermark  # beyond every sample in the log, whatever was lost
    say("open")
    while True:
        count = 1 if key % 4 else 7
        keys = range(key, key + count)
        key += count
        outcomes = memory.remember_many([sample(number) for number in keys], durable=True)
        for outcome, number in zip(outcomes, keys, strict=True):
            assert isinstance(outcome, Admitted) and not outcome.folded, outcome
            say(f"{outcome.seq} {number}")


def main() -> int:
    warm = RecordMemory.in_memory(embedder(), clock=clock)  # compiled code is loaded once, and no thread started
    warm.remember_many([sample(number) for number in range(8)])
    warm.query(Query(text="a cup"))
    for _ in sys.stdin:
        ready, go = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.read(ready, 1)
                write_for_ever(Path(sys.argv[1]))
            except BaseException as error:
                say(f"failed: {error!r}")
            os._exit(1)
        say(f"pid {child}")
        os.write(go, b"!")  # only now, so that its lines come after this one
        os.waitpid(child, 0)
        os.close(ready)
        os.close(go)
        say("ended")
    return 0


if __name__ == "__main__":
    sys.exit(main())
