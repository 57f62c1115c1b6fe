"""The way to what a question was about: a pose from which it is seen, along places that were driven before."""

from __future__ import annotations

from collections.abc import Sequence

from embodied_mem.errors import NotFoundError
from embodied_mem.recall import going
from embodied_mem.records.memory import RecordMemory
from embodied_mem.report.model import Asked, Way
from embodied_mem.topology.goal_near import NearSettings, Target
from embodied_mem.topology.words import in_words

_KINDS = ("where", "find")


def way_to_answer(memory: RecordMemory, asked: Sequence[Asked]) -> Way | None:
    """To the last answer that has a place in the current map and that a robot can get to; None when there is none."""
    found = [
        (number, item.answer)
        for number, item in enumerate(asked, start=1)
        if item.answer["found"] and item.answer["kind"] in _KINDS and item.answer.get("pose")
    ]
    if not found:
        return None
    try:
        start = going.standing(memory, memory.map_id)
        space, places = going.explored(memory)
        tree = space.map(memory.map_id)
    except NotFoundError:
        return None  # no cloud was seen
    for number, answer in reversed(found):
        if answer["map_id"] not in ("", memory.map_id):
            continue
        target = Target.at(answer["pose"]["position"], answer["extent"] or (0.0, 0.0, 0.0))
        sought = going.Sought(target, answer["sentence"])
        try:
            way = going.go_to(tree, places, sought, start, NearSettings(), map_id=memory.map_id)
        except NotFoundError:
            continue  # nobody can stand near it
        words = "" if way.route is None else in_words(places.graph, way.route)
        return Way(number, way.path.points, way.pose.heading, f"{way.why} {words}".strip())
    return None
