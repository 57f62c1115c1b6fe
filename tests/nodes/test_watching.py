"""What the manager decides: bring up in order, try again, kill what hangs, notice what came back."""

from __future__ import annotations

from embodied_mem.nodes.heartbeat import Heartbeat
from embodied_mem.nodes.watching import Action, Watch, Watched

HERE = "here"


def watch(*names: str) -> Watch:
    return Watch(names or ("a", "b"), host=HERE, heartbeat_timeout=5.0, transition_timeout=60.0)


def beat(node: str, state: str, pid: int = 1, host: str = HERE, problem: str = "") -> Heartbeat:
    return Heartbeat(node, host, pid, 100, state, problem)


def todo(made: Watch, now: float) -> list[tuple[str, Action]]:
    return [(node.name, action) for node, action in made.next_actions(now)]


def test_nodes_are_brought_up_one_after_the_other() -> None:
    made = watch()
    assert todo(made, 0.0) == []
    for name in ("a", "b"):
        made.heard(beat(name, "unconfigured"), 0.0)
    assert todo(made, 0.1) == [("a", Action.CONFIGURE)]
    assert todo(made, 0.2) == []  # it is at it
    made.succeeded(made.nodes["a"], Action.CONFIGURE, 0.3)
    assert todo(made, 0.3) == [("a", Action.ACTIVATE)]
    made.succeeded(made.nodes["a"], Action.ACTIVATE, 0.4)
    assert todo(made, 0.4) == [("b", Action.CONFIGURE)] and not made.all_active


def test_a_late_heartbeat_does_not_undo_a_transition() -> None:
    made = watch("a")
    made.heard(beat("a", "unconfigured"), 0.0)
    todo(made, 0.0)
    made.succeeded(made.nodes["a"], Action.CONFIGURE, 1.0)
    made.heard(beat("a", "unconfigured"), 1.01)
    assert todo(made, 1.02) == [("a", Action.ACTIVATE)]


def test_a_failed_transition_is_tried_again_later_each_time_later_still() -> None:
    made = watch("a")
    node: Watched = made.nodes["a"]
    waits = []
    now = 0.0
    for _ in range(8):
        made.heard(beat("a", "unconfigured"), now)
        assert todo(made, now) == [("a", Action.CONFIGURE)]
        made.failed(node, Action.CONFIGURE, "the node refused", now)
        assert node.problem == "Configuring failed: the node refused"
        made.heard(beat("a", "unconfigured"), node.retry_at - 0.02)
        assert todo(made, node.retry_at - 0.01) == []
        waits.append(node.retry_at - now)
        now = node.retry_at
    assert waits[0] == 1.0 and waits == sorted(waits) and waits[-1] == 30.0


def test_a_silent_node_is_killed_once_and_its_last_words_do_not_revive_it() -> None:
    made = watch("a")
    made.heard(beat("a", "active"), 0.0)
    assert todo(made, 4.9) == []
    assert todo(made, 5.1) == [("a", Action.KILL)] and todo(made, 5.2) == []
    made.heard(beat("a", "active"), 5.3)
    assert made.nodes["a"].state == "silent"
    made.heard(beat("a", "unconfigured", pid=2), 6.0)
    assert todo(made, 6.0) == [("a", Action.CONFIGURE)]
    assert (made.nodes["a"].restarts, made.nodes["a"].kills) == (1, 1)


def test_a_silent_node_of_another_machine_is_not_ours_to_kill() -> None:
    made = watch("a")
    made.heard(beat("a", "active", host="there"), 0.0)
    assert todo(made, 60.0) == [] and made.nodes["a"].state == "silent"


def test_a_node_may_be_silent_while_it_configures() -> None:
    made = watch("a")
    made.heard(beat("a", "unconfigured"), 0.0)
    assert todo(made, 0.0) == [("a", Action.CONFIGURE)]
    assert all(todo(made, now) == [] for now in range(1, 60))
    assert todo(made, 60.5) == [("a", Action.KILL)]


def test_a_node_that_was_long_at_a_transition_is_not_taken_for_hung_when_it_answers() -> None:
    """It may have had no time for a heartbeat, and its answer may come before the next one."""
    for done in (True, False):
        made = watch("a")
        made.heard(beat("a", "unconfigured"), 0.0)
        assert todo(made, 0.0) == [("a", Action.CONFIGURE)]
        assert all(todo(made, now) == [] for now in range(1, 30))
        if done:
            made.succeeded(made.nodes["a"], Action.CONFIGURE, 30.0)
            assert todo(made, 30.1) == [("a", Action.ACTIVATE)]
        else:
            made.failed(made.nodes["a"], Action.CONFIGURE, "the node refused", 30.0)
            assert todo(made, 30.1) == [] and todo(made, 31.0) == [("a", Action.CONFIGURE)]


def test_silence_does_not_count_while_nobody_listened() -> None:
    """The heartbeats of a time in which the manager did not run are still before it, and come in after its timer."""
    made = watch("a")
    made.heard(beat("a", "active"), 0.0)
    assert todo(made, 0.1) == [] and todo(made, 20.0) == []
    assert all(todo(made, 20.0 + later) == [] for later in (1.0, 2.0, 3.0, 4.0))
    assert todo(made, 25.0) == [("a", Action.KILL)]


def test_a_restarted_node_is_brought_up_while_the_others_go_on() -> None:
    made = watch()
    made.heard(beat("a", "active"), 0.0)
    made.heard(beat("b", "active"), 0.0)
    assert made.all_active
    made.heard(beat("a", "unconfigured", pid=9), 1.0)
    assert todo(made, 1.0) == [("a", Action.CONFIGURE)]
    made.heard(beat("b", "active"), 1.0)
    assert todo(made, 1.1) == []


def test_a_request_that_was_lost_on_the_way_is_made_again() -> None:
    """A node that is at a transition is silent: one that goes on saying that it is unconfigured was never asked."""
    made = watch("a")
    made.heard(beat("a", "unconfigured"), 0.0)
    assert todo(made, 0.0) == [("a", Action.CONFIGURE)]
    made.heard(beat("a", "unconfigured"), 0.2)  # may have been sent before
    assert todo(made, 0.3) == []
    made.heard(beat("a", "unconfigured"), 2.5)
    assert todo(made, 2.6) == [("a", Action.CONFIGURE)]


def test_the_answer_to_a_request_that_was_made_twice_does_no_harm() -> None:
    made = watch("a")
    made.heard(beat("a", "unconfigured"), 0.0)
    todo(made, 0.0)
    made.succeeded(made.nodes["a"], Action.CONFIGURE, 3.0)
    made.failed(made.nodes["a"], Action.CONFIGURE, "the node refused", 3.1)
    assert not made.nodes["a"].problem and todo(made, 3.2) == [("a", Action.ACTIVATE)]


def test_strangers_are_ignored() -> None:
    made = watch("a")
    made.heard(beat("robot2/a", "unconfigured"), 0.0)
    assert todo(made, 0.0) == []
