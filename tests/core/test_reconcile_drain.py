"""Drain, budget, approval and switch as parts of a turn: what comes first, what must be known, what is asked of whom."""

from datetime import timedelta

import pytest

from agent.core.actions import ApplyGroup, ApplyMark, Approve, Ask, FreePlace, RenewPlace, SetTaints, Sweep, TakePlace
from agent.core.approval import Neighbour
from agent.core.budget import Place, Scope, Size, Take, Watched, watched
from agent.core.drain import Attempt, DrainPolicy
from agent.core.known import BudgetRule, Rules, SeenNeighbours, SeenPlaces, SeenPods
from agent.core.maintenance import Cordon, Drain, Notify, Release
from agent.core.mark import mark_text
from agent.core.pods import Pod
from agent.core.policy import DEFAULT_RULES, Policy, Rule
from agent.core.switch import Switch
from agent.core.taints import TaintRules
from tests.core.builders import (
    EVENTS_KEY,
    NAME,
    NOW,
    P,
    cordoned,
    event,
    labelled,
    managed,
    mark,
    marked_event,
    node,
    seen,
    showing,
    turn,
    uncordoned,
    vanished,
)

DRAINING = Policy(rules={**DEFAULT_RULES, "Reboot": Rule(do="drain"), "Preempt": Rule(do="drain")})
BUDGET = BudgetRule(size=Size(number=1), scope=Scope(kind="cluster"))
RULES = Rules(events=DRAINING)
BUDGETED = Rules(events=DRAINING, budgets={"drain": BUDGET})
BEGUN = mark(marked_event(do="drain", drain="begun"))
DONE = mark(marked_event(do="drain", drain="done"))
FAILED = mark(marked_event(do="drain", drain="failed"))
ME, OTHER = "node-1", "node-2"


def pod(uid="a", **more):
    return Pod(**{"uid": uid, "namespace": "shop", "name": f"web-{uid}", "managed": True, "grace": 30.0, **more})


def pods(*found, at=0.0, **more):
    return SeenPods(pods=found, at=at, **more)


def place(holder=None, index=0, version="1"):
    return Place(name=f"p-{index}", index=index, holder=holder, fingerprint=version, resource_version=version)


def places(*found, count=1, at=0.0, since=0.0, **more):
    known = watched(watched(Watched(), (), 0.0), found, since)
    return SeenPlaces(places=found, count=count, watched=known, at=at, **more)


def soon(**gap):
    """An event so near that a drain for it has begun."""
    return showing(event(not_before=NOW + timedelta(**(gap or {"minutes": 4}))))


def asked(made):
    return [each.asking.pod.uid for each in made.actions if isinstance(each, Ask)]


# What comes first.


def test_the_cordon_comes_before_any_look_at_pods_and_says_that_the_drain_begins():
    made = turn(seen(labelled()), soon(), rules=RULES)
    assert made.actions == (ApplyMark(mark=BEGUN, cordon=True),)
    assert made.look is None


def test_labels_come_before_the_drain_but_after_the_cordon():
    made = turn(seen(labelled(labels={f"vm.{EVENTS_KEY.partition('/')[0]}/size": "old"})), soon(), rules=RULES)
    assert [type(each) for each in made.actions] == [ApplyMark, ApplyGroup]


def test_then_the_pods_are_looked_at_and_asked():
    standing = seen(cordoned(BEGUN))
    assert turn(standing, soon(), rules=RULES).look == "pods"
    made = turn(standing, soon(), rules=RULES, pods=pods(pod("a"), pod("b")))
    assert asked(made) == ["a", "b"]
    assert isinstance(made.plan, Drain)
    assert made.pause == 0.5 or made.pause >= 0.5


def test_an_old_list_of_pods_is_not_good_enough_to_ask_by():
    standing = seen(cordoned(BEGUN))
    assert turn(standing, soon(), rules=RULES, instant=1.6, pods=pods(pod())).look == "pods"
    assert asked(turn(standing, soon(), rules=RULES, instant=1.5, pods=pods(pod()))) == ["a"]


