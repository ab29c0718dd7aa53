"""A policy that refuses the cordon, or a label, costs that alone: labels and events have managers of their own."""

from tests.controlplane.session import MERGE
from tests.promises.agents import DOMAIN, EVENTS, annotations, cordoned, labels, tended, wait_until
from tests.promises.policies import policy


def test_a_refused_cordon_is_said_as_an_error_tried_again_and_costs_no_labels(own_plane):
    rule = {"expression": "!object.spec.?unschedulable.orValue(false)", "message": "nobody cordons here"}
    with tended(own_plane) as scene:
        scene.wait_labelled()
        scene.asked("/metadata/instance", 4)
        with policy(own_plane, validations=[rule]):
            wait_until(lambda: refused(scene), "the policy bites")
            scene.event("Reboot")
            assert scene.agent.wait_said("node.refused")["level"] == "error"
            assert "nobody cordons here" in scene.agent.said("node.refused")[0]["error"]
            scene.imds.patch_instance({"compute": {"vmSize": "Standard_D8s_v3"}})
            size = f"vm.{DOMAIN}/size"
            scene.wait_for(lambda node: labels(node)[size] == "Standard_D8s_v3", "labels go on")
            found = scene.get()
            assert not cordoned(found)
            assert EVENTS not in annotations(found)
            assert len(scene.agent.said("node.refused")) == 1
            assert len(scene.agent.said("node.cordon_wanted")) == 1
        scene.wait_cordoned()


def refused(scene) -> bool:
    token = scene.plane.agent_token(scene.node.name)
    with scene.plane.new_session(token=token) as session:
        body = {"spec": {"unschedulable": True}}
        return (
            "nobody cordons here" in session.raw("PATCH", scene.node.path, body, content_type=MERGE, dryRun="All").text
        )
