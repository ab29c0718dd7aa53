"""The rights in our manifests, asked of the real authorizer, and compared with what the code does."""

import ast
import json
import re
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

import agent
from agent.clients.cluster import Access, Cluster
from agent.clients.cluster_errors import ClusterError, ClusterRefused
from agent.clients.cluster_events import announce
from agent.clients.cluster_leases import Leases, count_nodes
from agent.clients.cluster_pods import budgets_in, delete, evict, pods_on
from agent.clients.cluster_taints import write_taints
from agent.core.announcement import About, Announcement, event_body
from agent.core.budget import Take
from agent.core.pods import Pod
from agent.core.taints import TaintRules
from tests.controlplane.installed import BASE
from tests.manifests.stage import OVERLAYS, staged
from tests.manifests.variants import flat
from tests.promises.agents import wait_until

NODES = {("", "nodes", verb) for verb in ("get", "patch", "list")}
EVENTS = {("", "events", verb) for verb in ("create", "patch")}
LEASES = {("coordination.k8s.io", "leases", verb) for verb in ("list", "create", "get", "update")}
DRAIN = {("", "pods", "list"), ("", "pods/eviction", "create"), ("policy", "poddisruptionbudgets", "list")}
DELETE = {("", "pods", "delete")}
EVERYWHERE, HOME = NODES | EVENTS, NODES | EVENTS | LEASES


def allowed(plane, namespace: str) -> set[tuple[str, str, str]]:
    """Return all that the agent may do in a namespace, less what every account may ask about itself."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    session = plane.session(token=plane.agents.unbound_token("imds-agent", "imds-agent"))
    status = session.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)["status"]
    assert not status["incomplete"]
    asking = {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews", "clustertrustbundles"}
    return flat([rule for rule in status["resourceRules"] if not set(rule["resources"]) & asking])


def granted(plane, folder: Path, kind: str) -> set[tuple[str, str, str]]:
    """Return what a folder's roles of a kind say."""
    found = yaml.safe_load_all(plane.kubectl("kustomize", str(folder)))
    return flat([rule for item in found if item["kind"] == kind for rule in item["rules"]])


@pytest.mark.parametrize(
    ("namespace", "rights"), [("imds-agent", HOME), ("kube-system", EVERYWHERE), ("default", EVERYWHERE)]
)
def test_all_that_the_agent_may_do_by_default(plane, namespace, rights):
    assert allowed(plane, namespace) == rights


@pytest.mark.parametrize(
    ("overlay", "rights"),
    [
        ("zone-if-absent", EVERYWHERE),
        ("autoscaler-safe", EVERYWHERE),
        ("startup-taint", EVERYWHERE),
        ("event-taint-no-execute", EVERYWHERE),
        ("drain", EVERYWHERE | DRAIN),
        ("drain-delete", EVERYWHERE | DRAIN | DELETE),
    ],
)
def test_each_overlay_gives_what_its_name_says_and_no_more(plane, overlay, rights):
    assert granted(plane, OVERLAYS / overlay, "ClusterRole") == rights
    assert granted(plane, OVERLAYS / overlay, "Role") == LEASES


def test_label_only_takes_away_what_only_events_need(plane):
    folder = OVERLAYS / "label-only"
    assert granted(plane, folder, "ClusterRole") == EVERYWHERE - {("", "nodes", "list")}
    assert granted(plane, folder, "Role") == set()


def test_no_right_is_a_wildcard_or_granted_twice(plane):
    roles = [
        item
        for item in yaml.safe_load_all(plane.kubectl("kustomize", str(OVERLAYS / "drain-delete")))
        if item["kind"] in ("ClusterRole", "Role")
    ]
    each = [right for role in roles for right in sorted(flat(role["rules"]))]
    assert len(each) == len(set(each))
    assert not any("*" in part for right in each for part in right)


# -- each right is used, each use has its right -------------------------------------------------------------------------


class Use(NamedTuple):
    """Code that needs rights: what it is called, which, and a call of it."""

    code: str
    rights: set[tuple[str, str, str]]
    call: Callable[..., object]


def body(stage):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": stage.own.name, "uid": stage.own.uid}}


def tainted(cluster, stage):
    given = {"event_type": "Reboot", "lift_startup": False, "domain": "imds-agent.github.io"}
    return write_taints(cluster, stage.own.name, stage.own.uid, rules=TaintRules(event_effect="NoSchedule"), **given)