def test_a_pod_that_refused_is_left_alone_and_the_pause_is_short():
    tried = {"a": Attempt(at=0.0, refused="disruption budget web")}
    made = turn(seen(cordoned(BEGUN)), soon(), rules=RULES, pods=pods(pod()), tried=tried)
    assert made.actions == ()
    assert [each.why for each in made.drain.left] == ["refused: disruption budget web"]
    assert made.pause <= 5.0


def test_when_nothing_is_left_the_mark_says_so_and_then_nothing_is_asked():
    made = turn(seen(cordoned(BEGUN)), soon(), rules=RULES, pods=pods(pod(daemon_set=True)))
    assert made.actions == (ApplyMark(mark=DONE, cordon=True),)
    after = turn(seen(cordoned(DONE)), soon(), rules=RULES, pods=pods(pod(daemon_set=True)))
    assert (after.actions, after.look) == ((), None)


def test_a_pod_that_comes_back_makes_a_finished_drain_an_unfinished_one():
    made = turn(seen(cordoned(DONE)), soon(), rules=RULES, pods=pods(pod()))
    assert made.actions == (ApplyMark(mark=BEGUN, cordon=True),)


def test_when_the_time_is_out_the_mark_says_that_the_drain_failed_and_nobody_is_asked():
    late = showing(event(not_before=NOW - timedelta(seconds=1)))
    made = turn(seen(cordoned(BEGUN)), late, rules=RULES, pods=pods(pod()))
    assert made.actions == (ApplyMark(mark=FAILED, cordon=True),)
    assert turn(seen(cordoned(FAILED)), late, rules=RULES, pods=pods(pod())).actions == ()


def test_a_drain_that_failed_may_go_on_when_the_event_is_put_off():
    made = turn(seen(cordoned(FAILED)), soon(), rules=RULES, pods=pods(pod()))
    assert made.actions == (ApplyMark(mark=BEGUN, cordon=True),)


def test_pods_that_may_not_be_listed_leave_the_drain_where_it_is():
    standing = seen(cordoned(BEGUN))
    refused = pods(usable=False)
    made = turn(standing, soon(), rules=RULES, instant=100, pods=refused)
    assert (made.actions, made.look, made.drain) == ((), None, None)
    assert turn(standing, soon(), rules=RULES, instant=301, pods=refused).look == "pods"


def test_an_override_ends_the_drain_at_once():
    view = seen(uncordoned(BEGUN))
    made = turn(view, soon(), rules=RULES, pods=pods(pod()))
    assert made.actions == (
        ApplyMark(mark=mark(marked_event(do="drain", drain="stopped", overridden=True)), cordon=False),
    )
    assert isinstance(made.plan, Notify)


def test_a_cancelled_event_ends_the_drain_at_once():
    made = turn(seen(cordoned(BEGUN)), vanished(event(), until=10), rules=RULES, pods=pods(pod()), instant=10)
    assert made.actions == ()
    assert isinstance(made.plan, Cordon)


# When it begins: as late as the pods allow, which must be known.


def ahead(minutes=15):
    return showing(event(not_before=NOW + timedelta(minutes=minutes)))


def test_a_drain_that_lies_ahead_asks_for_the_pods_once_a_minute_to_know_when_to_begin():
    standing = seen(cordoned())
    assert turn(standing, ahead(), rules=RULES).look == "pods"
    made = turn(standing, ahead(), rules=RULES, pods=pods(pod(grace=30)))
    assert (made.look, made.actions, type(made.plan)) == (None, (), Cordon)
    assert turn(standing, ahead(), rules=RULES, pods=pods(pod()), instant=61).look == "pods"
    long = turn(standing, ahead(), rules=RULES, pods=pods(pod(grace=700)))
    assert isinstance(long.plan, Drain)


