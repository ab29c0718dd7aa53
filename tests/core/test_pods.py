"""Pods and disruption budgets as the API server lists them, odd ones included."""

import json
from datetime import datetime, timezone

import pytest

from agent.core.pods import LONG_AGO, Budget, Pod, Requirement, budgets_of, read_budgets, read_pods


def document(*, metadata=None, spec=None, status=None, **more):
    """A pod as the API server lists it."""
    return {
        "metadata": {"uid": "u1", "namespace": "shop", "name": "web-1", **(metadata or {})},
        "spec": {"terminationGracePeriodSeconds": 30, "priority": 0, **(spec or {})},
        "status": {"phase": "Running", **(status or {})},
        **more,
    }


def read(**parts) -> Pod:
    (pod,) = read_pods({"items": [document(**parts)]})
    return pod


def owned(kind: str, *, controller: object = True):
    return {"ownerReferences": [{"kind": kind, "name": "x", "controller": controller}]}


def containers(*states: object):
    return [{"name": f"c{number}", "state": state} for number, state in enumerate(states)]


def test_a_pod_is_what_its_fields_say():
    pod = read(
        metadata={"labels": {"app": "web"}, "finalizers": ["example.com/stay"], **owned("ReplicaSet")},
        spec={"priority": 7, "terminationGracePeriodSeconds": 90, "volumes": [{"name": "v", "emptyDir": {}}]},
    )
    assert pod == Pod(
        uid="u1",
        namespace="shop",
        name="web-1",
        priority=7,
        grace=90.0,
        phase="Running",
        managed=True,
        empty_dir=True,
        finalizers=("example.com/stay",),
        labels={"app": "web"},
    )
    assert str(pod) == "shop/web-1"


def test_what_a_pod_does_not_say_is_what_kubernetes_takes_for_it():
    (pod,) = read_pods({"items": [{"metadata": {"uid": "u", "name": "n"}}]})
    assert pod == Pod(uid="u", namespace="", name="n", priority=0, grace=30.0, phase="", running=True)


@pytest.mark.parametrize(
    ("metadata", "daemon_set", "managed", "mirror"),
    [
        ({}, False, False, False),
        (owned("ReplicaSet"), False, True, False),
        (owned("DaemonSet"), True, True, False),
        (owned("DaemonSet", controller=False), False, False, False),
        (owned("ConfigMap", controller=None), False, False, False),
        (owned("Node"), False, True, True),
        ({"annotations": {"kubernetes.io/config.mirror": "abc"}}, False, False, True),
        ({"annotations": {"kubernetes.io/config.source": "api"}}, False, False, False),
    ],
)
def test_who_owns_a_pod_says_whether_it_comes_back(metadata, daemon_set, managed, mirror):
    pod = read(metadata=metadata)
    assert (pod.daemon_set, pod.managed, pod.mirror) == (daemon_set, managed, mirror)


@pytest.mark.parametrize(
    ("volumes", "empty_dir"),
    [
        ([], False),
        (None, False),
        ([{"name": "a", "configMap": {}}, {"name": "b", "projected": {}}], False),
        ([{"name": "a", "configMap": {}}, {"name": "b", "emptyDir": {}}], True),
        ([{"name": "b", "emptyDir": {"medium": "Memory"}}], True),
    ],
)
def test_an_empty_dir_among_the_volumes_is_seen(volumes, empty_dir):
    assert read(spec={"volumes": volumes}).empty_dir is empty_dir


@pytest.mark.parametrize(
    ("told", "grace"), [(0, 0.0), (1, 1.0), (600, 600.0), (-5, 0.0), (None, 30.0), ("9", 30.0), (True, 30.0)]
)
def test_the_grace_is_the_pods_own_and_half_a_minute_else(told, grace):
    assert read(spec={"terminationGracePeriodSeconds": told}).grace == grace


def test_a_pod_that_was_told_to_end_says_until_when():
    pod = read(metadata={"deletionTimestamp": "2026-04-11T12:00:30Z"})
    assert pod.leaving_at == datetime(2026, 4, 11, 12, 0, 30, tzinfo=timezone.utc)
    assert read().leaving_at is None


@pytest.mark.parametrize("odd", ["soon", "", 5, {}])
def test_a_pod_that_ends_at_a_time_nobody_can_read_is_ending_all_the_same(odd):
    assert read(metadata={"deletionTimestamp": odd}).leaving_at == LONG_AGO


RUNNING, ENDED, WAITING = {"running": {}}, {"terminated": {"exitCode": 0}}, {"waiting": {"reason": "PodInitializing"}}


@pytest.mark.parametrize(
    ("status", "running"),
    [
        ({}, True),
        ({"phase": "Pending"}, True),
        ({"phase": "Succeeded"}, False),
        ({"phase": "Failed", "containerStatuses": containers(RUNNING)}, False),
        ({"containerStatuses": []}, True),
        ({"containerStatuses": containers(RUNNING)}, True),
        ({"containerStatuses": containers(ENDED, RUNNING)}, True),
        ({"containerStatuses": containers(ENDED, ENDED)}, False),
        ({"containerStatuses": containers(WAITING)}, True),
        ({"containerStatuses": containers(None)}, True),
        ({"containerStatuses": ["odd"]}, True),
        ({"containerStatuses": containers(ENDED), "initContainerStatuses": containers(ENDED, WAITING)}, False),
        ({"containerStatuses": containers(ENDED), "initContainerStatuses": containers(ENDED, RUNNING)}, True),
    ],
)
def test_a_pod_runs_until_all_its_containers_have_ended_sidecars_too(status, running):
    assert read(status=status).running is running


