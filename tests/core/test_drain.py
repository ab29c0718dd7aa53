"""One step of a drain: who is asked, who stays and why, and when it is worth looking again."""

from datetime import datetime, timedelta, timezone

import pytest

from agent.core.drain import CRITICAL, Asking, Attempt, DrainPolicy, DrainStep, drain_needs, drain_step
from agent.core.pods import Budget, Pod, Requirement

NOW = datetime(2026, 4, 11, 12, 0, tzinfo=timezone.utc)
INSTANT = 1000.0  # monotonic, when it is NOW
POLICY = DrainPolicy()
DELETE = DrainPolicy(on_deadline="delete")
WEB = Budget(namespace="shop", name="web-pdb", selector=(Requirement(key="app", operator="Exists"),))


def pod(name="a", **said) -> Pod:
    """A pod of a ReplicaSet, by default, with half a minute of grace."""
    return Pod(**{"uid": f"uid-{name}", "namespace": "shop", "name": name, "phase": "Running", "managed": True, **said})


def ending(name="a", *, since=0.0, **said) -> Pod:
    """A pod that should be gone `since` seconds ago; negative: in the future."""
    return pod(name, leaving_at=NOW - timedelta(seconds=since), **said)


def step(*pods, tried=None, after=0.0, left=None, policy=POLICY, budgets=(), **more) -> DrainStep:
    """What to do `after` seconds, with so many seconds `left` to the deadline then."""
    now = NOW + timedelta(seconds=after)
    return drain_step(
        pods,
        budgets,
        tried or {},
        now=now,
        instant=INSTANT + after,
        deadline=None if left is None else now + timedelta(seconds=left),
        policy=policy,
        **more,
    )


def asked(found: DrainStep) -> list[str]:
    return [asking.pod.name for asking in found.asks]


def why(found: DrainStep) -> dict[str, str]:
    return {left.pod.name: left.why for left in found.left}


def refused(*names, at=INSTANT, by="disruption budget web-pdb", delete=False):
    return {f"uid-{name}": Attempt(at=at, refused=by, delete=delete) for name in names}


def accepted(*names, at=INSTANT, delete=False):
    return {f"uid-{name}": Attempt(at=at, delete=delete) for name in names}


def test_nothing_that_runs_here_is_a_drain_that_is_done():
    assert step().done
    assert not step().out_of_time
    assert not step(left=-5).out_of_time


def test_a_pod_is_asked_to_leave_with_its_own_grace():
    found = step(pod())
    assert found.asks == (Asking(pod=pod()),)
    assert not found.done


@pytest.mark.parametrize(
    "staying",
    [
        pod(daemon_set=True),
        pod(mirror=True, managed=False),
        pod(phase="Succeeded", running=False),
        pod(phase="Failed", running=False, managed=False),
        pod(name="imds-agent-x"),
        ending(running=False, finalizers=("example.com/stay",)),
        ending(phase="Failed", running=False),
    ],
    ids=["DaemonSet", "mirror", "succeeded", "failed", "own", "held by a finalizer", "ended"],
)
def test_what_would_come_back_or_runs_nothing_is_left_alone_and_is_no_work(staying):
    found = step(staying, own=("shop", "imds-agent-x"))
    assert (found.asks, found.left, found.done) == ((), (), True)


def test_own_is_a_name_in_a_namespace():
    assert asked(step(pod(), own=("other", "a"))) == ["a"]


def test_unmanaged_pods_stay_by_default_are_named_and_are_work():
    found = step(pod(managed=False), pod("b"))
    assert asked(found) == ["b"]
    assert why(found) == {"a": "left by policy: no controller would start it again"}
    assert not step(pod(managed=False)).done
    assert asked(step(pod(managed=False), policy=DrainPolicy(unmanaged="evict"))) == ["a"]


def test_pods_with_an_empty_dir_go_unless_the_policy_says_otherwise():
    assert asked(step(pod(empty_dir=True))) == ["a"]
    found = step(pod(empty_dir=True), pod("b"), policy=DrainPolicy(empty_dir="leave"))
    assert (asked(found), why(found)) == (["b"], {"a": "left by policy: its emptyDir would be lost"})
    assert not step(pod(empty_dir=True), policy=DrainPolicy(empty_dir="leave")).done


def test_a_pod_that_is_ending_is_never_asked_and_is_waited_for():
    found = step(ending(since=-20))
    assert (asked(found), why(found), found.done) == ([], {"a": "ending, until 12:00:20Z"}, False)


def test_a_pod_that_is_ending_is_said_to_end_whatever_the_policy_leaves_alone():
    assert why(step(ending(since=-20, managed=False, empty_dir=True)))["a"].startswith("ending")


def test_a_pod_that_outlives_its_grace_by_half_a_minute_is_said_to_be_stuck():
    assert why(step(ending(since=30.0)))["a"] == "ending, until 11:59:30Z"
    assert why(step(ending(since=31.0)))["a"] == "should have ended by 11:59:29Z and still runs"
    held = ending(since=31.0, finalizers=("a/b", "c/d"))
    assert why(step(held))["a"] == "should have ended by 11:59:29Z and still runs, finalizers a/b, c/d"
    assert not step(held).done