def test_nobody_asks_for_pods_where_the_beginning_does_not_depend_on_them():
    fixed = Rules(events=Policy(rules=DRAINING.rules, drain_before=60))
    assert turn(seen(cordoned()), ahead(), rules=fixed).look is None
    assert turn(seen(cordoned()), ahead(), rules=Rules()).look is None
    assert turn(seen(cordoned()), ahead(), rules=RULES, switch=Switch(drain="hold")).look is None


def test_days_ahead_the_pods_are_looked_at_seldom():
    told = seen(
        labelled(
            managed("imds-agent-events", annotations=(EVENTS_KEY,)),
            annotations={EVENTS_KEY: mark_text(mark(marked_event(do="notify")))},
        )
    )
    days = showing(event(not_before=NOW + timedelta(days=3)))
    assert turn(told, days, rules=RULES).look == "pods"
    made = turn(told, days, rules=RULES, pods=pods(pod()), instant=299)
    assert (made.look, type(made.plan)) == (None, Notify)


# The budget of drains.


def test_a_drain_asks_for_the_places_of_its_budget_before_it_begins():
    made = turn(seen(cordoned(mark(marked_event(do="drain")))), soon(minutes=5), rules=BUDGETED, pods=pods(pod()))
    assert (made.look, made.actions) == ("drain places", ())


def test_a_free_place_is_taken_and_a_held_one_lets_the_drain_begin():
    standing = seen(cordoned(mark(marked_event(do="drain"))))
    free = {"drain": places(place())}
    made = turn(standing, soon(minutes=5), rules=BUDGETED, pods=pods(pod()), places=free)
    assert made.actions == (TakePlace(purpose="drain", take=Take(index=0, place=place())),)
    held = {"drain": places(place(ME))}
    made = turn(standing, soon(minutes=5), rules=BUDGETED, pods=pods(pod()), places=held)
    assert made.actions == (ApplyMark(mark=BEGUN, cordon=True),)
    made = turn(seen(cordoned(BEGUN)), soon(minutes=5), rules=BUDGETED, pods=pods(pod()), places=held)
    assert asked(made) == ["a"]


def test_while_all_places_are_taken_the_drain_waits_cordoned_and_says_for_whom():
    standing = seen(cordoned(mark(marked_event(do="drain"))))
    full = {"drain": places(place(OTHER))}
    made = turn(standing, soon(minutes=5), rules=BUDGETED, pods=pods(pod()), places=full)
    assert (made.actions, made.look, made.queue) == ((), None, (OTHER,))
    later = turn(standing, soon(minutes=5), rules=BUDGETED, pods=pods(pod(), at=11), places=full, instant=11)
    assert later.look == "drain places"


def test_a_place_of_a_holder_that_gives_no_sign_of_life_is_taken_over():
    dead = {"drain": places(place(OTHER), at=1000.0, since=0.0)}
    standing = seen(cordoned(mark(marked_event(do="drain"))))
    made = turn(standing, soon(minutes=5), rules=BUDGETED, pods=pods(pod(), at=1000), places=dead, instant=1000)
    assert made.actions == (TakePlace(purpose="drain", take=Take(index=0, place=place(OTHER))),)


def test_when_the_time_is_short_a_drain_waits_for_nobody():
    full = {"drain": places(place(OTHER))}
    standing = seen(cordoned(mark(marked_event(do="drain"))))
    near = soon(seconds=95)
    made = turn(standing, near, rules=BUDGETED, pods=pods(pod()), places=full)
    assert made.actions == (ApplyMark(mark=BEGUN, cordon=True),)
    made = turn(seen(cordoned(BEGUN)), near, rules=BUDGETED, pods=pods(pod()), places=full)
    assert (asked(made), made.unbudgeted) == (["a"], True)


