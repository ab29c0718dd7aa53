"""Timed stories, told against a clock that the test moves."""

import pytest

from agent.emulator import events
from agent.emulator.exchange import Request
from agent.emulator.fleet import one_vm
from agent.emulator.scenarios import SCENARIOS
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
