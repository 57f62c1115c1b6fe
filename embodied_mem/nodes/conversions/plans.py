"""Plan, PlanStep, MemoryContext, and the actions of the planner and of controllers."""

from __future__ import annotations

from typing import Any

import numpy as np
from embodied_mem_msgs.action import ExecuteSkill, ExecuteTask
from embodied_mem_msgs.msg import Evidence, MemoryContext
from embodied_mem_msgs.msg import Plan as PlanMsg
from embodied_mem_msgs.msg import PlanStep as PlanStepMsg

from embodied_mem.errors import BadInputError
from embodied_mem.nodes.conversions.basics import make_pose, ns_to_stamp, position_of
from embodied_mem.planner.acting import Context, Ended
from embodied_mem.planner.domain import Action
from embodied_mem.planner.facts import listed
from embodied_mem.planner.household import HOUSEHOLD
from embodied_mem.planner.plan import Plan, PlanStep, State
from embodied_mem.planner.system2 import Run

_UPRIGHT = (0.0, 0.0, 0.0, 1.0)


def step_to_msg(step: PlanStep) -> PlanStepMsg:
    return PlanStepMsg(
        id=step.id, words=step.words, skill=step.skill, arguments=list(step.arguments),
        conditions=listed(step.action.needs), effects=listed(step.action.gives),
        irreversible=step.action.skill.irreversible, expected=float(step.expected), timeout=float(step.timeout),
        retries=step.retries, tries=step.tries, state=step.state.value, outcome=step.outcome,
    )  # fmt: skip


def plan_to_msg(run: Run, stamp_ns: int, frame: str, running: int = 0) -> PlanMsg:
    """The plan of a task; `running`: the id of the step that is being done, 0 for none."""
    plan: Plan | None = run.plan
    msg = PlanMsg(task_id=run.task, instruction=run.goal.words, goal=listed(run.goal.facts), current=-1)
    msg.header.stamp, msg.header.frame_id = ns_to_stamp(stamp_ns), frame
    if plan is None:
        return msg
    steps = [step.became(State.RUNNING) if step.id == running else step for step in plan.steps]
    msg.version, msg.steps, msg.current = plan.version, [step_to_msg(step) for step in steps], running - 1
    msg.cost, msg.optimal, msg.solver, msg.why = float(plan.cost), plan.optimal, plan.solver, plan.why
    msg.beliefs = [f"{item} ({100 * p:.0f} %)" for item, p in plan.assumed]
    return msg


def context_to_msg(context: Context, stamp_ns: int, frame: str) -> MemoryContext:
    msg = MemoryContext(text=context.text, probability=float(context.probability))
    msg.header.stamp, msg.header.frame_id = ns_to_stamp(stamp_ns), frame
    msg.goal.header = msg.header
    msg.has_goal = context.position is not None
    if context.position is not None:
        msg.goal.pose = make_pose(context.position, _UPRIGHT)
    msg.evidence = [Evidence(seq=seq) for seq in context.evidence if seq > 0]
    return msg


def context_from_msg(msg: MemoryContext) -> Context:
    position = position_of(msg.goal.pose) if msg.has_goal else None
    if position is not None and not np.isfinite(position).all():
        raise BadInputError("The position of the context is not finite.")
    return Context(msg.text, position, float(msg.probability), tuple(one.seq for one in msg.evidence))


def skill_goal(step: PlanStep, key: str, context: Context, stamp_ns: int, frame: str) -> Any:
    """The goal of ExecuteSkill for a step."""
    return ExecuteSkill.Goal(
        task_id=key.rpartition("/")[0], step_key=key, skill=step.skill, arguments=list(step.arguments),
        words=step.words, timeout=float(step.timeout), context=context_to_msg(context, stamp_ns, frame),
    )  # fmt: skip


def step_from_goal(goal: Any) -> PlanStep:
    """The step that a goal of ExecuteSkill asks for. Raises BadInputError."""
    skill = HOUSEHOLD.skills.get(goal.skill)
    if skill is None:
        raise BadInputError(f"There is no skill {goal.skill!r}; known are {', '.join(HOUSEHOLD.skills)}.")
    if len(goal.arguments) != len(skill.parameters):
        raise BadInputError(f"{goal.skill} takes {', '.join(skill.parameters)}, not {', '.join(goal.arguments)}.")
    nothing: frozenset[Any] = frozenset()
    return PlanStep(1, Action(skill, tuple(goal.arguments), nothing, nothing, nothing), 0.0)


def ended_from_result(result: Any) -> Ended:
    if result.error_code:
        return Ended(False, "refused", 0.0)
    return Ended(result.done, result.reason, float(result.seconds), int(result.seen_to))


def ended_to_result(ended: Ended, repeated: bool = False) -> Any:
    message = "done" if ended.done else f"not done: {ended.reason}"
    return ExecuteSkill.Result(
        done=ended.done,
        reason=ended.reason,
        seconds=float(ended.seconds),
        repeated=repeated,
        message=message,
        seen_to=ended.seen_ns,
    )


def task_result(run: Run, done: bool, seconds: float, stamp_ns: int, frame: str) -> Any:
    message = "The goal was seen to hold." if done else f"Given up: {run.reason}"
    return ExecuteTask.Result(
        message=message, done=done, reason=run.reason, task_id=run.task, plan=plan_to_msg(run, stamp_ns, frame),
        summary=run.summary, steps=run.steps, replans=run.replans, seconds=float(seconds),
    )  # fmt: skip


def task_feedback(run: Run, stamp_ns: int, frame: str, running: int) -> Any:
    last = run.trace[-1] if run.trace else None
    why = "" if last is None else f"{last.text}; {last.why}" if last.why else last.text
    plan = plan_to_msg(run, stamp_ns, frame, running)
    return ExecuteTask.Feedback(
        state=run.state, task_id=run.task, plan=plan, belief=plan.beliefs[0] if plan.beliefs else "", why=why
    )
