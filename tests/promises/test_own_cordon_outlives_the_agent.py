"""Weaknesses 2, 8 and 10 of peers: after a restart their own cordon is a stranger's, and stays for ever."""

import signal

import pytest

from tests.promises.agents import cordoned, tended


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_a_cordon_of_a_former_process_is_given_back_when_the_event_is_over(plane, end):
    with tended(plane) as scene:
        event = scene.event("Reboot")
        scene.wait_cordoned()
        scene.agent.send(end)
        assert cordoned(scene.get())
        scene.over(event)  # nobody watches
        scene.agent.start()
        scene.wait_released()


def test_an_event_that_lasts_keeps_the_node_cordoned_over_a_restart_and_ends_normally(plane):
    with tended(plane) as scene:
        scene.wait_labelled()
        event = scene.event("Redeploy")
        version = scene.wait_cordoned()["metadata"]["resourceVersion"]
        scene.agent.wait_said("node.cordoned")
        said = len(scene.agent.said("node.reconciled"))
        scene.agent.restart()
        scene.agent.wait_said("node.reconciled", times=said + 1)
        scene.long_enough()
        assert scene.get()["metadata"]["resourceVersion"] == version
        scene.over(event)
        scene.wait_released()


def test_a_service_that_shows_its_events_late_after_a_restart_loses_no_cordon(plane):
    """The first answers after a restart may lack the event: the service may need five minutes to show it again."""
    with tended(plane, release_after="0s", release_after_restart="10s") as scene:
        event = scene.event("Reboot")
        scene.wait_cordoned()
        scene.agent.kill()
        scene.over(event)
        scene.agent.start()
        scene.polled(4)
        assert cordoned(scene.get())
        again = scene.event("Reboot", EventId=event)
        scene.polled(10)
        assert cordoned(scene.get())
        scene.over(again)
        scene.wait_released()


def test_events_switched_off_still_gives_back_what_an_earlier_run_cordoned(plane):
    with tended(plane) as scene:
        event = scene.event("Reboot")
        scene.wait_cordoned()
        scene.agent.kill()
        scene.agent.options.append("--events=off")
        scene.agent.start()
        scene.polled()
        assert cordoned(scene.get())
        scene.over(event)
        scene.wait_released()
