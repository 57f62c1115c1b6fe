"""The parameters of the planner and of the controller of the simulated house."""

from __future__ import annotations

from dataclasses import dataclass

from embodied_mem.nodes.parameters import parameter


@dataclass(frozen=True)
class PlannerSettings:
    """Parameters of `planner`."""

    places: str = parameter("", "Path of the place book (JSON): rooms, doors, and what things can be on or in.")
    things: str = parameter("", "Names of things that instructions may use besides those in memory: mug, toy car.")
    tick: float = parameter(0.1, "Seconds from one look at the world to the next.", above=0.0, high=5.0)
    fresh: float = parameter(15.0, "Seconds for which what was seen counts as seen now.", above=0.0)
    sure: float = parameter(0.8, "Probability from which a thing's place is taken for known.", above=0.5, high=1.0)
    replans: int = parameter(30, "New plans for a task, then it is given up.", low=0)
    steps: int = parameter(150, "Steps of a task, then it is given up.", low=1)
    solver: str = parameter("search", "Who finds plans.", choices=("search", "aries"))
    resume: bool = parameter(True, "Go on with tasks that were interrupted by a restart.")
    queue: int = parameter(20, "Tasks that may wait; more are refused.", low=1)
    gone: float = parameter(5.0, "Seconds without a controller after which a step has failed.", above=0.0)
    frame: str = parameter("map", "Frame of the map.")
    robot_id: str = parameter("robot", "Name of this robot in its records.")
    fetch: int = parameter(500, "Entries fetched at once to catch up.", low=1, high=4096)
    fetch_timeout: float = parameter(1.0, "Seconds to wait for the record node before asking again.", above=0.0)
    poll: float = parameter(1.0, "Seconds between looks whether anything was missed.", above=0.0)


@dataclass(frozen=True)
class ControllerSettings:
    """Parameters of `controller`, the house of chores as System 1."""

    seed: int = parameter(101, "Everything that is random follows from it.", low=0)
    index: int = parameter(0, "Number of the task whose house and things are taken.", low=0)
    suite: str = parameter("Ideal", "Suite that it is from.")
    period: float = parameter(0.5, "Seconds from one look to the next while nothing is done.", above=0.0)
    pace: float = parameter(0.0, "Seconds that a second of a skill takes; 0 = done at once.", low=0.0)
    places: str = parameter("", "Write the place book here, for the planner; empty = nowhere.")
    checkpoint: str = parameter("", "File that keeps the state of the house over restarts; empty = none.")
