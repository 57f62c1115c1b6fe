"""Where a command finds memory: running nodes, or the folder itself. Both answer with the dictionaries of shape.py."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from embodied_mem.cli.console import Console
from embodied_mem.cli.filters import Where
from embodied_mem.cli.parser import default_memory
from embodied_mem.cli.shape import Shape
from embodied_mem.errors import NotFoundError, StorageError, UnavailableError

if TYPE_CHECKING:
    from embodied_mem.cli.direct import DirectBackend

DISCOVERY_S = 1.0  # how long a command looks for nodes when it could read a folder instead
ELSEWHERE_S = 4.0  # when there is no folder, so that only nodes can answer
NODES_S = 10.0  # and for nodes that must be there


class Backend(Protocol):
    """What the commands ask for. Raises the errors of embodied_mem.errors."""

    @property
    def source(self) -> str:
        """In words, where the answers come from."""
        ...

    def ask(self, question: str, *, map_id: str, robot: tuple[float, ...] | None, as_of: int | None) -> Shape: ...

    def query(self, text: str | None, where: Where, *, k: int, min_score: float | None, explain: bool) -> Shape: ...

    def locate(self, label: str, where: Where) -> Shape: ...

    def things(self, label: str, *, id_: str, map_id: str, now_only: bool) -> Shape: ...

    def goto(self, label: str, *, start: tuple[float, ...] | None, map_id: str, radius: float, eye: float) -> Shape: ...

    def describe(
        self,
        question: str,
        where: Where,
        *,
        against: tuple[float, ...] | None,
        robot: tuple[float, ...] | None,
        areas: int,
    ) -> Shape: ...

    def forget(self, seqs: tuple[int, ...], where: Where, *, dry_run: bool) -> Shape: ...

    def undo(self, command_seq: int | None) -> Shape: ...

    def correct(self, seq: int, **changes: Any) -> Shape: ...

    def change_things(self, action: str, detections: tuple[str, ...]) -> Shape: ...

    def compact(self, console: Console) -> Shape: ...

    def close(self) -> None: ...


def reading(args: argparse.Namespace, console: Console) -> Backend:
    """Memory for a question. Raises NotFoundError, StorageError, UnavailableError."""
    if args.connect == "ros":
        return _nodes(NODES_S)
    if args.connect == "auto" and args.memory is None:
        held = is_held(folder_of(args))
        found = _nodes_if_any(_patience(folder_of(args), held))
        if found is not None:
            console.note(f"(asking {found.source})")
            return found
        if held:
            console.note("(another process writes this memory, and no nodes answer here: reading the folder)")
    return direct(args, read_only=True)


def changing(args: argparse.Namespace, console: Console) -> Backend:
    """Memory that can be changed: through the nodes when these hold the folder."""
    if args.connect == "ros":
        return _nodes(NODES_S)
    if args.connect == "auto" and args.memory is None:
        found = _nodes_if_any(_patience(folder_of(args), is_held(folder_of(args))))
        if found is not None:
            return found
    existing_folder(args)
    try:
        return direct(args, read_only=False)
    except StorageError as error:
        if args.connect == "direct" or not is_held(folder_of(args)):
            raise
        found = _nodes_if_any(NODES_S)
        if found is None:
            raise error  # it is a command that writes, not nodes
    console.note("(the folder is being written by running nodes: asking them)")
    return found


def folder_of(args: argparse.Namespace) -> Path:
    """The memory folder of a command line."""
    return Path(args.memory).expanduser() if args.memory is not None else default_memory()


def existing_folder(args: argparse.Namespace) -> Path:
    """The same, which must hold a memory. Raises NotFoundError, or StorageError for something else."""
    folder = folder_of(args)
    if folder.is_file():
        raise StorageError(f"{folder} is a file; a memory is a folder that holds log.db.")
    if not (folder / "log.db").is_file():
        raise NotFoundError(
            f"There is no memory in {folder} and no node is asked: name one with --memory, or make one with "
            "`embodied-mem up`, `replay` or `import`."
        )
    return folder


def is_held(folder: Path) -> bool:
    """Whether another process is writing the folder."""
    from embodied_mem.records.files import FolderLock

    if not (folder / "writer.lock").is_file():
        return False
    try:
        FolderLock(folder).release()
    except StorageError:
        return True
    return False


def direct(args: argparse.Namespace, *, read_only: bool) -> DirectBackend:
    """The folder itself."""
    from embodied_mem.cli.direct import DirectBackend

    folder = existing_folder(args)
    return DirectBackend(folder, read_only=read_only, now=getattr(args, "now", None))


def require_nodes(folder: Path) -> None:
    """Raise StorageError where it is no node that writes the folder, but another command."""
    found = _nodes_if_any(NODES_S)
    if found is None:
        raise StorageError(
            f"The memory in {folder} is being written by another process, and no nodes answer in this ROS domain: "
            "wait until it has ended."
        )
    found.close()


def _patience(folder: Path, held: bool) -> float:
    """Seconds to look for nodes, by what could answer in their place."""
    if held:
        return NODES_S
    return DISCOVERY_S if (folder / "log.db").is_file() else ELSEWHERE_S


def _nodes_if_any(wait_s: float) -> Backend | None:
    try:
        return _nodes(wait_s)
    except UnavailableError:
        return None


def _nodes(wait_s: float) -> Backend:
    """Running nodes. Raises UnavailableError when rclpy is missing or nobody answers in time."""
    from embodied_mem.cli.through_nodes import NodesBackend

    return NodesBackend(wait_s)
