"""How long the ways between spots are, by the graph of places where the robot has been."""

from __future__ import annotations

import numpy as np

from embodied_mem.errors import EmbodiedMemError
from embodied_mem.planner.framing import straight
from embodied_mem.topology.routes import Router, ToPosition


class PlaceWays:
    """Metres between two points over the places of a router; where it knows no way, as far as one can say without."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def __call__(self, a: tuple[float, float], b: tuple[float, float]) -> float:
        if len(self._router.graph) == 0:
            return straight(a, b)
        try:
            route = self._router.route(*(ToPosition(np.array([*point, 0.0])) for point in (a, b)))
        except EmbodiedMemError:
            return straight(a, b)
        return max(route.length + route.before + route.after, float(np.hypot(a[0] - b[0], a[1] - b[1])))
