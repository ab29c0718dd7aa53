"""Timed stories, told against a clock that the test moves."""

import json

import pytest

from agent.emulator import events
from agent.emulator.exchange import Request
from agent.emulator.fleet import fleet_from, one_vm
from agent.emulator.scenarios import SCENARIOS
from agent.emulator.steps import Schedules, Withdraws, spread
from agent.emulator.unconfirmed import Choices
from agent.emulator.versions import Service
from agent.emulator.world import World
from tests.emulator.asking import HEADER

BEGIN = 1_000_000.0


def told(name, moments, speed=1.0):
    """Tell a story and return what a client sees at each moment: fault, or type, status and seconds of notice left."""
    now = [BEGIN]
    world = World(one_vm(), service=Service(), rate_limit=None, clock=lambda: now[0])
    world.begin_scenario(None, name, speed)
    seen = []
    for moment in moments:
        now[0] = BEGIN + moment
        seen.append(glimpse(world, now[0]))
    return seen


def glimpse(world, now):
    (vm,) = world.vms
    world.deliver(vm.name, Request(method="GET", path="/metadata/versions", headers=HEADER))
    fault = world.requests()[-1]["fault"]
    if fault:
        return fault
    return [
        (each.event_type, each.status, each.not_before - now if each.status == "Scheduled" else "")
        for each in world.schedule(None).events
    ]


STORIES = {
    "reboot": [(4, []), (5, [("Reboot", "Scheduled", 900)]), (904, [("Reboot", "Scheduled", 1)]), (905, [("Reboot", "Started", "")]), (1204, [("Reboot", "Started", "")]), (1205, [])],
    "live-migration": [(5, [("Freeze", "Scheduled", 900)]), (905, [("Freeze", "Started", "")]), (1205, [])],
    "preempt": [(5, [("Preempt", "Scheduled", 30)]), (35, [("Preempt", "Started", "")]), (95, [])],
    "redeploy": [(5, [("Redeploy", "Scheduled", 600)]), (605, [("Redeploy", "Started", "")]), (1205, [])],
    "terminate": [(5, [("Terminate", "Scheduled", 300)]), (305, [("Terminate", "Started", "")]), (365, [])],
    "cancelled-maintenance": [(5, [("Freeze", "Scheduled", 900)]), (484, [("Freeze", "Scheduled", 421)]), (485, []), (2000, [])],
    "host-failure": [(4, []), (5, [("Reboot", "Started", "")]), (604, [("Reboot", "Started", "")]), (605, [])],
    "flapping-service": [(4, []), (5, "status"), (15, []), (20, "status"), (35, "reset"), (45, []), (50, "partial"), (65, "html"), (80, "status"), (95, "truncate"), (110, "hang"), (120, [])],
    "user-reboot": [(4, []), (5, [("Reboot", "Scheduled", 900)]), (905, [("Reboot", "Started", "")]), (1205, [])],
    "user-redeploy": [(5, [("Redeploy", "Scheduled", 600)]), (605, [("Redeploy", "Started", "")]), (1205, [])],
    "hardware-prediction": [(5, [("Redeploy", "Scheduled", 604_800)]), (604_804, [("Redeploy", "Scheduled", 1)]), (604_805, [("Redeploy", "Started", "")]), (605_405, [])],
    "multi-vm": [(5, [("Reboot", "Scheduled", 900)]), (905, [("Reboot", "Started", "")]), (1205, [])],
    "preempt-burst": [(5, [("Preempt", "Scheduled", 30)]), (35, [("Preempt", "Started", "")]), (95, [])],
    "maintenance-wave": [(5, [("Reboot", "Scheduled", 900)]), (905, [("Reboot", "Started", "")]), (1505, []), (1566, [])],
    "freeze-wave": [(5, [("Freeze", "Scheduled", 900)]), (905, [("Freeze", "Started", "")]), (1505, []), (1566, [])],
    "approved-by-others": [(5, [("Reboot", "Scheduled", 900)]), (64, [("Reboot", "Scheduled", 841)]), (65, [("Reboot", "Started", "")]), (364, [("Reboot", "Started", "")]), (365, [])],
    "reschedules": [(5, [("Reboot", "Scheduled", 900)]), (304, [("Reboot", "Scheduled", 601)]), (305, [("Reboot", "Scheduled", 1800)]), (904, [("Reboot", "Scheduled", 1201)]), (905, [("Reboot", "Scheduled", 120)]), (1024, [("Reboot", "Scheduled", 1)]), (1025, [("Reboot", "Started", "")]), (1325, [])],
    "overlapping": [(244, [("Freeze", "Scheduled", 661)]), (245, [("Freeze", "Scheduled", 660), ("Reboot", "Scheduled", 900)]), (905, [("Freeze", "Started", ""), ("Reboot", "Scheduled", 240)]), (1145, [("Freeze", "Started", ""), ("Reboot", "Started", "")]), (1205, [("Reboot", "Started", "")]), (1445, [])],
    "incarnation-restarts": [(5, [("Reboot", "Scheduled", 900)]), (305, [("Reboot", "Scheduled", 600)]), (905, [("Reboot", "Started", "")]), (1005, [("Reboot", "Started", "")]), (1205, [])],
}  # fmt: skip


