"""Pods through the real API server: lists, evictions, deletions, and a whole drain with the real controllers."""

import json
import time
import uuid
from contextlib import closing
from datetime import datetime, timezone

import pytest

from agent.clients.cluster import Access, Cluster
from agent.clients.cluster_errors import ClusterRefused, ClusterUnavailable, error_of
from agent.clients.cluster_pods import Outcome, budgets_in, delete, evict, outcome_of, pods_on
from agent.core.drain import CRITICAL, Attempt, DrainPolicy, drain_step, works
from agent.core.pods import Pod
from tests.controlplane.pods import running
from tests.controlplane.session import STRATEGIC

WAIT = 60.0  # seconds; the machine may be busy


def wait_for(look):
    """Look until something is found, and return it."""
    end = time.monotonic() + WAIT
    while not (found := look()):
        assert time.monotonic() < end, "never came about"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def node(whole_plane):
    actor = whole_plane.register_node(f"drain-{uuid.uuid4().hex[:8]}")
    yield actor
    actor.close()
    actor.delete()


@pytest.fixture(scope="module")
def cluster(whole_plane):
    with closing(Cluster(Access(kubeconfig=whole_plane.admin_kubeconfig))) as client:
        yield client


class Place:
    """A namespace, and pods in it that are bound to one node and run."""

    def __init__(self, plane, node):
        self.plane, self.node = plane, node
        self.name = f"place-{uuid.uuid4().hex[:8]}"
        self.path = f"/api/v1/namespaces/{self.name}"
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}}
        plane.admin.post("/api/v1/namespaces", namespace)
        wait_for(lambda: plane.admin.raw("GET", f"{self.path}/serviceaccounts/default").ok)

    def pod(self, name="a", *, phase="Running", labels=None, finalizers=None, annotations=None, **spec) -> Pod:
        """Make a pod and let kubelet report its phase; returns what the agent needs to name it."""
        metadata = {"name": name, "labels": labels, "finalizers": finalizers, "annotations": annotations}
        spec = {"nodeName": self.node.name, "containers": [{"name": "c", "image": "c"}], **spec}
        made = self.plane.admin.post(
            f"{self.path}/pods", {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        )
        if phase != "Pending":
            status = {**running(made), "phase": phase}
            self.plane.admin.patch(f"{self.path}/pods/{name}/status", {"status": status}, STRATEGIC)
        return Pod(uid=made["metadata"]["uid"], namespace=self.name, name=name)

    def budget(self, name, *, status=True, **spec) -> None:
        """Make a disruption budget, and wait until its controller has counted."""
        body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec}
        path = f"/apis/policy/v1/namespaces/{self.name}/poddisruptionbudgets"
        self.plane.admin.post(path, body)
        wait_for(lambda: self.plane.admin.get(f"{path}/{name}").get("status", {}).get("observedGeneration"))

    def listed(self, cluster, **how):
        """Return what the agent sees of the pods that were made here, without the agent's own DaemonSet."""
        return [pod for pod in pods_on(cluster, self.node.name, **how) if pod.namespace == self.name]

    def get(self, name="a"):
        """Return the pod's metadata; None if it is gone."""
        response = self.plane.admin.raw("GET", f"{self.path}/pods/{name}")
        return response.json()["metadata"] if response.ok else None

    def grace(self, name="a"):
        """Return the grace of a pod that is ending; None for one that is not."""
        return self.get(name).get("deletionGracePeriodSeconds")


@pytest.fixture
def place(whole_plane, node):
    found = Place(whole_plane, node)
    yield found
    for item in whole_plane.admin.get(f"{found.path}/pods")["items"]:
        path = f"{found.path}/pods/{item['metadata']['name']}"
        whole_plane.admin.patch(path, {"metadata": {"finalizers": None}})
        whole_plane.admin.raw("DELETE", path, {"gracePeriodSeconds": 0})
    whole_plane.admin.delete(found.path)


APP = {"matchLabels": {"app": "web"}}
ACCEPTED, GONE = Outcome(kind="accepted"), Outcome(kind="gone")


