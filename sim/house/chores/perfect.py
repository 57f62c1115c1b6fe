"""Knowledge that knows the truth: the upper bound for any memory. Only benchmarks use it."""

from __future__ import annotations

import numpy as np

from embodied_mem.planner.beliefs import Belief
from embodied_mem.planner.facts import Fact, fact
from embodied_mem.planner.knowledge import Knowledge, Uses
from embodied_mem.planner.monitor import Judgement
from sim.house.chores.world import World


class PerfectKnowledge(Knowledge):
    """What is true, at any time."""

    def __init__(self, world: World) -> None:
        super().__init__(world.book, None, Uses(True, False, False, True))
        self.world = world

    @property
    def spot(self) -> str:
        return self.world.spot

    @property
    def held(self) -> str:
        return self.world.held

    def belief(self, thing: str) -> Belief:
        p = np.zeros(len(self.book.regions))
        item = self.world.items.get(thing)
        if item is None or not item.place:
            return Belief(thing, p)
        region = self.book.regions.index(fact(item.relation, "", item.place))
        p[region] = 1.0
        return Belief(thing, p, region, item.position.copy())

    def judge(self, item: Fact) -> Judgement:
        if item.name == "seen":
            return super()._judge_seen(item)
        holds = True if item.name == "located" else item in self.world.truth
        return Judgement(item, holds, float(holds))
