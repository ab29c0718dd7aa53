"""Places as Leases on the real API server: taken, kept and given back, raced for, and bounded by an admission policy."""

import json
import threading
import uuid
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest

from agent.clients.cluster import Access, Cluster
from agent.clients.cluster_errors import ClusterRefused, ObjectMissing
from agent.clients.cluster_leases import GROUP, PURPOSE, Leases, count_nodes, group_hash, micro_time, places_of
from agent.core.budget import Free, Held, Take, Wait, Watched, claim, watched
from tests.controlplane.installed import BASE
from tests.controlplane.session import APPLY, JSON_PATCH, MERGE
from tests.promises.agents import wait_until

NAMESPACE = "imds-agent"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
NOW = datetime(
    2026, 4, 11, 12, 0, tzinfo=timezone.utc
)  # no microseconds: the API server wants them written all the same
LATER = NOW + timedelta(seconds=90)
EXPIRY = 900.0
FIRST = Take(index=0, place=None)


@pytest.fixture
def cluster(plane):
    with closing(Cluster(Access(kubeconfig=plane.admin_kubeconfig))) as client:
        yield client


@pytest.fixture
def group():
    return f"zone {uuid.uuid4().hex[:8]}"


@pytest.fixture
def leases(cluster, group):
    return Leases(cluster, namespace=NAMESPACE, purpose="drain", group=group)


def take(leases, index=0, place=None, node="a", now=NOW):
    return leases.take(Take(index=index, place=place), node=node, now=now, expiry=EXPIRY)


def taken(leases, index=0, node="a"):
    """The place after a node took it."""
    assert take(leases, index, node=node)
    return next(place for place in leases.places() if place.index == index)


def written(plane, place):
    return plane.admin.get(f"{LEASES}/{place.name}")


def holders(leases):
    return [place.holder for place in leases.places()]


# -- one place ---------------------------------------------------------------------------------------------------------


def test_a_budget_that_nobody_used_has_no_places_yet(leases):
    assert leases.places() == ()


def test_a_taken_place_is_a_lease_that_says_whose_it_is_and_what_for(leases, group, plane):
    place = taken(leases, index=2, node="node-a")
    assert (place.index, place.holder) == (2, "node-a")
    lease = written(plane, place)
    assert lease["metadata"]["name"] == place.name == f"imds-agent-drain-{group_hash(group)}-2"
    assert lease["metadata"]["labels"] == {PURPOSE: "drain", GROUP: group_hash(group)}
    assert lease["metadata"]["annotations"] == {GROUP: group}
    assert lease["metadata"]["resourceVersion"] == place.resource_version
    assert lease["spec"] == {
        "holderIdentity": "node-a",
        "acquireTime": "2026-04-11T12:00:00.000000Z",
        "renewTime": "2026-04-11T12:00:00.000000Z",
        "leaseDurationSeconds": 900,
        "leaseTransitions": 0,
    }


def test_a_place_that_another_created_meanwhile_is_too_late_and_stays_the_others(leases):
    taken(leases, node="a")
    assert not take(leases, node="b")
    assert holders(leases) == ["a"]


