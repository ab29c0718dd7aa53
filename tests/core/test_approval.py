import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.approval import Neighbour, may_be, names_in, neighbours, verdict
from agent.core.events import ScheduledEvent
from agent.core.hdfs_said import HdfsSaid
from agent.core.mark import Mark, MarkedEvent, mark_text

P = "imds-agent.github.io"
MODES = ["off", "own-user-events", "when-drained"]


def event(kind="Reboot", status="Scheduled", source="User", resources=("web_0",), **more):
    return ScheduledEvent(id="E1", type=kind, status=status, source=source, resources=resources, **more)


def entry(do="drain", drain="done", **more):
    return MarkedEvent(id="E1", type="Reboot", do=do, drain=drain, **more)


def node(vm, marked=None, *, number=None):
    return Neighbour(vm=vm, mark=Mark(events=(marked,)) if marked else None, node=f"node-{number or vm}")


def judged(
    found=None, marked=None, *, mode="own-user-events", vm="web_0", cordoned=True, drains=False, nodes=None, **more
):
    """The verdict on a user's restart of this VM alone, drained for, unless a test says otherwise."""
    return verdict(
        found or event(),
        marked or entry(),
        mode=mode,
        vm_name=vm,
        cordoned=cordoned,
        drains=drains,
        neighbours=nodes,
        **more,
    )


def refused(*arguments, **more):
    found = judged(*arguments, **more)
    assert not found.approve
    assert not found.needs_neighbours
    return found.because


FLEET = ("web_0", "web_1", "web_2")
DRAINED = tuple(node(name, entry()) for name in FLEET)


def shared(**more):
    return event(source="Platform", resources=FLEET, **more)


@pytest.mark.parametrize("mode", ["own-user-events", "when-drained"])
@pytest.mark.parametrize("kind", ["Reboot", "Redeploy"])
@pytest.mark.parametrize("source", ["User", "user", "USER"])
def test_what_a_user_asked_for_goes_ahead_once_the_node_is_drained(mode, kind, source):
    found = judged(event(kind, source=source), mode=mode)
    assert (found.approve, found.because) == (True, "a user asked for it, and it concerns this VM only")


@pytest.mark.parametrize("resources", [("web_0",), ("WEB_0",), ("_web_0",), ("web_0", "Web_0")])
def test_this_vm_alone_is_this_vm_however_it_is_spelt(resources):
    assert judged(event(resources=resources)).approve


def test_where_the_policy_only_cordons_the_cordon_is_enough():
    assert judged(marked=entry(do="cordon", drain=None)).approve
    assert judged(marked=entry(do="cordon", drain="done")).approve


@pytest.mark.parametrize(("do", "drain"), [("drain", None), ("drain", "begun"), ("cordon", "begun")])
@pytest.mark.parametrize("mode", ["own-user-events", "when-drained"])
def test_a_drain_that_is_not_done_keeps_the_event_waiting(do, drain, mode):
    assert refused(marked=entry(do=do, drain=drain), mode=mode, nodes=DRAINED) == "the drain of this node is not done"


def test_a_drain_that_is_still_to_come_keeps_the_event_waiting():
    assert refused(marked=entry(do="cordon", drain=None), drains=True) == "the drain of this node is not done"
    assert judged(marked=entry(do="cordon", drain="done"), drains=True).approve


