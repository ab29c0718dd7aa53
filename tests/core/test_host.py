"""A VM without Kubernetes: which hooks run when, what is approved, what is written."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.hearing import Hearing, heard
from agent.core.host import (
    BUSY,
    IDLE,
    LONGEST,
    HostTurn,
    Run,
    Seen,
    events_text,
    hook_document,
    hook_environment,
    host_mark,
    host_turn,
    interrupted,
    noted,
    withheld,
)
from agent.core.host_state import KEPT, HostEvent, HostState, Ran, read_state, state_text
from agent.core.judgement import Limits
from agent.core.mark import Mark
from agent.core.policy import Policy, Rule
from tests.core.builders import NAME, NOW, VM_ID, document, event, hearing, marked_event, showing, vanished

HOOKS = ("10-a", "20-b")
EARLIER = timedelta(days=2)


def seen(heard_of: Hearing | None = None, **more) -> Seen:
    said = {"vm_id": VM_ID, "vm_name": NAME, "hooks": HOOKS, **more}
    return Seen(hearing=heard_of or showing(), **said)


def turn(state: HostState, there: Seen, *, mode="off", policy: Policy | None = None) -> HostTurn:
    return host_turn(state, there, policy or Policy(), mode, now=NOW)


def begun(found: HostTurn) -> list[tuple[str, str, str]]:
    return [(run.hook, run.phase, run.event.event.id) for run in found.runs]


def finish(state: HostState, there: Seen, outcome="done", **given) -> tuple[HostState, list[tuple[str, str, str]]]:
    """Turn until nothing more is begun, each hook ending at once; returns what was begun."""
    every = []
    while (found := turn(state, there, **given)).runs or found.state != state:
        every += begun(found)
        state = found.state
        for run in found.runs:
            state = noted(state, run, outcome)
    return state, every


def test_without_events_nothing_is_begun_and_nothing_changes():
    found = turn(HostState(vm_id=VM_ID), seen())
    assert found == HostTurn(state=HostState(vm_id=VM_ID), pause=IDLE)


def test_hooks_run_in_order_one_after_the_other_and_once():
    first = turn(HostState(), seen(showing(event())))
    assert begun(first) == [("10-a", "scheduled", "E1")]
    assert first.pause == BUSY
    assert first.state.events[0].outcomes("scheduled") == {"10-a": "begun"}
    waiting = turn(first.state, seen(showing(event()), running=frozenset({"e1"})))
    assert waiting.runs == ()
    second = turn(noted(first.state, first.runs[0], "done"), seen(showing(event())))
    assert begun(second) == [("20-b", "scheduled", "E1")]
    state, more = finish(noted(second.state, second.runs[0], "failed"), seen(showing(event())))
    assert more == []
    assert state.events[0].outcomes("scheduled") == {"10-a": "done", "20-b": "failed"}
    assert state.events[0].through == {"scheduled"}


def test_a_hook_that_comes_when_its_phase_is_through_waits_for_the_next():
    state, _ = finish(HostState(), seen(showing(event())))
    later = seen(showing(event(status="Started")), hooks=(*HOOKS, "30-c"))
    assert finish(state, seen(showing(event()), hooks=later.hooks))[1] == []
    assert finish(state, later)[1] == [(hook, "started", "E1") for hook in ("10-a", "20-b", "30-c")]


def test_an_event_runs_through_its_three_phases():
    state, scheduled = finish(HostState(), seen(showing(event())))
    state, started = finish(state, seen(showing(event(status="Started"))))
    gone = seen(vanished(event()))
    state, ended = finish(state, gone)
    assert [phase for _, phase, _ in scheduled + started + ended] == ["scheduled"] * 2 + ["started"] * 2 + ["gone"] * 2
    assert state.open == ()
    assert turn(state, gone).pause == IDLE


def test_an_event_that_has_started_waits_for_no_hook_that_has_not_begun():
    first = turn(HostState(), seen(showing(event())))
    started = showing(event(status="Started"))
    waiting = turn(first.state, seen(started, running=frozenset({"e1"})))
    assert waiting.runs == ()
    _, rest = finish(noted(waiting.state, first.runs[0], "done"), seen(started))
    assert rest == [("10-a", "started", "E1"), ("20-b", "started", "E1")]


def test_an_event_first_seen_when_it_has_started_is_told_as_that():
    _, every = finish(HostState(), seen(showing(event(status="Started"))))
    assert [phase for _, phase, _ in every] == ["started", "started"]


def test_one_that_is_missing_for_a_moment_is_not_gone():
    state, _ = finish(HostState(), seen(showing(event())))
    moment = seen(vanished(event(), since=1.0, until=30.0))
    assert finish(state, moment) == (state, [])


def test_after_a_restart_a_silent_event_is_gone_only_after_the_longer_wait():
    state, _ = finish(HostState(), seen(showing(event())))
    assert finish(state, seen(hearing((0.0, document()), (299.0, document()))))[1] == []
    _, every = finish(state, seen(hearing((0.0, document()), (300.0, document()))))
    assert [phase for _, phase, _ in every] == ["gone", "gone"]
    assert finish(state, seen(Hearing()))[1] == []


def test_what_is_only_told_runs_nothing_and_ends_in_silence():
    short = event(kind="Freeze", duration=5)
    state, every = finish(HostState(), seen(showing(short)))
    assert (every, state.events[0].entry.do) == ([], "notify")
    state, every = finish(state, seen(vanished(short)))
    assert (every, state.open) == ([], ())


def test_an_event_far_ahead_is_told_now_and_its_hooks_run_as_it_comes_near():
    far = event(not_before=NOW + timedelta(hours=5))
    state, every = finish(HostState(), seen(showing(far)))
    assert every == []
    near = event(not_before=NOW + timedelta(minutes=59))
    assert len(finish(state, seen(showing(near)))[1]) == 2


def test_what_is_ignored_is_not_remembered_but_shown():
    policy = Policy(rules={"Reboot": Rule(do="ignore"), "other": Rule(do="cordon")})
    there = seen(showing(event()))
    found = turn(HostState(), there, policy=policy)
    assert found.state.events == ()
    shown = json.loads(events_text(found.state, there, policy, now=NOW, current=True))
    assert [(each["id"], each["do"]) for each in shown["events"]] == [("E1", "ignore")]


def test_a_slow_event_keeps_no_other_waiting():
    first = turn(HostState(), seen(showing(event())))
    both = seen(showing(event(), event("E2", "Preempt")), running=frozenset({"e1"}))
    assert begun(turn(first.state, both)) == [("10-a", "scheduled", "E2")]


def test_without_a_name_nothing_is_ours_and_what_was_remembered_stays():
    state, _ = finish(HostState(), seen(showing(event())))
    assert finish(state, seen(showing(event("E2")), vm_name=None))[0].events == state.events


def test_what_another_vm_remembered_on_this_disk_is_not_ours():
    state, _ = finish(HostState(), seen(showing(event())))
    assert turn(state, seen(vm_id="another")).state == HostState(vm_id="another")
    assert turn(state, seen(vm_id=None)).state == state


@pytest.mark.parametrize("position", ["hold", "release"])
def test_a_switch_that_is_off_begins_nothing(position):
    limits = Limits(cordon=position)
    assert finish(HostState(), seen(showing(event()), limits=limits))[1] == []


def test_hold_undoes_nothing_and_release_calls_off_what_was_begun():
    state, _ = finish(HostState(), seen(showing(event())))
    assert finish(state, seen(vanished(event()), limits=Limits(cordon="hold")))[1] == []
    _, every = finish(state, seen(showing(event()), limits=Limits(cordon="release")))
    assert [phase for _, phase, _ in every] == ["gone", "gone"]


def test_an_event_that_is_shown_again_after_its_end_is_shown_but_runs_nothing_twice():
    state, _ = finish(HostState(), seen(showing(event())))
    state, _ = finish(state, seen(vanished(event())))
    again = seen(showing(event()))
    after, every = finish(state, again)
    assert every == []
    [shown] = json.loads(events_text(after, again, Policy(), now=NOW, current=True))["events"]
    assert (shown["id"], shown["shown"]) == ("E1", True)


def test_only_the_last_hundred_of_those_that_are_over_are_kept():
    closed = [
        HostEvent(event=event(f"E{n}"), entry=marked_event(f"E{n}"), through=frozenset({"gone"}))
        for n in range(KEPT + 5)
    ]
    kept = turn(HostState(vm_id=VM_ID, events=tuple(closed)), seen()).state.events
    assert [each.event.id for each in kept] == [f"E{n}" for n in range(5, KEPT + 5)]


OWN = event(source="User")


def approved(state: HostState, there: Seen, mode="own-user-events") -> list[str]:
    return [each.id for each in turn(state, there, mode=mode).approve]


def test_a_user_s_own_restart_may_begin_when_all_hooks_are_done_and_only_once():
    there = seen(showing(OWN))
    first = turn(HostState(), there, mode="own-user-events")
    assert first.approve == ()
    state, _ = finish(HostState(), there)
    found = turn(state, there, mode="own-user-events")
    assert [each.id for each in found.approve] == ["E1"]
    assert found.state.events[0].entry.approved == "agent"
    assert approved(found.state, there) == []
    assert approved(found.state, replace(there, unsent=frozenset({"e1"}))) == ["E1"]
    assert approved(read_state(state_text(found.state)), there) == []


def test_a_folder_that_cannot_be_read_is_not_a_folder_without_hooks():
    blind = seen(showing(OWN), hooks=None)
    state, every = finish(HostState(), blind)
    assert (every, approved(state, blind)) == ([], [])
    assert len(finish(state, seen(showing(OWN)))[1]) == 2


def test_where_nobody_waits_it_may_begin_at_once():
    assert approved(HostState(), seen(showing(OWN), hooks=())) == ["E1"]


def test_a_hook_that_ran_when_we_died_is_lost_and_not_run_again():
    first = turn(HostState(), seen(showing(event())))
    read = read_state(state_text(first.state))
    assert [(run.hook, run.phase, run.event.event.id) for run in interrupted(read)] == [("10-a", "scheduled", "E1")]
    state = noted(read, interrupted(read)[0], "lost")
    assert interrupted(state) == ()
    assert finish(state, seen(showing(event())))[1] == [("20-b", "scheduled", "E1")]


@pytest.mark.parametrize("outcome", ["failed", "late", "refused", "lost"])
def test_a_hook_that_was_not_done_keeps_it_waiting(outcome):
    state, _ = finish(HostState(), seen(showing(OWN)), outcome)
    assert approved(state, seen(showing(OWN))) == []


@pytest.mark.parametrize(
    "other",
    [
        event(),
        event(source="User", kind="Preempt"),
        event(source="User", resources=(NAME, "web_1")),
        event(source="User", status="Started"),
        event(source="User", not_before=NOW + timedelta(hours=5)),
    ],
)
def test_no_other_event_is_approved(other):
    state, _ = finish(HostState(), seen(showing(other)))
    assert approved(state, seen(showing(other))) == []


def test_nothing_is_approved_while_approval_is_off_or_the_event_is_away():
    state, _ = finish(HostState(), seen(showing(OWN)))
    assert approved(state, seen(showing(OWN)), mode="off") == []
    assert approved(state, seen(vanished(OWN, until=2.0))) == []


def test_what_was_not_begun_is_not_remembered_as_begun():
    there = seen(showing(OWN, event("E2")), hooks=("10-a",))
    first = turn(HostState(), there)
    assert [each.ran for each in withheld(first).events] == [(), ()]
    state, _ = finish(HostState(), there)
    found = turn(state, there, mode="own-user-events")
    assert withheld(found) == state


def test_the_file_says_what_is_scheduled_what_our_policy_says_and_what_ran():
    there = seen(showing(event(description="Host maintenance", source="Platform", duration=9)))
    state, _ = finish(HostState(), there)
    assert json.loads(events_text(state, there, Policy(), now=NOW, current=True)) == {
        "v": 1,
        "vm": {"id": VM_ID, "name": NAME},
        "current": True,
        "events": [
            {
                "id": "E1",
                "type": "Reboot",
                "status": "Scheduled",
                "not_before": "2026-04-11T12:05:00Z",
                "duration": 9,
                "source": "Platform",
                "description": "Host maintenance",
                "resources": [NAME],
                "do": "cordon",
                "rule": "Reboot",
                "ultimately": "cordon",
                "shown": True,
                "approved": None,
                "hooks": {"scheduled": {"10-a": "done", "20-b": "done"}},
            }
        ],
    }
    silent = seen(vanished(event(), until=2.0))
    [left] = json.loads(events_text(state, silent, Policy(), now=NOW, current=True))["events"]
    assert left["shown"] is False


def test_the_file_is_the_same_bytes_while_only_time_passes():
    there = seen(showing(event()))
    state, _ = finish(HostState(), there)
    texts = {events_text(state, there, Policy(), now=NOW + timedelta(seconds=n), current=True) for n in range(60)}
    assert len(texts) == 1


def test_a_hook_is_told_in_variables_of_one_line_and_in_json():
    odd = event("E1\n", description="a\nb\0" + "x" * 2000, not_before=None, duration=0)
    entry = replace(marked_event("E1\n"), do="drain")
    run = Run(hook="10-a", phase="scheduled", event=HostEvent(event=odd, entry=entry))
    told = hook_environment(run)
    assert {name: told[f"IMDS_EVENT_{name}"] for name in ("PHASE", "ID", "TYPE", "STATUS", "DO", "NOT_BEFORE")} == {
        "PHASE": "scheduled",
        "ID": "E1 ",
        "TYPE": "Reboot",
        "STATUS": "Scheduled",
        "DO": "drain",
        "NOT_BEFORE": "",
    }
    assert told["IMDS_EVENT_DURATION"] == "0"
    assert told["IMDS_EVENT_SOURCE"] == ""
    assert len(told["IMDS_EVENT_DESCRIPTION"]) == LONGEST
    assert told["IMDS_EVENT_DESCRIPTION"].startswith("a b x")
    said = hook_document(run, NAME)
    assert said.count("\n") == 1
    assert json.loads(said)["vm"] == NAME
    assert json.loads(said)["description"] == odd.description


def test_others_are_told_the_open_events_as_a_mark_would_say_them():
    state, _ = finish(HostState(), seen(showing(event())))
    assert host_mark(state) == Mark(events=(marked_event(),))
    assert host_mark(finish(state, seen(vanished(event())))[0]) == Mark()


STEPS = st.lists(
    st.one_of(
        st.sampled_from(["end", "restart", "tick", "unwritten"]),
        st.tuples(
            st.sets(st.sampled_from(["E1", "E2"])),
            st.sampled_from(["Scheduled", "Started"]),
            st.sampled_from([1, 61, 301]),
        ),
    ),
    max_size=40,
)


@given(STEPS)
def test_no_hook_is_ever_begun_twice_for_one_event_and_phase_and_never_two_at_once_for_an_event(steps):
    disk, state, running, every, heard_of, instant = state_text(HostState()), HostState(), {}, [], Hearing(), 0.0
    for step in steps:
        if step == "end" and running:
            state = noted(state, running.pop(min(running)), "done")
        elif step == "restart":
            state, running, heard_of = read_state(disk), {}, Hearing()
        elif isinstance(step, tuple):
            shown, status, passed = step
            instant += passed
            heard_of = heard(heard_of, document(*(event(name, status=status) for name in sorted(shown))), instant)
        found = turn(state, seen(heard_of, running=frozenset(running)))
        if step == "unwritten":
            state = withheld(found)
            continue
        state = found.state
        disk = state_text(state)
        for run in found.runs:
            assert run.event.key not in running
            running[run.event.key] = run
            every.append((run.hook, run.phase, run.event.key))
    assert len(every) == len(set(every))


@given(st.sampled_from(["done", "failed", "late", "refused", "lost"]), st.permutations(["Scheduled", "Started"]))
def test_every_event_that_was_told_of_is_called_off_in_the_end(outcome, statuses):
    state = HostState()
    for status in statuses:
        state, _ = finish(state, seen(showing(event(status=status))), outcome)
    state, every = finish(state, seen(vanished(event())), outcome)
    assert every == [("10-a", "gone", "E1"), ("20-b", "gone", "E1")]
    assert state.open == ()


def test_a_word_about_a_hook_is_only_about_that_one():
    two = (Ran(phase="scheduled", hook="10-a", outcome="begun"), Ran(phase="gone", hook="10-a", outcome="begun"))
    first = HostEvent(event=event(), entry=marked_event(), ran=two)
    other = HostEvent(event=event("E2"), entry=marked_event("E2"), ran=two)
    after = noted(HostState(events=(first, other)), Run(hook="10-a", phase="gone", event=first), "late")
    assert [each.outcomes("gone")["10-a"] for each in after.events] == ["late", "begun"]
    assert after.events[0].outcomes("scheduled") == {"10-a": "begun"}