def test_every_story_is_tried_here():
    assert set(STORIES) == set(SCENARIOS)


@pytest.mark.parametrize("name", STORIES)
def test_a_story_happens_at_its_times(name):
    assert told(name, [moment for moment, _ in STORIES[name]]) == [seen for _, seen in STORIES[name]]


@pytest.mark.parametrize("name", STORIES)
def test_a_story_can_be_told_sixty_times_as_fast(name):
    seen = told(name, [moment / 60 + 0.001 for moment, _ in STORIES[name]], speed=60)
    without_notice = [entry if isinstance(entry, str) else [event[:2] for event in entry] for entry in seen]
    expected = [entry if isinstance(entry, str) else [event[:2] for event in entry] for _, entry in STORIES[name]]
    assert without_notice == expected


def test_maintenance_that_somebody_approved_is_not_called_off_any_more():
    now = [BEGIN]
    world = World(one_vm(), service=Service(), rate_limit=None, clock=lambda: now[0])
    world.begin_scenario(None, "cancelled-maintenance", 1.0)
    now[0] = BEGIN + 10
    (event,) = world.schedule(None).events
    world.change_event(None, event.event_id, {"EventStatus": "Started"})
    now[0] = BEGIN + 600
    assert [each.status for each in world.schedule(None).events] == ["Started"]
    now[0] = BEGIN + 610
    assert world.schedule(None).events == ()


def test_what_was_due_before_a_step_has_happened_before_it_however_late_somebody_looks():
    now = [BEGIN]
    world = World(one_vm(), service=Service(), rate_limit=None, clock=lambda: now[0])
    world.begin_scenario(None, "cancelled-maintenance", 1.0)
    now[0] = BEGIN + 10
    (event,) = world.schedule(None).events
    world.change_event(None, event.event_id, {"NotBeforeSeconds": 100})
    now[0] = BEGIN + 600
    assert [(each.status, each.started_at) for each in world.schedule(None).events] == [("Started", BEGIN + 110)]


def test_a_story_leaves_other_events_alone():
    now = [BEGIN]
    world = World(one_vm(), service=Service(), rate_limit=None, clock=lambda: now[0])
    world.add_event(None, {"EventId": "MINE", "NotBeforeSeconds": 10_000})
    world.begin_scenario(None, "cancelled-maintenance", 1.0)
    now[0] = BEGIN + 2000
    assert [each.event_id for each in world.schedule(None).events] == ["MINE"]


def test_what_was_announced_to_a_group_is_called_off_there_though_the_vm_moved_to_another():
    now = [BEGIN]
    world = World(one_vm(), service=Service(), rate_limit=None, clock=lambda: now[0])
    world.begin_scenario(None, "cancelled-maintenance", 1.0)
    now[0] = BEGIN + 10
    home = world.instance(None)["compute"]["placementGroupId"]
    world.patch_instance(None, {"compute": {"placementGroupId": "ELSEWHERE"}})
    now[0] = BEGIN + 600
    assert world.schedule(None).events == ()
    world.patch_instance(None, {"compute": {"placementGroupId": home}})
    assert world.schedule(None).events == ()


def test_a_new_story_takes_the_place_of_one_that_is_still_told():
    now = [BEGIN]
    world = World(one_vm(), service=Service(), rate_limit=None, clock=lambda: now[0])
    world.begin_scenario(None, "reboot", 1.0)
    now[0] = BEGIN + 4
    world.begin_scenario(None, "redeploy", 1.0)
    now[0] = BEGIN + 60
    assert [each.event_type for each in world.schedule(None).events] == ["Redeploy"]