def test_a_place_given_back_is_free_and_its_lease_stays_for_the_next(leases, plane):
    assert leases.free(taken(leases, node="a"), now=LATER)
    (free,) = leases.places()
    assert free.holder is None
    assert take(leases, place=free, node="b", now=NOW)
    spec = written(plane, free)["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("b", 1)
    assert spec["acquireTime"] == spec["renewTime"] == "2026-04-11T12:00:00.000000Z"


def test_a_holder_can_be_replaced_at_the_version_that_was_seen(leases, plane):
    place = taken(leases, node="dead")
    assert take(leases, place=place, node="b")
    assert holders(leases) == ["b"]
    assert written(plane, place)["spec"]["leaseTransitions"] == 1


def test_a_holder_that_renewed_since_it_was_seen_cannot_be_replaced(leases):
    place = taken(leases, node="alive")
    assert leases.renew(place, now=LATER)
    assert not take(leases, place=place, node="b")
    assert holders(leases) == ["alive"]


def test_each_renewal_is_a_sign_of_life_even_when_the_wall_clock_stands_still(leases, plane):
    place = taken(leases)
    seen = {place.fingerprint}
    for _ in range(3):
        assert leases.renew(place, now=NOW)
        (place,) = leases.places()
        seen.add(place.fingerprint)
    assert len(seen) == 4
    assert place.holder == "a"
    assert written(plane, place)["spec"]["leaseTransitions"] == 0


def test_a_renewal_leaves_what_others_wrote_on_the_lease(leases, plane):
    place = taken(leases)
    ours_and_theirs = {"metadata": {"labels": {"team": "blue"}, "annotations": {"note": "x"}}}
    plane.admin.patch(f"{LEASES}/{place.name}", ours_and_theirs, MERGE)
    (place,) = leases.places()
    assert leases.renew(place, now=LATER)
    metadata = written(plane, place)["metadata"]
    assert (metadata["labels"]["team"], metadata["annotations"]["note"]) == ("blue", "x")
    assert written(plane, place)["spec"]["renewTime"] == micro_time(LATER)


def test_who_lost_the_place_can_neither_renew_nor_free_it(leases):
    place = taken(leases, node="a")
    assert take(leases, place=place, node="b")
    assert not leases.renew(place, now=LATER)
    assert not leases.free(place, now=LATER)
    assert holders(leases) == ["b"]


def test_a_lease_that_was_deleted_is_not_made_again_by_who_held_it(leases, plane):
    place = taken(leases)
    plane.admin.delete(f"{LEASES}/{place.name}")
    assert not leases.renew(place, now=LATER)
    assert not leases.free(place, now=LATER)
    assert not take(leases, place=place)
    assert leases.places() == ()


def test_a_lease_deleted_between_read_and_write_is_not_made_again_since_the_body_has_its_uid(leases, plane):
    """What the client sends last, sent late."""
    place = taken(leases)
    lease = written(plane, place)
    plane.admin.delete(f"{LEASES}/{place.name}")
    assert plane.admin.raw("PUT", f"{LEASES}/{place.name}", lease).status_code == 409
    del lease["metadata"]["uid"]
    assert plane.admin.raw("PUT", f"{LEASES}/{place.name}", lease).status_code == 201


def test_a_lease_that_was_deleted_and_made_anew_is_another_place(leases, plane):
    place = taken(leases, node="a")
    plane.admin.delete(f"{LEASES}/{place.name}")
    taken(leases, node="b")
    assert not leases.renew(place, now=LATER)
    assert holders(leases) == ["b"]


@pytest.mark.parametrize("spec", [None, {}, {"holderIdentity": ""}, {"leaseDurationSeconds": 5}])
def test_a_broken_lease_is_a_free_place(leases, plane, spec):
    place = taken(leases)
    plane.admin.delete(f"{LEASES}/{place.name}")
    metadata = {"name": place.name, "labels": {PURPOSE: "drain", GROUP: place.name.split("-")[3]}}
    broken = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
    plane.admin.post(LEASES, broken if spec is None else {**broken, "spec": spec})
    (found,) = leases.places()
    assert found.holder is None
    assert take(leases, place=found, node="b")
    assert holders(leases) == ["b"]


# -- which places belong together --------------------------------------------------------------------------------------


def test_places_are_listed_by_their_number(leases):
    for index in (10, 2, 0):
        taken(leases, index=index)
    assert [place.index for place in leases.places()] == [0, 2, 10]


def test_other_purposes_and_other_groups_have_places_of_their_own(leases, cluster, group):
    taken(leases, node="a")
    others = [
        Leases(cluster, namespace=NAMESPACE, purpose="freeze", group=group),
        Leases(cluster, namespace=NAMESPACE, purpose="drain", group=f"{group}0"),
    ]
    for other in others:
        assert other.places() == ()
        taken(other, node="b")
    assert holders(leases) == ["a"]


@pytest.mark.parametrize(
    "name", ["imds-agent-drain-{}-x", "imds-agent-drain-{}-00", "imds-agent-freeze-{}-0", "other-0"]
)
def test_a_lease_of_another_name_is_no_place_whatever_its_labels_say(leases, plane, group, name):
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name.format(group_hash(group)),
            "labels": {PURPOSE: "drain", GROUP: group_hash(group)},
        },
        "spec": {"holderIdentity": "somebody"},
    }
    plane.admin.post(LEASES, lease)
    assert leases.places() == ()
    plane.admin.delete(f"{LEASES}/{lease['metadata']['name']}")


