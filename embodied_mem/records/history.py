"""What the commands of a log do to its records.

A record's state is its observation with every live command that touches it applied in log order (`fold`); a command is
live unless a live undo names it. One rule serves correcting, re-anchoring, undoing and redoing alike.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from embodied_mem.errors import BadInputError, NotFoundError
from embodied_mem.geometry import rotation_matrices, yaw_of
from embodied_mem.records.commands import (
    Command,
    Compact,
    Correct,
    Drop,
    Forget,
    ReAnchor,
    SetMap,
    Undo,
    erased_by,
    from_json,
    to_json,
)
from embodied_mem.records.growable import Columnar, Growable

Kind = TypeVar("Kind", bound=Command)


@dataclass(eq=False)
class State:
    """n records with m detections, being folded. Detection d belongs to record owner[d]."""

    seqs: NDArray[np.int64]
    stamps: NDArray[np.int64]
    maps: list[str]
    positions: NDArray[np.float64]
    orientations: NDArray[np.float64]
    texts: NDArray[np.int64]
    owner: NDArray[np.int64]
    labels: list[str]
    centers: NDArray[np.float64]
    yaws: NDArray[np.float64]


class History(Columnar):
    """The commands read so far, and which of them are live."""

    def __init__(self) -> None:
        self._commands: dict[int, Command] = {}
        self._undone_by: dict[int, list[int]] = defaultdict(list)
        self._touching: dict[int, list[int]] = defaultdict(list)
        self._anchors: dict[str, list[int]] = defaultdict(list)
        self.dropped: Counter[str] = Counter()  # by retention: clouds, thumbnails, records, bytes
        self._erased: dict[int, int] = {}  # records whose content is gone for good, with the command that says so

    def add(self, seq: int, command: Command) -> None:
        self._commands[seq] = command
        if isinstance(command, Undo):
            self._undone_by[command.command_seq].append(seq)
        elif isinstance(command, Correct):
            self._touching[command.seq].append(seq)
        elif isinstance(command, Forget):
            for record in command.seqs:
                self._touching[record].append(seq)
        elif isinstance(command, ReAnchor):
            self._anchors[command.map_id].append(seq)
        else:
            if isinstance(command, Drop):
                records = command.count if command.what == "records" else 0
                self.dropped.update(
                    clouds=command.clouds, thumbnails=command.thumbnails, records=records, bytes=command.freed
                )
            self._erased.update(dict.fromkeys(erased_by(command), seq))

    def __contains__(self, seq: int) -> bool:
        return seq in self._commands

    def get(self, seq: int) -> Command:
        """The command with this number. Raises NotFoundError."""
        if seq not in self._commands:
            raise NotFoundError(
                f"Entry {seq} is not a command, or was erased with the record that it was about: it cannot be undone."
            )
        return self._commands[seq]

    def live(self, seq: int, as_of: int | None = None) -> bool:
        """Whether the command counts: no live undo (up to entry number `as_of`) names it."""
        undos = (undo for undo in self._undone_by.get(seq, ()) if as_of is None or undo <= as_of)
        return not any(self.live(undo, as_of) for undo in undos)

    def undoable(self, seq: int | None) -> int:
        """The command that an undo takes back: `seq`, or the newest live one that is no undo.

        Raises NotFoundError when there is none, BadInputError when it is undone already.
        """
        if seq is None:
            live = [
                n
                for n, command in self._commands.items()
                if not isinstance(command, Undo) and self.live(n) and not self._final(n)
            ]
            if not live:
                raise NotFoundError("There is no command left to undo.")
            return max(live)
        self.get(seq)
        final = self._final(seq)
        if final:
            raise BadInputError(final)
        if not self.live(seq):
            raise BadInputError(f"Command {seq} is undone already.")
        return seq

    def target(self, seq: int) -> Command | None:
        """The command that an undo, or an undo of an undo, is about in the end; None when it was erased."""
        command = self._commands.get(seq)
        return self.target(command.command_seq) if isinstance(command, Undo) else command

    def erased(self) -> list[int]:
        """Every record whose content is gone for good, ascending."""
        return sorted(self._erased)

    def why_erased(self, seq: int) -> str:
        """In words, why the content of a record is gone; "" when it is not."""
        if seq not in self._erased:
            return ""
        if isinstance(self._commands[self._erased[seq]], Drop):
            return f"Record {seq} was dropped to keep within the disk budget."
        return f"Record {seq} was forgotten, and compaction has erased it."

    def erasable(self) -> list[int]:
        """The records that are forgotten and not yet erased, ascending."""
        named = {seq for command in self._commands.values() if isinstance(command, Forget) for seq in command.seqs}
        waiting = sorted(named - self._erased.keys())
        return [seq for seq, forgotten in zip(waiting, self.forgotten(waiting), strict=True) if forgotten]

    def corrections_of(self, seqs: Iterable[int]) -> list[int]:
        """The numbers of every correction of these records, undone ones too."""
        return [n for seq in seqs for n in self._touching.get(seq, ()) if isinstance(self._commands[n], Correct)]

    def _final(self, seq: int) -> str:
        """In words, why a command can be neither undone nor done again; "" when it can."""
        command = self.target(seq)
        if command is None:
            return f"Command {seq} is about a record that was erased: nothing can be done about it any more."
        if isinstance(command, Compact | Drop):
            return f"Command {seq} erased content for good: it cannot be undone."
        about = command.seqs if isinstance(command, Forget) else (command.seq,) if isinstance(command, Correct) else ()
        gone = [record for record in about if record in self._erased]
        if not gone:
            return ""
        return f"Command {seq} cannot be undone: {self.why_erased(gone[0])}"

    def live_of(self, kind: type[Kind], as_of: int | None = None) -> list[Kind]:
        """Live commands of a kind in order, as the log stood at an entry number (default: the newest)."""
        return [
            command
            for seq, command in self._commands.items()
            if isinstance(command, kind) and (as_of is None or seq <= as_of) and self.live(seq, as_of)
        ]

    def set_maps(self, as_of: int | None = None) -> list[SetMap]:
        """Live SetMap commands in order."""
        return self.live_of(SetMap, as_of)

    def forgotten(self, seqs: Iterable[int]) -> NDArray[np.bool_]:
        """For each record whether a live command forgets it."""
        return np.array(
            [
                seq in self._erased
                or any(isinstance(self._commands[n], Forget) and self.live(n) for n in self._touching.get(seq, ()))
                for seq in seqs
            ],
            dtype=bool,
        )

    def facts(self) -> Any:
        return [[seq, to_json(command)] for seq, command in self._commands.items()]

    def restore(self, columns: Mapping[str, Growable], facts: Any) -> None:
        for seq, text in facts:
            self.add(seq, from_json(text))

    def fold(self, state: State) -> None:
        """Apply every live command that touches the records of `state`, in order, in place."""
        index = {int(seq): i for i, seq in enumerate(state.seqs)}
        touching = {n for seq in index for n in self._touching.get(seq, ())}
        touching |= {n for map_id in set(state.maps) for n in self._anchors.get(map_id, ())}
        for number in sorted(touching):
            command = self._commands[number]
            if not self.live(number):
                continue
            if isinstance(command, Correct):
                _correct(state, index[command.seq], command, number)
            elif isinstance(command, ReAnchor):
                _re_anchor(state, command, number)


def _correct(state: State, i: int, command: Correct, number: int) -> None:
    own = state.owner == i
    if command.caption is not None:
        state.texts[i] = number
    if command.labels is not None:
        for d, label in zip(np.flatnonzero(own), command.labels, strict=True):
            state.labels[d] = label.strip().lower()
    if command.position is None and command.orientation is None:
        return
    position = state.positions[i] if command.position is None else np.array(command.position, dtype=np.float64)
    orientation = (
        state.orientations[i] if command.orientation is None else np.array(command.orientation, dtype=np.float64)
    )
    turn = rotation_matrices(orientation) @ rotation_matrices(state.orientations[i]).T
    state.centers[own] = (state.centers[own] - state.positions[i]) @ turn.T + position
    state.yaws[own] += yaw_of(orientation) - yaw_of(state.orientations[i])
    state.positions[i], state.orientations[i] = position, orientation


def _re_anchor(state: State, command: ReAnchor, number: int) -> None:
    in_map = np.array([map_id == command.map_id for map_id in state.maps], dtype=bool)
    moved = np.flatnonzero(in_map & (state.seqs < number))
    if not len(moved):
        return
    turns, shifts = _displacements(command, state.stamps[moved])
    old_yaws = yaw_of(state.orientations[moved])
    state.positions[moved] = np.einsum("nij,nj->ni", turns, state.positions[moved]) + shifts
    state.orientations[moved] = (Rotation.from_matrix(turns) * Rotation.from_quat(state.orientations[moved])).as_quat()
    yaw_steps = yaw_of(state.orientations[moved]) - old_yaws
    slot = np.full(len(state.seqs), -1)
    slot[moved] = np.arange(len(moved))
    own = np.flatnonzero(slot[state.owner] >= 0)
    which = slot[state.owner[own]]
    state.centers[own] = np.einsum("nij,nj->ni", turns[which], state.centers[own]) + shifts[which]
    state.yaws[own] += yaw_steps[which]


def _displacements(command: ReAnchor, stamps: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The rigid motion after(t) * before(t)^-1 at each stamp: (n, 3, 3) rotations and (n, 3) shifts."""
    known = np.array(command.stamps_ns, dtype=np.int64)
    at = np.clip(stamps, known[0], known[-1])
    poses = []
    for trajectory in (command.before, command.after):
        values = np.array(trajectory, dtype=np.float64)
        if len(known) == 1:
            poses.append(
                (
                    np.repeat(values[:, :3], len(at), axis=0),
                    Rotation.from_quat(np.repeat(values[:, 3:], len(at), axis=0)),
                )
            )
            continue
        seconds, wanted = (known - known[0]) * 1e-9, (at - known[0]) * 1e-9
        places = np.column_stack([np.interp(wanted, seconds, values[:, axis]) for axis in range(3)])
        poses.append((places, Slerp(seconds, Rotation.from_quat(values[:, 3:]))(np.clip(wanted, 0, seconds[-1]))))
    (old_places, old_turns), (new_places, new_turns) = poses
    turns = (new_turns * old_turns.inv()).as_matrix()
    return turns, new_places - np.einsum("nij,nj->ni", turns, old_places)
