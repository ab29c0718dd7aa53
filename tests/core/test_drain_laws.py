"""Laws of a drain: of any one step, and of a whole drain against a small model of a node.

The model is what the API server and kubelet do to pods: a budget refuses or lets go, a pod that was asked ends within its
grace, hangs, or leaves its object behind.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from agent.core.drain import CRITICAL, Attempt, DrainPolicy, drain_needs, drain_step, works
from agent.core.pods import Budget, Pod, Requirement, budgets_of

NOW = datetime(2026, 4, 11, 12, 0, tzinfo=timezone.utc)
INSTANT = 1000.0
OWN = ("shop", "own")
BUDGETS = tuple(
    Budget(
        namespace="shop",
        name=name,
        selector=(Requirement(key="app", operator="In", values=frozenset({name})),),
        allowed=allowed,
    )
    for name, allowed in (("web", 1), ("db", 0))
)
POLICIES = st.builds(
    DrainPolicy,
    empty_dir=st.sampled_from(["evict", "leave"]),
    unmanaged=st.sampled_from(["evict", "leave"]),
    on_deadline=st.sampled_from(["leave", "delete"]),
    delete_before=st.sampled_from([0.0, 10.0, 100.0]),
)
rarely = st.sampled_from([False, False, False, True])
PLAIN = {
    "uid": st.just(""),
    "namespace": st.sampled_from(["shop", "shop", "other"]),
    "name": st.sampled_from(["x", "y"]),
    "priority": st.sampled_from([-10, 0, 5, CRITICAL - 1, CRITICAL, CRITICAL + 1000]),
    "grace": st.sampled_from([0.0, 1.0, 30.0, 120.0]),
    "managed": st.just(True),
    "labels": st.sampled_from([{}, {"app": "web"}, {"app": "db"}]),
}
ODD = {
    "name": st.sampled_from(["own", "x", "y"]),
    "phase": st.sampled_from(["Running", "Running", "Pending", "Failed", "Succeeded"]),
    "mirror": rarely,
    "daemon_set": rarely,
    "managed": st.booleans(),
    "empty_dir": st.booleans(),
    "leaving_at": st.one_of(st.none(), st.integers(-100, 100).map(lambda late: NOW - timedelta(seconds=late))),
    "running": rarely.map(lambda rare: not rare),
}
# Most pods are such as may be asked to leave: else the laws speak of empty steps.
PODS = st.one_of(st.builds(Pod, **PLAIN), st.builds(Pod, **PLAIN), st.builds(Pod, **{**PLAIN, **ODD}))
ATTEMPTS = st.one_of(
    st.none(),
    st.none(),
    st.builds(
        Attempt,
        at=st.sampled_from([INSTANT - late for late in (0, 0.5, 1, 4, 5, 29, 30, 100)]),
        refused=st.sampled_from([None, "a budget"]),
        delete=st.booleans(),
    ),
)


@st.composite
def situations(draw):
    """Pods with distinct uids, what was tried with each, and the time left."""
    pods = [replace(pod, uid=str(number)) for number, pod in enumerate(draw(st.lists(PODS, max_size=14)))]
    tried = {pod.uid: attempt for pod in pods if (attempt := draw(ATTEMPTS)) is not None}
    left = draw(st.one_of(st.none(), st.sampled_from([-60.0, 0.0, 0.5, 5.0, 10.0, 30.0, 45.0, 90.0, 700.0, 5000.0])))
    return pods, tried, left, draw(POLICIES), draw(st.sampled_from([1, 3, 10]))


def step_of(situation):
    pods, tried, left, policy, at_most = situation
    return drain_step(
        pods,
        BUDGETS,
        tried,
        now=NOW,
        instant=INSTANT,
        deadline=None if left is None else NOW + timedelta(seconds=left),
        policy=policy,
        own=OWN,
        at_most=at_most,
    )


def refuses(pod: Pod, policy: DrainPolicy) -> bool:
    return (not pod.managed and policy.unmanaged == "leave") or (pod.empty_dir and policy.empty_dir == "leave")


@given(situations())
def test_each_pod_is_asked_or_left_or_no_work_and_never_two_of_them(situation):
    pods, *_ = situation
    step = step_of(situation)
    told = [asking.pod.uid for asking in step.asks] + [left.pod.uid for left in step.left]
    assert sorted(told) == sorted(pod.uid for pod in pods if works(pod, OWN))
    assert step.done is (not told)
    assert all(left.why for left in step.left)


@given(situations())
def test_nobody_is_asked_who_must_not_be(situation):
    _, tried, left, policy, at_most = situation
    step = step_of(situation)
    assert len(step.asks) <= at_most
    assert not step.asks or left is None or left > 0
    for asking in step.asks:
        pod, attempt = asking.pod, tried.get(asking.pod.uid)
        assert not any((pod.daemon_set, pod.mirror, pod.finished, pod.leaving_at))
        assert (pod.namespace, pod.name) != OWN
        assert not refuses(pod, policy)
        assert attempt is None or attempt.refused or INSTANT - attempt.at >= 30
        assert attempt is None or not attempt.refused or asking.delete or INSTANT - attempt.at >= 5


@given(situations())
def test_deletions_are_for_the_end_of_the_time_alone_and_grace_never_outlasts_it(situation):
    _, _, left, policy, _ = situation
    for asking in step_of(situation).asks:
        late = left is not None and left <= policy.delete_before
        assert asking.delete is (late and policy.on_deadline == "delete")
        if left is None or left >= asking.pod.grace:
            assert asking.grace is None
        else:
            assert asking.grace == max(1, int(left))


@given(situations())
def test_the_least_important_come_first_and_critical_ones_when_the_others_are_gone_or_time_is_short(situation):
    pods, _, left, policy, _ = situation
    asks = [asking.pod for asking in step_of(situation).asks]
    ranks = [(pod.priority >= CRITICAL, bool(budgets_of(pod, BUDGETS)), pod.priority) for pod in asks]
    assert ranks == sorted(ranks)
    stuck = [pod for pod in pods if pod.leaving_at and pod.leaving_at < NOW - timedelta(seconds=30)]
    going = [pod for pod in pods if works(pod, OWN) and pod not in stuck]
    going = [pod for pod in going if pod.leaving_at or not refuses(pod, policy)]
    if any(pod.priority >= CRITICAL for pod in asks) and any(pod.priority < CRITICAL for pod in going):
        assert left is not None
        assert left <= drain_needs(going, BUDGETS, policy, own=OWN)


@given(situations())
def test_out_of_time_is_work_at_the_deadline_and_the_pause_is_nothing_only_where_more_can_be_asked(situation):
    _, _, left, _, at_most = situation
    step = step_of(situation)
    assert step.out_of_time is (left is not None and left <= 0 and not step.done)
    assert 0 <= step.pause <= 5
    assert (step.pause == 0) is ("waits its turn" in {left.why for left in step.left})
    assert step.pause > 0 or len(step.asks) == at_most


@given(situations(), st.randoms(use_true_random=False))
def test_more_pods_never_need_less_time(situation, random):
    pods, _, _, policy, _ = situation
    some = [pod for pod in pods if random.random() < 0.7]
    assert 0 <= drain_needs(some, BUDGETS, policy) <= drain_needs(pods, BUDGETS, policy)


@dataclass
class Model:
    """A node with pods, and the API server in front of it.

    Attributes:
        lets_go_at: when each budget begins to let one pod at a time go, in seconds since the begin; None for never.
        hangs, held: pods that never end, and those of which a finalizer keeps the object.
        lag: seconds that a list is behind.
    """

    pods: dict[str, Pod]
    lets_go_at: dict[str, float | None]
    hangs: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    lag: float = 0.0
    time: float = 0.0
    asked: dict[str, float] = field(default_factory=dict)  # by uid: when an eviction or deletion was accepted
    deleted: set[str] = field(default_factory=set)
    refusals: dict[str, float] = field(default_factory=dict)  # by uid: when it was refused last
    history: list[tuple[float, tuple[Pod, ...]]] = field(default_factory=list)

    def listed(self) -> tuple[Pod, ...]:
        """The pods as they were `lag` seconds ago."""
        self.history.append((self.time, tuple(self.pods.values())))
        while len(self.history) > 1 and self.history[1][0] <= self.time - self.lag:
            del self.history[0]
        return self.history[0][1]

    def ask(self, asking) -> Attempt:
        """Do as the API server does; check that nothing is asked that a drain must not ask."""
        uid, at = asking.pod.uid, INSTANT + self.time
        assert uid not in self.asked, "asked twice"
        if uid not in self.pods:
            return Attempt(at=at, delete=asking.delete)
        budgets = budgets_of(asking.pod, BUDGETS)
        if not asking.delete and any(self.refuses(name) for name in budgets):
            assert self.time - self.refusals.get(uid, -9.0) >= 5 - 1e-6, "asked again too soon"
            self.refusals[uid] = self.time
            return Attempt(at=at, refused=f"disruption budget {budgets[0]}")
        self.asked[uid] = self.time
        if asking.delete:
            self.deleted.add(uid)
        grace = asking.pod.grace if asking.grace is None else asking.grace
        self.pods[uid] = replace(self.pods[uid], leaving_at=NOW + timedelta(seconds=self.time + grace), grace=grace)
        return Attempt(at=at, delete=asking.delete)

    def refuses(self, name: str) -> bool:
        """A budget lets one pod go at a time, and none before its time."""
        begins = self.lets_go_at[name]
        ending = [pod for pod in self.pods.values() if pod.leaving_at and pod.running]
        return begins is None or self.time < begins or any(name in budgets_of(pod, BUDGETS) for pod in ending)

    def pass_time(self, seconds: float) -> None:
        """Let pods end."""
        self.time += seconds
        now = NOW + timedelta(seconds=self.time)
        for uid, pod in list(self.pods.items()):
            if pod.leaving_at and pod.leaving_at <= now and uid not in self.hangs:
                if uid in self.held:
                    self.pods[uid] = replace(pod, running=False)
                else:
                    del self.pods[uid]


@st.composite
def models(draw, lets_go, *, hang=False):
    """A node before its drain."""
    drawn = draw(st.lists(PODS, max_size=14))
    pods = [replace(pod, uid=str(number), leaving_at=None, running=True) for number, pod in enumerate(drawn)]
    uids = [pod.uid for pod in pods]
    some = st.frozensets(st.sampled_from(uids), max_size=3) if uids else st.just(frozenset())
    return Model(
        pods={pod.uid: pod for pod in pods},
        lets_go_at={budget.name: draw(lets_go) for budget in BUDGETS},
        hangs=draw(some) if hang else frozenset(),
        held=draw(some),
        lag=draw(st.sampled_from([0.0, 2.0])),
    )


STEPS = 1000  # more than any drain here needs; one that spins needs more


def drain(model: Model, policy: DrainPolicy, left: float | None, *, until: float):
    """Take step after step until it is done or this many seconds have passed; return the last step."""
    tried: dict[str, Attempt] = {}
    for _ in range(STEPS):
        step = drain_step(
            model.listed(),
            BUDGETS,
            tried,
            now=NOW + timedelta(seconds=model.time),
            instant=INSTANT + model.time,
            deadline=None if left is None else NOW + timedelta(seconds=left),
            policy=policy,
            own=OWN,
        )
        assert not (step.asks and left is not None and model.time >= left), "asked past the deadline"
        tried |= {asking.pod.uid: model.ask(asking) for asking in step.asks}
        if step.done or model.time >= until:
            return step
        model.pass_time(step.pause)
    return pytest.fail(f"still at {model.time} s after {STEPS} steps: {step}")


@settings(max_examples=100, deadline=None)
@given(models(st.sampled_from([0.0, 20.0, None]), hang=True), POLICIES, st.sampled_from([None, 12.0, 30.0, 300.0]))
def test_whatever_budgets_do_and_pods_fail_to_do_a_drain_keeps_the_laws_and_does_not_spin(model, policy, left):
    before = dict(model.pods)
    step = drain(model, policy, left, until=600.0)
    event("done" if step.done else "not done")
    assert not (step.done and any(works(pod, OWN) for pod in model.pods.values()))
    for uid in model.asked:
        assert not refuses(before[uid], policy)
        assert uid not in model.deleted or policy.on_deadline == "delete"
    if left is not None and not step.done:
        assert step.out_of_time


@settings(max_examples=100, deadline=None)
@given(models(st.sampled_from([0.0, 7.0, 61.0])), st.sampled_from(["evict", "leave"]))
def test_a_drain_that_can_finish_does_with_everybodys_own_grace(model, on_deadline):
    policy = DrainPolicy(unmanaged="evict", on_deadline=on_deadline)
    step = drain(model, policy, None, until=4000.0)
    assert step.done
    assert not any(works(pod, OWN) for pod in model.pods.values())
    assert not model.deleted


@settings(max_examples=100, deadline=None)
@given(models(st.just(0.0)))
@example(Model(pods={}, lets_go_at={"web": 0.0, "db": 0.0}))
def test_a_drain_that_begins_when_it_must_is_done_in_time(model):
    policy = DrainPolicy(unmanaged="evict")
    needs = drain_needs(model.pods.values(), BUDGETS, policy, own=OWN)
    assert drain(model, policy, needs, until=needs + 1).done


@settings(max_examples=100, deadline=None)
@given(models(st.none()), st.sampled_from([15.0, 30.0, 90.0]))
def test_with_deletion_at_the_deadline_no_budget_keeps_a_pod_here_beyond_it(model, left):
    policy = DrainPolicy(unmanaged="evict", on_deadline="delete")
    drain(model, policy, left, until=left - 0.1)
    model.pass_time(left - model.time + 1)
    assert not any(works(pod, OWN) for pod in model.pods.values())