def told(cluster, stage, *, twice=False):
    """Tell a thing; the second time it is counted up."""
    about = About(kind="Node", name=stage.own.name, uid=stage.own.uid)
    said = Announcement(reason="NodeCordoned", message="A test.", about=about, key="E1")
    event = event_body(said, node=stage.own.name, now=datetime(2026, 4, 11, tzinfo=timezone.utc))
    if twice:
        stage.plane.admin.post("/api/v1/namespaces/default/events", event)
    outcome = announce(cluster, event)
    if outcome.kind == "forbidden":
        raise ClusterRefused("announce", 403, outcome.why)
    return outcome


def placed(cluster, stage, *, last):
    """Use a budget up to a step; what comes before is done by an admin."""
    with closing(Cluster(Access(kubeconfig=stage.plane.admin_kubeconfig))) as admin:
        given = {"namespace": stage.namespace, "purpose": "drain", "group": stage.own.name}
        ours, theirs = Leases(cluster, **given), Leases(admin, **given)
        now = datetime.now(timezone.utc)
        first = {"take": Take(index=0, place=None), "node": stage.own.name, "now": now, "expiry": 900.0}
        if last == "take":
            return ours.take(**first)
        theirs.take(**first)
        place = theirs.places()[0]
        return {"places": ours.places, "renew": partial(ours.renew, place, now=now)}[last]()


def asked(cluster, stage, *, ask):
    path = stage.pod(stage.own)
    pod = stage.plane.admin.get(path)["metadata"]
    return ask(cluster, Pod(uid=pod["uid"], namespace=pod["namespace"], name=pod["name"]))


USES = [
    Use("Cluster.node", {("", "nodes", "get")}, lambda c, s: c.node(s.own.name)),
    Use("Cluster.nodes_metadata", {("", "nodes", "list")}, lambda c, s: list(c.nodes_metadata())),
    Use("Cluster.node_names", {("", "nodes", "list")}, lambda c, s: c.node_names()),
    Use(
        "Cluster.apply",
        {("", "nodes", "patch")},
        lambda c, s: c.apply(s.own.name, body(s), manager="imds-agent-facts", force=False),
    ),
    Use(
        "Cluster.merge",
        {("", "nodes", "patch")},
        lambda c, s: c.merge(s.own.name, {"metadata": {"uid": s.own.uid}}, manager="imds-agent-sweep"),
    ),
    Use("cluster_taints.write_taints", {("", "nodes", "get"), ("", "nodes", "patch")}, tainted),
    Use("cluster_events.announce", {("", "events", "create")}, told),
    Use("cluster_events.announce", {("", "events", "create"), ("", "events", "patch")}, partial(told, twice=True)),
    Use("cluster_leases.count_nodes", {("", "nodes", "list")}, lambda c, s: count_nodes(c, "")),
    Use("Leases.places", {("coordination.k8s.io", "leases", "list")}, partial(placed, last="places")),
    Use("Leases.take", {("coordination.k8s.io", "leases", "create")}, partial(placed, last="take")),
    Use(
        "Leases.renew",
        {("coordination.k8s.io", "leases", "get"), ("coordination.k8s.io", "leases", "update")},
        partial(placed, last="renew"),
    ),
    Use("cluster_pods.pods_on", {("", "pods", "list")}, lambda c, s: pods_on(c, s.own.name)),
    Use("cluster_pods.budgets_in", {("policy", "poddisruptionbudgets", "list")}, lambda c, s: budgets_in(c)),
    Use("cluster_pods.evict", {("", "pods/eviction", "create")}, partial(asked, ask=evict)),
    Use("cluster_pods.delete", {("", "pods", "delete")}, partial(asked, ask=delete)),
]
# Others that send requests, each by way of one above, with its rights: `places_of` lists Leases, `free` renews one. What we may do
# every account may ask about itself.
SAME = {"cluster_leases.places_of", "Leases.free", "Cluster.ask", "cluster_rights.allowed"}
# Not the agent's: `hdfs-sync` has an account of its own, with `manifests/hdfs-sync/`; tests/hdfs runs it with that.
OTHERS = {"Cluster.stream", "cluster_nodes.list_nodes", "cluster_nodes.watch_nodes", "cluster_nodes.say_hdfs"}


def test_every_right_is_used_and_every_use_is_granted(plane):
    used = set().union(*(use.rights for use in USES))
    folder = OVERLAYS / "drain-delete"
    assert used == granted(plane, folder, "ClusterRole") | granted(plane, folder, "Role")