def test_the_pods_of_a_node_are_listed_and_no_others(cluster, place, whole_plane):
    made = {place.pod("a").uid, place.pod("b").uid}
    place.pod("elsewhere", phase="Pending", nodeName="another-node")
    for look in (lambda: place.listed(cluster, quorum=True), lambda: place.listed(cluster)):
        found = wait_for(lambda look=look: len(look()) == 2 and look())  # the cache may be a moment behind
        assert {pod.uid for pod in found} == made
        assert {(pod.grace, pod.phase, pod.running) for pod in found} == {(30.0, "Running", True)}
    assert pods_on(cluster, "no-such-node", quorum=True) == ()


def test_a_quorum_read_sees_a_pod_at_once_and_comes_in_pages(cluster, place):
    for number in range(5):
        made = place.pod(f"p{number}")
        assert made.uid in {pod.uid for pod in place.listed(cluster, quorum=True)}
    for page in (1, 2, 6):
        found = [pod.name for pod in place.listed(cluster, quorum=True, page=page)]
        assert sorted(found) == [f"p{number}" for number in range(5)]


def test_a_pod_of_a_real_controller_is_managed_and_carries_its_priority(cluster, place, whole_plane):
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "nodeName": place.node.name,
            "priorityClassName": "system-cluster-critical",
            "containers": [{"name": "c", "image": "c"}],
            "volumes": [{"name": "v", "emptyDir": {}}],
        },
    }
    for kind in ("ReplicaSet", "DaemonSet"):
        spec = {"selector": APP, "template": template} | ({"replicas": 1} if kind == "ReplicaSet" else {})
        body = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": kind.lower()}, "spec": spec}
        if kind == "DaemonSet":
            body = json.loads(json.dumps(body).replace('"web"', '"daemon"'))
            del body["spec"]["template"]["spec"]["nodeName"]
        whole_plane.admin.post(f"/apis/apps/v1/namespaces/{place.name}/{kind.lower()}s", body)

    def found():
        pods = place.listed(cluster)
        return {pod.labels["app"]: pod for pod in pods} if len(pods) == 2 else None

    pods = wait_for(found)
    assert {app: pod.daemon_set for app, pod in pods.items()} == {"web": False, "daemon": True}
    assert all(pod.managed and pod.empty_dir for pod in pods.values())
    assert {pod.priority for pod in pods.values()} == {CRITICAL}
    for kind in ("replicasets", "daemonsets"):
        whole_plane.admin.delete(f"/apis/apps/v1/namespaces/{place.name}/{kind}/{kind[:-1]}")


def test_budgets_of_all_namespaces_are_listed(cluster, place):
    place.pod(labels={"app": "web"})
    place.budget("web", selector=APP, maxUnavailable=1)
    place.budget("all", selector={}, minAvailable=9)
    place.budget("none", minAvailable=1)
    for page in (1, 500):
        budgets = {b.name: b for b in budgets_in(cluster, quorum=True, page=page) if b.namespace == place.name}
        assert set(budgets) == {"web", "all", "none"}
    assert wait_for(lambda: {b.name: b.allowed for b in budgets_in(cluster)} | {"web": 1}).get("all") == 0
    covered = Pod(uid="u", namespace=place.name, name="a", labels={"app": "web"})
    assert {name: budget.covers(covered) for name, budget in budgets.items()} == {
        "web": True,
        "all": True,
        "none": False,
    }


def test_an_evicted_pod_ends_with_its_own_grace(cluster, place):
    assert evict(cluster, place.pod(terminationGracePeriodSeconds=44)) == ACCEPTED
    assert place.grace() == 44


def test_a_shorter_grace_in_an_eviction_is_honoured(cluster, place):
    assert evict(cluster, place.pod(terminationGracePeriodSeconds=44), 7) == ACCEPTED
    assert place.grace() == 7


def test_an_evicted_pod_says_why_it_goes(cluster, place, whole_plane):
    evict(cluster, place.pod())
    status = whole_plane.admin.get(f"{place.path}/pods/a")["status"]
    assert {c["type"]: c.get("reason") for c in status["conditions"]}["DisruptionTarget"] == "EvictionByEvictionAPI"


def test_the_list_shows_until_when_an_evicted_pod_will_be_gone(cluster, place):
    made = place.pod(terminationGracePeriodSeconds=3600)
    evict(cluster, made)
    (found,) = place.listed(cluster, quorum=True)
    left = (found.leaving_at - datetime.now(timezone.utc)).total_seconds()
    assert 3600 - WAIT < left <= 3600
    assert works(found)


