"""A stolen token, with each of our manifests: everything that somebody may try with it, and what comes of it.

The real API server with an agent's pod-bound token. manifests/README.md has the same table, for people: a test compares them.
"""

from contextlib import ExitStack
from random import randrange
from typing import NamedTuple

import pytest

from tests.controlplane.installed import BASE
from tests.controlplane.plane import ControlPlane
from tests.controlplane.session import MERGE
from tests.manifests.stage import DOMAIN, LEASES, OVERLAYS, outcome, staged
from tests.promises.agents import wait_until

FOLDERS = {"base": BASE, "drain": OVERLAYS / "drain", "drain-delete": OVERLAYS / "drain-delete"}
OWN_LABEL = {"metadata": {"labels": {f"vm.{DOMAIN}/size": "x"}}}
THOUSANDS = {"metadata": {"labels": {f"tag.{DOMAIN}/{number}": "" for number in range(5000)}}}
EVENTS = "/api/v1/namespaces/default/events"


class Found(NamedTuple):
    """What comes of an attempt with each of the manifests."""

    base: str
    drain: str
    drain_delete: str


def never(what: str) -> Found:
    return Found(what, what, what)


DRAINING, DELETING = Found("rights", "done", "done"), Found("rights", "rights", "done")


def get(path):
    return lambda stage: stage.stolen.raw("GET", path.format(shop=stage.shop, other=stage.other.name))


def patch(target, body):
    return lambda stage: stage.stolen.raw("PATCH", target(stage), body, content_type=MERGE)


def own(stage):
    return stage.own.path


def other(stage):
    return stage.other.path


def taint(key, effect="NoExecute"):
    return patch(own, {"spec": {"taints": [{"key": key, "effect": effect}]}})


def disguised(stage):
    """Ask as an admin."""
    headers = {"Impersonate-User": "admin", "Impersonate-Group": "system:masters"}
    return stage.stolen.http.get(f"{stage.stolen.url}/api/v1/secrets", headers=headers, timeout=30)


def evict(node, namespace=None, *, grace=None, **state):
    def attempt(stage):
        path = stage.pod(getattr(stage, node), namespace, **state)
        name = path.rpartition("/")[2]
        options = {} if grace is None else {"deleteOptions": {"gracePeriodSeconds": grace}}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, **options}
        return stage.stolen.raw("POST", f"{path}/eviction", body)

    return attempt


def delete(node, **options):
    return lambda stage: stage.stolen.raw("DELETE", stage.pod(getattr(stage, node), **options))


def tell(about, **given):
    """Create an Event; `about` takes the stage."""

    def attempt(stage):
        event = stage.event(about(stage), **{name: value(stage) for name, value in given.items()})
        return stage.stolen.raw("POST", f"/api/v1/namespaces/{event['metadata']['namespace']}/events", event)

    return attempt


def own_node(stage):
    return ("Node", "", stage.own.name)


def touch_event(host, method="PATCH", component="imds-agent"):
    """Patch or delete an Event that another told before."""

    def attempt(stage):
        told = stage.event(("Node", "", stage.own.name), host=getattr(stage, host).name)
        told["source"]["component"] = component
        path = f"{EVENTS}/{stage.plane.admin.post(EVENTS, told)['metadata']['name']}"
        return stage.stolen.raw(method, path, {} if method == "PATCH" else None, content_type=MERGE)

    return attempt


def take(holder="own", name=None, namespace=None):
    def attempt(stage):
        body = stage.lease(getattr(stage, holder).name, name and name.format(randrange(10**5)))
        path = LEASES.format(namespace or stage.namespace)
        return stage.stolen.raw("POST", path, body, fieldManager="imds-agent-budget")

    return attempt


def touch_place(method, holder):
    def attempt(stage):
        lease = stage.taken_by_other()
        lease["spec"] |= {"holderIdentity": holder(stage), "renewTime": "2026-04-11T12:01:00.000000Z"}
        path = f"{LEASES.format(stage.namespace)}/{lease['metadata']['name']}"
        body = lease if method == "PUT" else None
        return stage.stolen.raw(method, path, body, fieldManager="imds-agent-budget")

    return attempt


def fresh(pods_or_more):
    return lambda stage: stage.stolen.raw(
        "POST", f"/api/v1/namespaces/{stage.shop}/{pods_or_more[0]}", {"apiVersion": "v1", **pods_or_more[1]}
    )