def test_in_a_hurry_pods_are_asked_before_anybody_looks_at_leases():
    near = soon(seconds=25)
    made = turn(seen(cordoned(BEGUN)), near, rules=BUDGETED, pods=pods(pod()))
    assert (asked(made), made.look) == (["a"], None)
    tried = {"a": Attempt(at=0.0)}
    after = turn(seen(cordoned(BEGUN)), near, rules=BUDGETED, pods=pods(pod()), tried=tried)
    assert after.look == "drain places"


def test_a_drain_without_a_deadline_waits_for_its_place_however_long():
    full = {"drain": places(place(OTHER))}
    standing = seen(cordoned(mark(marked_event(do="drain"))))
    made = turn(standing, showing(event(not_before=None)), rules=BUDGETED, pods=pods(pod()), places=full)
    assert (made.actions, made.queue) == ((), (OTHER,))


def test_a_budget_that_may_not_be_kept_keeps_nobody_waiting():
    none = {"drain": SeenPlaces(at=0.0, usable=False)}
    made = turn(seen(cordoned(BEGUN)), soon(minutes=5), rules=BUDGETED, pods=pods(pod()), places=none)
    assert (asked(made), made.unbudgeted) == (["a"], False)


def test_a_budget_that_could_not_be_kept_is_looked_at_again_after_five_minutes():
    none = {"drain": SeenPlaces(at=0.0, usable=False)}
    standing = seen(cordoned(mark(marked_event(do="drain"))))
    made = turn(standing, soon(minutes=5), rules=BUDGETED, pods=pods(pod(), at=300), places=none, instant=300)
    assert made.look == "drain places"


def test_a_place_that_was_seen_long_ago_may_be_anothers_by_now():
    old = {"drain": places(place(ME))}
    standing = seen(cordoned(mark(marked_event(do="drain"))))
    made = turn(standing, soon(minutes=5), rules=BUDGETED, pods=pods(pod(), at=91), places=old, instant=91)
    assert made.look == "drain places"


def test_a_second_place_of_ours_is_given_back():
    twice = {"drain": places(place(ME), place(ME, 1), count=2)}
    made = turn(seen(cordoned(BEGUN)), soon(minutes=5), rules=BUDGETED, pods=pods(pod()), places=twice)
    assert made.actions == (FreePlace(purpose="drain", place=place(ME, 1)),)


def test_a_dead_holders_place_beyond_the_lowered_number_is_emptied_first():
    beyond = {"drain": places(place(OTHER, 3), count=1, at=1000.0, since=0.0)}
    standing = seen(cordoned(mark(marked_event(do="drain"))))
    made = turn(standing, soon(minutes=5), rules=BUDGETED, pods=pods(pod(), at=1000), places=beyond, instant=1000)
    assert made.actions == (FreePlace(purpose="drain", place=place(OTHER, 3)),)


def test_a_place_is_kept_alive_until_the_release_and_given_back_with_it():
    started = showing(event(status="Started"), at=95.0)
    standing = mark(marked_event(do="drain", drain="done", started=True))
    held = {"drain": places(place(ME), at=95.0, since=0.0)}
    made = turn(seen(cordoned(standing)), started, rules=BUDGETED, places=held, instant=95)
    assert made.actions == (RenewPlace(purpose="drain", place=place(ME)),)
    gone = vanished(event(), until=100)
    made = turn(seen(cordoned(standing)), gone, rules=BUDGETED, places=held, instant=100)
    assert made.actions == (ApplyMark(mark=None, cordon=False), FreePlace(purpose="drain", place=place(ME)))
    made = turn(seen(labelled()), showing(), rules=BUDGETED, places=held)
    assert made.actions == (FreePlace(purpose="drain", place=place(ME)),)


def test_a_restarted_agent_looks_for_the_place_that_it_must_keep():
    standing = mark(marked_event(do="drain", drain="done", started=True))
    made = turn(seen(cordoned(standing)), showing(event(status="Started")), rules=BUDGETED)
    assert made.look == "drain places"
    old = {"drain": places(place(ME), at=0.0)}
    made = turn(seen(cordoned(standing)), showing(event(status="Started")), rules=BUDGETED, places=old, instant=91)
    assert made.look == "drain places"