def test_a_second_eviction_is_accepted_and_can_only_cut_the_grace_so_that_none_is_sent(cluster, place):
    made = place.pod(terminationGracePeriodSeconds=44)
    assert evict(cluster, made) == evict(cluster, made) == ACCEPTED
    assert place.grace() == 44
    assert evict(cluster, made, 5) == ACCEPTED
    assert evict(cluster, made) == ACCEPTED
    assert place.grace() == 5


def test_a_pod_that_is_gone_or_another_of_its_name_is_gone_and_nothing_is_touched(cluster, place):
    old = Pod(uid="11111111-2222-3333-4444-555555555555", namespace=place.name, name="a")
    assert evict(cluster, old) == delete(cluster, old) == GONE
    place.pod()
    assert evict(cluster, old) == delete(cluster, old) == GONE
    assert "deletionTimestamp" not in place.get()


def test_a_long_name_hides_nothing_that_matters(cluster, place):
    place.pod("a" * 253)
    old = Pod(uid="11111111-2222-3333-4444-555555555555", namespace=place.name, name="a" * 253)
    assert evict(cluster, old).kind in ("gone", "refused")
    assert "deletionTimestamp" not in place.get("a" * 253)


def test_a_budget_refuses_by_its_name_and_lets_go_when_it_may(cluster, place, whole_plane):
    place.budget("web.pdb", selector=APP, maxUnavailable=0)
    made = place.pod(labels={"app": "web"})
    assert evict(cluster, made) == Outcome(kind="refused", why="disruption budget web.pdb", budget="web.pdb")
    assert "deletionTimestamp" not in place.get()
    path = f"/apis/policy/v1/namespaces/{place.name}/poddisruptionbudgets/web.pdb"
    whole_plane.admin.patch(path, {"spec": {"maxUnavailable": None, "minAvailable": 0}})
    wait_for(lambda: evict(cluster, made) == ACCEPTED)


def test_a_budget_that_nobody_has_counted_yet_refuses_by_its_name_too(cluster, place, whole_plane):
    place.budget("web", selector=APP, minAvailable=0)
    made = place.pod(labels={"app": "web"})
    path = f"/apis/policy/v1/namespaces/{place.name}/poddisruptionbudgets/web"
    for number in range(200):  # until an eviction comes before the controller does
        whole_plane.admin.patch(path, {"spec": {"minAvailable": 100 + number}})
        found = evict(cluster, made)
        assert (found.kind, found.budget) == ("refused", "web")
        if found.retry_after is not None:
            return
    pytest.fail("the controller is always faster")


def test_a_pod_of_two_budgets_is_refused_in_words_and_can_be_deleted(cluster, place):
    for name in ("one", "two"):
        place.budget(name, selector=APP, minAvailable=0)
    made = place.pod(labels={"app": "web"}, terminationGracePeriodSeconds=44)
    found = evict(cluster, made)
    assert (found.kind, found.budget) == ("refused", None)
    assert "more than one disruption budget" in found.refused
    assert delete(cluster, made, 6) == ACCEPTED
    assert place.grace() == 6


def test_a_deletion_goes_past_a_budget_with_the_pods_own_grace(cluster, place):
    place.budget("web", selector=APP, maxUnavailable=0)
    assert delete(cluster, place.pod(labels={"app": "web"}, terminationGracePeriodSeconds=44)) == ACCEPTED
    assert place.grace() == 44


@pytest.mark.parametrize("phase", ["Succeeded", "Pending"])
def test_no_budget_keeps_a_pod_that_does_not_run(cluster, place, phase):
    place.budget("web", selector=APP, maxUnavailable=0)
    assert evict(cluster, place.pod(labels={"app": "web"}, phase=phase)) == ACCEPTED
    assert place.get() is None or place.grace() is not None


