"""Writes a small memory and prints its database as SQL: run by the code of an older version, it is what that left.

    git worktree add ../old COMMIT && cd ../old
    python /path/to/generate.py > /path/to/version_N.sql

version_1.sql: commit 6a844d5^.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, ".")

from embodied_mem.records.memory import RecordMemory
from tests.records.builders import START, Clock, LetterEmbedder, detections, observation, seeing

SECOND = 1_000_000_000


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        memory = RecordMemory.open(name, LetterEmbedder(), clock=Clock(START + 1000 * SECOND))
        for i, caption in enumerate(("a red mug", "a chair", "a lamp on a desk", "a door")):
            found = detections([caption.split()[1]], [(i, 1, 0.5)])
            memory.remember(observation(20 * i, (i, 0, 0), caption, detections=found, view=seeing()))
        memory.remember(observation(61, (3, 0, 0), "a door", detections=found, view=seeing()))
        memory.correct(3, caption="a stool", position=(1.0, 2.0, 0.0))
        memory.forget([4])
        memory.undo(memory.set_map("cellar"))
        memory.close()
        database = sqlite3.connect(Path(name) / "log.db")
        for pragma in ("application_id", "user_version"):
            print(f"PRAGMA {pragma} = {database.execute(f'PRAGMA {pragma}').fetchone()[0]};")
        print("\n".join(database.iterdump()))


if __name__ == "__main__":
    main()