def test_a_restarted_agent_gives_back_the_place_of_a_drain_that_was_overridden():
    standing = mark(marked_event(do="drain", drain="stopped", overridden=True))
    made = turn(seen(uncordoned(standing)), soon(), rules=BUDGETED)
    assert made.look == "drain places"
    held = {"drain": places(place(ME))}
    made = turn(seen(uncordoned(standing)), soon(), rules=BUDGETED, places=held)
    assert made.actions == (FreePlace(purpose="drain", place=place(ME)),)
    free = {"drain": places(place(OTHER))}
    assert turn(seen(uncordoned(standing)), soon(), rules=BUDGETED, places=free).actions == ()


# The budget of freezes.

FREEZE = BudgetRule(size=Size(percent=10), scope=Scope(kind="cluster"))
FREEZING = Rules(budgets={"freeze": FREEZE})


def freeze(**more):
    return event(kind="Freeze", **more)


def test_a_freeze_takes_a_place_before_it_cordons():
    view = seen(labelled())
    assert turn(view, showing(freeze()), rules=FREEZING).look == "freeze places"
    made = turn(view, showing(freeze()), rules=FREEZING, places={"freeze": places(place())})
    assert made.actions == (TakePlace(purpose="freeze", take=Take(index=0, place=place())),)
    made = turn(view, showing(freeze()), rules=FREEZING, places={"freeze": places(place(ME))})
    assert made.actions == (ApplyMark(mark=mark(marked_event(kind="Freeze")), cordon=True),)


def test_without_a_place_a_freeze_is_only_told_and_never_presses():
    full = {"freeze": places(place(OTHER))}
    near = showing(freeze(not_before=NOW + timedelta(seconds=1)))
    made = turn(seen(labelled()), near, rules=FREEZING, places=full)
    assert made.actions == (ApplyMark(mark=mark(marked_event(kind="Freeze", do="notify")), cordon=False),)
    assert made.queue == (OTHER,)


def test_an_event_that_stops_the_vm_waits_for_no_place_even_beside_a_freeze():
    both = showing(freeze(), event("E2"))
    made = turn(seen(labelled()), both, rules=FREEZING)
    assert made.actions == (ApplyMark(mark=mark(marked_event(kind="Freeze"), marked_event("E2")), cordon=True),)


def test_a_short_freeze_needs_no_place():
    made = turn(seen(labelled()), showing(freeze(duration=5)), rules=FREEZING)
    assert made.look is None


def test_a_freeze_that_somebody_overrode_asks_for_no_place():
    standing = mark(marked_event(kind="Freeze", overridden=True))
    view = seen(uncordoned(standing))
    made = turn(view, showing(freeze()), rules=FREEZING, places={"freeze": places(place())})
    assert (made.look, made.actions) == (None, ())


def test_the_place_of_a_freeze_is_kept_alive_while_it_cordons():
    standing = mark(marked_event(kind="Freeze"))
    held = {"freeze": places(place(ME), at=90.0, since=0.0)}
    made = turn(seen(cordoned(standing)), showing(freeze(), at=90.0), rules=FREEZING, places=held)
    assert made.actions == (RenewPlace(purpose="freeze", place=place(ME)),)


# Approval.

USERS = {"source": "User"}
APPROVING = Rules(events=DRAINING, approval="own-user-events")
TOGETHER = Rules(events=DRAINING, approval="when-drained")
APPROVED = mark(marked_event(do="drain", drain="done", approved="agent"))


def test_a_users_own_event_is_drained_at_once_and_approved_when_that_is_done():
    users = showing(event(not_before=NOW + timedelta(minutes=15), **USERS))
    assert isinstance(turn(seen(cordoned(BEGUN)), users, rules=APPROVING).plan, Drain)
    made = turn(seen(cordoned(DONE)), users, rules=APPROVING, pods=pods())
    go = Approve(event_id="E1", event_type="Reboot", resources=(NAME,))
    assert made.actions == (ApplyMark(mark=APPROVED, cordon=True), go)
    assert turn(seen(cordoned(APPROVED)), users, rules=APPROVING, pods=pods()).actions == ()


