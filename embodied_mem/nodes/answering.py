"""Asks the core for answers. Filled in when recall/ lands."""

from __future__ import annotations

from typing import Any

from embodied_mem.errors import UnavailableError


class Answering:
    def __init__(self, view: Any, now_ns: int) -> None: ...

    def ask(self, *args: Any) -> Any:
        raise UnavailableError("not yet")

    def locate(self, *args: Any) -> Any:
        raise UnavailableError("not yet")
