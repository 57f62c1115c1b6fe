"""Content-addressed files for clouds and thumbnails: a name is the SHA-256 of what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from embodied_mem.errors import StorageError
from embodied_mem.records.entry import blob_name
from embodied_mem.records.files import write_atomically


class BlobStore:
    """Blobs below one folder, two hexadecimal digits a sub-folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, blobs: Mapping[str, bytes]) -> None:
        """Make the blobs durable; one that is there already is left alone. Raises OSError."""
        for name, data in blobs.items():
            path = self._path(name)
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, data)

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
        for name in names:
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name