def test_an_approval_that_surely_did_not_arrive_is_tried_again():
    users = showing(event(not_before=NOW + timedelta(minutes=15), **USERS))
    made = turn(seen(cordoned(APPROVED)), users, rules=APPROVING, pods=pods(), unsent=frozenset({"e1"}))
    assert [type(each) for each in made.actions] == [Approve]
    started = showing(event(status="Started", **USERS))
    after = mark(marked_event(do="drain", drain="done", approved="agent", started=True))
    assert turn(seen(cordoned(after)), started, rules=APPROVING, unsent=frozenset({"e1"})).actions == ()


@pytest.mark.parametrize(
    ("rules", "switch"),
    [(RULES, Switch()), (APPROVING, Switch(approve="hold")), (APPROVING, Switch(approve="release"))],
)
def test_nothing_is_approved_where_nobody_wants_it(rules, switch):
    users = showing(event(not_before=NOW + timedelta(minutes=2), **USERS))
    made = turn(seen(cordoned(DONE)), users, rules=rules, pods=pods(), switch=switch)
    assert made.actions == ()


def test_an_event_of_several_vms_asks_for_their_marks_and_waits_for_all():
    both = showing(event(resources=(NAME, "web_1"), not_before=NOW + timedelta(minutes=4)))
    made = turn(seen(cordoned(DONE)), both, rules=TOGETHER, pods=pods())
    assert made.look == "neighbours"
    mine, other = Neighbour(vm=NAME, mark=DONE, node=ME), Neighbour(vm="web_1", mark=BEGUN, node=OTHER)
    known = SeenNeighbours(neighbours=(mine, other), at=0.0)
    assert turn(seen(cordoned(DONE)), both, rules=TOGETHER, pods=pods(), neighbours=known).actions == ()
    ready = SeenNeighbours(neighbours=(mine, Neighbour(vm="web_1", mark=DONE, node=OTHER)), at=0.0)
    made = turn(seen(cordoned(DONE)), both, rules=TOGETHER, pods=pods(), neighbours=ready)
    assert [type(each) for each in made.actions] == [ApplyMark, Approve]
    stale = turn(seen(cordoned(DONE)), both, rules=TOGETHER, pods=pods(at=6), neighbours=ready, instant=6)
    assert stale.look == "neighbours"


# The switch.


def test_labels_on_hold_stay_as_they_are_and_released_ones_go():
    changed = labelled(labels={"vm.imds-agent.github.io/size": "old"})
    assert turn(seen(changed), switch=Switch(labels="hold")).actions == ()
    gone = turn(seen(labelled()), switch=Switch(labels="release")).actions
    assert [(each.group, dict(each.written.labels)) for each in gone] == [("facts", {}), ("tags", {})]


def test_released_labels_that_others_own_are_swept():
    sent = labelled()
    sent["metadata"]["managedFields"] = []
    made = turn(seen(sent), switch=Switch(labels="release"))
    assert [type(each) for each in made.actions] == [Sweep, Sweep]
    assert turn(seen(cordoned()), switch=Switch(withdraw=True)).actions != ()


def test_a_group_of_which_nothing_stands_is_not_released():
    bare = turn(seen(node()), switch=Switch(labels="release"))
    assert bare.actions == ()


def test_withdraw_takes_everything_back_at_once():
    made = turn(seen(cordoned(BEGUN)), soon(), rules=RULES, switch=Switch(withdraw=True))
    assert isinstance(made.plan, Release)
    told = mark(marked_event(do="notify", drain="stopped"))
    assert made.actions[0] == ApplyMark(mark=told, cordon=False)
    assert [type(each) for each in made.actions[1:]] == [ApplyGroup, ApplyGroup]


