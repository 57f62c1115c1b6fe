"""Kernels are compiled while a node is configured: later, requests would wait for that, and the manager for a beat."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from embodied_mem.errors import NotFoundError
from embodied_mem.instructions import guide
from embodied_mem.octree import warm as octree
from embodied_mem.recall import going
from embodied_mem.records import warm as records
from embodied_mem.tokens import warm as tokens
from embodied_mem.topology import free_paths
from embodied_mem.topology.goal_near import NearSettings, Target
from embodied_mem.topology.routes import ToPosition


def warm_memory() -> None:
    """What record and recall use. A second where everything was compiled before, else a minute."""
    records.warm().close()


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
