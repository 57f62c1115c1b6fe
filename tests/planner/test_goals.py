"""Instructions: what is understood, what is refused and why, and a language model that is never believed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied_mem.errors import BadInputError
from embodied_mem.planner.facts import listed
from embodied_mem.planner.goal_model import GOALS, read_goal
from embodied_mem.planner.goals import parse_goal
from embodied_mem.planner.household import HOUSEHOLD
from tests.planner.rooms import THINGS, book

UNDERSTOOD = {
    "bring the mug to the desk": ["on(mug, desk)"],
    "Please put the apple in the fridge and close it.": ["in(apple, fridge)", "shut(fridge)"],
    "find out where the book is": ["seen(book)"],
    "find the teddy bear and bring it to the counter": ["on(teddy bear, counter)", "seen(teddy bear)"],
    "take the mug and the book to the desk, then shut the kitchen door": [
        "door_shut(kitchen door)", "on(book, desk)", "on(mug, desk)",
    ],
    "move the mug into the dresser and the apple onto the counter": ["in(mug, dresser)", "on(apple, counter)"],
    "open the dresser": ["open(dresser)"],
}  # fmt: skip


@pytest.mark.parametrize("words", UNDERSTOOD)
def test_what_is_meant(words: str) -> None:
    assert listed(parse_goal(words, book(), THINGS).facts) == UNDERSTOOD[words]


def test_where_a_thing_is_said_to_be_is_a_hint_and_no_goal() -> None:
    goal = parse_goal("bring the mug from the dresser to the desk", book(), THINGS)
    assert listed(goal.facts) == ["on(mug, desk)"] and listed(goal.hints) == ["in(mug, dresser)", "on(mug, dresser)"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("bring the mugg to the desk", "'mug' meant"), ("bring the unicorn to the desk", "unicorn"),
        ("bring the mug", "where is the mug"), ("bring the mug to the kitchen", "where in the kitchen"),
        ("close the desk", "cannot be opened or shut"), ("put the mug in the desk", "nothing can be put in"),
        ("the mug", "what is to be done"), ("", "between 1 and 200"), ("turn the desk on", "turned on or off"),
    ],
)  # fmt: skip
def test_what_is_unclear_is_refused_with_the_reason(words: str, why: str) -> None:
    with pytest.raises(BadInputError, match=why):
        parse_goal(words, book(), THINGS)


class Says:
    """A model that says one thing."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def generate(self, prompt: str, schema: dict[str, Any]) -> str:
        assert "mug" in prompt and "desk" in prompt
        return self.answer


def test_a_model_is_asked_only_where_the_grammar_does_not_understand() -> None:
    goal = read_goal("tidy up the mug", book(), THINGS, Says('{"goal": ["in(mug, dresser)", "shut(dresser)"]}'))
    assert listed(goal.facts) == ["in(mug, dresser)", "shut(dresser)"]
    assert listed(read_goal("bring the mug to the desk", book(), THINGS, Says("no")).facts) == ["on(mug, desk)"]


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(st.text(max_size=20), max_size=4).map(lambda facts: json.dumps({"goal": facts})),
        st.lists(
            st.tuples(
                st.sampled_from([*GOALS, "at", "holding", "fly"]),
                st.lists(st.sampled_from([*THINGS, "desk", "fridge", "moon"]), max_size=3),
            ).map(lambda pair: f"{pair[0]}({', '.join(pair[1])})"),
            max_size=4,
        ).map(lambda facts: json.dumps({"goal": facts})),
    )
)
def test_whatever_a_model_says_only_goals_of_known_things_come_of_it(answer: str) -> None:
    names = book().names(THINGS)
    try:
        goal = read_goal("make it nice", book(), THINGS, Says(answer))
    except BadInputError as error:
        assert "language model" in str(error)
        return
    for item in goal.facts:
        HOUSEHOLD.check(item, names)
        assert item.name in GOALS
    lying = [item.arguments[0] for item in goal.facts if item.name in ("on", "in")]
    assert len(lying) == len(set(lying))
