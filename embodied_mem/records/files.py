"""Files that are never torn: written beside, synced, renamed, and the folder synced."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from embodied_mem.errors import StorageError


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` so that after a crash the file is the old one or the new one, whole. Raises OSError."""
    replace_atomically(path, lambda file: file.write(data))


def replace_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """As `write_atomically`, of what `write` puts into the file that it is given."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, so that they survive a power cut. Raises OSError.

    A folder that is there may have been made by a process that was killed before it had synced: so this does it again.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in made or [folder]:
        # A parent that we may not read was there long before us.
        with contextlib.suppress(PermissionError):
            sync_folder(path.parent)


def file_identity(path: Path) -> tuple[int, int]:
    """What tells the file at `path` from every other one there, (0, 0) when there is none."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def exchange(one: Path, other: Path) -> None:
    """Let two folders of one file system change names, at one moment where the system can. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of <linux/fs.h>
    try:
        failed = libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), swap)
    except AttributeError:  # a system without the call
        failed = -1
    if failed:
        aside = one.with_name(f".{one.name}.aside")
        os.rename(one, aside)
        os.rename(other, one)
        os.rename(aside, other)
    for folder in {one.parent, other.parent}:
        sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make renames, new and removed names in a folder durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # of file systems that have no such thing
            raise
    finally:
        os.close(handle)


class FolderLock:
    """An advisory lock that the kernel drops with its process: one writer a memory folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "writer.lock"
        self._file = open(self._path, "a+")  # noqa: SIM115 - held open for as long as the lock is
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            raise StorageError(
                f"The memory in {folder} is being written by {holder}: stop it first, ask through the running nodes, "
                "or open it read-only."
            ) from error
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()}")
        self._file.flush()

    def release(self) -> None:
        self._file.close()

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