def test_a_drain_on_hold_asks_nobody():
    made = turn(seen(cordoned(BEGUN)), soon(), rules=RULES, pods=pods(pod()), switch=Switch(drain="hold"))
    assert made.actions == ()


def test_pods_past_all_budgets_only_where_that_is_asked_for():
    last = showing(event(not_before=NOW + timedelta(seconds=9)))
    tried = {"a": Attempt(at=0.0, refused="disruption budget web")}
    deleting = Rules(events=DRAINING, drain=DrainPolicy(on_deadline="delete"))
    made = turn(seen(cordoned(BEGUN)), last, rules=deleting, pods=pods(pod()), tried=tried)
    assert [(each.asking.delete, each.asking.grace) for each in made.actions] == [(True, 9)]
    assert turn(seen(cordoned(BEGUN)), last, rules=RULES, pods=pods(pod()), tried=tried).actions == ()


# Taints.

TAINTING = Rules(taints=TaintRules(startup=f"{P}/startup", event_effect="NoSchedule"))
TOLD = {"key": f"{P}/scheduled-event", "value": "reboot", "effect": "NoSchedule"}
WAITING = {"key": f"{P}/startup", "effect": "NoSchedule"}


def test_the_event_taint_comes_after_the_cordon_and_goes_before_the_mark():
    made = turn(seen(labelled()), showing(event()), rules=TAINTING)
    assert [type(each) for each in made.actions] == [ApplyMark, SetTaints]
    assert made.actions[1] == SetTaints(event_type="Reboot")
    assert turn(seen(cordoned(taints=[TOLD])), showing(event()), rules=TAINTING).actions == ()
    made = turn(seen(cordoned(taints=[TOLD])), vanished(event()), rules=TAINTING)
    assert made.actions == (SetTaints(event_type=None), ApplyMark(mark=None, cordon=False))
    assert turn(seen(labelled(taints=[TOLD])), rules=TAINTING).actions == (SetTaints(event_type=None),)


def test_a_mark_that_cannot_be_read_keeps_its_taint():
    broken = cordoned(annotations={EVENTS_KEY: "?"}, taints=[{**TOLD, "value": "other"}])
    assert [type(each) for each in turn(seen(broken), rules=TAINTING).actions] == [ApplyMark]


def test_a_startup_taint_is_lifted_with_the_labels_and_looked_for_soon_until_then():
    assert turn(seen(labelled(taints=[WAITING])), rules=TAINTING).actions == (
        SetTaints(event_type=None, lift_startup="labelled"),
    )
    waiting = turn(seen(labelled(taints=[WAITING])), rules=TAINTING, silent=True)
    assert (waiting.actions, waiting.pause) == ((), 5.0)
    late = turn(seen(labelled(taints=[WAITING])), rules=TAINTING, silent=True, instant=600)
    assert late.actions == (SetTaints(event_type=None, lift_startup="time limit"),)
    unlabelled = seen(labelled(taints=[WAITING], labels={f"vm.{P}/size": "old"}))
    assert [type(each) for each in turn(unlabelled, rules=TAINTING).actions] == [ApplyGroup]


def test_taints_that_were_refused_are_left_alone_for_a_while_and_keep_nothing_else_waiting():
    rested = {"rules": TAINTING, "taints_rest": 500.0}
    waiting = turn(seen(labelled(taints=[WAITING])), instant=499.0, **rested)
    assert (waiting.actions, waiting.pause) == ((), 300.0)
    assert turn(seen(labelled(taints=[WAITING])), instant=500.0, **rested).actions == (
        SetTaints(event_type=None, lift_startup="labelled"),
    )
    made = turn(seen(labelled()), showing(event()), **rested)
    assert [type(each) for each in made.actions] == [ApplyMark]
    made = turn(seen(cordoned(taints=[TOLD])), vanished(event(), until=400.0), **rested)
    assert made.actions == (ApplyMark(mark=None, cordon=False),)