def test_pods_without_a_budget_come_first_then_the_least_important_and_critical_ones_last():
    pods = [
        pod("critical", priority=CRITICAL),
        pod("budget-low", priority=-5, labels={"app": "x"}),
        pod("high", priority=CRITICAL - 1),
        pod("critical-budget", priority=CRITICAL, labels={"app": "x"}),
        pod("low", priority=-5),
        pod("middle", priority=3),
        pod("middle-too", priority=3),
        pod("budget-high", priority=9, labels={"app": "x"}),
    ]
    wanted = ["low", "middle", "middle-too", "high", "budget-low", "budget-high", "critical", "critical-budget"]
    assert asked(step(*pods, budgets=[WEB], left=1)) == wanted
    assert asked(step(*pods, budgets=[WEB])) == wanted[:-2]


def test_critical_pods_wait_for_the_others_to_be_gone():
    critical = pod("dns", priority=CRITICAL)
    for other in (pod(), ending(since=-20), ending(since=30), ending(since=-20, managed=False)):
        found = step(critical, other, tried=refused("a"))
        assert (asked(found), why(found)["dns"]) == ([], "waits until the less important pods are gone")
    assert asked(step(critical)) == ["dns"]


@pytest.mark.parametrize(
    "other",
    [
        ending(since=31),
        ending(running=False),
        pod(managed=False),
        pod(daemon_set=True),
        pod(phase="Succeeded"),
        ending("b", priority=CRITICAL),
    ],
    ids=["stuck", "ended", "left by policy", "DaemonSet", "finished", "critical"],
)
def test_critical_pods_wait_for_nobody_who_will_not_go(other):
    assert asked(step(pod("dns", priority=CRITICAL), other)) == ["dns"]


def test_when_time_is_short_critical_pods_are_asked_with_the_others_in_the_same_order():
    pods = [pod("dns", priority=CRITICAL), pod("a", grace=20), pod("b", priority=5, grace=40)]
    needs = 40 + 10 + 30 + 10
    assert drain_needs(pods, (), POLICY) == needs
    assert asked(step(*pods, left=needs + 1)) == ["a", "b"]
    assert asked(step(*pods, left=needs)) == ["a", "b", "dns"]
    assert asked(step(ending(since=-20, grace=40), pods[0], left=needs)) == ["dns"]


def test_without_a_deadline_critical_pods_wait_for_ever():
    found = step(pod("dns", priority=CRITICAL), pod(), tried=refused("a", at=INSTANT + 9_999), after=10_000)
    assert asked(found) == []


def test_a_refused_pod_is_asked_again_after_five_seconds_and_not_before():
    tried = refused("a")
    assert why(step(pod(), tried=tried, after=4.99)) == {"a": "refused: disruption budget web-pdb"}
    assert asked(step(pod(), tried=tried, after=5.0)) == ["a"]
    assert asked(step(pod(), tried=tried, after=19.0, retry_after=20)) == []
    assert asked(step(pod(), tried=tried, after=20.0, retry_after=20)) == ["a"]


def test_one_refused_pod_holds_up_no_other():
    assert asked(step(pod(), pod("b"), tried=refused("a"), after=1)) == ["b"]


def test_an_accepted_eviction_is_not_repeated_while_the_list_may_lag_behind():
    assert why(step(pod(), tried=accepted("a"), after=29.9)) == {"a": "was asked to leave"}
    assert asked(step(pod(), tried=accepted("a"), after=30)) == ["a"]


def test_another_pod_of_the_same_name_was_never_asked():
    assert asked(step(pod(uid="another"), tried=accepted("a"), after=1)) == ["a"]


@pytest.mark.parametrize(
    ("left", "grace", "cut"),
    [
        (None, 600, None),
        (600, 600, None),
        (599.5, 600, 599),
        (30, 30, None),
        (29.9, 30, 29),
        (1.9, 30, 1),
        (0.2, 30, 1),
        (0.2, 0, None),
    ],
)
def test_the_grace_is_cut_to_the_time_left_where_that_is_shorter_and_never_to_nothing(left, grace, cut):
    (asking,) = step(pod(grace=grace), left=left).asks
    assert (asking.grace, asking.delete) == (cut, False)


def test_nobody_is_asked_once_the_deadline_has_come():
    for policy in (POLICY, DELETE):
        found = step(pod(), pod("b"), tried=refused("b"), left=0, after=100, policy=policy)
        assert (found.asks, found.out_of_time, found.done) == ((), True, False)
        assert why(found) == {"a": "time is up", "b": "refused: disruption budget web-pdb"}
    assert step(ending(since=-1), left=-1).out_of_time
    assert not step(ending(since=-1), left=1).out_of_time


def test_a_drain_whose_last_pod_ended_in_time_is_not_out_of_time_later():
    assert not step(ending(running=False), left=-60).out_of_time


