"""The domain of fetch-and-carry in a house, declared once: what can be said of it, and what System 1 can do in it.

Types: a *spot* is where the robot can stand, a *place* has things on it (a *surface*) or in it (a *container*, which
opens and shuts), a *door* is between two spots, one on each of its sides; an *appliance* runs or is idle; a *grip* is a
way to take hold of things.
"""

from __future__ import annotations

from embodied_mem.planner.domain import Domain, Each, Predicate, Skill
from embodied_mem.planner.facts import Fact


def _facts(text: str) -> tuple[Fact, ...]:
    return tuple(Fact.parse(part) for part in text.split(";") if part.strip())


PREDICATES = (
    Predicate("at", ("spot",), "the robot is at the {0}", "the robot is not at the {0}"),
    Predicate("on", ("thing", "surface"), "the {0} is on the {1}", "the {0} is not on the {1}"),
    Predicate("in", ("thing", "container"), "the {0} is in the {1}", "the {0} is not in the {1}"),
    Predicate("located", ("thing",), "it is known where the {0} is", "it is not known where the {0} is"),
    Predicate("seen", ("thing",), "the {0} was seen during this task", "the {0} was not seen yet"),
    Predicate("holding", ("thing",), "the robot holds the {0}", "the robot does not hold the {0}"),
    Predicate("hand_empty", (), "the hand is empty", "the hand is not empty"),
    Predicate("open", ("container",), "the {0} is open", "the {0} is not open"),
    Predicate("shut", ("container",), "the {0} is shut", "the {0} is not shut"),
    Predicate("door_open", ("door",), "the {0} is open", "the {0} is not open"),
    Predicate("door_shut", ("door",), "the {0} is shut", "the {0} is not shut"),
    Predicate("running", ("appliance",), "the {0} is on", "the {0} is not on"),
    Predicate("idle", ("appliance",), "the {0} is off", "the {0} is not off"),
    # These never change, and are known.
    Predicate("on_way", ("door", "spot", "spot"), "the {0} is between {1} and {2}", "the {0} is not on the way"),
    Predicate("beside", ("door", "spot"), "the {1} is beside the {0}", "the {1} is not beside the {0}"),
)
FIXED = frozenset({"on_way", "beside"})

SKILLS = (
    Skill(
        "go", {"origin": "spot", "target": "spot"},
        needs=_facts("at(origin)"), gives=_facts("at(target)"), takes=_facts("at(origin)"),
        each=(Each("door", Fact.parse("on_way(door, origin, target)"), Fact.parse("door_open(door)")),),
        words="go to the {target}", seconds=8.0, timeout=120.0, retries=1,
    ),
    Skill(
        "look", {"thing": "thing", "place": "surface"},
        needs=_facts("at(place); on(thing, place)"), gives=_facts("located(thing); seen(thing)"), takes=(),
        keeps=_facts("at(place)"), words="look for the {thing} on the {place}", seconds=2.0, timeout=15.0, retries=0,
    ),
    Skill(
        "look_in", {"thing": "thing", "place": "container"},
        needs=_facts("at(place); open(place); in(thing, place)"), gives=_facts("located(thing); seen(thing)"), takes=(),
        keeps=_facts("at(place)"), words="look for the {thing} in the {place}", seconds=2.0, timeout=15.0, retries=0,
    ),
    Skill(
        "pick", {"thing": "thing", "place": "surface", "grip": "grip"},
        needs=_facts("at(place); on(thing, place); located(thing); hand_empty"),
        gives=_facts("holding(thing); seen(thing)"), takes=_facts("on(thing, place); hand_empty"),
        keeps=_facts("at(place)"), words="pick up the {thing} from the {place} from the {grip}", seconds=6.0,
    ),
    Skill(
        "take_out", {"thing": "thing", "place": "container", "grip": "grip"},
        needs=_facts("at(place); in(thing, place); open(place); located(thing); hand_empty"),
        gives=_facts("holding(thing); seen(thing)"), takes=_facts("in(thing, place); hand_empty"),
        keeps=_facts("at(place); open(place)"),
        words="take the {thing} out of the {place} from the {grip}", seconds=7.0,
    ),
    Skill(
        "put_on", {"thing": "thing", "place": "surface"},
        needs=_facts("at(place); holding(thing)"),
        gives=_facts("on(thing, place); hand_empty; located(thing)"), takes=_facts("holding(thing)"),
        keeps=_facts("at(place)"), words="put the {thing} on the {place}", seconds=5.0, irreversible=True,
    ),
    Skill(
        "put_in", {"thing": "thing", "place": "container"},
        needs=_facts("at(place); open(place); holding(thing)"),
        gives=_facts("in(thing, place); hand_empty; located(thing)"), takes=_facts("holding(thing)"),
        keeps=_facts("at(place); open(place)"), words="put the {thing} in the {place}", seconds=6.0, irreversible=True,
    ),
    Skill(
        "open", {"what": "container"},
        needs=_facts("at(what); shut(what); hand_empty"), gives=_facts("open(what)"), takes=_facts("shut(what)"),
        keeps=_facts("at(what)"), words="open the {what}", seconds=5.0,
    ),
    Skill(
        "close", {"what": "container"},
        needs=_facts("at(what); open(what); hand_empty"), gives=_facts("shut(what)"), takes=_facts("open(what)"),
        keeps=_facts("at(what)"), words="close the {what}", seconds=4.0,
    ),
    Skill(
        "open_door", {"what": "door", "side": "spot"},
        needs=_facts("beside(what, side); at(side); door_shut(what); hand_empty"),
        gives=_facts("door_open(what)"), takes=_facts("door_shut(what)"),
        keeps=_facts("at(side)"), words="open the {what}", seconds=6.0,
    ),
    Skill(
        "close_door", {"what": "door", "side": "spot"},
        needs=_facts("beside(what, side); at(side); door_open(what); hand_empty"),
        gives=_facts("door_shut(what)"), takes=_facts("door_open(what)"),
        keeps=_facts("at(side)"), words="close the {what}", seconds=5.0,
    ),
    Skill(
        "turn_on", {"what": "appliance"},
        needs=_facts("at(what); idle(what); hand_empty"), gives=_facts("running(what)"), takes=_facts("idle(what)"),
        keeps=_facts("at(what)"), words="turn on the {what}", seconds=3.0,
    ),
    Skill(
        "turn_off", {"what": "appliance"},
        needs=_facts("at(what); running(what); hand_empty"), gives=_facts("idle(what)"), takes=_facts("running(what)"),
        keeps=_facts("at(what)"), words="turn off the {what}", seconds=3.0,
    ),
)  # fmt: skip

HOUSEHOLD = Domain(
    "household",
    ("spot", "place", "surface", "container", "door", "appliance", "thing", "grip"),
    {predicate.name: predicate for predicate in PREDICATES},
    {skill.name: skill for skill in SKILLS},
    FIXED,
)

# Of two facts in a pair, exactly one holds.
OPPOSITES = {"open": "shut", "shut": "open", "door_open": "door_shut", "door_shut": "door_open",
             "running": "idle", "idle": "running"}  # fmt: skip