def test_a_namespace_that_is_being_deleted_refuses_in_words(cluster, place, whole_plane):
    made = place.pod(finalizers=["example.com/stay"])
    second = Place(whole_plane, place.node)
    held = second.pod(finalizers=["example.com/stay"])
    whole_plane.admin.delete(second.path)
    found = wait_for(lambda: (got := evict(cluster, held)).kind == "refused" and got)
    assert "because it is being terminated" in found.refused
    whole_plane.admin.patch(f"{second.path}/pods/a", {"metadata": {"finalizers": None}})
    assert evict(cluster, made) == ACCEPTED


def test_without_the_right_everything_is_refused_as_an_error(place, whole_plane):
    made = place.pod()
    kubeconfig = whole_plane.agent_kubeconfig(place.node.name, service_account="nobody")
    with closing(Cluster(Access(kubeconfig=kubeconfig))) as nobody:
        for ask in (
            lambda: evict(nobody, made),
            lambda: delete(nobody, made),
            lambda: pods_on(nobody, place.node.name),
            lambda: budgets_in(nobody),
        ):
            with pytest.raises(ClusterRefused) as refusal:
                ask()
            assert refusal.value.lacks_right
    assert "deletionTimestamp" not in place.get()


def test_a_pod_held_by_a_finalizer_ends_and_its_object_is_no_work(cluster, place, whole_plane):
    made = place.pod(finalizers=["example.com/stay"], annotations={"test/ending": "0"})
    assert works(made)

    def ended():
        found = place.listed(cluster, quorum=True)
        return not works(found[0]) and found

    with whole_plane.play_pods(place.node.name, ending=WAIT):
        assert evict(cluster, made) == ACCEPTED
        (found,) = wait_for(ended)
        assert (found.finalizers, found.leaving_at is None) == (("example.com/stay",), False)
        whole_plane.admin.patch(f"{place.path}/pods/a", {"metadata": {"finalizers": None}})
        wait_for(lambda: place.get() is None)


def test_a_pod_that_never_ends_outlives_its_grace_and_is_work(cluster, place, whole_plane):
    hung = place.pod(annotations={"test/ending": "never"}, terminationGracePeriodSeconds=1)
    with whole_plane.play_pods(place.node.name, ending=0):
        assert evict(cluster, hung) == ACCEPTED
        other = place.pod("b", terminationGracePeriodSeconds=1, annotations={"test/ending": "900"})
        assert evict(cluster, other) == ACCEPTED
        wait_for(lambda: place.get("b") is None)
        (found,) = place.listed(cluster, quorum=True)
        assert works(found)
        wait_for(lambda: datetime.now(timezone.utc) > found.leaving_at)
        assert place.get() is not None


def status(message: str, **details: object) -> bytes:
    return json.dumps({"kind": "Status", "metadata": {}, "message": message, "details": details}).encode()


def cause(message: str):
    return status("Cannot evict pod", causes=[{"reason": "DisruptionBudget", "message": message}])


WHAT = "POST /api/v1/namespaces/shop/pods/a/eviction"
WEBHOOK = 'Internal error occurred: failed calling webhook "guard.example.com": context deadline exceeded'
CONFLICTS = 'Timeout: couldn\'t update PodDisruptionBudget "web" due to conflicts'
CHANGED = 'Operation cannot be fulfilled on poddisruptionbudgets.policy "web": the object has been modified'
NEGATIVE = 'poddisruptionbudget.policy "web" is forbidden: pdb disruptions allowed is negative'


@pytest.mark.parametrize(
    ("code", "body", "kind", "budget"),
    [
        (429, b"Too many requests, please try again later.\n", "busy", None),
        (429, status("too many requests"), "busy", None),
        (429, cause("The disruption budget web needs 2 healthy pods and has 2 currently"), "refused", "web"),
        (429, cause("The disruption budget web is still being processed by the server."), "refused", "web"),
        (429, cause("in words of another version"), "refused", None),
        (429, cause(""), "refused", None),
        (500, status("etcdserver: request timed out"), "busy", None),
        (500, status(WEBHOOK), "refused", None),
        (504, status(CONFLICTS), "refused", None),
        (409, status(CHANGED), "refused", None),
        (403, status(NEGATIVE), "refused", None),
        (422, status('admission webhook "guard.example.com" denied the request'), "refused", None),
        (503, status("apiserver is shutting down"), "busy", None),
    ],
)
def test_each_refusal_is_of_this_pod_or_of_the_moment_and_says_why(code, body, kind, budget):
    found = outcome_of(error_of(WHAT, code, body, "7"))
    assert (found.kind, found.budget) == (kind, budget)
    assert found.refused == found.why
    assert found.why
    assert found.retry_after == (7 if code in (429, 500, 503, 504) else None)


