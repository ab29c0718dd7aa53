"""A VM without Kubernetes: its programs are told of its events, each hook once for each phase, whatever dies meanwhile."""

import os
import random
import time
from functools import partial
from pathlib import Path

import pytest

from tests.promises.agents import wait_until
from tests.promises.hosts import host

KILLS = int(os.environ.get("IMDS_AGENT_KILLS", "12"))


def test_an_event_is_told_from_notice_to_end_in_the_file_and_to_each_hook(tmp_path):
    with host(tmp_path) as scene:
        scene.hook("10-database")
        scene.hook("20-datanode")
        assert scene.wait_ready()["events"] == []
        event_id = scene.event("Reboot", Description="Host maintenance")
        scene.wait_noted(("10-database", "scheduled", event_id), ("20-datanode", "scheduled", event_id))
        outcomes = {"10-database": "done", "20-datanode": "done"}
        shown = scene.wait_shown(
            lambda each: each["events"] and each["events"][0]["hooks"] == {"scheduled": outcomes}, "both hooks done"
        )
        [told] = shown["events"]
        assert (told["id"], told["type"], told["status"], told["do"]) == (event_id, "Reboot", "Scheduled", "cordon")
        assert told["shown"] is True
        assert told["not_before"].endswith("Z")
        assert scene.events_file.stat().st_mode & 0o777 == 0o644
        scene.imds.start_event(event_id)
        wait_until(lambda: len(scene.notes()) == 4, "started", scene.agent.tail)
        scene.over(event_id)
        wait_until(lambda: len(scene.notes()) == 6, "gone", scene.agent.tail)
        assert [phase for _, phase, _ in scene.notes()] == ["scheduled"] * 2 + ["started"] * 2 + ["gone"] * 2
        assert scene.wait_shown(lambda each: each["events"] == [], "no event")["current"] is True
        first = scene.told()[0]
        assert (first["id"], first["phase"], first["description"]) == (event_id, "scheduled", "Host maintenance")
        scene.agent.wait_said("event.over")


def test_an_event_that_is_only_told_runs_no_hook(tmp_path):
    with host(tmp_path) as scene:
        scene.hook("10-database")
        scene.wait_ready()
        event_id = scene.event("Freeze", DurationInSeconds=5)
        shown = scene.wait_shown(lambda each: each["events"], "the event")
        assert [(each["id"], each["do"]) for each in shown["events"]] == [(event_id, "notify")]
        scene.over(event_id)
        scene.wait_shown(lambda each: not each["events"], "no event")
        assert scene.notes() == []


def test_a_variable_that_is_no_setting_is_named_and_passed_over(tmp_path):
    with host(tmp_path, start=False) as scene:
        scene.agent.environment |= {"IMDS_AGENT_RELESE_AFTER": "2m", "IMDS_AGENT_SERVICE_HOST": "10.0.0.1"}
        scene.agent.start()
        scene.wait_ready()
        assert scene.agent.wait_said("settings.passed_over")["variables"] == ["IMDS_AGENT_RELESE_AFTER"]


def test_a_neighbour_s_event_is_nobody_s_business(tmp_path):
    with host(tmp_path) as scene:
        scene.hook("10-database")
        scene.wait_ready()
        scene.event("Reboot", Resources=["another_vm"])
        own = scene.event("Redeploy")
        scene.wait_noted(("10-database", "scheduled", own))
        shown = scene.wait_shown(lambda each: each["events"], "the event")  # written a moment after the hook has begun
        assert [each["id"] for each in shown["events"]] == [own]


def test_a_slow_hook_is_ended_and_keeps_no_other_event_waiting(tmp_path):
    with host(tmp_path, hook_timeout="3s") as scene:
        # The first event's hook sleeps, with a child, until its time is over; the second one's is done at once.
        scene.hook("10-slow", '[ "$IMDS_EVENT_TYPE" = Reboot ] && { sleep 600 & wait; } || true')
        scene.wait_ready()
        slow = scene.event("Reboot")
        wait_until(lambda: scene.notes() == [("10-slow", "scheduled", slow)], "the slow one", scene.agent.tail)
        quick = scene.event("Preempt")
        scene.agent.wait_said("hook.finished")
        assert [entry["event_id"] for entry in scene.agent.said("hook.finished")] == [quick]
        late = scene.agent.wait_said("hook.failed")
        assert (late["event_id"], late["because"]) == (slow, "it took longer than 3 s")


