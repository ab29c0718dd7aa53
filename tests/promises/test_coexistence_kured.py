"""kured reboots nodes for the operating system: it annotates, cordons as kubectl does, drains, reboots and uncordons.

What it sends: kubereboot/kured cmd/kured/main.go, `rebootAsRequired` (the annotation only with --annotate-nodes). Its lock is an
annotation of its own DaemonSet, which is none of our business, and keeps whether the node was cordoned when it began: if so, by
us too, kured leaves it cordoned afterwards.
"""

from tests.promises.agents import EVENTS, annotations, cordoned, tended
from tests.promises.neighbours import Document, neighbour

IN_PROGRESS = "weave.works/kured-reboot-in-progress"
SINCE = "2026-11-26T19:00:00Z"


def note(key: str, value: str):
    def change(node: Document) -> None:
        node["metadata"].setdefault("annotations", {})[key] = value

    return change


def test_a_reboot_that_began_during_our_event_keeps_the_node_cordoned_after_it(plane):
    with tended(plane) as scene, neighbour(scene, "kured") as kured:
        event = scene.event("Redeploy")
        scene.wait_cordoned()
        kured.patch_whole(note(IN_PROGRESS, SINCE))
        assert "already cordoned" in plane.kubectl("cordon", scene.node.name)
        scene.over(event)
        assert "kured" in scene.agent.wait_said("node.release_waiting")["because"]
        assert cordoned(scene.get())  # it is about to reboot
        scene.agent.restart()
        scene.long_enough()
        found = scene.get()
        assert cordoned(found)
        assert annotations(found)[IN_PROGRESS] == SINCE
        kured.remove_annotation(IN_PROGRESS)  # it found the node cordoned, so it leaves it cordoned: we do not
        scene.wait_released()


def test_a_reboot_that_began_and_ended_during_our_event_leaves_the_cordon_to_us(plane):
    """kured found the node cordoned, by us, and so leaves it cordoned: if we did not give it back, nobody would."""
    with tended(plane) as scene, neighbour(scene, "kured") as kured:
        event = scene.event("Redeploy")
        scene.wait_cordoned()
        kured.patch_whole(note(IN_PROGRESS, SINCE))
        scene.node.set_ready(False)
        scene.node.reboot()
        scene.node.set_ready(True)
        kured.remove_annotation(IN_PROGRESS)
        scene.polled()
        assert cordoned(scene.get())
        scene.over(event)
        scene.wait_released()


def test_a_cordon_that_kured_made_before_our_event_is_kureds_to_take_back(plane):
    """Without --annotate-nodes, its default: the owner of the field is all there is to see."""
    with tended(plane) as scene, neighbour(scene, "kured") as kured:
        scene.wait_labelled()
        kured.update(lambda node: node["spec"].update(unschedulable=True))
        event = scene.event("Redeploy")
        scene.wait_cordoned()
        scene.over(event)
        assert cordoned(scene.wait_withdrawn())
        kured.update(lambda node: node["spec"].update(unschedulable=False))
        scene.polled(6)
        assert not cordoned(scene.get())


def test_an_uncordon_by_kured_during_our_event_is_respected_and_nothing_returns(plane):
    with tended(plane) as scene, neighbour(scene, "kured") as kured:
        scene.wait_labelled()
        kured.patch_whole(note(IN_PROGRESS, SINCE))
        kured.update(lambda node: node["spec"].update(unschedulable=True))
        event = scene.event("Redeploy")
        scene.wait_cordoned()
        kured.update(lambda node: node["spec"].update(unschedulable=False))
        kured.remove_annotation(IN_PROGRESS)
        scene.agent.wait_said("cordon.overridden")
        scene.polled(6)
        found = scene.get()
        assert not cordoned(found)
        assert '"overridden":true' in annotations(found)[EVENTS]
        scene.over(event)
        scene.wait_released()
