"""Tokens rotate and rights come and go: the agent lives through it, says it once, and goes on where it may."""

import pytest

from tests.addresses import free_address
from tests.controlplane.installed import BASE
from tests.promises.agents import cordoned, tended, wait_until

ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles/imds-agent"


def test_a_rotated_token_is_read_again_when_the_old_one_is_refused(plane):
    with tended(plane, probe_address=free_address()) as scene:
        scene.wait_labelled()
        kubeconfig = plane.agent_kubeconfig(scene.node.name)
        old = kubeconfig.with_suffix(".token").read_text()
        scene.agent.restart()
        scene.agent.wait_said("node.reconciled", times=2)
        plane.agents.end_pod(scene.node.name)  # with its pod the old token dies, once the API server's cache forgets it
        with plane.new_session(token=old) as session:
            wait_until(lambda: session.raw("GET", scene.node.path).status_code == 401, "the old token refused")
        plane.agent_kubeconfig(scene.node.name)  # kubelet writes the new one into the same file
        event = scene.event("Reboot")
        scene.wait_cordoned()
        scene.over(event)
        scene.wait_released()
        assert scene.metric('imds_agent_api_requests_total{.*code="401"') >= 1


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