def test_what_others_could_have_written_is_not_run(tmp_path):
    with host(tmp_path) as scene:
        scene.hook("10-open", mode=0o777)
        scene.hook("20-forgotten", mode=0o644)
        scene.hook("30-fine")
        scene.hook("40-old.bak")
        scene.wait_ready()
        event_id = scene.event("Reboot")
        scene.wait_noted(("30-fine", "scheduled", event_id))
        refused = scene.agent.wait_said("hook.refused")
        assert refused["hook"] == "10-open"
        assert "can be written by others (mode 777)" in refused["because"]
        assert scene.agent.wait_said("hook.skipped")["hook"] == "20-forgotten"


def test_a_restart_in_the_middle_runs_nothing_twice_and_what_is_left_once(tmp_path):
    with host(tmp_path) as scene:
        scene.hook("10-first")
        scene.hook("20-second", f"sleep 600 & echo $! > {tmp_path}/child; wait")
        scene.hook("30-third")
        scene.wait_ready()
        event_id = scene.event("Reboot")
        wait_until(lambda: len(scene.notes()) == 2, "the second one", scene.agent.tail)
        scene.agent.restart()
        scene.wait_noted(*((hook, "scheduled", event_id) for hook in ("10-first", "20-second", "30-third")))
        scene.agent.wait_said("hook.finished", 2)  # the first and the third: the second is lost
        outcomes = {"10-first": "done", "20-second": "lost", "30-third": "done"}
        scene.wait_shown(  # what is shown is kept for the next process, too; the log is a moment ahead of it
            lambda each: each["events"] and each["events"][0]["hooks"]["scheduled"] == outcomes, "all three are over"
        )
        lost = scene.agent.wait_said("hook.failed")
        assert (lost["hook"], lost["phase"], lost["event_id"]) == ("20-second", "scheduled", event_id)
        assert lost["because"] == "the agent ended while it ran"
        scene.agent.restart()
        scene.over(event_id)
        wait_until(lambda: len(scene.notes()) >= 5, "gone", scene.agent.tail)
        assert len([each for each in scene.agent.said("hook.failed") if each["phase"] == "scheduled"]) == 1
        assert scene.notes()[3:5] == [("10-first", "gone", event_id), ("20-second", "gone", event_id)]


def test_what_will_be_run_and_what_will_not_is_said_before_there_is_any_event(tmp_path):
    with host(tmp_path, start=False) as scene:
        scene.hook("10-fine")
        scene.hook("20-open", mode=0o777)
        scene.hook("30-forgotten", mode=0o644)
        scene.agent.start()
        scene.wait_ready()
        found = scene.agent.wait_said("hooks.seen")
        assert (found["folder"], found["hooks"]) == (str(scene.hooks), ["10-fine", "20-open"])
        assert scene.agent.log[0]["event"] == "agent.started"
        refused = scene.agent.wait_said("hook.refused")
        assert refused["hook"] == "20-open"
        assert refused["because"] == f"{scene.hooks}/20-open can be written by others (mode 777)"
        assert scene.agent.wait_said("hook.skipped")["hook"] == "30-forgotten"


def test_a_hook_that_cannot_be_started_is_told_with_what_to_look_at(tmp_path):
    with host(tmp_path) as scene:
        scene.hook("10-without").write_text("echo no interpreter\n")
        scene.hook("20-elsewhere").write_text("#!/no/such/shell\n")
        scene.wait_ready()
        scene.event("Reboot")
        scene.agent.wait_said("hook.failed", 2)
        assert [each["because"] for each in scene.agent.said("hook.failed")] == [
            "Exec format error: its first line must name an interpreter, such as #!/bin/sh",
            "No such file or directory: the interpreter that its first line names",
        ]


@pytest.mark.slow
@pytest.mark.timeout(120 + 30 * KILLS)
def test_no_hook_ever_runs_twice_for_one_phase_however_often_the_agent_is_killed(tmp_path):
    seed = int(os.environ.get("IMDS_AGENT_SEED", random.SystemRandom().randrange(2**32)))
    print(f"IMDS_AGENT_SEED={seed}")
    chance = random.Random(seed)
    with host(tmp_path) as scene:
        for name in ("10-a", "20-b", "30-c"):
            scene.hook(name)
        scene.wait_ready()
        for _ in range(KILLS):
            event_id = scene.event("Reboot")
            time.sleep(chance.uniform(0.0, 1.2))
            scene.agent.restart()
            scene.agent.wait_said("hook.begun")
            scene.imds.start_event(event_id)
            time.sleep(chance.uniform(0.0, 1.2))
            scene.agent.restart()
            wait_until(partial(over, scene, event_id, "started"), "started", scene.agent.tail)
            scene.over(event_id)
            wait_until(lambda: not scene.shown()["events"], "over", scene.agent.tail)
            assert len(scene.notes()) == len(set(scene.notes()))
    assert scene.agent.noise == []


