"""Content-addressed files for clouds and thumbnails: a name is the SHA-256 of what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from embodied_mem.errors import StorageError
from embodied_mem.records.entry import blob_name
from embodied_mem.records.files import make_folder, sync_folder, write_atomically


class BlobStore:
    """Blobs below one folder, two hexadecimal digits a sub-folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._settled: set[Path] = set()  # folders of which this process knows that every name in them is durable

    def put(self, blobs: Mapping[str, bytes]) -> None:
        """Make the blobs durable; one that is there already is left alone. Raises OSError."""
        for name, data in blobs.items():
            path = self._path(name)
            self._settle(path.parent)
            if not path.exists():
                self._settled.discard(path.parent)  # until its sync has succeeded
                write_atomically(path, data)
                self._settled.add(path.parent)

    def get(self, name: str) -> bytes:
        """The blob, checked against its name. Raises StorageError when it is missing or damaged."""
        try:
            data = self._path(name).read_bytes()
        except OSError as error:
            raise StorageError(
                f"The blob {name[:12]} is missing ({error.strerror}): run `embodied-mem check`."
            ) from error
        if blob_name(data) != name:
            raise StorageError(
                f"The blob {name[:12]} is damaged, its content has another hash: run `embodied-mem check`."
            )
        return data

    def names(self) -> Iterator[str]:
        """Every blob there is."""
        for path in self._folder.glob("??/*"):
            if not path.name.startswith("."):
                yield path.name

    def remove(self, names: Iterable[str]) -> None:
        """Remove blobs, those that are not there too, durably. Raises OSError."""
        paths = [self._path(name) for name in names]
        for path in paths:
            path.unlink(missing_ok=True)
        for folder in {path.parent for path in paths}:
            if folder.is_dir():
                sync_folder(folder)

    def remove_leftovers(self) -> None:
        """Remove what a process that was killed had half written; nothing may be put meanwhile. Raises OSError."""
        for path in self._folder.glob("??/.*.tmp"):
            path.unlink(missing_ok=True)

    def size(self, name: str) -> int:
        """Bytes of a blob, 0 when it is not there."""
        try:
            return self._path(name).stat().st_size
        except OSError:
            return 0

    def _settle(self, folder: Path) -> None:
        """Make the folder and what is in it durable, by whomever it was written (a process that was killed, say)."""
        if folder in self._settled:
            return
        if folder != self._folder:
            self._settle(self._folder)
        make_folder(folder)
        sync_folder(folder)
        self._settled.add(folder)

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name
