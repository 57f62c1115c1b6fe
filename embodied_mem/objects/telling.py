"""What people said of single detections takes effect: these are of one thing, those are not."""

from __future__ import annotations

from embodied_mem.objects.beginnings import carry_on
from embodied_mem.objects.fold_state import PARTED, FoldState, Trail
from embodied_mem.objects.merging import merge
from embodied_mem.objects.stays import NONE
from embodied_mem.objects.step import IntArray, Step
from embodied_mem.objects.ties import Ties

_TOUCH = 0.3  # metres between two stays that may be one


def forbidden(state: FoldState, seq: int, ties: Ties, active: IntArray) -> set[tuple[int, int]]:
    """Pairs (detection, place in `active`) that somebody said are not the same."""
    out: set[tuple[int, int]] = set()
    if not ties.other:
        return out
    place = {int(row): i for i, row in enumerate(active)}
    for (record, d), others in ties.other.items():
        if record == seq:
            rows = [state.root(state.anchors[other]) for other in others if other in state.anchors]
            out |= {(d, place[row]) for row in rows if row in place}
    return out


def remember(step: Step, trail: Trail, ties: Ties, target: IntArray) -> None:
    """Where the detections went that somebody named, and what follows from it. target (m,): their stays"""
    state, frame = step.state, step.frame
    for i, row in enumerate(target.tolist() if ties.named else ()):
        anchor = (frame.seq, i)
        if row == NONE or anchor not in ties.named or anchor in state.anchors:
            continue
        row = state.root(row)
        state.anchors[anchor] = row
        for other in ties.other.get(anchor, ()):
            if other in state.anchors:
                pair = tuple(sorted((row, state.root(state.anchors[other]))))
                state.apart[pair[0], pair[1]] = PARTED
        earlier = state.anchors.get(ties.same.get(anchor, (0, 0)))
        if earlier is not None and (earlier := state.root(earlier)) != row:
            _unite(state, trail, row, earlier, frame.stamp_ns)


def _unite(state: FoldState, trail: Trail, row: int, earlier: int, stamp_ns: int) -> None:
    """Two stays are of one thing: one stay when they touch, else it was moved."""
    stays = state.stays
    touch = (stays.low[row] - _TOUCH <= stays.high[earlier]) & (stays.high[row] + _TOUCH >= stays.low[earlier])
    if touch.all() and not stays.closed[earlier]:
        merge(state, trail, keep=earlier, lose=row)
        return
    carry_on(state, row, earlier, stamp_ns)
    stays.moving[row] = False