POD = {"kind": "Pod", "metadata": {"name": "evil"}, "spec": {"containers": [{"name": "c", "image": "c"}]}}
SHOP = "/api/v1/namespaces/{shop}"
BUDGETS = "/apis/policy/v1"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
GATES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"

ATTEMPTS = {
    "lie about its own node (our labels, annotations and taints; cordon, uncordon)": (
        patch(own, OWN_LABEL),
        never("done"),
    ),
    "have its own node's pods ended past all budgets, by a `NoExecute` taint of ours": (
        taint(f"{DOMAIN}/x"),
        never("policy"),
    ),
    "give its own node any other taint": (taint("dedicated"), never("policy")),
    "change anything else of its own node": (patch(own, {"metadata": {"labels": {"pool": "x"}}}), never("policy")),
    "change its own node's status": (
        lambda stage: stage.stolen.raw("PATCH", f"{stage.own.path}/status", {"status": {}}, content_type=MERGE),
        never("rights"),
    ),
    "make its own node as large as the API server takes": (patch(own, THOUSANDS), never("done")),
    "change who is noted as the owner of its own node's fields": (
        patch(own, {"metadata": {"managedFields": [{}]}}),
        never("done"),
    ),
    "change another node": (patch(other, OWN_LABEL), never("policy")),
    "cordon another node": (patch(other, {"spec": {"unschedulable": True}}), never("policy")),
    "delete a node": (lambda stage: stage.stolen.raw("DELETE", stage.other.path), never("rights")),
    "read another node": (get("/api/v1/nodes/{other}"), never("done")),
    "list all nodes": (get("/api/v1/nodes"), never("done")),
    "watch nodes": (get("/api/v1/nodes?watch=1&timeoutSeconds=1"), never("rights")),
    "reach another node's kubelet": (get("/api/v1/nodes/{other}/proxy/pods"), never("rights")),
    "read secrets": (get("/api/v1/secrets"), never("rights")),
    "read ConfigMaps": (get("/api/v1/configmaps"), never("rights")),
    "turn the switch": (
        lambda stage: stage.stolen.raw(
            "POST",
            "/api/v1/namespaces/imds-agent/configmaps",
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "imds-agent-switch"}},
        ),
        never("rights"),
    ),
    "make a token for an account": (
        fresh(
            (
                "serviceaccounts/default/token",
                {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
            )
        ),
        never("rights"),
    ),
    "act as somebody else": (disguised, never("rights")),
    "give itself more rights": (
        lambda stage: stage.stolen.raw("PATCH", f"{ROLES}/imds-agent", {"rules": []}, content_type=MERGE),
        never("rights"),
    ),
    "take our policies away": (
        lambda stage: stage.stolen.raw("DELETE", f"{GATES}/imds-agent-own-node"),
        never("rights"),
    ),
    "tell an Event about its own node": (tell(own_node), never("done")),
    "tell an Event about any pod": (tell(lambda stage: ("Pod", stage.shop, "web-0")), never("done")),
    "tell an Event about another node": (tell(lambda stage: ("Node", "", stage.other.name)), never("policy")),
    "tell an Event about anything else": (tell(lambda stage: ("Service", stage.shop, "web")), never("policy")),
    "tell an Event in the name of another node": (tell(own_node, host=lambda stage: stage.other.name), never("policy")),
    "tell an Event in the name of another component": (
        tell(own_node, source=lambda stage: {"component": "kubelet", "host": stage.own.name}),
        never("policy"),
    ),
    "count up its own node's Events": (touch_event("own"), never("done")),
    "change or read an Event of another agent": (touch_event("other"), never("policy")),
    "change or read an Event of another component": (touch_event("own", component="kubelet"), never("policy")),
    "list Events": (get(EVENTS), never("rights")),
    "delete an Event": (touch_event("own", "DELETE"), never("rights")),
    "see who holds places in the budgets": (get(LEASES.format("imds-agent")), never("done")),
    "take free places in the budgets for its own node, as many as there are": (take(), never("done")),
    "make places that no budget has, without end": (take(name="imds-agent-drain-ffffffffff-{}"), never("done")),
    "take a place for another node": (take("other"), never("policy")),
    "take away the place of another node that is alive": (
        touch_place("PUT", lambda stage: stage.own.name),
        never("policy"),
    ),
    "empty the place of another node that is alive": (touch_place("PUT", lambda stage: ""), never("policy")),
    "delete a place": (touch_place("DELETE", lambda stage: ""), never("rights")),
    "make any other Lease": (take(name="kube-scheduler"), never("policy")),
    "make a Lease in another namespace": (take(namespace="kube-node-lease"), never("rights")),
    "list the pods of all nodes, environment and arguments included": (get("/api/v1/pods"), DRAINING),
    "watch pods": (get("/api/v1/pods?watch=1&timeoutSeconds=1"), never("rights")),
    "list all disruption budgets": (get(f"{BUDGETS}/poddisruptionbudgets"), DRAINING),
    "evict a pod of its own node": (evict("own"), DRAINING),
    "evict a pod of another node": (evict("other"), DRAINING),
    "evict a pod of kube-system on another node": (evict("other", "kube-system"), DRAINING),
    "evict a pod without any grace": (evict("other", grace=0), DRAINING),
    "evict a pod that its disruption budget keeps": (evict("other", kept=True), Found("rights", "budget", "budget")),
    "evict a pod of such a budget that has not started": (evict("other", kept=True, started=False), DRAINING),
    "evict a pod of such a budget that is not ready, while enough others are": (
        evict("other", kept=True, ready=False),
        DRAINING,
    ),
    "change a disruption budget": (
        lambda stage: stage.stolen.raw("DELETE", f"{BUDGETS}/namespaces/{stage.shop}/poddisruptionbudgets/web"),
        never("rights"),
    ),
    "delete a pod of its own node, past its disruption budget": (delete("own", kept=True), DELETING),
    "delete a pod of another node": (delete("other"), Found("rights", "rights", "policy")),
    "delete all pods of a namespace": (
        lambda stage: stage.stolen.raw("DELETE", f"/api/v1/namespaces/{stage.shop}/pods"),
        never("rights"),
    ),
    "read or change a single pod": (get(f"{SHOP}/pods/web"), never("rights")),
    "read a pod's log": (get(f"{SHOP}/pods/web/log"), never("rights")),
    "run a command in a pod": (get(f"{SHOP}/pods/web/exec?command=id"), never("rights")),
    "make a pod": (fresh(("pods", POD)), never("rights")),
}


