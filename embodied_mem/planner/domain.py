"""What a domain is made of: predicates, and skills with their conditions and effects, over typed names.

A skill is declared with facts over its parameters and grounded over a world's names. Duration stands for cost; what is
known of a particular world (how long the way is, how often a grasp succeeds) comes in as a `Price`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from embodied_mem.errors import BadInputError
from embodied_mem.planner.facts import Fact, Facts

Price = Callable[["Action"], float]  # seconds that an action is expected to take, failures included


@dataclass(frozen=True, slots=True)
class Predicate:
    """`types` of its arguments. `words` with {0} and {1} for them."""

    name: str
    types: tuple[str, ...]
    words: str
    false_words: str


@dataclass(frozen=True, slots=True)
class Each:
    """A condition that must hold for every name: for each `kind` for which the fixed `guard` holds, `need` holds.

    Both are said of the parameters, and of the name itself, which is called `kind` in them.
    """

    kind: str
    guard: Fact
    need: Fact


@dataclass(frozen=True, slots=True, eq=False)
class Skill:
    """Something that System 1 can do.

    parameters    name -> type, in order
    needs         facts over the parameters that must hold when it begins; each: further ones, for all names of a kind
    keeps         of these, what must go on holding while it runs
    gives, takes  facts that it makes true, and no longer true
    words         with the parameters in braces
    seconds       that it usually takes; timeout: after which it has failed; retries after the first try
    irreversible  whether doing it a second time would do harm
    """

    name: str
    parameters: Mapping[str, str]
    needs: tuple[Fact, ...]
    gives: tuple[Fact, ...]
    takes: tuple[Fact, ...]
    words: str
    keeps: tuple[Fact, ...] = ()
    each: tuple[Each, ...] = ()
    seconds: float = 5.0
    timeout: float = 60.0
    retries: int = 2
    irreversible: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Action:
    """A skill with its arguments filled in."""

    skill: Skill
    arguments: tuple[str, ...]
    needs: Facts
    gives: Facts
    takes: Facts
    keeps: Facts = frozenset()

    def __str__(self) -> str:
        return str(Fact(self.skill.name, self.arguments))

    @property
    def words(self) -> str:
        """The action as a sentence would say it."""
        return self.skill.words.format(**dict(zip(self.skill.parameters, self.arguments, strict=True)))

    def after(self, state: Facts) -> Facts:
        """What holds once it was done in a state in which it could be."""
        return (state - self.takes) | self.gives


@dataclass(frozen=True)
class Names:
    """The names of a world by type, and facts about them that never change."""

    by_type: Mapping[str, Sequence[str]]
    fixed: Facts = frozenset()

    def types_of(self, name: str) -> set[str]:
        """Every type that a name has."""
        return {kind for kind, names in self.by_type.items() if name in names}


@dataclass(frozen=True)
class Domain:
    """Predicates and skills by name. Raises BadInputError where a skill uses what was never declared."""

    name: str
    types: tuple[str, ...]
    predicates: Mapping[str, Predicate]
    skills: Mapping[str, Skill]
    fixed: frozenset[str] = field(default_factory=frozenset)  # predicates that no skill changes

    def __post_init__(self) -> None:
        for skill in self.skills.values():
            for item in (*skill.needs, *skill.gives, *skill.takes, *skill.keeps):
                self._check_declared(skill, item, set(skill.parameters))
            for rule in skill.each:
                self._check_declared(skill, rule.guard, {*skill.parameters, rule.kind})
                self._check_declared(skill, rule.need, {*skill.parameters, rule.kind})
            changed = {item.name for item in (*skill.gives, *skill.takes)} & self.fixed
            if changed:
                raise BadInputError(f"{skill.name} changes {', '.join(sorted(changed))}, which is declared as fixed.")

    def _check_declared(self, skill: Skill, item: Fact, known: set[str]) -> None:
        predicate = self.predicates.get(item.name)
        if predicate is None or len(predicate.types) != len(item.arguments):
            raise BadInputError(f"{skill.name} uses {item}, but no such predicate is declared.")
        missing = [name for name in item.arguments if name not in known]
        if missing:
            raise BadInputError(f"{skill.name} uses {item}, but has no parameter {missing[0]!r}.")

    def check(self, item: Fact, names: Names) -> None:
        """Raise BadInputError where a fact is not of this domain, or says something of a name of another type."""
        predicate = self.predicates.get(item.name)
        if predicate is None:
            raise BadInputError(f"{item}: there is no predicate {item.name!r}; known are {', '.join(self.predicates)}.")
        if len(predicate.types) != len(item.arguments):
            raise BadInputError(f"{item}: {item.name} is said of {len(predicate.types)} names.")
        for kind, argument in zip(predicate.types, item.arguments, strict=True):
            if argument not in names.by_type.get(kind, ()):
                raise BadInputError(f"{item}: {argument!r} is not known as a {kind}.")

    def ground(self, names: Names) -> list[Action]:
        """Every action over different names whose fixed conditions hold, in a fixed order."""
        actions = []
        for skill in self.skills.values():
            choices = [names.by_type.get(kind, ()) for kind in skill.parameters.values()]
            static = [item for item in skill.needs if item.name in self.fixed]
            for arguments in product(*choices):
                if len(set(arguments)) < len(arguments):
                    continue
                bound = dict(zip(skill.parameters, arguments, strict=True))
                if all(_bind(item, bound) in names.fixed for item in static):
                    actions.append(self._action(skill, arguments, bound, names))
        return actions

    def _action(self, skill: Skill, arguments: tuple[str, ...], bound: Mapping[str, str], names: Names) -> Action:
        needs, gives, takes, keeps = (
            frozenset(_bind(item, bound) for item in items if item.name not in self.fixed)
            for items in (skill.needs, skill.gives, skill.takes, skill.keeps)
        )
        more = {
            _bind(rule.need, around)
            for rule in skill.each
            for name in names.by_type.get(rule.kind, ())
            if _bind(rule.guard, around := {**bound, rule.kind: name}) in names.fixed
        }
        return Action(skill, arguments, needs | more, gives, takes - gives, keeps)

    def say(self, item: Fact, holds: bool = True) -> str:
        """A fact in words."""
        predicate = self.predicates[item.name]
        return (predicate.words if holds else predicate.false_words).format(*item.arguments)


def _bind(item: Fact, bound: Mapping[str, str]) -> Fact:
    return Fact(item.name, tuple(bound[name] for name in item.arguments))
