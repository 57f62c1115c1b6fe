"""The Touchdown navigator's rules: what forward, left and right do to a state (node, heading).

Restated from the published environment (Touchdown, Chen et al. 2019; VLN code for map2seq, Schumann and Riezler 2022):

forward  along the link whose heading is exactly the state's; without one the robot stays. Then the heading becomes
         that link of the new node which turns least from the old heading.
left     stay; the heading becomes that link of the node which needs the smallest turn to the left, the present one
         left out. right likewise.
border   a node with fewer than two links cannot be entered, and on such a node nothing changes.
stop     ends the episode.

Equal angles: the link that stands first in the file wins. All headings are whole degrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError
from sim.street.graph import TouchdownGraph

IntArray = NDArray[np.int32]
NO_LINK = -1


class Action(IntEnum):
    """What the robot can do."""

    FORWARD = 0
    LEFT = 1
    RIGHT = 2
    STOP = 3


@dataclass(frozen=True, slots=True)
class State:
    """node is a number of the graph, heading whole compass degrees."""

    node: int
    heading: int


class Navigator:
    """Drives on one graph. It keeps no state of its own: `step` maps a state and an action to the next state."""

    def __init__(self, graph: TouchdownGraph) -> None:
        self.graph = graph

    def start(self, node: int, heading: float) -> State:
        """Raises BadInputError for a node that is not there or a heading that is not finite."""
        if not 0 <= node < len(self.graph):
            raise BadInputError(f"The street graph has nodes 0 to {len(self.graph) - 1}, not {node}.")
        if not np.isfinite(heading):
            raise BadInputError(f"A heading must be finite degrees, not {heading}.")
        return State(int(node), round(heading) % 360)

    def step(self, state: State, action: Action) -> State:
        """The state after an action."""
        g = self.graph
        node, heading = _step(g.first, g.links[:, 1], g.headings, state.node, state.heading, int(action))
        return State(int(node), int(heading))

    def link(self, state: State) -> int:
        """The link along which forward would go, or NO_LINK."""
        g = self.graph
        return int(_link(g.first, g.headings, state.node, state.heading))

    @cached_property
    def ahead(self) -> IntArray:
        """(m,) for each link: the link that the robot faces after driving along it, or NO_LINK where it cannot."""
        g = self.graph
        return np.asarray(_ahead(g.first, g.links, g.headings), dtype=np.int32)

    def actions(self, state: State, target: int) -> list[Action]:
        """The shortest turns to face the link to the neighbour `target`, then forward.

        Raises BadInputError where no link goes there, or the navigator cannot enter it.
        """
        g = self.graph
        links = np.arange(g.first[state.node], g.first[state.node + 1])
        wanted = links[g.links[links, 1] == target]
        if not len(wanted) or g.degrees[target] < 2 or (g.degrees[state.node] < 2 and self.link(state) not in wanted):
            raise BadInputError(f"No link goes from node {state.node} to {target} that the navigator may take.")
        ways = [
            self._turns(state, int(g.headings[link]), turn) for link in wanted for turn in (Action.LEFT, Action.RIGHT)
        ]
        return [*min(ways, key=len), Action.FORWARD]

    def _turns(self, state: State, heading: int, turn: Action) -> list[Action]:
        made: list[Action] = []
        while state.heading != heading:
            state = self.step(state, turn)
            made.append(turn)
        return made


@njit(cache=True, nogil=True)
def _link(first: IntArray, headings: NDArray[np.int16], node: int, heading: int) -> int:
    for link in range(first[node], first[node + 1]):
        if headings[link] == heading:
            return link
    return NO_LINK


@njit(cache=True, nogil=True)
def _nearest(first: IntArray, headings: NDArray[np.int16], node: int, heading: int, action: int) -> int:
    best, least = heading, 1_000
    for link in range(first[node], first[node + 1]):
        other = headings[link]
        if action == 0:
            turn = 180 - abs(abs(other - heading) - 180)
        elif other == heading:
            continue
        elif action == 1:
            turn = (heading - other) % 360
        else:
            turn = (other - heading) % 360
        if turn < least:
            best, least = other, turn
    return best


@njit(cache=True, nogil=True)
def _step(
    first: IntArray, ends: IntArray, headings: NDArray[np.int16], node: int, heading: int, action: int
) -> tuple[int, int]:
    if action == 3:
        return node, heading
    target = node
    if action == 0:
        link = _link(first, headings, node, heading)
        if link >= 0:
            target = ends[link]
    if first[target + 1] - first[target] < 2:
        return node, heading
    return target, _nearest(first, headings, target, heading, action)


@njit(cache=True, nogil=True)
def _ahead(first: IntArray, links: IntArray, headings: NDArray[np.int16]) -> IntArray:
    result = np.full(len(links), NO_LINK, dtype=np.int32)
    for link in range(len(links)):
        node, heading = _step(first, links[:, 1], headings, links[link, 0], headings[link], 0)
        if node != links[link, 0]:
            result[link] = _link(first, headings, node, heading)
    return result
