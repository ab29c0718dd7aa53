"""`plan`, `label` and `hold` on a real node, with the agent's own token unless an admin is needed."""

import json
import socket

import pytest

from agent.emulator import Emulator
from tests.cli.users import User
from tests.controlplane.session import MERGE
from tests.promises.agents import DOMAIN, EVENTS, HOLD, INSTANCE, annotations, cordoned, labels, node_of, tended

RACK, TEAM = f"topology.{DOMAIN}/rack", f"tag.{DOMAIN}/department"


@pytest.fixture
def imds():
    with Emulator(rate_limit=None) as found:
        yield found


@pytest.fixture
def user(plane, node, imds):
    return User(plane, node, imds, plane.agent_kubeconfig(node.name))


@pytest.fixture
def admin(plane, node, imds):
    return User(plane, node, imds, plane.admin_kubeconfig)


def test_label_settles_at_once_and_a_second_run_changes_nothing(user):
    assert user.run("label") == f"node {user.node.name}: labels applied\n"
    found = user.node.get()
    assert (labels(found)[RACK], labels(found)[TEAM]) == ("westeurope-1-fd0", "IT")
    assert INSTANCE in annotations(found)
    assert user.run("label") == f"node {user.node.name}: nothing to change\n"
    assert user.node.get()["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]


def test_label_changes_and_drops_what_the_vm_no_longer_is(user):
    user.run("label")
    user.imds.patch_instance({"compute": {"platformFaultDomain": "2", "tags": "", "tagsList": []}})
    assert json.loads(user.run("label", "-o", "json"))["labels"][RACK] == "westeurope-1-fd2"
    assert TEAM not in labels(user.node.get())


def test_another_domain_is_in_every_key_that_commands_write(admin):
    admin.run("label", "--domain=vm.example.com")
    admin.run("hold", "--domain=vm.example.com")
    found = admin.node.get()
    assert f"{DOMAIN}/" not in str(found["metadata"])
    assert labels(found)["topology.vm.example.com/rack"] == "westeurope-1-fd0"
    assert {"vm.example.com/instance", "vm.example.com/tags", "vm.example.com/hold"} <= annotations(found).keys()
    admin.run("withdraw", "--domain=vm.example.com")
    assert set(str(admin.node.get()["metadata"]).split("'")) & {"topology.vm.example.com/rack"} == set()


def test_plan_says_what_would_be_written_and_writes_nothing(user):
    before = user.node.get()
    said = user.run("plan")
    assert said.startswith(f"node {user.node.name}: schedulable; plan: idle\n")
    assert f"\n    {RACK}: (nothing) -> westeurope-1-fd0\n" in said
    assert f"\n    {TEAM}: (nothing) -> IT\n" in said
    assert max(map(len, said.splitlines())) <= 140
    assert user.node.get() == before


def test_plan_on_a_node_that_is_as_it_should_be_has_nothing_to_write(user):
    user.run("label")
    assert user.run("plan") == f"node {user.node.name}: schedulable; plan: idle\n  nothing to write\n"


def test_plan_shows_a_change_and_a_label_that_would_go(user):
    user.run("label")
    user.imds.patch_instance({"compute": {"platformUpdateDomain": "4", "tags": "", "tagsList": []}})
    said = user.run("plan")
    assert f"\n    topology.{DOMAIN}/update-domain: 3 -> 4\n" in said
    assert f"\n    {TEAM}: IT -> (nothing)\n" in said


def test_plan_shows_an_event_with_what_would_be_done(user):
    user.run("label")
    event = user.imds.add_event(EventType="Reboot")["EventId"]
    said = user.run("plan")
    assert said.startswith(f"node {user.node.name}: schedulable; plan: cordon\n")
    assert f"\n  Reboot {event} Scheduled: cordon, by rule 'Reboot': Reboot stops the VM\n" in said
    assert said.endswith("\n  mark and cordon\n")
    assert not cordoned(user.node.get())
    found = json.loads(user.run("plan", "-o", "json"))
    assert (found["plan"], found["actions"][0]["action"]) == ("cordon", "ApplyMark")


def test_plan_says_which_rule_would_decide_otherwise(user):
    event = user.imds.add_event(EventType="Reboot", EventSource="User")["EventId"]
    said = user.run("plan", "--policy={Reboot: {source: User, do: ignore, else: cordon}}")
    told = f"Reboot {event} Scheduled: ignore, by rule 'Reboot, source User': Reboot stops the VM; asked for by User"
    assert f"\n  {told}\n" in said
    assert "plan: idle" in said


def test_plan_foretells_a_drain_pod_by_pod_and_asks_nobody(whole_drain_plane):
    with node_of(whole_drain_plane) as node, Emulator(rate_limit=None) as imds:
        user = User(whole_drain_plane, node, imds, whole_drain_plane.agent_kubeconfig(node.name))
        pod = {"spec": {"nodeName": node.name, "containers": [{"name": "c", "image": "c"}]}}
        name = f"{node.name}-alone"
        whole_drain_plane.admin.post("/api/v1/namespaces/default/pods", {"metadata": {"name": name}, **pod})
        event = imds.add_event(EventType="Terminate", NotBeforeSeconds=900)["EventId"]
        said = user.run("plan", "--policy={Terminate: drain}")
        assert f"  drain for Terminate {event}: 0 pods to ask" in said
        assert f"default/{name}" in said
        assert "left by policy: no controller would start it again" in said
        moved = user.run("plan", "--policy={Terminate: drain}", "--drain-unmanaged=evict", "-o", "json")
        assert f"default/{name}" in json.loads(moved)["drain"]["pods"]
        assert (
            "deletionTimestamp"
            not in whole_drain_plane.admin.get(f"/api/v1/namespaces/default/pods/{name}")["metadata"]
        )
        whole_drain_plane.admin.delete(f"/api/v1/namespaces/default/pods/{name}?gracePeriodSeconds=0")


def test_plan_goes_on_without_an_answer_about_events_and_says_so(user):
    user.imds.put_faults([{"kind": "html", "path": "/metadata/scheduledevents"}])
    assert "\n  events not known: http" in user.run("plan")
    assert "\n  events not known: events are switched off\n" in user.run("plan", "--events=off")


def test_plan_shows_an_override_and_a_hold_while_the_agent_is_at_work(plane, node):
    with tended(plane, node=node) as scene:
        at = User(plane, node, scene.imds, plane.agent_kubeconfig(node.name))
        scene.event("Reboot")
        scene.wait_cordoned()
        assert at.run("hold", "--reason=disk") == (
            f"node {node.name}: on hold (disk): a cordon of ours now stays when its event is over\n"
        )
        assert f"\n  held by annotation {HOLD}\n" in at.run("plan")
        assert at.run("hold", "--remove") == f"node {node.name}: no hold\n"
        assert HOLD not in annotations(node.get())
        plane.kubectl("uncordon", node.name)
        scene.wait_for(lambda found: '"overridden":true' in annotations(found).get(EVENTS, ""), "override marked")
        assert "\n  overridden: somebody made the node schedulable during an event\n" in at.run("plan")


@pytest.mark.parametrize("name", ["plan", "hold", "withdraw"])
def test_an_unknown_node_is_told_in_one_line(admin, name):
    assert 'nodes "no-such-node" not found' in admin.refused(name, "--node-name=no-such-node")


@pytest.mark.parametrize("name", ["label", "withdraw"])
def test_another_agents_node_cannot_be_changed(user, plane, name):
    other = plane.register_node(f"{user.node.name}-other")
    try:
        plane.admin.patch(other.path, {"metadata": {"labels": {RACK: "x"}}}, MERGE)
        assert f"may not change node {other.name}" in user.refused(name, f"--node-name={other.name}")
    finally:
        other.close()
        other.delete()


def test_a_kubeconfig_of_a_dead_server_is_told_in_one_line(user, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    content = user.plane.admin_kubeconfig.read_text().replace(user.plane.url, f"https://127.0.0.1:{port}")
    (tmp_path / "dead").write_text(content)
    said = user.refused("hold", f"--kubeconfig={tmp_path}/dead")
    assert f"https://127.0.0.1:{port}/api/v1/nodes/{user.node.name}: no answer: " in said
    assert "Connection refused" in said
