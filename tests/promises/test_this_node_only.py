"""The uid goes into every apply: a node that is gone is not created, one that was recreated is a new one."""

from tests.promises.agents import EVENTS, INSTANCE, annotations, cordoned, labels, tended, wait_until


def test_a_deleted_node_is_not_created_and_a_recreated_one_is_labelled_and_cordoned_again(plane):
    with tended(plane) as scene:
        scene.wait_labelled()
        event = scene.event("Reboot")
        scene.wait_cordoned()
        uid = scene.node.uid
        scene.node.delete()
        scene.agent.wait_said("node.missing")
        scene.polled()
        assert plane.admin.raw("GET", scene.node.path).status_code == 404
        assert len(scene.agent.said("node.missing")) == 1
        scene.node.register()
        assert scene.node.uid != uid
        found = scene.wait_cordoned()
        assert INSTANCE in annotations(scene.wait_labelled())
        assert found["metadata"]["uid"] == scene.node.uid
        scene.over(event)
        scene.wait_released()


def test_a_node_recreated_between_two_looks_is_written_to_as_a_new_one(plane):
    with tended(plane, node_interval="1h") as scene:
        scene.wait_labelled()
        scene.polled()
        scene.node.recreate()
        event = scene.event("Redeploy")
        found = scene.wait_cordoned()
        assert found["metadata"]["uid"] == scene.node.uid
        assert labels(scene.wait_labelled())["vm.imds-agent.github.io/size"] == "Standard_D4s_v3"
        scene.over(event)
        scene.wait_released()


def test_an_agent_that_is_there_before_its_node_waits_for_it(plane):
    with tended(plane, start=False) as scene:
        scene.node.delete()
        scene.agent.start()
        scene.event("Preempt")
        scene.agent.wait_said("node.missing")
        assert plane.admin.raw("GET", scene.node.path).status_code == 404
        scene.node.register()
        scene.wait_cordoned()
        wait_until(lambda: scene.agent.said("cluster.recovered"), "said that it is there", scene.agent.tail)
        assert EVENTS in annotations(scene.get())
        assert cordoned(scene.get())