def test_pods_are_deleted_past_a_refusal_when_the_deadline_is_near_and_the_policy_says_so():
    tried = refused("a")
    assert asked(step(pod(), tried=tried, after=1, left=10.1, policy=DELETE)) == []
    assert asked(step(pod(), tried=tried, after=1, left=10, policy=POLICY)) == []
    assert step(pod(), tried=tried, after=0.1, left=10, policy=DELETE).asks == (
        Asking(pod=pod(), grace=10, delete=True),
    )
    early = DrainPolicy(on_deadline="delete", delete_before=60)
    assert step(pod(), tried=tried, after=1, left=60, policy=early).asks == (Asking(pod=pod(), delete=True),)


def test_what_the_policy_leaves_alone_and_what_is_ending_is_not_deleted_either():
    found = step(pod(managed=False), ending("b", since=-5), left=5, policy=DELETE)
    assert (asked(found), list(why(found))) == ([], ["a", "b"])


def test_a_deletion_is_not_repeated_once_accepted_and_after_a_second_if_refused():
    assert asked(step(pod(), tried=accepted("a", delete=True), after=9, left=1, policy=DELETE)) == []
    assert asked(step(pod(), tried=accepted("a"), after=9, left=1, policy=DELETE)) == []
    tried = refused("a", delete=True, by="a webhook")
    assert why(step(pod(), tried=tried, after=0.9, left=1, policy=DELETE)) == {"a": "refused: a webhook"}
    assert asked(step(pod(), tried=tried, after=1.0, left=1, policy=DELETE)) == ["a"]


def test_ten_are_asked_in_a_step_and_the_others_wait_their_turn_without_a_pause():
    pods = [pod(f"p{number:02}") for number in range(12)]
    found = step(*pods)
    assert asked(found) == [one.name for one in pods[:10]]
    assert why(found) == {"p10": "waits its turn", "p11": "waits its turn"}
    assert found.pause == 0
    assert (len(step(*pods, at_most=3).asks), len(step(*pods, at_most=3).left)) == (3, 9)
    assert step(*pods[:10]).pause > 0


def test_the_next_look_is_after_five_seconds_and_each_second_in_the_last_minute():
    assert step(pod()).pause == 5
    assert step(pod(), left=3600).pause == 5
    assert step(pod(), left=60.1).pause == 5
    assert step(pod(), left=60).pause == 1
    assert step(pod(), left=-60).pause == 5
    assert step(ending(since=-20)).pause == 5
    assert step().pause == 5


def test_the_next_look_comes_earlier_where_time_alone_changes_something():
    assert step(pod(), tried=refused("a"), after=3).pause == 2
    assert step(pod(), pod("b"), tried=refused("a") | refused("b", at=INSTANT + 1), after=3).pause == 2
    assert step(pod(), left=0.5).pause == 0.5
    assert step(pod(), left=10.25, policy=DELETE).pause == 0.25
    assert step(pod(), left=10.25, policy=POLICY).pause == 1
    assert step(pod(), left=10.0, policy=DELETE).pause == 1
    needs = drain_needs([pod(), pod("dns", priority=CRITICAL)], (), POLICY)
    assert step(pod(), pod("dns", priority=CRITICAL), left=needs + 2).pause == 2
    assert step(pod(), pod("dns", priority=CRITICAL)).pause == 5


def test_a_drain_needs_the_longest_grace_of_each_tier_and_time_to_settle():
    assert drain_needs([], (), POLICY) == 0
    assert drain_needs([pod(grace=30), pod("b", grace=90)], (), POLICY) == 90 + 10
    critical = pod("dns", grace=20, priority=CRITICAL)
    assert drain_needs([pod(grace=30), critical], (), POLICY) == 30 + 10 + 20 + 10
    assert drain_needs([critical], (), POLICY) == 20 + 10


def test_what_does_not_go_needs_no_time():
    staying = [
        pod("a", grace=900, managed=False),
        pod("b", grace=900, daemon_set=True),
        pod("c", grace=900, phase="Failed"),
        pod("d", grace=900, empty_dir=True),
        pod("own", grace=900),
    ]
    assert drain_needs(staying, (), DrainPolicy(empty_dir="leave"), own=("shop", "own")) == 0
    assert drain_needs([*staying, ending("e", grace=40, managed=False)], (), POLICY, own=("shop", "own")) == 910


@pytest.mark.parametrize(
    ("allowed", "needs"),
    [
        (None, 4 * 20 + 3 * 30 + 10),
        (0, 4 * 20 + 3 * 30 + 10),
        (1, 4 * 20 + 3 * 30 + 10),
        (2, 2 * 20 + 30 + 10),
        (3, 2 * 20 + 30 + 10),
        (4, 60 + 10),
    ],
)
def test_a_budget_that_lets_few_go_at_once_makes_rounds_of_it(allowed, needs):
    budget = Budget(namespace="shop", name="b", selector=WEB.selector, allowed=allowed)
    pods = [pod(f"p{number}", labels={"app": "x"}, grace=20) for number in range(4)]
    others = [Budget(namespace="other", name="c", selector=())]
    assert drain_needs([*pods, pod("alone", grace=60)], [budget, *others], POLICY) == needs
