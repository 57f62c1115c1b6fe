"""Where a command prints: people get text, machines one JSON document; notes and progress go to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TextIO, TypeVar

T = TypeVar("T")


class Bar(Protocol):
    """A progress bar."""

    def update(self, n: int = 1) -> object: ...

    def set_postfix_str(self, s: str = "") -> object: ...

    def close(self) -> object: ...


class _NoBar:
    """Stands in for a progress bar where nobody watches."""

    def update(self, n: int = 1) -> object:
        return None

    def set_postfix_str(self, s: str = "") -> object:
        return None

    def close(self) -> object:
        return None


class Console:
    """Output of one command. `machine`: print JSON; `quiet`: no notes and no progress."""

    def __init__(
        self, *, machine: bool = False, quiet: bool = False, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self.machine = machine
        self.quiet = quiet
        self.out = out or sys.stdout
        self.err = err or sys.stderr

    def result(self, data: Any, text: str | Iterable[str]) -> None:
        """Print the result: `data` as JSON for machines, else `text` (one string, or lines)."""
        if self.machine:
            self.out.write(json.dumps(finite(data), ensure_ascii=False) + "\n")
        else:
            for line in [text] if isinstance(text, str) else text:
                self.out.write(line + "\n")
        self.out.flush()

    def note(self, text: str) -> None:
        """A remark for the person at the terminal, on standard error."""
        if not self.quiet:
            self.err.write(text + "\n")
            self.err.flush()

    def milestone(self, text: str) -> None:
        """A note for where no progress bar is drawn, such as the log of a build."""
        if not self.err.isatty():
            self.note(text)

    def failure(self, message: str, code: int, kind: str) -> None:
        """Print an error: a sentence on standard error, and for machines an object on standard output too."""
        self.err.write(f"embodied-mem: {message}\n")
        if self.machine:
            self.out.write(
                json.dumps({"error": {"exit_code": code, "kind": kind, "message": message}}, ensure_ascii=False) + "\n"
            )
            self.out.flush()

    def bar(self, total: int | None, what: str, unit: str = "it") -> Bar:
        """A progress bar on standard error; nothing is drawn where that is not a terminal. Close it."""
        if self.quiet or not self.err.isatty():
            return _NoBar()
        try:
            from tqdm import tqdm
        except ImportError:
            return _NoBar()
        made: Bar = tqdm(
            total=total, desc=what, unit=unit, file=self.err, dynamic_ncols=True, leave=False, mininterval=0.2
        )
        return made

    def progress(self, items: Iterable[T], total: int | None, what: str, unit: str = "it") -> Iterator[T]:
        """The items, one by one, with a progress bar."""
        bar = self.bar(total, what, unit)
        try:
            for item in items:
                yield item
                bar.update()
        finally:
            bar.close()


def finite(data: Any) -> Any:
    """The same data with NaN and infinity, which JSON does not have, as None, and arrays as lists."""
    if isinstance(data, dict):
        return {str(key): finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple | set | frozenset):
        return [finite(value) for value in data]
    if hasattr(data, "tolist"):  # numpy, which is not imported for --help
        return finite(data.tolist())
    if isinstance(data, float) and (data != data or data in (float("inf"), float("-inf"))):
        return None
    return data
