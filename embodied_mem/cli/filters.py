"""The filter options that `query`, `locate`, `records`, `export` and `forget` share."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from embodied_mem.errors import BadInputError

if TYPE_CHECKING:
    from embodied_mem.records.query import Query


@dataclass(frozen=True)
class Where:
    """What was asked to hold, as given on the command line: words in `when` are understood where the memory is.

    box     six numbers: x y z of one corner, x y z of the other, metres
    near    three numbers, metres
    start_ns, end_ns  ROS time in nanoseconds
    """

    box: tuple[float, ...] | None = None
    near: tuple[float, ...] | None = None
    radius: float | None = None
    near_record: int | None = None
    when: str = ""
    start_ns: int | None = None
    end_ns: int | None = None
    labels: tuple[str, ...] = ()
    robot_id: str = ""
    session_id: str = ""
    map_id: str = ""
    seqs: tuple[int, ...] | None = None
    as_of: int | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is restricted."""
        return self == Where()

    def query(self, **more: Any) -> Query:
        """The typed query, without the words of `when`. Raises BadInputError for what makes no sense."""
        import numpy as np

        from embodied_mem.records.query import Query, TimeRange

        time = None if self.start_ns is None and self.end_ns is None else TimeRange(self.start_ns, self.end_ns)
        return Query(
            box=None if self.box is None else (np.array(self.box[:3]), np.array(self.box[3:])),
            center=None if self.near is None else np.array(self.near),
            radius=self.radius,
            near_record=self.near_record,
            time=time,
            labels=self.labels,
            robot_id=self.robot_id,
            session_id=self.session_id,
            map_id=self.map_id,
            seqs=self.seqs,
            as_of=self.as_of,
            **more,
        )


def add_filter_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `where_of` reads."""
    add = parser.add_argument_group("filters (all that are given must hold)").add_argument
    add(
        "--label",
        action="append",
        default=[],
        metavar="WORD",
        help="a detection with this label; may be repeated (any of them)",
    )
    add("--near", nargs=3, type=float, metavar=("X", "Y", "Z"), help="within --radius of this point, metres")
    add("--near-record", type=int, metavar="SEQ", help="within --radius (default 2 m) of this record")
    add("--radius", type=float, metavar="M", help="for --near and --near-record, metres")
    add("--box", nargs=6, type=float, metavar=("X0", "Y0", "Z0", "X1", "Y1", "Z1"), help="inside this box, metres")
    add(
        "--when",
        default="",
        metavar="WORDS",
        help='"last 5 min", "yesterday morning", "before record 12", "between 9 and 10"',
    )
    add("--since", metavar="TIME", help="at or after this time: 2026-05-04T10:00, or seconds since 1970")
    add("--until", metavar="TIME", help="before this time")
    add("--robot", default="", metavar="ID", help="of this robot")
    add("--session", default="", metavar="ID", help="of this session")
    add("--map", default="", metavar="ID", help='in this map (default: the current one; "*": every map)')
    add("--as-of", type=int, metavar="SEQ", help="answer as the log stood at this number")


def where_of(args: argparse.Namespace, seqs: tuple[int, ...] | None = None) -> Where:
    """The filter options of a command line. Raises BadInputError."""
    for name in ("near_record", "as_of"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise BadInputError(f"--{name.replace('_', '-')} is the number of a record, from 1 on, not {value}.")
    return Where(
        box=_tuple(args.box),
        near=_tuple(args.near),
        radius=args.radius,
        near_record=args.near_record,
        when=args.when,
        start_ns=_moment(args.since, "--since"),
        end_ns=_moment(args.until, "--until"),
        labels=tuple(label.strip().lower() for label in args.label),
        robot_id=args.robot,
        session_id=args.session,
        map_id=args.map,
        seqs=seqs,
        as_of=args.as_of,
    )


def _tuple(values: list[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)


def _moment(text: str | None, option: str) -> int | None:
    """ISO time (local unless it says otherwise) or seconds since 1970 -> nanoseconds."""
    if text is None:
        return None
    try:
        seconds = float(text) if text.replace(".", "", 1).isdigit() else datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise BadInputError(
            f"{option} {text!r} is not a time: write 2026-05-04T10:00, or seconds since 1970; for words use --when."
        ) from None
    return round(seconds * 1e9)
