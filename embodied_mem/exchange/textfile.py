"""Text files read line by line, with sentences for what is not text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from embodied_mem.errors import BadInputError, NotFoundError, StorageError


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file that are not blank. Raises NotFoundError, BadInputError, StorageError."""
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.strip():
                    yield line
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.") from None
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path} is not UTF-8 text (byte {error.start}): convert it first.") from None
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror}).") from None