@pytest.mark.parametrize(
    ("found", "marked", "cordoned", "because"),
    [
        (event(status="Started"), None, True, "its status is 'Started', not 'Scheduled'"),
        (event(status="Paused"), None, True, "its status is 'Paused', not 'Scheduled'"),
        (event("Evaporate"), None, True, "its type 'Evaporate' is not known"),
        (event(resources=("web_00",)), None, True, "it does not concern this VM"),
        (event(resource_type="Disk"), None, True, "it does not concern this VM"),
        (event(resources=()), None, True, "it does not concern this VM"),
        (event(), entry(approved="agent"), True, "it was approved before, by agent"),
        (event(), entry(approved="person:ann"), True, "it was approved before, by person:ann"),
        (event(), entry(overridden=True), True, "somebody made the node schedulable while it lasts"),
        (event(), entry(drain="failed"), True, "the drain of this node failed"),
        (event(), entry(do="cordon", drain="failed"), True, "the drain of this node failed"),
        (event(), entry(do="cordon", drain="stopped"), True, "the drain of this node was stopped"),
        (event(), entry(started=True), True, "it was seen Started before"),
        (event(), entry(do="notify", drain=None), True, "the node is not cordoned for it"),
        (event(), None, False, "the node is not cordoned for it"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["own-user-events", "when-drained"])
def test_no_mode_allows(found, marked, cordoned, because, mode):
    assert refused(found, marked, mode=mode, cordoned=cordoned, nodes=DRAINED) == because


@pytest.mark.parametrize("nodes", [None, DRAINED])
def test_off_is_off(nodes):
    assert refused(mode="off", nodes=nodes) == "approval is off"
    assert refused(shared(), mode="off", nodes=nodes) == "approval is off"


@pytest.mark.parametrize("mode", ["own-user-events", "when-drained"])
def test_what_does_not_stand_in_the_mark_is_not_approved(mode):
    found = verdict(event(), None, mode=mode, vm_name="web_0", cordoned=True, drains=False, neighbours=(node("web_0"),))
    assert (found.approve, found.because) == (False, "it does not stand in the mark")


@pytest.mark.parametrize(
    "found",
    [
        event(source="Platform"),
        event(source=None),
        event(source=""),
        event("Preempt"),
        event("Terminate"),
        event("Freeze"),
        event(resources=("web_0", "web_1")),
    ],
    ids=lambda found: f"{found.type} {found.source} {len(found.resources)}",
)
def test_own_user_events_are_restarts_and_redeployments_that_a_user_asked_for_of_this_vm_alone(found):
    assert refused(found, nodes=DRAINED) == "it is no restart or redeployment that a user asked for, of this VM alone"


@pytest.mark.parametrize("kind", ["Freeze", "Reboot", "Redeploy", "Preempt", "Terminate"])
@pytest.mark.parametrize("source", ["Platform", "User", None])
def test_when_drained_lets_any_known_event_go_ahead_once_all_its_nodes_are_drained(kind, source):
    found = judged(event(kind, source=source, resources=FLEET), mode="when-drained", nodes=DRAINED)
    assert (found.approve, found.because) == (True, "drained are all of web_0, web_1, web_2")


def test_what_own_user_events_allows_when_drained_allows_without_a_look_at_others():
    cordoned_only = entry(do="cordon", drain=None)
    assert judged(marked=cordoned_only, mode="when-drained", nodes=None).approve
    assert refused(event(source="Platform"), cordoned_only, mode="when-drained", nodes=DRAINED) == (
        "the drain of this node is not done"
    )


def test_others_marks_are_asked_for_only_when_all_depends_on_them():
    found = judged(shared(), mode="when-drained")
    assert (found.approve, found.needs_neighbours) == (False, True)
    assert found.because == "the marks of the other nodes are not known"
    assert not judged(shared(), entry(drain="begun"), mode="when-drained").needs_neighbours
    assert not judged(shared(), mode="own-user-events").needs_neighbours
    assert not judged(shared(), mode="off").needs_neighbours


@pytest.mark.parametrize(
    ("other", "because"),
    [
        ((), "web_1 is no node of this cluster"),
        ((node("web_11", entry()),), "web_1 is no node of this cluster"),
        ((node("web_1"),), "web_1 (node node-web_1) has not marked it"),
        (
            (node("web_1", MarkedEvent(id="E2", type="Reboot", do="drain", drain="done")),),
            "web_1 (node node-web_1) has not marked it",
        ),
        ((node("web_1", entry(drain=None)),), "web_1 (node node-web_1) is not drained"),
        ((node("web_1", entry(drain="begun")),), "web_1 (node node-web_1) is not drained"),
        ((node("web_1", entry(drain="failed")),), "web_1 (node node-web_1) is not drained"),
        ((node("web_1", entry(drain="stopped")),), "web_1 (node node-web_1) is not drained"),
        ((node("web_1", entry(overridden=True)),), "web_1 (node node-web_1) is not drained"),
        ((node("web_1", entry(do="notify")),), "web_1 (node node-web_1) is not drained"),
        ((node("web_1", entry(approved="person")),), "it was approved before, by person on node node-web_1"),
        (
            (node("web_1", entry()), node("WEB_1", entry(), number=9)),
            "web_1 may be any of the nodes node-web_1, node-9",
        ),
    ],
)
def test_one_vm_that_is_not_ready_holds_the_event_for_all(other, because):
    nodes = (DRAINED[0], *other, DRAINED[2])
    assert refused(shared(), mode="when-drained", nodes=nodes) == because


def test_a_broken_mark_is_not_taken_for_a_drained_node():
    broken = Neighbour(vm="web_1", mark=Mark(broken=True), node="node-web_1")
    nodes = (DRAINED[0], broken, DRAINED[2])
    assert refused(shared(), mode="when-drained", nodes=nodes) == "web_1 (node node-web_1) has not marked it"


def test_this_vm_must_be_a_node_too():
    assert refused(shared(), mode="when-drained", nodes=DRAINED[1:]) == "web_0 is no node of this cluster"


def test_case_and_underscore_of_names_and_ids_do_not_count():
    found = event(source="Platform", resources=("_WEB_0", "web_1", "_web_2"))
    marked = MarkedEvent(id="e1", type="Reboot", do="drain", drain="done")
    nodes = (node("Web_0", marked), node("WEB_1", marked), node("web_2", marked))
    assert judged(found, marked, mode="when-drained", nodes=nodes).approve


def test_one_agent_speaks_for_all_and_the_others_know_which():
    found = event(source="Platform", resources=("web_2", "_Web_1", "web_10", "WEB_3"))
    vms = ("web_2", "web_1", "web_10", "web_3")
    nodes = tuple(node(vm, entry()) for vm in vms)
    said = {vm: judged(found, mode="when-drained", vm=vm, nodes=nodes) for vm in vms}
    assert [vm for vm in vms if said[vm].approve] == ["web_1"]
    assert {said[vm].because for vm in vms if vm != "web_1"} == {"_Web_1 speaks for this event"}


def test_who_does_not_speak_need_not_list_all_nodes():
    assert refused(shared(), mode="when-drained", vm="web_2", nodes=None) == "web_0 speaks for this event"


def listed(name="node-1", **annotations):
    return {"metadata": {"name": name, "annotations": {f"{P}/{key}": value for key, value in annotations.items()}}}


def test_neighbours_are_read_from_their_annotations():
    marked = Mark(events=(entry(),))
    said = json.dumps({"name": "web_1", "vmId": "x"})
    assert neighbours([listed(instance=said, events=mark_text(marked)), listed("node-2", instance=said)], P) == (
        Neighbour(vm="web_1", mark=marked, node="node-1"),
        Neighbour(vm="web_1", mark=None, node="node-2"),
    )


UNIFORM = "azure:///subscriptions/s/resourceGroups/mc_g/providers/Microsoft.Compute/virtualMachineScaleSets/web/virtualMachines/1"
ALONE = "azure:///subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/DB-1"


@pytest.mark.parametrize(
    ("provider_id", "vm", "is_it"),
    [
        (UNIFORM, "web_1", True),
        (UNIFORM.lower(), "Web_1", True),
        (UNIFORM, "web_2", False),
        (UNIFORM, "1", False),
        (ALONE, "db-1", True),
        (ALONE, "db-2", False),
        ("", "db-2", True),
        ("k3s://db-1", "db-2", True),
        (None, "db-2", True),
    ],
)
def test_a_node_is_the_vm_that_its_provider_id_names_where_it_names_one(provider_id, vm, is_it):
    assert may_be({"spec": {"providerID": provider_id}}, vm) is is_it
    assert may_be({}, vm)


def test_a_vm_of_an_event_is_called_with_an_underscore_or_without():
    assert names_in([event(resources=("_Web_1", "db"))]) == {"_web_1", "web_1", "db"}


def test_another_domains_annotations_are_not_read():
    assert neighbours([listed(instance='{"name":"web_1"}')], "other.example") == ()


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"metadata": None},
        {"metadata": {"name": "n"}},
        {"metadata": {"name": "n", "annotations": None}},
        {"metadata": {"name": "n", "annotations": {f"{P}/instance": 7}}},
        listed(),
        listed(instance="{"),
        listed(instance="{}"),
        listed(instance='{"vmId":"x"}'),
        listed(events="{}"),
    ],
)
def test_a_node_that_does_not_say_which_vm_it_is_is_nobodys_neighbour(document):
    assert neighbours([document, listed("node-2", instance='{"name":"web_2"}')], P) == (
        Neighbour(vm="web_2", mark=None, node="node-2"),
    )


