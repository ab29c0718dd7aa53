"""What `dfs.hosts` should say, from nodes, marks, and what the NameNode has."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.datanodes import DataNode
from agent.core.dfs_hosts import HostEntry, hosts_text, read_hosts
from agent.core.hdfs_hosts import HostsKnown, HostsRules, hosts_plan, unheeded
from agent.core.hdfs_nodes import HdfsHost, NodePlace
from agent.core.mark import MarkedEvent
from agent.core.racks import RackedHost

NOW = 1_795_000_000.0
RULES = HostsRules(maintain=True, lasts=1800.0)
UNTIL = 1_795_001_800_000


def host(number: int, *events: MarkedEvent, vm: str | None = None, zone: str | None = "1", ud: int | None = 0, **more):
    place = NodePlace(location="westeurope", zone=zone, fault_domain=0, update_domain=ud)
    racked = RackedHost(names=(f"10.0.0.{number}", f"vm-{number}"), placement=place, networks=more.pop("networks", ()))
    return HdfsHost(name=f"vm-{number}", host=racked, vm_id=vm or f"id-{number}", events=events, **more)


def event(kind: str = "Reboot", name: str = "E1", **more) -> MarkedEvent:
    return MarkedEvent(id=name, type=kind, do=more.pop("do", "cordon"), **more)


def live(number: int, state: str = "In Service", **more) -> DataNode:
    return DataNode(
        address=more.pop("address", f"10.0.0.{number}"), port=9866, name=f"vm-{number}", rack="/a", state=state,
        upgrade_domain=None, live=more.pop("live", True), **more,
    )  # fmt: skip


def known(*hosts: HdfsHost, **more) -> HostsKnown:
    return HostsKnown(
        hosts=hosts, datanodes=more.pop("datanodes", tuple(live(n + 1) for n in range(len(hosts)))), **more
    )


def entry(number: int, state="NORMAL", until=None, ud: str | None = None) -> HostEntry:
    return HostEntry(address=f"10.0.0.{number}", state=state, until=until, upgrade_domain=ud)


# -- upgrade domains ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("places", "domains"),
    [
        ([("1", 0), ("2", 1), ("1", 2)], ["ud0", "ud1", "ud2"]),
        ([("1", 0), ("2", 0), ("3", None)], ["westeurope-1", "westeurope-2", "westeurope-3"]),
        ([(None, 0), (None, 0)], [None, None]),
    ],
)
def test_the_upgrade_domain_is_whichever_fact_tells_hosts_apart(places, domains):
    hosts = [host(number + 1, zone=zone, ud=ud) for number, (zone, ud) in enumerate(places)]
    assert [each.upgrade_domain for each in hosts_plan(known(*hosts), RULES, NOW).entries] == domains


@pytest.mark.parametrize(("liars", "kind"), [(1, "zone"), (2, "zone"), (3, "update-domain")])
def test_a_few_nodes_with_labels_of_their_own_choosing_change_nobody_elses_domain(liars, kind):
    hosts = [host(n + 1, zone=str(1 + n % 3), ud=7 if n < liars else 0) for n in range(20)]
    assert hosts_plan(known(*hosts), RULES, NOW).kind == kind


def test_people_may_choose_the_kind_and_fault_domains_come_last():
    hosts = [host(1, zone=None), host(2, zone=None)]
    hosts[1] = replace(
        hosts[1],
        host=replace(hosts[1].host, placement=NodePlace(location="westeurope", fault_domain=1, update_domain=0)),
    )
    plan = hosts_plan(known(*hosts), RULES, NOW)
    assert (plan.kind, [each.upgrade_domain for each in plan.entries]) == ("fault-domain", ["fd0", "fd1"])
    chosen = hosts_plan(known(*hosts), replace(RULES, kind="none"), NOW)
    assert [each.upgrade_domain for each in chosen.entries] == [None, None]


def test_fewer_domains_than_the_factor_are_told():
    hosts = [host(1, zone="1"), host(2, zone="2")]
    (said,) = hosts_plan(known(*hosts), RULES, NOW).warnings
    assert said.startswith("2 upgrade domains (zone) for a factor of 3")
    assert "upgrade.domain.factor to 2" in said
    assert hosts_plan(known(*hosts), replace(RULES, factor=2), NOW).warnings == ()


# -- who is listed -----------------------------------------------------------------------------------------------------


def test_the_address_is_the_one_that_the_namenode_has():
    two = replace(host(1), host=replace(host(1).host, names=("10.0.0.1", "10.9.0.1", "vm-1")))
    assert hosts_plan(known(two, datanodes=(live(1, address="10.9.0.1"),)), RULES, NOW).entries[0].address == "10.9.0.1"
    gone = live(1, address="10.9.0.1", live=False)
    assert hosts_plan(known(two, datanodes=(gone,)), RULES, NOW).entries[0].address == "10.9.0.1"
    listed_only = live(1, address="10.9.0.1", live=False, seen=False)
    assert hosts_plan(known(two, datanodes=(listed_only,)), RULES, NOW).entries[0].address == "10.0.0.1"


def test_a_host_without_an_address_and_a_second_one_with_the_same_are_left_out():
    nameless = replace(host(2), host=replace(host(2).host, names=("vm-2",)))
    twin = replace(host(1), name="twin")
    plan = hosts_plan(known(host(1), nameless, twin, datanodes=(live(1),)), RULES, NOW)
    assert [each.address for each in plan.entries] == ["10.0.0.1"]
    named = hosts_plan(known(host(1), nameless, datanodes=(live(1), live(2, address="10.9.0.2"))), RULES, NOW)
    assert named.addresses["vm-2"] == "10.9.0.2"  # by the name that the NameNode has of it


def test_a_live_datanode_that_nobody_knows_is_kept_as_it_stood_and_told():
    standing = (entry(9, ud="old"),)
    plan = hosts_plan(known(host(1), datanodes=(live(1), live(9)), standing=standing), RULES, NOW)
    assert entry(9, ud="old") in plan.entries
    assert any("1 live DataNodes are no host that is known here (10.0.0.9)" in each for each in plan.warnings)
    assert plan.unknown == ("10.0.0.9",)
    assert hosts_plan(known(host(1), datanodes=(live(9),)), RULES, NOW).unknown == ("10.0.0.9",), "nothing is written"
    written = known(host(1), datanodes=(live(1), live(9)), overrides=(entry(9),))
    assert hosts_plan(written, RULES, NOW).unknown == (), "who is in a person's own list is known"


def test_until_everybody_was_heard_nobody_leaves_the_list_and_nothing_is_strange():
    standing = (entry(1), entry(9, "IN_MAINTENANCE", UNTIL))
    there = known(host(1), datanodes=(live(1), live(9, live=False)), standing=standing)
    assert entry(9, "IN_MAINTENANCE", UNTIL) in hosts_plan(replace(there, whole=False), RULES, NOW).entries
    assert [each.address for each in hosts_plan(there, RULES, NOW).entries] == ["10.0.0.1"]
    assert not any(
        "no host that is known here" in each for each in hosts_plan(replace(there, whole=False), RULES, NOW).warnings
    )


def test_maintenance_of_a_host_that_nobody_knows_any_more_ends_with_its_term():
    standing = (entry(9, "IN_MAINTENANCE", UNTIL),)
    situation = known(host(1), datanodes=(live(1), live(9)), standing=standing)
    assert hosts_plan(situation, RULES, NOW).entries[1] == standing[0]
    assert hosts_plan(situation, RULES, NOW + 1800).entries[1] == entry(9)


def test_a_host_that_went_is_dropped_once_it_is_dead_and_never_while_the_namenode_does_not_say():
    standing = (entry(1), entry(9))
    dead = known(host(1), datanodes=(live(1), live(9, live=False)), standing=standing)
    assert [each.address for each in hosts_plan(dead, RULES, NOW).entries] == ["10.0.0.1"]
    silent = replace(dead, datanodes=None)
    assert [each.address for each in hosts_plan(silent, RULES, NOW).entries] == ["10.0.0.1", "10.0.0.9"]


@pytest.mark.parametrize(
    ("situation", "said"),
    [
        (HostsKnown(hosts=(), datanodes=()), "no host with a place"),
        (known(host(1), datanodes=None), "not begun yet"),
        (known(host(1, networks=("10.244.0.0/24",)), datanodes=(live(7, address="10.244.0.7"),)), "pod addresses"),
        (known(host(1), datanodes=(live(7, address="10.9.0.7"),)), "none of the 1 live DataNodes"),
    ],
)
def test_nothing_is_written_where_it_could_shut_datanodes_out(situation, said):
    plan = hosts_plan(situation, RULES, NOW)
    assert plan.entries is None
    assert said in plan.warnings[0]


def test_own_entries_win_and_get_the_hosts_upgrade_domain_where_they_name_none():
    own = (entry(1, "DECOMMISSIONED"), entry(2, ud="mine"), entry(7))
    hosts = [host(1, zone="1"), host(2, event(), zone="2"), host(3, zone="3")]
    plan = hosts_plan(known(*hosts, overrides=own), RULES, NOW)
    assert plan.entries == (
        entry(1, "DECOMMISSIONED", ud="westeurope-1"),
        entry(2, ud="mine"),
        entry(3, ud="westeurope-3"),
        entry(7),
    )


# -- maintenance -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "state", "until"),
    [
        ("Reboot", "IN_MAINTENANCE", UNTIL),
        ("Redeploy", "IN_MAINTENANCE", UNTIL),
        ("Sth", "IN_MAINTENANCE", UNTIL),
        ("Preempt", "DECOMMISSIONED", None),
        ("Terminate", "DECOMMISSIONED", None),
        ("Freeze", "NORMAL", None),
    ],
)
def test_an_event_that_stops_the_vm_takes_its_datanode_out_of_service(kind, state, until):
    plan = hosts_plan(known(host(1, event(kind)), host(2)), RULES, NOW)
    assert (plan.entries[0].state, plan.entries[0].until) == (state, until)
    assert plan.entered == (("10.0.0.1",) if state != "NORMAL" else ())


def test_a_notice_an_override_and_maintenance_that_is_off_leave_it_in_service():
    for one in (event(do="notify"), event(overridden=True)):
        assert hosts_plan(known(host(1, one), host(2)), RULES, NOW).entries[0].state == "NORMAL"
    assert hosts_plan(known(host(1, event()), host(2)), HostsRules(), NOW).entries[0].state == "NORMAL"


def test_maintenance_is_asked_for_anew_at_half_time_and_not_before():
    one, two = host(1, event()), host(2)
    fresh = known(one, two, standing=(entry(1, "IN_MAINTENANCE", UNTIL), entry(2)))
    assert hosts_plan(fresh, RULES, NOW + 900).entries[0].until == UNTIL
    assert hosts_plan(fresh, RULES, NOW + 901).entries[0].until == UNTIL + 901_000
    far = replace(fresh, standing=(entry(1, "IN_MAINTENANCE", UNTIL * 2), entry(2)))
    assert hosts_plan(far, RULES, NOW).entries[0].until == UNTIL


def test_it_is_normal_again_when_the_event_is_over():
    plan = hosts_plan(known(host(1), host(2), standing=(entry(1, "IN_MAINTENANCE", UNTIL), entry(2))), RULES, NOW)
    assert plan.entries[0].state == "NORMAL"
    assert plan.entries[0].until is None
    assert plan.left == ("10.0.0.1",)


def test_another_vm_under_the_same_name_is_normal_at_once_and_its_own_events_count():
    first = hosts_plan(known(host(1, event(), vm="A"), host(2)), RULES, NOW)
    assert first.begun == {"10.0.0.1": {"e1": "A"}}
    again = known(host(1, event(), vm="B"), host(2), standing=first.entries, begun=first.begun)
    second = hosts_plan(again, RULES, NOW)
    assert second.entries[0].state == "NORMAL"
    assert second.begun == {"10.0.0.1": {"e1": "A"}}  # for as long as the mark names it
    own = replace(again, hosts=(host(1, event(), event(name="E2"), vm="B"), host(2)), begun=second.begun)
    third = hosts_plan(own, RULES, NOW)
    assert [each.id for each in third.asked["vm-1"]] == ["E2"]
    over = hosts_plan(replace(own, hosts=(host(1, vm="B"), host(2)), begun=third.begun), RULES, NOW)
    assert over.begun == {}


def test_a_share_leaves_at_once_those_that_are_short_of_time_first_and_the_rest_waits():
    hosts = [host(n, event("Reboot" if n < 40 else "Preempt")) if n % 4 == 0 else host(n) for n in range(1, 41)]
    plan = hosts_plan(known(*hosts), RULES, NOW)
    assert plan.entered == ("10.0.0.40", "10.0.0.12")  # 5 % of 40; the rest as text sorts
    assert len(plan.queued) == 8
    rest = hosts_plan(known(*hosts, standing=plan.entries), RULES, NOW)
    assert len(rest.entered) == 2
    assert rest.entries[39].state == "DECOMMISSIONED"


def test_one_host_always_stays_since_a_list_without_one_counts_as_empty():
    hosts = [host(1, event()), host(2, event())]
    plan = hosts_plan(known(*hosts), replace(RULES, share=100), NOW)
    assert sorted(each.state for each in plan.entries) == ["IN_MAINTENANCE", "NORMAL"]
    alone = hosts_plan(known(host(1, event())), RULES, NOW)
    assert [each.state for each in alone.entries] == ["NORMAL"]
    assert alone.queued == ("10.0.0.1",)


@pytest.mark.parametrize(
    ("state", "told", "heeded"),
    [
        ("NORMAL", "In Service", True),
        ("NORMAL", "In Maintenance", False),
        ("IN_MAINTENANCE", "Entering Maintenance", True),
        ("IN_MAINTENANCE", "In Service", False),
        ("DECOMMISSIONED", "Decommissioned", True),
    ],
)
def test_a_namenode_that_says_successful_and_read_nothing_is_seen(state, told, heeded):
    assert unheeded([entry(1, state)], [live(1, told), live(2), live(3, live=False)]) == (
        () if heeded else ("10.0.0.1",)
    )
    assert unheeded([entry(1, state, ud="ud1")], [live(1, told)]) == ("10.0.0.1",)


# -- laws --------------------------------------------------------------------------------------------------------------

EVENTS = st.lists(st.sampled_from(["Reboot", "Redeploy", "Preempt", "Terminate", "Freeze"]), max_size=2).map(
    lambda kinds: tuple(event(kind, f"E{number}") for number, kind in enumerate(kinds))
)
HOSTS = st.lists(st.tuples(st.integers(1, 30), EVENTS, st.sampled_from("123"), st.integers(0, 3)), max_size=20).map(
    lambda rows: tuple({n: host(n, *events, zone=zone, ud=ud, vm=f"id-{ud}") for n, events, zone, ud in rows}.values())
)
STANDING = st.lists(
    st.builds(
        HostEntry,
        address=st.integers(1, 30).map(lambda n: f"10.0.0.{n}"),
        state=st.sampled_from(["NORMAL", "IN_MAINTENANCE", "DECOMMISSIONED"]),
        until=st.none() | st.integers(UNTIL - 4_000_000, UNTIL + 4_000_000),
    ),
    unique_by=lambda each: each.address,
).map(tuple)
NODES = st.none() | st.lists(st.integers(1, 30), unique=True).map(lambda numbers: tuple(live(n) for n in numbers))
KNOWN = st.builds(HostsKnown, hosts=HOSTS, datanodes=NODES, standing=STANDING)


@given(KNOWN, st.integers(1, 100))
def test_whatever_is_known_no_live_datanode_is_dropped_and_no_more_than_a_share_leaves(situation, share):
    plan = hosts_plan(situation, replace(RULES, share=share), NOW)
    if plan.entries is None:
        return
    listed = {each.address: each for each in plan.entries}
    kept = situation.datanodes if situation.datanodes is not None else situation.standing
    assert {each.address for each in kept} <= set(listed)
    before = {each.address: each.state for each in situation.standing}
    left_service = [a for a, each in listed.items() if each.state != "NORMAL" and before.get(a, "NORMAL") == "NORMAL"]
    assert sorted(left_service) == sorted(plan.entered)
    assert len(left_service) <= max(1, len(listed) * share // 100)
    if left_service:
        assert any(each.state == "NORMAL" for each in plan.entries)
    assert read_hosts(hosts_text(plan.entries)) == plan.entries


@given(KNOWN)
def test_it_comes_to_rest(situation):
    for _ in range(40):
        plan = hosts_plan(situation, replace(RULES, share=100), NOW)
        if plan.entries is None or (plan.entries == situation.standing and plan.begun == situation.begun):
            break
        situation = replace(situation, standing=plan.entries, begun=plan.begun)
    again = hosts_plan(situation, replace(RULES, share=100), NOW)
    assert again.entries in (None, situation.standing)
    assert not again.entered
