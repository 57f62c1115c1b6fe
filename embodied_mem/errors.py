"""The errors of the stack: each is a sentence that says what was wrong and what to do."""

from __future__ import annotations


class EmbodiedMemError(Exception):
    """Base of every error that embodied_mem raises on purpose.

    `code` is the number that services put in `error_code` (see `msgs/srv`); 0 is never used, it means ok.
    """

    code: int = 1


class BadInputError(EmbodiedMemError, ValueError):
    """The caller's input is malformed: NaN, wrong size, inverted box, empty text. Nothing was changed."""

    code = 1


class UnknownMapError(EmbodiedMemError, LookupError):
    """The map named is not known, or no transform to it is."""

    code = 2


class ModelMismatchError(EmbodiedMemError, ValueError):
    """Vectors of two models were about to be compared."""

    code = 3


class NotFoundError(EmbodiedMemError, LookupError):
    """A record, command or file that was named does not exist."""

    code = 4


class UnreachableError(NotFoundError):
    """There is no way to a goal, or no pose that serves; `reason` is one word for it, such as "blocked"."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class RefusedError(EmbodiedMemError, ValueError):
    """The admission gate refused an observation; `reason` is the gate's counter name."""

    code = 5

    def __init__(self, message: str, reason: str = "refused") -> None:
        super().__init__(message)
        self.reason = reason


class StorageError(EmbodiedMemError, OSError):
    """The log or a file could not be read or written."""

    code = 6


class UnavailableError(EmbodiedMemError, RuntimeError):
    """A node, model or optional package that is needed is not there (yet)."""

    code = 7