def test_a_lease_that_lost_its_labels_is_found_again_by_the_first_who_runs_into_it(leases, plane):
    place = taken(leases, node="a")
    plane.admin.patch(f"{LEASES}/{place.name}", {"metadata": {"labels": None}}, MERGE)
    assert leases.places() == ()
    assert not take(leases, node="b")
    assert holders(leases) == ["a"]


def test_a_nodes_places_are_found_wherever_they_are_and_can_be_given_back(leases, cluster, group):
    me = f"node-{uuid.uuid4().hex[:8]}"
    freeze = Leases(cluster, namespace=NAMESPACE, purpose="freeze", group="nodes without zone")
    taken(leases, index=1, node="other")
    taken(leases, index=3, node=me)
    index = len(freeze.places())
    taken(freeze, index=index, node=me)
    found = places_of(cluster, namespace=NAMESPACE, node=me)
    assert sorted(place.name for _, place in found) == sorted(
        [f"imds-agent-drain-{group_hash(group)}-3", f"imds-agent-freeze-{group_hash('nodes without zone')}-{index}"]
    )
    assert all(budget.free(place, now=LATER) for budget, place in found)
    assert places_of(cluster, namespace=NAMESPACE, node=me) == ()
    assert holders(leases) == ["other", None]


def test_a_lease_without_its_annotation_can_still_be_given_back(leases, cluster, plane):
    me = f"node-{uuid.uuid4().hex[:8]}"
    place = taken(leases, node=me)
    plane.admin.patch(f"{LEASES}/{place.name}", {"metadata": {"annotations": None}}, MERGE)
    ((budget, found),) = places_of(cluster, namespace=NAMESPACE, node=me)
    assert budget.free(found, now=LATER)
    assert holders(leases) == [None]


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_a_missing_right_is_told_as_such(plane, node, group):
    kubeconfig = plane.agent_kubeconfig(node.name, service_account="nobody")
    with closing(Cluster(Access(kubeconfig=kubeconfig))) as nobody:
        leases = Leases(nobody, namespace=NAMESPACE, purpose="drain", group=group)
        for request in (leases.places, lambda: take(leases), lambda: count_nodes(nobody, "")):
            with pytest.raises(ClusterRefused) as refusal:
                request()
            assert refusal.value.lacks_right


def test_a_missing_namespace_is_no_lost_race(cluster, group):
    nowhere = Leases(cluster, namespace=f"nowhere-{uuid.uuid4().hex[:8]}", purpose="drain", group=group)
    assert nowhere.places() == ()
    with pytest.raises(ObjectMissing, match="namespaces"):
        take(nowhere)


# -- counting nodes ----------------------------------------------------------------------------------------------------


def all_nodes(plane):
    return len(plane.admin.get("/api/v1/nodes")["items"])


