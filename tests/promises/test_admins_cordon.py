"""Weaknesses 9, 10 and 12 of peers: they take over, and take back, a cordon that somebody else made."""

from tests.promises.agents import EVENTS, annotations, cordoned, owners, tended


def test_a_cordon_that_an_admin_made_before_ours_survives_event_cancelling_and_restart(plane):
    with tended(plane) as scene:
        scene.wait_labelled()
        plane.kubectl("cordon", scene.node.name)
        for kind, started in (("Reboot", True), ("Preempt", False)):  # one runs its course, one is cancelled
            event = scene.event(kind)
            scene.wait_cordoned()
            if started:
                scene.imds.start_event(event)
                scene.agent.restart()
                scene.polled()
            scene.over(event)
            assert cordoned(scene.wait_withdrawn())
        assert not any(manager.startswith("imds-agent") for manager in owners(scene.get(), "f:spec", "f:unschedulable"))
        plane.kubectl("uncordon", scene.node.name)
        scene.polled()
        assert not cordoned(scene.get())


def test_an_event_of_no_consequence_leaves_an_admins_cordon_alone(plane):
    with tended(plane) as scene:
        scene.wait_labelled()
        plane.kubectl("cordon", scene.node.name)
        event = scene.event("Freeze", DurationInSeconds=5)
        scene.wait_for(lambda node: EVENTS in annotations(node), "told")
        scene.over(event)
        assert cordoned(scene.wait_withdrawn())


def test_an_idle_agent_never_touches_an_admins_cordon(plane):
    with tended(plane) as scene:
        scene.wait_labelled()
        plane.kubectl("cordon", scene.node.name)
        version = scene.get()["metadata"]["resourceVersion"]
        scene.agent.restart()
        scene.polled(6)
        assert scene.get()["metadata"]["resourceVersion"] == version


def test_an_admin_who_takes_his_cordon_back_during_our_event_overrides_and_nothing_returns(plane):
    with tended(plane) as scene:
        scene.wait_labelled()
        plane.kubectl("cordon", scene.node.name)
        event = scene.event("Redeploy")
        scene.wait_cordoned()
        plane.kubectl("uncordon", scene.node.name)
        scene.agent.wait_said("cordon.overridden")
        scene.over(event)
        scene.wait_released()