@pytest.mark.parametrize(
    ("phase", "finished"), [("Succeeded", True), ("Failed", True), ("Running", False), ("Pending", False), ("", False)]
)
def test_finished_is_a_pod_that_came_to_its_own_end(phase, finished):
    assert read(status={"phase": phase}).finished is finished


ODD = [None, 5, "odd", [], ["odd"], {}, {"a": 1}, True]


@pytest.mark.parametrize("odd", ODD, ids=json.dumps)
@pytest.mark.parametrize(
    "place",
    [
        ("metadata", "labels"),
        ("metadata", "annotations"),
        ("metadata", "ownerReferences"),
        ("metadata", "finalizers"),
        ("metadata", "namespace"),
        ("spec", "volumes"),
        ("spec", "priority"),
        ("status", "phase"),
        ("status", "containerStatuses"),
    ],
    ids=".".join,
)
def test_an_odd_field_never_hides_a_pod(odd, place):
    pod = read(**{place[0]: {place[1]: odd}})
    assert (pod.uid, pod.name) == ("u1", "web-1")
    assert pod.running


@pytest.mark.parametrize("odd", ODD, ids=json.dumps)
def test_only_what_has_no_uid_or_no_name_is_not_a_pod(odd):
    listed = {"items": [odd, document(), {"metadata": odd}, document(metadata={"uid": odd}), document(spec=None)]}
    assert [pod.uid for pod in read_pods(listed) if pod.uid != odd] == ["u1", "u1"]
    assert read_pods({"items": odd}) == ()
    assert all(pod.name for pod in read_pods({"items": [document(metadata={"name": odd})]}))


def pod(namespace="shop", **labels):
    return Pod(uid="u", namespace=namespace, name="n", labels=labels)


def budget(selector, *, namespace="shop", name="b", **more):
    spec = {} if selector == "none" else {"selector": selector}
    (found,) = read_budgets({"items": [{"metadata": {"namespace": namespace, "name": name}, "spec": spec, **more}]})
    return found


def expression(key, operator, *values):
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "labels", "covered"),
    [
        ({"matchLabels": {"app": "web"}}, {"app": "web", "x": "y"}, True),
        ({"matchLabels": {"app": "web"}}, {"app": "db"}, False),
        ({"matchLabels": {"app": "web"}}, {}, False),
        ({"matchLabels": {"app": "web", "tier": "a"}}, {"app": "web"}, False),
        (expression("app", "In", "web", "db"), {"app": "db"}, True),
        (expression("app", "In", "web", "db"), {"app": "x"}, False),
        (expression("app", "In", "web"), {}, False),
        (expression("app", "NotIn", "web"), {"app": "db"}, True),
        (expression("app", "NotIn", "web"), {"app": "web"}, False),
        (expression("app", "NotIn", "web"), {}, True),
        (expression("app", "Exists"), {"app": ""}, True),
        (expression("app", "Exists"), {}, False),
        (expression("app", "DoesNotExist"), {}, True),
        (expression("app", "DoesNotExist"), {"app": "x"}, False),
        (expression("app", "Gt", "5"), {"app": "9"}, False),
        ({"matchLabels": {"app": "web"}, **expression("x", "Exists")}, {"app": "web"}, False),
        ({"matchLabels": {"app": "web"}, **expression("x", "Exists")}, {"app": "web", "x": ""}, True),
        ({}, {}, True),
        ({}, {"app": "web"}, True),
        ("none", {"app": "web"}, False),
        (None, {"app": "web"}, False),
    ],
)
def test_a_budget_covers_the_pods_that_its_selector_selects(selector, labels, covered):
    assert budget(selector).covers(pod(**labels)) is covered


def test_a_budget_is_about_its_own_namespace_only():
    assert not budget({}, namespace="other").covers(pod())


def test_the_budgets_of_a_pod_are_named():
    budgets = [
        budget({}, name="all"),
        budget("none", name="none"),
        budget({"matchLabels": {"app": "web"}}, name="web"),
        budget({}, name="elsewhere", namespace="other"),
    ]
    assert budgets_of(pod(app="web"), budgets) == ("all", "web")
    assert budgets_of(pod(), budgets) == ("all",)
    assert budgets_of(pod("third"), budgets) == ()


@pytest.mark.parametrize(
    ("status", "allowed"), [({"disruptionsAllowed": 2}, 2), ({"disruptionsAllowed": 0}, 0), ({}, None), (None, None)]
)
def test_a_budget_says_how_many_may_go(status, allowed):
    assert budget({}, status=status).allowed == allowed


def test_a_budget_that_is_read_is_the_one_that_is_written():
    assert budget({"matchLabels": {"a": "b"}}, name="x") == Budget(
        namespace="shop",
        name="x",
        selector=(Requirement(key="a", operator="In", values=frozenset({"b"})),),
    )


@pytest.mark.parametrize("odd", ODD, ids=json.dumps)
def test_no_odd_budget_keeps_a_drain_from_the_others(odd):
    listed = {
        "items": [
            odd,
            {"metadata": odd, "spec": odd, "status": odd},
            {"spec": {"selector": {"matchLabels": odd, "matchExpressions": odd}}},
            {"metadata": {"namespace": "shop", "name": "good"}, "spec": {"selector": {}}},
        ]
    }
    assert budgets_of(pod(), read_budgets(listed)) == ("good",)
    assert read_budgets({"items": odd}) == () or isinstance(odd, list)
