"""Somebody reads the node, and later puts that copy back as a whole: cordons neither get lost nor stay for ever."""

from tests.promises.agents import EVENTS, annotations, cordoned, owners, tended


def put_back(scene, copy, **metadata) -> dict:
    """PUT an old copy without its resourceVersion, as careless clients do; returns the node as this very request left it."""
    kept = {key: value for key, value in copy["metadata"].items() if key != "resourceVersion"}
    return scene.plane.admin.put(scene.node.path, {**copy, "metadata": {**kept, **metadata}}, fieldManager="careless")


def test_a_copy_from_before_our_cordon_put_back_during_the_event_is_cordoned_again(plane):
    with tended(plane) as scene:
        before = scene.wait_labelled()
        event = scene.event("Reboot")
        scene.wait_cordoned()
        put_back(scene, before)
        assert not cordoned(scene.get())
        scene.wait_cordoned()
        assert scene.agent.said("cordon.overridden") == []  # the mark went too: nobody's decision
        scene.over(event)
        scene.wait_released()


def test_a_copy_from_during_our_cordon_put_back_after_the_release_is_cleaned_again(plane):
    with tended(plane) as scene:
        event = scene.event("Reboot")
        during = scene.wait_cordoned()
        scene.over(event)
        scene.wait_released()
        put_back(scene, during)
        assert cordoned(scene.get())
        scene.wait_released()
        scene.agent.restart()  # the same for a process that never saw the event
        put_back(scene, during)
        scene.wait_released()


def test_a_cordon_whose_ownership_was_wiped_is_still_ours_and_given_back(plane):
    with tended(plane) as scene:
        event = scene.event("Reboot")
        # Not what a later look shows: any apply in between, of a label, say, gives the orphaned fields an owner's name.
        found = put_back(scene, scene.wait_cordoned(), managedFields=[])
        assert cordoned(found)
        assert owners(found, "f:spec", "f:unschedulable") == set()
        scene.imds.start_event(event)
        scene.wait_for(lambda node: '"started":true' in annotations(node)[EVENTS], "written to once more")
        assert "before-first-apply" in owners(scene.get(), "f:spec", "f:unschedulable")
        scene.over(event)
        scene.wait_released()
        again = scene.event("Reboot")
        scene.wait_cordoned()
        scene.over(again)
        scene.wait_released()


def test_wiped_ownership_does_not_cost_an_admin_his_cordon(plane):
    with tended(plane) as scene:
        scene.wait_labelled()
        plane.kubectl("cordon", scene.node.name)
        event = scene.event("Reboot")
        put_back(scene, scene.wait_cordoned(), managedFields=[])
        scene.over(event)
        assert cordoned(scene.wait_withdrawn())


def test_a_mark_that_was_taken_away_or_broken_strands_no_node(plane):
    for spoil in (f"{EVENTS}-", f"{EVENTS}=not json"):
        with tended(plane) as scene:
            event = scene.event("Reboot")
            scene.wait_cordoned()
            scene.agent.kill()
            plane.kubectl("annotate", "--overwrite", "node", scene.node.name, spoil)
            scene.over(event)
            scene.agent.start()
            scene.wait_released()