def test_the_readme_says_of_each_right_what_it_is_for():
    text = (BASE.parent / "README.md").read_text()
    rows = re.findall(
        r"^\| (?:with `[a-z-]+`: )?([a-z/]+) `([a-z]+)`(?:, in the own namespace)? \| \S", text, re.MULTILINE
    )
    assert sorted(rows) == sorted(
        (what, verb) for use in (NODES, EVENTS, LEASES, DRAIN, DELETE) for _, what, verb in use
    )


def requests_of(module: Path) -> set[str]:
    """Return the public functions and methods of a client's module that can send requests: those that have a cluster."""
    found = set()
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.FunctionDef) and "cluster" in [argument.arg for argument in node.args.args]:
            found.add(f"{module.stem}.{node.name}")
        elif isinstance(node, ast.ClassDef) and node.name in ("Cluster", "Leases"):
            found |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
    return {name for name in found if not name.split(".")[1].startswith("_")}


def test_no_other_code_sends_requests():
    """A new client function needs a row above, and its right beside it."""
    clients = Path(agent.__file__).parent / "clients"
    found = set().union(*(requests_of(module) for module in clients.glob("cluster*.py")))
    assert found - {"Cluster.close", "Cluster.server"} == {use.code for use in USES} | SAME | OTHERS
    asking = {path.stem for path in Path(agent.__file__).parent.rglob("*.py") if "luster.ask(" in path.read_text()}
    assert asking <= {module.stem for module in clients.glob("cluster*.py")}


@pytest.fixture
def account(plane):
    """Return a function that gives an account `imds-agent`, in a namespace of its own, these rights."""

    def give(rights: set[tuple[str, str, str]]) -> str:
        namespace = f"rights-{uuid.uuid4().hex[:8]}"
        plane.agents.unbound_token(namespace, "imds-agent")
        rules = [{"apiGroups": [group], "resources": [what], "verbs": [verb]} for group, what, verb in sorted(rights)]
        kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": namespace}}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": namespace}
        subject = {"kind": "ServiceAccount", "name": "imds-agent", "namespace": namespace}
        path = "/apis/rbac.authorization.k8s.io/v1"
        plane.admin.post(f"{path}/clusterroles", {**kind, "kind": "ClusterRole", "rules": rules})
        binding = {**kind, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [subject]}
        plane.admin.post(f"{path}/clusterrolebindings", binding)
        return namespace

    return give


def lacks(error: ClusterError) -> bool:
    return isinstance(error, ClusterRefused) and (error.lacks_right or " cannot " in error.message)


@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.code} {len(use.rights)}")
def test_a_use_works_with_its_rights_alone_and_not_with_one_less(plane, account, use):
    def attempt(rights):
        namespace = account(rights)
        with (
            staged(plane, namespace) as stage,
            closing(Cluster(Access(kubeconfig=plane.agent_kubeconfig(stage.own.name, namespace)))) as cluster,
        ):
            if rights:
                wait_until(lambda: rights <= may(stage), "the rights are there")
            use.call(cluster, stage)

    attempt(use.rights)
    for right in use.rights:
        with pytest.raises(ClusterError) as refusal:
            attempt(use.rights - {right})
        assert lacks(refusal.value), refusal.value


def may(stage) -> set[tuple[str, str, str]]:
    """Return what the stolen token may do, as far as the authorizer knows by now."""
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview"}
    review["spec"] = {"namespace": stage.namespace}
    with suppress(KeyError):
        found = stage.stolen.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)
        return flat(found["status"]["resourceRules"])
    return set()


# -- applied by kubectl ------------------------------------------------------------------------------------------------


def test_the_base_passes_a_strict_dry_run_of_the_server_without_a_warning(plane):
    said = plane.kubectl("apply", "-k", str(BASE), "--dry-run=server", "--validate=strict", check=False)
    assert "Warning" not in said
    assert "rror" not in said
    assert len(said.splitlines()) == len(plane.kubectl("get", "-k", str(BASE), "-o", "name").splitlines()) == 15


def test_applying_the_base_again_changes_nothing(plane):
    before = json.loads(plane.kubectl("get", "-k", str(BASE), "-o", "json"))["items"]
    plane.kubectl("apply", "-k", str(BASE))
    after = json.loads(plane.kubectl("get", "-k", str(BASE), "-o", "json"))["items"]
    assert [item["metadata"]["resourceVersion"] for item in before] == [
        item["metadata"]["resourceVersion"] for item in after
    ]