def test_words_of_the_server_are_repeated_in_part():
    for error in (error_of(WHAT, 403, status("x" * 999)), error_of(WHAT, 429, cause("x" * 999))):
        assert 200 < len(outcome_of(error).why) < 400


def test_no_answer_is_of_the_moment():
    assert outcome_of(ClusterUnavailable("no answer")) == Outcome(kind="busy", why="no answer")


def test_credentials_that_do_not_do_are_no_matter_of_a_pod():
    with pytest.raises(ClusterRefused):
        outcome_of(error_of(WHAT, 401, status("Unauthorized")))


def test_what_went_well_is_nobodys_refusal():
    assert ACCEPTED.refused is GONE.refused is None


class Drainer:
    """The loop of a drain in small: look, decide, ask, note what came of it."""

    def __init__(self, cluster, node):
        self.cluster, self.node = cluster, node
        self.tried, self.log = {}, []

    def step(self):
        step = drain_step(
            pods_on(self.cluster, self.node.name),
            budgets_in(self.cluster),
            self.tried,
            now=datetime.now(timezone.utc),
            instant=time.monotonic(),
            deadline=None,
            policy=DrainPolicy(),
            retry_after=0.5,
        )
        for asking in step.asks:
            outcome = (delete if asking.delete else evict)(self.cluster, asking.pod, asking.grace)
            self.tried[asking.pod.uid] = Attempt(at=time.monotonic(), refused=outcome.refused, delete=asking.delete)
            self.log.append((asking.pod.labels.get("app"), outcome.kind, outcome.budget))
        return step


def test_a_drain_moves_everything_round_by_round_as_the_budget_lets_it_and_the_critical_pod_last(
    cluster, place, whole_plane
):
    pool = {"pool": place.name}
    nodes = [whole_plane.register_node(f"{place.name}-{letter}", labels=pool) for letter in "ab"]

    def replicas(name, count, **spec):
        template = {
            "metadata": {"labels": {"app": name}},
            "spec": {"nodeSelector": pool, "containers": [{"name": "c", "image": "c"}], **spec},
        }
        spec = {"replicas": count, "selector": {"matchLabels": {"app": name}}, "template": template}
        body = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name}, "spec": spec}
        whole_plane.admin.post(f"/apis/apps/v1/namespaces/{place.name}/replicasets", body)

    def healthy(count):
        items = whole_plane.admin.get(f"{place.path}/pods")["items"]
        ready = [pod for pod in items if pod["status"]["phase"] == "Running"]
        return len(ready) == count and "deletionTimestamp" not in str([pod["metadata"] for pod in items])

    with whole_plane.play_pods(*(each.name for each in nodes), ending=0.2):
        whole_plane.admin.patch(nodes[1].path, {"spec": {"unschedulable": True}})
        replicas("web", 3)
        replicas("free", 2)
        replicas("dns", 1, priorityClassName="system-cluster-critical")
        place.budget("web-pdb", selector=APP, minAvailable=2)
        wait_for(lambda: healthy(6))
        whole_plane.admin.patch(nodes[1].path, {"spec": {"unschedulable": None}})
        whole_plane.admin.patch(nodes[0].path, {"spec": {"unschedulable": True}})
        drainer = Drainer(cluster, nodes[0])
        wait_for(lambda: drainer.step().done)
        wait_for(lambda: healthy(6))
        assert all(pod.daemon_set for pod in pods_on(cluster, nodes[0].name, quorum=True))
    accepted = [app for app, kind, _ in drainer.log if kind == "accepted"]
    assert sorted(accepted) == ["dns", "free", "free", "web", "web", "web"]
    assert accepted[:2] == ["free", "free"]
    assert accepted[-1] == "dns"
    assert ("web", "refused", "web-pdb") in drainer.log
    for kind in ("web", "free", "dns"):
        whole_plane.admin.delete(f"/apis/apps/v1/namespaces/{place.name}/replicasets/{kind}")
    for each in nodes:
        each.close()
        each.delete()
