"""Kernels are compiled while a node is configured: later, requests would wait for that, and the manager for a beat.

`python -m embodied_mem.nodes.warming` compiles them all, as `make setup` does: nodes that start together would each
compile the same ones.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from embodied_mem.episodes.warm import warm_episodes
from embodied_mem.errors import NotFoundError
from embodied_mem.forest import warm as forest
from embodied_mem.instructions import guide
from embodied_mem.objects import warm as objects
from embodied_mem.octree import warm as octree
from embodied_mem.recall import going
from embodied_mem.records import warm as records
from embodied_mem.tokens import warm as tokens
from embodied_mem.topology import free_paths
from embodied_mem.topology.goal_near import NearSettings, Target
from embodied_mem.topology.routes import ToPosition


def warm_memory() -> None:
    """What record uses. A second where everything was compiled before, else a minute."""
    records.warm().close()


def warm_objects() -> None:
    """What recall and object use."""
    objects.warm()


def warm_space() -> None:
    """The same for spatial."""
    octree.warm()
    free_paths.warm()
    guide.warm()
    memory = records.warm()
    space, places = going.explored(memory)
    tree, map_id = space.map(memory.map_id), memory.map_id
    start, near, far = (np.array([x, 0.0, 1.0]) for x in (0.5, 1.5, 50.0))
    places.router.alternatives(ToPosition(start, map_id), ToPosition(far, map_id), 2)
    with suppress(NotFoundError):  # there may be no such pose
        sought = going.Sought(Target.at(near, (0.1, 0.1, 0.1)), "")
        going.go_to(tree, places, sought, start, NearSettings(), map_id=map_id)
    memory.close()


def warm_tokens() -> None:
    """What spatial uses where it keeps tokens."""
    tokens.warm()


def main() -> None:
    """Everything that any node uses."""
    for warm in (warm_memory, warm_objects, warm_space, forest.warm, warm_tokens, warm_episodes):
        warm()


if __name__ == "__main__":
    main()