@pytest.fixture(scope="module", params=FOLDERS)
def installed(request, built):
    """A control plane with one of our manifests, all its policies in force."""
    with ControlPlane() as plane:
        plane.install(FOLDERS[request.param])
        with staged(plane) as stage:
            stage.wait_for_policies()
        yield request.param, plane


@pytest.fixture
def stage(installed):
    with staged(installed[1]) as stage:
        yield stage


@pytest.mark.parametrize(("attempt", "found"), ATTEMPTS.values(), ids=ATTEMPTS)
def test_what_comes_of_a_stolen_token(installed, stage, attempt, found):
    assert outcome(attempt(stage)) == found._asdict()[installed[0].replace("-", "_")]


def test_a_taint_of_ours_ends_the_nodes_pods_past_their_budget_where_it_is_allowed(built_whole):
    """What `event-taint-no-execute` comes to where controllers run; no other node's pods are touched."""
    with ControlPlane(controller_manager=True) as plane, ExitStack() as stack:
        plane.install(OVERLAYS / "event-taint-no-execute")
        stage = stack.enter_context(staged(plane))
        kept, away = stage.pod(stage.own, kept=True), stage.pod(stage.other)
        wait_until(lambda: not stage.own.get()["spec"].get("taints"), "a new node's own taint is gone")
        assert taint(f"{DOMAIN}/x")(stage).status_code == 200
        wait_until(lambda: told_to_end(stage, kept), "Kubernetes ends the pod")
        assert not told_to_end(stage, away)


def told_to_end(stage, pod) -> bool:
    response = stage.plane.admin.raw("GET", pod)
    return response.status_code == 404 or "deletionTimestamp" in response.json()["metadata"]


def test_the_readme_has_the_same_table():
    shown = {"rights": "no", "policy": "no (policy)", "budget": "no (budget)", "done": "**yes**"}
    wanted = [f"| {name} | {' | '.join(shown[what] for what in found)} |" for name, (_, found) in ATTEMPTS.items()]
    text = (BASE.parent / "README.md").read_text()
    head = "| attempt | base | drain | drain-delete |\n|---|---|---|---|\n"
    table = text.split(head)[1].split("\n\n")[0]
    assert table.splitlines() == wanted