def test_a_mark_that_cannot_be_read_is_broken_and_not_missing():
    (found,) = neighbours([listed(instance='{"name":"web_1"}', events="{")], P)
    assert found.mark == Mark(broken=True)


# Laws, over small worlds that are made so that all goes well about as often as not.

VMS = ("web_0", "web_1", "web_2", "web_3")
MOSTLY_DONE = st.sampled_from(["done"] * 6 + [None, "begun", "failed", "stopped"])
SELDOM = st.sampled_from([False] * 7 + [True])
ENTRIES = st.builds(
    entry,
    do=st.sampled_from(["drain", "drain", "drain", "cordon", "notify"]),
    drain=MOSTLY_DONE,
    started=SELDOM,
    overridden=SELDOM,
    approved=st.sampled_from([None] * 7 + ["agent"]),
)
SPELLINGS = st.sampled_from([str, str.upper, lambda name: f"_{name}"])


@st.composite
def clusters(draw):
    """An event, and what each VM's node says of it; some VMs may be no nodes."""
    concerned = draw(st.lists(st.sampled_from(VMS), min_size=1, max_size=4, unique=True))
    found = event(
        draw(st.sampled_from(["Reboot", "Redeploy", "Freeze", "Evaporate"])),
        status=draw(st.sampled_from(["Scheduled"] * 7 + ["Started"])),
        source=draw(st.sampled_from(["User", "Platform"])),
        resources=tuple(draw(SPELLINGS)(name) for name in concerned),
    )
    missing = draw(st.sampled_from([()] * 6 + [("web_1",), ("web_0", "web_2")]))
    return found, {vm: draw(ENTRIES) for vm in VMS if vm not in missing}


