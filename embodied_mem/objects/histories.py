"""Where each thing was, when, and in which state: the stays of a view, thing by thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from embodied_mem.errors import NotFoundError
from embodied_mem.objects.locate import PRESENT, Located
from embodied_mem.objects.things import Thing
from embodied_mem.objects.view import ObjectView


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A thing at one place, and its state there: observed, moved, inside, stale or gone."""

    thing: Thing
    state: str


def histories(found: Sequence[Located]) -> list[list[Known]]:
    """The things that there most likely were, surest to be there now first; of each its newest place first."""
    out: list[list[Known]] = []
    for located in found:
        real = [thing for thing in located.things if thing.was_there >= PRESENT]
        earlier = {id(thing.before) for thing in real if thing.before is not None}
        newest = [thing for thing in real if id(thing) not in earlier]
        out += [[Known(thing, located.state(thing)) for thing in _back(last)] for last in newest]
    return sorted(out, key=lambda stays: (-stays[0].thing.present, stays[0].thing.id))


def history(
    view: ObjectView, *, id_: str = "", label: str = "", map_id: str = "", now_ns: int | None = None
) -> list[list[Known]]:
    """The histories of one thing, of a kind of thing, or of everything. Raises UnknownMapError.

    Raises NotFoundError for an id that no thing has: a change of memory may have made it part of another one.
    """
    found = [view.locate(label, map_id, now_ns)] if label else view.locate_all(map_id, now_ns=now_ns)
    stays = histories(found)
    if not id_:
        return stays
    mine = [each for each in stays if each[0].thing.id == id_]
    if not mine:
        raise NotFoundError(f"No thing has the id {id_!r}: ids change when memory does, so list the things anew.")
    return mine


def _back(thing: Thing) -> list[Thing]:
    chain = [thing]
    while (before := chain[-1].before) is not None:
        chain.append(before)
    return chain
