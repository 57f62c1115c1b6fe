"""System 2: plans, has steps done, watches, repairs, plans anew, and gives up with a reason.

    planner = System2(knowledge, controller, write)
    planner.begin("bring the mug to the desk")
    while planner.tick() is Progress.GOING: ...
    planner.run.summary, planner.run.reason

Where something fails, the same is tried again; then, since a failure is experience that makes it dearer, another grip,
thing or place; then a new plan from what is observed. What was done is written down (experience.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np

from embodied_mem.errors import BadInputError
from embodied_mem.planner.acting import HOPELESS, LOOKS, Acting, Context, Controller
from embodied_mem.planner.experience import BEGUN, DONE, FAILED, GIVEN_UP, StepRecord, TaskRecord, folded
from embodied_mem.planner.facts import Fact, Facts, listed
from embodied_mem.planner.framing import Framed, Pricing, frame
from embodied_mem.planner.goals import Goal, parse_goal
from embodied_mem.planner.household import HOUSEHOLD
from embodied_mem.planner.knowledge import Knowledge
from embodied_mem.planner.monitor import Verdict, all_hold, verdict
from embodied_mem.planner.plan import Plan, PlanStep, State
from embodied_mem.planner.solving import ForwardSearch, NoPlanError, Solution, Solver
from embodied_mem.planner.tree import PlanTree, Ticked

_S = 1_000_000_000
_STILL = 0.35  # share of its probability that an assumption must have kept
_UNDER_WAY_S = 5.0  # seconds after which a frame that was made is taken for lost
_PATIENCE_S = 1.5  # seconds that further frames are waited for


class Progress(Enum):
    """Of a task."""

    GOING = "going on"
    DONE = "done"
    GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True)
class Settings:
    """replans, steps: so many at most, then it gives up; looks: how often further frames are asked for."""

    replans: int = 30
    steps: int = 150
    looks: int = 2
    remembers_looks: bool = True  # else where to look is drawn anew each time


@dataclass(frozen=True, slots=True)
class Happening:
    """A line of the trace."""

    stamp_ns: int
    kind: str  # task, plan, begin, end, repair, replan, reached, given up
    text: str
    why: str = ""
    evidence: tuple[int, ...] = ()


@dataclass(eq=False)
class Run:
    """One task, as far as it has come."""

    task: str
    goal: Goal
    begun_ns: int
    limit_s: float = 0.0
    plan: Plan | None = None
    steps: int = 0
    replans: int = 0
    repairs: int = 0
    state: str = "planning"
    reason: str = ""
    summary: str = ""
    trace: list[Happening] = field(default_factory=list)
    verdicts: list[tuple[PlanStep, Verdict, bool]] = field(default_factory=list)  # step, monitor, controller's word
    done_steps: list[StepRecord] = field(default_factory=list)


class Thought(Protocol):
    """A plan that is being looked for; `concurrent.futures.Future` is one."""

    def done(self) -> bool: ...

    def result(self) -> Solution:
        """Raises NoPlanError."""
        ...


class AtOnce:
    """Thinks while one waits."""

    def __init__(self, call: Callable[[], Solution]) -> None:
        self._call = call

    def done(self) -> bool:
        return True

    def result(self) -> Solution:
        return self._call()


class System2:
    """See the module docstring. One task at a time; `tick` never waits, but makes plans.

    write   puts a caption into the log; clock: ROS time in ns
    things  every name that an instruction may use
    saw     asks for further frames; settled: hears what became of each step
    think   starts to look for a plan, on another thread if it likes
    """

    def __init__(
        self, known: Knowledge, controller: Controller, write: Callable[[str], object], *,
        things: Callable[[], tuple[str, ...]], clock: Callable[[], int], solver: Solver | None = None,
        pricing: Pricing | None = None, settings: Settings | None = None, rng: np.random.Generator | None = None,
        saw: Callable[[], object] = lambda: None,
        settled: Callable[[PlanStep, Verdict], object] = lambda step, found: None,
        think: Callable[[Callable[[], Solution]], Thought] | None = None,
    ) -> None:  # fmt: skip
        self.known, self.controller, self._write = known, controller, write
        self._things, self._clock, self._saw, self._settled = things, clock, saw, settled
        self.solver: Solver = solver or ForwardSearch()
        self.pricing = pricing or Pricing(known.book, known.experience, learned=known.uses.episodes)
        self.settings = settings or Settings()
        self._rng = rng or np.random.default_rng(0)
        self.run: Run | None = None
        self._tree: PlanTree | None = None
        self._acting: Acting | None = None
        self._tries: dict[str, int] = {}
        self._looks, self._looked_at, self._look_until_ns, self._judging = 0, -1, 0, False
        self._failed, self._first = "", 0
        self._think: Callable[[Callable[[], Solution]], Thought] = think or AtOnce
        self._thought: tuple[Framed, Thought] | None = None
        self._assumed: dict[Fact, float] = {}

    # --- the task ----------------------------------------------------------------------------------------------

    def begin(self, instruction: str = "", *, goal: Facts | None = None, task: str = "", limit_s: float = 0.0) -> Run:
        """Begin a task, or go on with one that the log knows. Raises BadInputError for what is not understood."""
        now = self._clock()
        known = self.known.experience.instructions.get(task, "")
        if goal is not None:
            names = self.known.book.names(self._things())
            for item in goal:
                HOUSEHOLD.check(item, names)
            meant = Goal(goal, words="; ".join(listed(goal)))
        elif instruction or known:
            meant = self._meant(instruction or known)
        else:
            raise BadInputError(f"The task {task!r} is not known, and there is neither an instruction nor a goal.")
        before = self.known.experience.of_task(task) if task else []
        name = task or f"t{len(self.known.experience.tasks) + 1}"
        self.run = Run(name, meant, now, limit_s)
        self._thought = None
        self._tree, self._tries, self._looks, self._judging, self._failed = None, {}, 0, False, ""
        number = max((step.step for step in before), default=0)
        self._acting, self._first = Acting(self.known, self.controller, self._write, self._clock, name, number), number
        self.known.begin(now, meant.hints)
        if not before:
            self._write(TaskRecord(name, meant.words, BEGUN).caption)
        self._tell("task", meant.words, "it was going on when it was interrupted" if before else "")
        return self.run

    def _meant(self, words: str) -> Goal:
        if "(" in words:
            return Goal(frozenset(Fact.parse(part) for part in words.split(";")), words=words)
        return parse_goal(words, self.known.book, self._things())

    def tick(self) -> Progress:
        """Go on with the task."""
        run = self._going()
        if run.state in (Progress.DONE.value, Progress.GIVEN_UP.value):
            return Progress(run.state)
        if run.limit_s and (self._clock() - run.begun_ns) / _S > run.limit_s:
            return self._give_up(f"the time of {run.limit_s:.0f} s is over")
        if self._judging:
            return self._after_step()
        if self._tree is None:
            try:
                self._make_plan()
            except NoPlanError as error:
                return self._give_up(str(error))
        if self._tree is None:
            return Progress.GOING  # still thinking
        ticked = self._tree.tick()
        if ticked is Ticked.REACHED:
            if all_hold(run.goal.facts, self.known.judge):
                return self._finish()
            return self._again("the goal is to be seen")
        if ticked is Ticked.FINISHED:
            run.steps = self._acting.number - self._first if self._acting is not None else 0
            return self._after_step()
        if ticked is Ticked.BROKEN:
            self._note_empty_places()
            return self._again(self._broken_by())
        return Progress.GOING

    def cancel(self, reason: str) -> Progress:
        """Stop what runs and give the task up."""
        return self._give_up(reason)

    def context_of(self, step: PlanStep) -> Context:
        """What memory would tell a controller for a step now."""
        assert self._acting is not None
        return self._acting.context(step)

    @property
    def step_running(self) -> int:
        """The id of the step that is being done, 0 for none."""
        acting = self._acting
        running = self._tree is not None and acting is not None and acting.step is not None and acting.ended is None
        return acting.step.id if running and acting is not None and acting.step is not None else 0

    def suspend(self) -> None:
        """Stop what runs; `begin` with the task's name goes on with it."""
        if self._tree is not None:
            self._tree.stop()
        self._tree, self._thought = None, None

    def _going(self) -> Run:
        if self.run is None:
            raise BadInputError("No task was begun.")
        return self.run

    def _finish(self) -> Progress:
        run = self._going()
        run.state = Progress.DONE.value
        run.summary = folded(run.done_steps)
        self._close(DONE)
        self._tell("reached", "the goal holds", "; ".join(listed(run.goal.facts)))
        return Progress.DONE

    def _give_up(self, reason: str) -> Progress:
        run = self._going()
        self.suspend()
        run.state, run.reason = Progress.GIVEN_UP.value, reason
        run.summary = folded(run.done_steps)
        self._close(GIVEN_UP)
        self._tell("given up", reason)
        return Progress.GIVEN_UP

    def _close(self, outcome: str) -> None:
        run = self._going()
        seconds = (self._clock() - run.begun_ns) / _S
        told = f", {run.steps} steps, {run.replans} new plans, {seconds:.1f} s"
        told += f": {run.reason}" if run.reason else ""
        self._write(TaskRecord(run.task, run.goal.words, outcome, told).caption)

    # --- plans -------------------------------------------------------------------------------------------------

    def _make_plan(self) -> None:
        run = self._going()
        run.state = "planning"
        assert self._acting is not None
        rng = None if self.settings.remembers_looks else self._rng
        if self._thought is None:
            framed = frame(run.goal.facts, self.known, self.pricing, rng=rng)
            self._thought = framed, self._think(lambda: self.solver.solve(framed.problem))
        framed, thought = self._thought
        if not thought.done():
            return
        self._thought = None
        solution = thought.result()
        self._assumed = dict(framed.assumed)
        version = 1 if run.plan is None else run.plan.version + 1
        run.plan = Plan.of(
            framed.problem, solution.actions, optimal=solution.optimal, solver=self.solver.name,
            assumed=framed.assumed, version=version, why=self._failed or "the task begins",
        )  # fmt: skip
        self._tree = PlanTree(
            run.plan,
            self._acting,
            lambda goal: all_hold(goal, self.known.judge),
            self._possible,
        )
        run.state = "acting"
        self._tell("plan", f"{len(run.plan)} steps, {run.plan.cost:.0f} s", run.plan.why)

    def _again(self, why: str) -> Progress:
        """Plan anew."""
        run = self._going()
        run.replans += 1
        self._tree, self._failed = None, why
        self._tell("replan", why)
        if run.replans > self.settings.replans:
            return self._give_up(f"{run.replans} plans failed, the last one because {why}")
        return Progress.GOING

    def _possible(self, facts: Facts) -> bool:
        """Whether facts may be taken for true."""
        return all(self._may_be(item) for item in facts)

    def _may_be(self, item: Fact) -> bool:
        """Likely, or assumed by the plan and not much less probable since."""
        judged = self.known.judge(item)
        return judged.likely or judged.probability >= _STILL * self._assumed.get(item, np.inf)

    def _note_empty_places(self) -> None:
        """The robot stands where it took a thing to be, and sees that it is not: that was a look in vain."""
        assert self._acting is not None
        for item, before in self._assumed.items():
            if item.name not in ("on", "in") or item.arguments[1] != self.known.spot:
                continue
            if self.known.judge(item).probability < _STILL * before:
                look = Fact("look" if item.name == "on" else "look_in", item.arguments)
                self._acting.number += 1
                record = StepRecord(self._acting.task, self._acting.number, 1, look, FAILED, "not found", 0.0)
                self._write(record.caption)
                self._going().done_steps.append(record)

    def _broken_by(self) -> str:
        run = self._going()
        assert run.plan is not None
        needed = run.plan.kernels[0] if run.plan.steps else run.plan.goal
        lacking = sorted(item for item in needed if not self._may_be(item))
        said = [HOUSEHOLD.say(item, False) for item in [i for i in lacking if i.name != "at"] or lacking][:2]
        return " and ".join(said) or "what was expected does not hold"

    # --- steps -------------------------------------------------------------------------------------------------

    def _after_step(self) -> Progress:
        """A step has ended: what became of it, by what is seen. Where that is not known, look again."""
        acting = self._acting
        assert acting is not None and acting.step is not None
        if self._not_yet_seen():
            return Progress.GOING
        if acting.ended is not None and acting.ended.done and self.known.claimed is None:
            self.known.claim(acting.record(1, DONE))
        found, judged = verdict(acting.step.action.gives, self.known.judge)
        if found is Verdict.UNKNOWN and self._looks < self.settings.looks:
            if self._looked_at != self.known.version:
                self._looks += 1
                self._looked_at = self.known.version
                self._saw()
                self._look_until_ns = self._clock() + round(_PATIENCE_S * _S)
            self._judging = self._clock() < self._look_until_ns
            if self._judging:
                self._going().state = "looking"
                return Progress.GOING
        self._judging, self._looks, self._looked_at = False, 0, -1
        self.known.claim(None)
        return self._settle(found, [one.why for one in judged], tuple(seq for one in judged for seq in one.evidence))

    def _not_yet_seen(self) -> bool:
        """Whether frames that were made during the step are still under way to memory."""
        assert self._acting is not None and self._acting.ended is not None
        last, seen_ns = self.known.last, self._acting.ended.seen_ns
        if last is None or last.stamp_ns >= seen_ns or self._clock() > seen_ns + round(_UNDER_WAY_S * _S):
            return False
        self._judging = True
        return True

    def _settle(self, found: Verdict, why: list[str], evidence: tuple[int, ...]) -> Progress:
        run, acting = self._going(), self._acting
        assert acting is not None and acting.step is not None and acting.ended is not None and run.plan is not None
        step, ended = run.plan.steps[acting.step.id - 1], acting.ended
        done = found is Verdict.DONE or (found is Verdict.UNKNOWN and ended.done)
        run.verdicts.append((step, found, ended.done))
        self._settled(step, found)
        tries = self._tries[str(step.action)] = self._tries.get(str(step.action), 0) + 1
        reason = "" if done else ended.reason or ("not found" if step.skill in LOOKS else "not seen to be so")
        record = acting.record(tries, DONE if done else FAILED, reason, ended.seconds)
        self._write(record.caption)
        run.done_steps.append(record)
        state = State.DONE if done else State.FAILED
        run.plan = run.plan.with_step(step.became(state, reason, tries))
        self._tell("end", f"{step.words}: {'done' if done else 'failed'}", reason or "; ".join(why), evidence)
        if done:
            self._tries.pop(str(step.action), None)
            if run.steps > self.settings.steps:
                return self._give_up(f"{run.steps} steps did not reach the goal")
            if step.state is not State.WAITING and step.skill in LOOKS:
                return self._again(f"to {step.words} did not help")
            return Progress.GOING
        if step.skill in LOOKS:
            return self._again(f"the {step.arguments[0]} is not there: {step.words}")
        if tries <= step.retries and ended.reason not in HOPELESS:
            run.repairs += 1
            self._tell("repair", f"once more: {step.words}", reason)
            return Progress.GOING
        self._tries.pop(str(step.action), None)
        return self._again(f"{step.words} failed: {reason}")

    def _tell(self, kind: str, text: str, why: str = "", evidence: tuple[int, ...] = ()) -> None:
        self._going().trace.append(Happening(self._clock(), kind, text, why, evidence))
