"""The things that memory located, for a report."""

from __future__ import annotations

from embodied_mem.objects.locate import locate_all
from embodied_mem.records.memory import RecordMemory
from embodied_mem.records.query import Query
from embodied_mem.report.model import Thing

_DOUBTFUL = 0.5  # what less likely ever was there is noise, and is not drawn


def located_things(memory: RecordMemory, query: Query) -> list[Thing]:
    """Every thing in memory that probably was where it was seen, with whether it still is."""
    made = []
    for kind in locate_all(memory.index, query):
        for thing in kind.things:
            if thing.was_there < _DOUBTFUL:
                continue
            x, y, z = (float(value) for value in thing.position)
            wide, deep, tall = (float(value) for value in thing.extent)
            made.append(
                Thing(
                    thing.label,
                    (x, y, z),
                    (wide, deep, tall),
                    float(thing.present),
                    kind.state(thing),
                    tuple(int(seq) for seq in thing.evidence),
                    int(thing.last_seen),
                )
            )
    return made