def approving(found, entries, mode, *, cordoned=frozenset(VMS), drains=False, known=True):
    nodes = tuple(node(vm, marked) for vm, marked in entries.items()) if known else None
    said = {
        vm: verdict(found, marked, mode=mode, vm_name=vm, cordoned=vm in cordoned, drains=drains, neighbours=nodes)
        for vm, marked in entries.items()
    }
    return [vm for vm, one in said.items() if one.approve]


def concerned_by(found):
    return {name.casefold().removeprefix("_") for name in found.resources}


@given(clusters(), st.sampled_from(MODES))
def test_never_do_two_agents_approve_one_event(cluster, mode):
    found, entries = cluster
    assert len(approving(found, entries, mode)) <= 1


@given(clusters(), st.sampled_from(MODES), st.sets(st.sampled_from(VMS)), st.booleans())
def test_never_is_an_event_approved_while_a_node_that_it_concerns_may_still_run_work(cluster, mode, cordoned, drains):
    found, entries = cluster
    for speaker in approving(found, entries, mode, cordoned=cordoned, drains=drains):
        ours = entries[speaker]
        assert speaker in cordoned
        assert ours.drain in ("done", None)
        if concerned_by(found) == {speaker} and found.source == "User" and ours.drain is None:
            assert (ours.do, drains) == ("cordon", False)
            continue
        for vm in concerned_by(found):
            assert entries[vm].drain == "done"
            assert not entries[vm].overridden
            assert entries[vm].cordons


@given(clusters(), st.sampled_from(MODES))
def test_never_is_an_event_approved_that_started_or_that_was_approved_or_of_a_type_that_nobody_knows(cluster, mode):
    found, entries = cluster
    for speaker in approving(found, entries, mode):
        assert (found.status, found.type == "Evaporate") == ("Scheduled", False)
        assert not entries[speaker].started
        assert not any(entries[vm].approved for vm in concerned_by(found))


@given(clusters())
def test_each_mode_allows_what_the_one_before_it_allows(cluster):
    found, entries = cluster
    off, own, drained = (set(approving(found, entries, mode)) for mode in MODES)
    assert off == set()
    assert own <= drained


@given(clusters())
def test_an_event_whose_nodes_are_all_drained_is_approved_by_somebody(cluster):
    found, entries = cluster
    entries = entries | {vm: entry() for vm in VMS}
    may = found.status == "Scheduled" and found.type != "Evaporate"
    assert len(approving(found, entries, "when-drained")) == int(may)


@given(clusters())
def test_not_to_know_the_neighbours_never_allows_more_and_whoever_would_speak_asks_for_them(cluster):
    found, entries = cluster
    knowing = approving(found, entries, "when-drained")
    blind = approving(found, entries, "when-drained", known=False)
    assert set(blind) <= set(knowing)
    for vm in set(knowing) - set(blind):
        assert verdict(
            found, entries[vm], mode="when-drained", vm_name=vm, cordoned=True, drains=False, neighbours=None
        ).needs_neighbours


GOES = HdfsSaid(state="in-maintenance", events=("E1",))
STAYS = HdfsSaid(state="entering", events=("E1",))


def test_an_approval_waits_for_hdfs_where_it_was_told_to_and_nowhere_else():
    assert judged(said=STAYS).approve
    assert judged(waits_for="hdfs", said=GOES).approve
    for said in (None, STAYS, HdfsSaid(state="in-maintenance", events=("E2",))):
        assert "HDFS does not say yet" in refused(waits_for="hdfs", said=said)


def test_an_approval_for_several_vms_waits_for_the_datanode_of_each():
    def asked(*words):
        nodes = tuple(replace(each, said=word) for each, word in zip(DRAINED, words, strict=True))
        return judged(shared(), mode="when-drained", nodes=nodes, waits_for="hdfs", said=words[0])

    assert asked(GOES, GOES, GOES).approve
    assert (
        asked(GOES, GOES, STAYS).because == "HDFS does not say yet that the DataNode of web_2 (node node-web_2) may go"
    )


def test_what_hdfs_says_on_a_node_is_read_with_its_mark():
    annotations = {f"{P}/instance": '{"name": "web_0"}', f"{P}/hdfs": '{"state": "in-maintenance", "events": ["E1"]}'}
    (found,) = neighbours([{"metadata": {"name": "n", "annotations": annotations}}], P)
    assert found.said == GOES