def over(scene, event_id: str, phase: str) -> bool:
    """Say whether the last hook of a phase came to an end, or was lost."""
    found = [each for each in scene.shown().get("events", ()) if each["id"] == event_id]
    return bool(found) and found[0]["hooks"].get(phase, {}).get("30-c") in ("done", "lost")


def test_what_cannot_be_written_down_is_not_run_and_later_it_is(tmp_path):
    (tmp_path / "lib").write_text("in the way")
    with host(tmp_path) as scene:
        scene.hook("10-database")
        scene.agent.wait_said("host.unwritten")
        event_id = scene.event("Reboot")
        scene.wait_shown(lambda each: [event["id"] for event in each["events"]] == [event_id], "the event in the file")
        scene.polled(3)
        assert scene.notes() == []
        (tmp_path / "lib").unlink()
        scene.wait_noted(("10-database", "scheduled", event_id))


def test_a_user_s_own_restart_may_begin_once_every_hook_is_done_with_it(tmp_path):
    with host(tmp_path, approval="own-user-events") as scene:
        scene.hook("10-database")
        scene.wait_ready()
        scene.event("Reboot", EventSource="User", NotBeforeSeconds=900)
        scene.agent.wait_said("event.approved")
        order = [each["event"] for each in scene.agent.log if each["event"] in ("hook.finished", "event.approved")]
        assert order[:2] == ["hook.finished", "event.approved"]
        assert len(posts(scene)) == 1


def test_a_hook_that_failed_keeps_the_restart_waiting(tmp_path):
    with host(tmp_path, approval="own-user-events") as scene:
        scene.hook("10-database", "exit 3")
        scene.wait_ready()
        scene.event("Reboot", EventSource="User", NotBeforeSeconds=900)
        assert scene.agent.wait_said("hook.failed")["because"] == "exit code 3"
        scene.polled(4)
        assert posts(scene) == []


def test_a_folder_of_hooks_that_cannot_be_read_is_said_and_lets_nothing_begin(tmp_path):
    with host(tmp_path, approval="own-user-events") as scene:
        scene.hooks.rmdir()
        (tmp_path / "in-the-way").touch()
        scene.hooks.symlink_to("in-the-way")
        scene.wait_ready()
        event_id = scene.event("Reboot", EventSource="User", NotBeforeSeconds=900)
        assert "Not a directory" in scene.agent.wait_said("hook.refused")["because"]
        scene.polled(4)
        assert posts(scene) == []
        aside, link = tmp_path / "aside", tmp_path / "link"
        aside.mkdir()
        scene.hook("10-database", folder=aside)
        link.symlink_to(aside.name)
        link.rename(scene.hooks)  # in one step: a folder without hooks would let the restart begin
        wait_until(lambda: scene.notes()[:1] == [("10-database", "scheduled", event_id)], "it ran", scene.agent.tail)


def posts(scene) -> list:
    return [entry for entry in scene.imds.requests() if entry["method"] == "POST"]


def test_while_imds_is_away_the_file_says_that_it_is_old_and_keeps_the_events(tmp_path):
    with host(tmp_path, events_interval="200ms") as scene:
        scene.wait_ready()
        event_id = scene.event("Reboot")
        scene.wait_shown(lambda each: each["events"], "the event")
        scene.fault("reset")
        old = scene.wait_shown(lambda each: not each["current"], "an old file")
        assert [each["id"] for each in old["events"]] == [event_id]
        scene.well()
        assert scene.wait_shown(lambda each: each["current"], "a current file")["events"]


def test_a_signal_ends_the_agent_with_0_and_its_hooks_with_it(tmp_path):
    with host(tmp_path) as scene:
        scene.hook("10-slow", f"echo $$ > {tmp_path}/pid; exec sleep 600")
        scene.wait_ready()
        scene.event("Reboot")
        pid = int(wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "the hook"))
        assert scene.agent.terminate() == 0
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "its end")
        assert scene.agent.log[-1]["event"] == "agent.stopped"
