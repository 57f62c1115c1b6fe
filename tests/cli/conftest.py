"""A memory folder with known records, and a way to run the command as a person would."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embodied_mem.cli.main import main
from embodied_mem.inference.hashing import HashingEmbedder
from embodied_mem.records.memory import RecordMemory
from tests.exchange.samples import observation

COUNT = 6


@dataclass
class Ran:
    """What one run of the command left."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """run("query", "mug", ...) -> exit code and output; never a traceback."""

    def call(*argv: object) -> Ran:
        capsys.readouterr()
        code = main([str(item) for item in argv])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Ran(code, captured.out, captured.err)

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A memory of six records of a mug, a chair and a lamp, numbered 2 to 7 (1 starts the map)."""
    path = tmp_path / "memory"
    memory = RecordMemory.open(path, HashingEmbedder())
    memory.set_map("flat")
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        memory.remember(observation(i, rng, full=i % 2 == 0))
    memory.close()
    return path