def test_nodes_are_counted_by_label_page_by_page_and_those_without_it_too(plane, cluster):
    key = f"example.com/{uuid.uuid4().hex[:8]}"
    nodes = [plane.register_node(f"count-{uuid.uuid4().hex[:8]}", labels={key: value}) for value in ("a", "a", "a", "")]
    try:
        assert count_nodes(cluster, f"{key}=a") == 3
        assert count_nodes(cluster, f"{key}=a", page=2) == 3
        assert count_nodes(cluster, f"{key}=") == 1
        assert count_nodes(cluster, f"{key}=b") == 0
        wait_until(lambda: count_nodes(cluster, f"!{key}") == all_nodes(plane) - 4, "nodes without the label")
        wait_until(lambda: count_nodes(cluster, "") == all_nodes(plane), "all nodes")  # others come and go
    finally:
        for node in nodes:
            node.close()
            node.delete()


def test_all_nodes_are_counted_by_one_request(plane, node):
    asked = []
    with closing(Cluster(Access(kubeconfig=plane.admin_kubeconfig), seen=lambda *told: asked.append(told))) as cluster:
        assert count_nodes(cluster, "") >= 1
    assert asked == [("GET", 200)]


# -- many at once ------------------------------------------------------------------------------------------------------


class Gathering:
    """Who is away at the moment, and how many there ever were at once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.away: set[str] = set()
        self.served: list[str] = []
        self.most = 0
        self.all_served = threading.Event()

    def come(self, node):
        with self.lock:
            self.away.add(node)
            self.most = max(self.most, len(self.away))

    def go(self, node):
        with self.lock:
            self.away.remove(node)
            self.served.append(node)


def one_node(leases, node, gathering, start, *, count):
    """Get a place, be away, and give the place back, as the loop of an agent would."""
    seen, away = Watched(), False
    start.wait()
    while node not in gathering.served:
        found = leases.places()
        seen = watched(seen, found, 0.0)
        match claim(found, node=node, count=count, seen=seen, instant=0.0, expiry=EXPIRY):
            case Take() as wanted:
                leases.take(wanted, node=node, now=NOW, expiry=EXPIRY)
            case Held(place=place) if away:
                gathering.go(node)  # before the place is free: another may have it at once
                assert leases.free(place, now=NOW)
            case Held():
                gathering.come(node)
                away = True
            case Wait():
                pass
            case Free(place=place):
                raise AssertionError(place)


def test_of_ten_nodes_at_once_never_more_than_three_are_away_and_each_gets_its_turn(plane, group):
    nodes = [f"node-{number}" for number in range(10)]
    gathering, start, failed = Gathering(), threading.Barrier(len(nodes)), []

    def run(node):
        with closing(Cluster(Access(kubeconfig=plane.admin_kubeconfig))) as own:
            try:
                leases = Leases(own, namespace=NAMESPACE, purpose="drain", group=group)
                one_node(leases, node, gathering, start, count=3)
            except BaseException as error:  # noqa: BLE001  (told by the test's own thread)
                failed.append(error)

    threads = [threading.Thread(target=run, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(gathering.served) == nodes
    assert gathering.most <= 3
    with closing(Cluster(Access(kubeconfig=plane.admin_kubeconfig))) as cluster:
        left = Leases(cluster, namespace=NAMESPACE, purpose="drain", group=group).places()
    assert [place.holder for place in left] == [None] * len(left)
    assert len(left) <= 3


def test_of_ten_that_create_the_same_place_at_once_one_has_it(plane, group):
    won, start = [], threading.Barrier(10)

    def run(node):
        with closing(Cluster(Access(kubeconfig=plane.admin_kubeconfig))) as own:
            leases = Leases(own, namespace=NAMESPACE, purpose="freeze", group=group)
            start.wait()
            if leases.take(FIRST, node=node, now=NOW, expiry=EXPIRY):
                won.append(node)

    threads = [threading.Thread(target=run, args=(f"node-{number}",)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with closing(Cluster(Access(kubeconfig=plane.admin_kubeconfig))) as cluster:
        found = Leases(cluster, namespace=NAMESPACE, purpose="freeze", group=group).places()
    assert [place.holder for place in found] == won
    assert len(won) == 1


# -- a stolen token ----------------------------------------------------------------------------------------------------

POLICY = (BASE / "own-place-policy.yaml").read_text()
ACCOUNT = "places-agent"  # not the one that the base's own policy is about
NAME = "imds-agent-own-place"


@dataclass
class Stage:
    """A namespace with this policy, and the agents of two nodes, each with all rights to Leases there."""

    plane: object
    namespace: str
    own: str
    other: str
    stolen: object  # a session with the token of the first node's agent
    leases: Leases  # with the same token
    others: Leases

    @property
    def path(self):
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"

    def lease(self, name, holder=None, renewed=NOW, **metadata):
        spec = {} if holder is None else {"holderIdentity": holder, "renewTime": micro_time(renewed)}
        metadata = {"name": name, **metadata}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}

    def create(self, name, holder=None, session=None, manager="imds-agent-budget", **metadata):
        body = self.lease(name, holder, **metadata)
        return (session or self.stolen).raw("POST", self.path, body, fieldManager=manager)

    def put(self, name, holder, manager="imds-agent-budget", renewed=LATER, **metadata):
        lease = self.plane.admin.get(f"{self.path}/{name}")
        lease["spec"] |= {"holderIdentity": holder} | ({"renewTime": micro_time(renewed)} if renewed else {})
        lease["metadata"] |= metadata
        return self.stolen.raw("PUT", f"{self.path}/{name}", lease, fieldManager=manager)


def enforced(plane, silence):
    """Give a new namespace in which the policy holds, with another time than ten minutes."""
    namespace = f"places-{uuid.uuid4().hex[:8]}"
    plane.agents.unbound_token(namespace, ACCOUNT)
    role = ("--verb=get,list,create,update,patch,delete,deletecollection", "--resource=leases.coordination.k8s.io")
    plane.kubectl("create", "role", "places", "-n", namespace, *role)
    account = f"--serviceaccount={namespace}:{ACCOUNT}"
    plane.kubectl("create", "rolebinding", "places", "-n", namespace, "--role=places", account)
    here = json.dumps({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}})
    text = (
        POLICY.replace(NAME, f"{NAME}-{namespace}")
        .replace(":imds-agent$", f":{ACCOUNT}$")
        .replace("duration('10m')", f"duration('{silence}')")
    )
    plane.kubectl("apply", "-f", "-", input=f"{text.rstrip()}\n  matchResources: {here}\n")
    return namespace


@pytest.fixture(scope="module")
def strict(plane):
    """The policy as it is shipped."""
    namespace = enforced(plane, "10m")
    yield namespace
    withdraw(plane, namespace)


@pytest.fixture(scope="module")
def hasty(plane):
    """Where two seconds of silence are enough."""
    namespace = enforced(plane, "2s")
    yield namespace
    withdraw(plane, namespace)


def withdraw(plane, namespace):
    for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
        plane.kubectl("delete", kind, f"{NAME}-{namespace}")


def staged(plane, namespace, stack):
    own, other = (f"{letter}-{uuid.uuid4().hex[:8]}" for letter in "ab")
    for name in (own, other):
        node = plane.register_node(name)
        stack.callback(node.delete)
        stack.callback(node.close)

    def leases(name):
        access = Access(kubeconfig=plane.agent_kubeconfig(name, namespace, ACCOUNT))
        cluster = stack.enter_context(closing(Cluster(access)))
        return Leases(cluster, namespace=namespace, purpose="drain", group=own)

    stolen = stack.enter_context(plane.new_session(token=plane.agent_token(own, namespace, ACCOUNT)))
    stage = Stage(plane, namespace, own, other, stolen, leases(own), leases(other))
    probe = stage.lease("probe", renewed=NOW)
    wait_until(lambda: NAME in stolen.raw("POST", stage.path, probe, dryRun="All").text, "the policy")
    return stage


@pytest.fixture
def stage(plane, strict):
    with ExitStack() as stack:
        yield staged(plane, strict, stack)


def refused(response, words):
    assert response.status_code == 403, response.text
    assert NAME in response.text
    assert words in response.text
    return True


def test_under_the_policy_an_agent_takes_renews_and_frees_its_place(stage):
    place = taken(stage.leases, node=stage.own)
    assert stage.leases.renew(place, now=LATER)
    (place,) = stage.leases.places()
    assert stage.leases.free(place, now=LATER)
    (place,) = stage.others.places()
    assert take(stage.others, place=place, node=stage.other)
    assert holders(stage.leases) == [stage.other]


def test_a_stolen_token_gives_no_place_to_another_node(stage):
    name = f"imds-agent-drain-{group_hash('x' + stage.own)}-0"
    assert refused(stage.create(name, stage.other), f"may not give a place to {stage.other}")
    assert stage.create(name, stage.own).status_code == 201
    assert refused(stage.put(name, stage.other), f"may not give a place to {stage.other}")


@pytest.mark.parametrize("name", ["other", "imds-agent-x-0123456789-0", "imds-agent-drain-0123456789-0-more"])
def test_a_stolen_token_makes_no_lease_of_another_name(stage, name):
    assert refused(stage.create(name, stage.own), "are named imds-agent-PURPOSE-GROUP-NUMBER")


ALIVE, FORMAL, FUTURE = "was alive in the last 10 minutes", "expected a new renewTime", {"time": "2099-01-01T00:00:00Z"}
# What the holder becomes, what else is sent given the API server's own note of the last write, and why it is refused.
FORGERIES = {
    "taken": ("own", lambda note: {}, ALIVE),
    "freed": ("", lambda note: {}, ALIVE),
    "renewed in the holder's name": ("other", lambda note: {}, ALIVE),
    "by another field manager": ("own", lambda note: {"manager": "kubectl"}, FORMAL),
    "with an old renewTime": ("own", lambda note: {"renewed": None}, FORMAL),
    "with no note": ("own", lambda note: {"managedFields": []}, FORMAL),
    "with an empty note": ("own", lambda note: {"managedFields": [{}]}, FORMAL),
    "with a note of the future": ("own", lambda note: {"managedFields": [{**note, **FUTURE}]}, ALIVE),
    "with a note of the past": (
        "own",
        lambda note: {"managedFields": [{**note, "time": "1999-01-01T00:00:00Z"}]},
        ALIVE,
    ),
    "with another's note of the future": (
        "own",
        lambda note: {"managedFields": [note, {**note, **FUTURE, "manager": "kubectl"}]},
        FORMAL,
    ),
    "with another version's note": (
        "own",
        lambda note: {"managedFields": [note, {**note, **FUTURE, "apiVersion": "coordination.k8s.io/v1beta1"}]},
        ALIVE,
    ),
}


@pytest.mark.parametrize(("holder", "forgery", "why"), FORGERIES.values(), ids=FORGERIES)
def test_a_stolen_token_cannot_touch_the_place_of_a_node_that_is_alive(stage, holder, forgery, why):
    place = taken(stage.others, node=stage.other)
    before = stage.plane.admin.get(f"{stage.path}/{place.name}")
    (note,) = before["metadata"]["managedFields"]
    names = {"own": stage.own, "other": stage.other, "": ""}
    assert refused(stage.put(place.name, names[holder], **forgery(note)), why)
    assert stage.plane.admin.get(f"{stage.path}/{place.name}") == before


def test_nor_by_patch_apply_or_deletion(stage):
    place = taken(stage.others, node=stage.other)
    path, spec = f"{stage.path}/{place.name}", {"holderIdentity": stage.own, "renewTime": micro_time(LATER)}
    before = stage.plane.admin.get(path)
    lines = [{"op": "replace", "path": f"/spec/{key}", "value": value} for key, value in spec.items()]
    applied = {**stage.lease(place.name), "spec": spec}
    for body, kind, force in (
        ({"spec": spec}, MERGE, {}),
        (lines, JSON_PATCH, {}),
        (applied, APPLY, {"force": "true"}),
    ):
        response = stage.stolen.raw("PATCH", path, body, content_type=kind, fieldManager="imds-agent-budget", **force)
        assert refused(response, "alive in the last 10 minutes")
    assert refused(stage.stolen.raw("DELETE", path), "deletes none")
    assert refused(stage.stolen.raw("DELETE", stage.path), "deletes none")
    assert stage.plane.admin.get(path) == before


@pytest.mark.parametrize("year", ["2099", "1999"])
def test_a_stolen_token_cannot_forge_when_its_own_place_was_written(stage, year):
    place = taken(stage.leases, node=stage.own)
    (note,) = stage.plane.admin.get(f"{stage.path}/{place.name}")["metadata"]["managedFields"]
    forged = {**note, "time": f"{year}-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:holderIdentity": {}}}}
    assert refused(stage.put(place.name, stage.own, renewed=None, managedFields=[forged]), "expected a new renewTime")
    assert stage.put(place.name, stage.own, managedFields=[forged]).status_code == 200
    (after,) = stage.plane.admin.get(f"{stage.path}/{place.name}")["metadata"]["managedFields"]
    assert after["time"] >= note["time"]
    assert after["time"] < "2090"


def test_a_stolen_token_ties_a_lease_to_nothing(stage):
    name = f"imds-agent-drain-{group_hash('y' + stage.own)}-0"
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "00000000-0000-0000-0000-000000000000"}
    for metadata in ({"ownerReferences": [owner]}, {"finalizers": ["example.com/stay"]}):
        assert refused(stage.create(name, stage.own, **metadata), "ownerReferences and finalizers")
    assert stage.create(name, stage.own).status_code == 201
    for metadata in ({"ownerReferences": [owner]}, {"finalizers": ["example.com/stay"]}):
        assert refused(stage.put(name, stage.own, **metadata), "ownerReferences and finalizers")


def test_an_unbound_token_takes_no_place(stage):
    token = stage.plane.agents.unbound_token(stage.namespace, ACCOUNT)
    with stage.plane.new_session(token=token) as session:
        response = stage.create(f"imds-agent-drain-{group_hash('z')}-0", "x", session=session)
    assert refused(response, "the token carries no node name")


def test_people_and_other_accounts_are_left_alone(stage):
    place = taken(stage.others, node=stage.other)
    stage.plane.admin.patch(f"{stage.path}/{place.name}", {"spec": {"holderIdentity": ""}}, MERGE)
    assert holders(stage.leases) == [None]
    stage.plane.admin.delete(f"{stage.path}/{place.name}")


def test_the_place_of_a_dead_node_can_be_taken_and_emptied_under_the_policy(plane, hasty):
    with ExitStack() as stack:
        stage = staged(plane, hasty, stack)
        place = taken(stage.others, node=stage.other)

        def allowed(write):
            try:
                return write()
            except ClusterRefused as refusal:
                assert "alive in the last" in refusal.message  # noqa: PT017  (anything else is no matter of time)
                return False

        wait_until(lambda: allowed(lambda: take(stage.leases, place=place, node=stage.own)), "a take")
        assert holders(stage.others) == [stage.own]
        second = taken(stage.others, index=1, node=stage.other)
        wait_until(lambda: allowed(lambda: stage.leases.free(second, now=LATER)), "an emptying")
        assert holders(stage.others) == [stage.own, None]


def test_a_place_whose_notes_an_admin_wiped_is_not_lost_for_ever(stage):
    place = taken(stage.others, node=stage.other)
    stage.plane.admin.patch(f"{stage.path}/{place.name}", {"metadata": {"managedFields": [{}]}}, MERGE)
    assert "managedFields" not in stage.plane.admin.get(f"{stage.path}/{place.name}")["metadata"]
    (place,) = stage.others.places()
    assert stage.others.renew(place, now=LATER)
    (place,) = stage.leases.places()
    assert take(stage.leases, place=place, node=stage.own)
    assert holders(stage.leases) == [stage.own]