def test_a_client_that_looks_once_at_the_end_sees_the_same_as_one_that_watched():
    assert told("cancelled-maintenance", [2000]) == [[]]
    assert told("reboot", [1000]) == told("reboot", [5, 905, 1000])[-1:]


def test_the_expected_interruption_is_that_of_the_documentation():
    durations = {
        name: [step.event.duration for step in scenario.steps if hasattr(step, "event")]
        for name, scenario in SCENARIOS.items()
    }
    assert durations["live-migration"] == [5]
    assert durations["cancelled-maintenance"] == [9]
    assert durations["reboot"] == durations["preempt"] == [-1]


def test_a_story_concerns_the_own_vm_and_has_an_upper_case_id():
    now = [BEGIN]
    world = World(one_vm(), service=Service(), rate_limit=None, clock=lambda: now[0])
    world.begin_scenario(None, "reboot", 1.0)
    now[0] += 5
    (event,) = events.document(world.schedule(None))["Events"]
    assert event["Resources"] == ["aks-pool1-12345678-vmss_2"]
    assert event["EventId"] == event["EventId"].upper()
    assert len(event["EventId"]) == 36


# (name, placement group, update domain); a group of "" is a VM by itself.
FLEET = [("a_0", "G", "10"), ("a_1", "G", "2"), ("b_0", "H", "2"), ("a_2", "G", "2"), ("c", "", "0")]


def told_to(vm, name, moments, speed=1.0):
    """Tell a story to one VM of a fleet and return what there is at each moment: by VM, the resources and statuses."""
    now = [BEGIN]
    documents = [
        {
            "address": f"127.0.1.{number}",
            "instance": {"compute": {"name": each, "placementGroupId": group, "platformUpdateDomain": domain}},
        }
        for number, (each, group, domain) in enumerate(FLEET, start=1)
    ]
    world = World(fleet_from(documents), service=Service(), rate_limit=None, clock=lambda: now[0])
    world.begin_scenario(vm, name, speed)
    seen = []
    for moment in moments:
        now[0] = BEGIN + moment
        seen.append(
            {
                each.name: [(*event.resources, event.status) for event in world.schedule(each.name).events]
                for each in world.vms
                if world.schedule(each.name).events
            }
        )
    return seen


def in_group_g(*shown):
    return {name: list(shown) for name in ("a_0", "a_1", "a_2")}


def test_one_event_for_a_group_names_all_its_vms_and_reaches_nobody_else():
    one = ("a_0", "a_1", "a_2")
    assert told_to("a_1", "multi-vm", [4, 5, 905, 1205]) == [
        {},
        in_group_g((*one, "Scheduled")),
        in_group_g((*one, "Started")),
        {},
    ]


def test_one_event_for_the_group_of_a_vm_alone_names_a_second_that_is_not_here():
    assert told_to("c", "multi-vm", [5]) == [{"c": [("c", "c-neighbour", "Scheduled")]}]


def test_a_burst_takes_one_vm_of_the_group_after_the_other():
    shown = [(name, "Scheduled") for name in ("a_0", "a_1", "a_2")]
    assert told_to("a_2", "preempt-burst", [5, 6, 7]) == [in_group_g(*shown[:count]) for count in (1, 2, 3)]
    assert told_to("a_2", "preempt-burst", [35, 37, 95, 97]) == [
        in_group_g(("a_0", "Started"), *shown[1:]),
        in_group_g(*((name, "Started") for name, _ in shown)),
        in_group_g(("a_1", "Started"), ("a_2", "Started")),
        {},
    ]


@pytest.mark.parametrize("name", ["maintenance-wave", "freeze-wave"])
def test_a_wave_takes_the_update_domains_by_number_each_group_in_an_event_of_its_own(name):
    second = in_group_g(("a_1", "a_2", "Scheduled")) | {"b_0": [("b_0", "Scheduled")]}
    assert told_to("a_0", name, [5, 1564, 1565, 3124, 3125, 4624, 4625]) == [
        {"c": [("c", "Scheduled")]},
        {},
        second,
        {},
        in_group_g(("a_0", "Scheduled")),
        in_group_g(("a_0", "Started")),
        {},
    ]


@pytest.mark.parametrize("name", ["maintenance-wave", "freeze-wave"])
def test_a_wave_told_faster_keeps_its_order(name):
    seen = told_to("a_0", name, [moment / 60 + 0.001 for moment in (5, 1565, 3125)], speed=60)
    assert [list(each) for each in seen] == [["c"], ["a_0", "a_1", "b_0", "a_2"], ["a_0", "a_1", "a_2"]]


