"""Tokens rotate and rights come and go: the agent lives through it, says it once, and goes on where it may."""

import pytest

from tests.controlplane.installed import BASE
from tests.promises.agents import cordoned, tended

ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles/imds-agent"


def test_a_rotated_token_is_read_again_when_the_old_one_is_refused(plane):
    with tended(plane) as scene:
        scene.wait_labelled()
        plane.agents.end_pod(scene.node.name)  # with its pod the old token dies
        plane.agent_kubeconfig(scene.node.name)  # kubelet writes the new one into the same file
        event = scene.event("Reboot")
        scene.wait_cordoned()
        scene.over(event)
        scene.wait_released()


@pytest.mark.parametrize("event", [True, False], ids=["event", "labels only"])
@pytest.mark.parametrize("verbs", [[], ["get"]], ids=["no rights", "get only"])
def test_missing_rights_are_said_once_as_an_error_and_all_is_done_when_they_are_back(own_plane, verbs, event):
    role = own_plane.admin.get(ROLES)
    with tended(own_plane, start=False) as scene:
        if verbs:
            rules = [{"apiGroups": [""], "resources": ["nodes"], "verbs": verbs}]
            own_plane.admin.patch(ROLES, {"rules": rules})
        else:
            own_plane.admin.delete(ROLES)
        try:
            scene.agent.start()
            if event:
                scene.event("Preempt")
            refused = scene.agent.wait_said("node.refused")
            assert refused["level"] == "error"
            assert "nodes" in refused["error"]
            scene.polled(4)
            assert len(scene.agent.said("node.refused")) == 1
            assert scene.agent.running
            assert not cordoned(scene.get())
        finally:
            if verbs:
                own_plane.admin.patch(ROLES, {"rules": role["rules"]})
            else:
                own_plane.kubectl("apply", "-k", str(BASE))
        if event:
            scene.wait_cordoned()
        scene.wait_labelled()
        scene.agent.wait_said("cluster.recovered")
        assert scene.agent.said("labels.refused") == []  # a missing right is no policy, for which labels would rest
