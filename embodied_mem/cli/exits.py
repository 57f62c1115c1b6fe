"""What the exit codes mean, and which error leads to which."""

from __future__ import annotations

from enum import IntEnum

from embodied_mem import errors


class Exit(IntEnum):
    """Exit codes of `embodied-mem`."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    UNAVAILABLE = 4
    STORAGE = 5
    INTERRUPTED = 130


MEANING = {
    Exit.OK: "done; for a question: it was answered",
    Exit.ERROR: "it failed; one sentence on standard error says why and what to do",
    Exit.USAGE: "the command line or a value in it makes no sense",
    Exit.NOT_FOUND: "nothing was found, or the record, map or file that was named does not exist",
    Exit.UNAVAILABLE: "the nodes, a model or an optional package are not there",
    Exit.STORAGE: "the memory or a file is unreadable, damaged, locked or cannot be written",
    Exit.INTERRUPTED: "stopped by Ctrl-C; what was written stays usable",
}

_OF_ERROR: tuple[tuple[type[BaseException], Exit], ...] = (
    (errors.BadInputError, Exit.USAGE),
    (errors.NotFoundError, Exit.NOT_FOUND),
    (errors.UnknownMapError, Exit.NOT_FOUND),
    (errors.UnavailableError, Exit.UNAVAILABLE),
    (errors.StorageError, Exit.STORAGE),
)


def exit_code(error: BaseException) -> Exit:
    """The exit code for an error."""
    return next((code for kind, code in _OF_ERROR if isinstance(error, kind)), Exit.ERROR)


def table() -> str:
    """The codes as text for --help."""
    return "exit codes:\n" + "\n".join(f"  {int(code):<4} {meaning}" for code, meaning in MEANING.items())