def incarnations(name, moments):
    now = [BEGIN]
    world = World(one_vm(), service=Service(), rate_limit=None, clock=lambda: now[0])
    world.begin_scenario(None, name, 1.0)
    found = []
    for moment in moments:
        now[0] = BEGIN + moment
        found.append(world.schedule(None).incarnation)
    return found


def test_an_incarnation_that_restarts_is_1_again_and_counts_on_from_there():
    assert incarnations("incarnation-restarts", [4, 5, 304, 305, 904, 905, 1004, 1005, 1205]) == [
        1,
        2,
        2,
        1,
        1,
        2,
        2,
        1,
        2,
    ]


def test_each_move_of_not_before_counts_one_incarnation():
    assert incarnations("reschedules", [5, 305, 905, 1025, 1325]) == [2, 3, 4, 5, 6]


def a_story_under_way(name, **choices):
    now = [BEGIN]
    world = World(one_vm(), service=Service(choices=Choices(**choices)), rate_limit=None, clock=lambda: now[0])
    world.begin_scenario(None, name, 1.0)
    now[0] = BEGIN + 10
    return world, now


def approve(world, *ids):
    (vm,) = world.vms
    body = json.dumps({"StartRequests": [{"EventId": each} for each in ids]}).encode()
    request = Request(
        method="POST", path="/metadata/scheduledevents", query="api-version=2020-07-01", headers=HEADER, body=body
    )
    return world.deliver(vm.name, request).response.status


@pytest.mark.parametrize("name", ["user-reboot", "user-redeploy", "hardware-prediction"])
def test_what_waits_for_an_approval_starts_with_it(name):
    world, _ = a_story_under_way(name)
    (event,) = world.schedule(None).events
    assert approve(world, event.event_id) == 200
    assert [(each.status, each.started_at) for each in world.schedule(None).events] == [("Started", BEGIN + 10)]


def test_an_approval_can_be_made_to_take_its_time():
    world, now = a_story_under_way("user-reboot", approved_start_seconds=20.0)
    (event,) = world.schedule(None).events
    assert approve(world, event.event_id) == 200
    seen = []
    for moment in (10, 29, 30):
        now[0] = BEGIN + moment
        seen += [each.status for each in world.schedule(None).events]
    assert seen == ["Scheduled", "Scheduled", "Started"]


@pytest.mark.parametrize(
    ("name", "source"),
    [("user-reboot", "User"), ("user-redeploy", "User"), ("hardware-prediction", "Platform"), ("multi-vm", "Platform")],
)
def test_who_asked_for_an_event_is_said(name, source):
    world, _ = a_story_under_way(name)
    assert [each.source for each in world.schedule(None).events] == [source]


@pytest.mark.parametrize("name", ["reschedules", "approved-by-others", "incarnation-restarts"])
def test_a_story_that_changes_its_event_leaves_those_of_others_alone(name):
    now = [BEGIN]
    world = World(one_vm(), service=Service(), rate_limit=None, clock=lambda: now[0])
    mine = world.add_event(None, {"EventId": "MINE", "NotBeforeSeconds": 10_000})
    world.begin_scenario(None, name, 1.0)
    now[0] = BEGIN + 2000
    assert world.schedule(None).events == (mine,)


def test_a_service_that_restarts_for_one_group_counts_on_for_the_others():
    now = [BEGIN]
    documents = [
        {"address": f"127.0.1.{number}", "instance": {"compute": {"name": each, "placementGroupId": each}}}
        for number, each in enumerate("ab", start=1)
    ]
    world = World(fleet_from(documents), service=Service(), rate_limit=None, clock=lambda: now[0])
    world.add_event("b", {"NotBeforeSeconds": 10_000})
    world.begin_scenario("a", "incarnation-restarts", 1.0)
    now[0] = BEGIN + 305
    assert [world.schedule(name).incarnation for name in "ab"] == [1, 2]


def test_what_happens_between_two_events_of_one_step_happens_between_them():
    vms = fleet_from(
        [
            {"address": f"127.0.1.{number}", "instance": {"compute": {"name": each, "placementGroupId": "G"}}}
            for number, each in enumerate("ab", start=1)
        ]
    )
    publishing = Schedules(at=5, event=events.Event(event_id=""), notice=30, whom="each", apart=10)
    steps = spread([publishing, Withdraws(at=7)], vms[0], vms)
    assert [(type(each), each.at) for each in steps] == [(Schedules, 5), (Withdraws, 7), (Schedules, 15)]
