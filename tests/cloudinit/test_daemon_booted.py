"""The daemon's units under real systemd: their bounds leave agent and hooks all that they need, and little else."""

import json
from pathlib import Path

import pytest

from agent.emulator import Emulator
from tests.cloudinit.booted import booted
from tests.controlplane.kubeconfig import write_kubeconfig
from tests.promises.agents import DOMAIN, cordoned, labels, node_of

pytestmark = pytest.mark.slow

QUIET = "IMDS_AGENT_PROBE_ADDRESS=off\nIMDS_AGENT_RELEASE_AFTER=2s\nIMDS_AGENT_CONFIRM_INTERVAL=500ms\n"
HOOK = """#!/bin/sh
[ "$IMDS_EVENT_PHASE" = scheduled ] || exit 0
touch /etc/imds-agent/hook && exit 1
{ runuser -u nobody -- id -un; systemctl is-active imds-agent-host.service; grep NoNewPrivs /proc/self/status; } > /run/hook
"""


def test_without_kubernetes_hooks_may_speak_to_services_and_become_others_and_write_no_settings(tmp_path):
    with Emulator() as imds:
        etc = {
            "imds-agent/agent.env": f"{QUIET}IMDS_AGENT_IMDS_URL={imds.url}\n",
            "imds-agent/events.d/10-try": HOOK,
        }
        with booted(tmp_path, etc) as vm:
            vm.run("systemctl", "start", "imds-agent-host.service")
            event_id = imds.add_event(EventType="Reboot")["EventId"]

            def shown():
                events = json.loads(vm.read("/run/imds-agent/events.json") or '{"events":[]}')["events"]
                return events and events[0]["hooks"].get("scheduled", {}).get("10-try") in ("done", "failed") and events

            [event] = vm.wait(shown, "the hook's end")
            assert (event["id"], event["hooks"]) == (event_id, {"scheduled": {"10-try": "done"}})
            assert vm.read("/run/hook").split() == ["nobody", "active", "NoNewPrivs:", "1"]
            assert vm.run("stat", "-c", "%a %U", "/run/imds-agent/events.json", "/var/lib/imds-agent/events.json") == (
                "644 root\n600 root\n"
            )
            vm.run("systemctl", "stop", "imds-agent-host.service")
            assert vm.run("systemctl", "show", "-p", "Result", "imds-agent-host.service") == "Result=success\n"
            assert json.loads(vm.read("/run/imds-agent/events.json"))["events"]  # kept, as its neighbours are


def test_with_kubelets_credentials_a_node_is_labelled_cordoned_and_given_back(plane, tmp_path):
    with Emulator() as imds, node_of(plane) as node:
        kube = Path("/opt/kube")  # /tmp is the service's own
        user = {"client-certificate": str(kube / "kubelet.crt"), "client-key": str(kube / "kubelet.key")}
        config = write_kubeconfig(tmp_path / "config", plane.url, kube / "ca.crt", user)
        opt = {
            "kube/ca.crt": Path(plane.ca_file).read_bytes(),
            "kube/kubelet.crt": node.identity.certificate.read_bytes(),
            "kube/kubelet.key": node.identity.key.read_bytes(),
            "kube/config": config.read_bytes(),
        }
        settings = (
            f"{QUIET}IMDS_AGENT_IMDS_URL={imds.url}\nNODE_NAME={node.name}\nIMDS_AGENT_KUBECONFIG={kube}/config\n"
        )
        with booted(tmp_path / "vm", {"imds-agent/agent.env": settings}, opt) as vm:
            vm.run("systemctl", "start", "imds-agent.service")
            vm.wait(lambda: f"topology.{DOMAIN}/rack" in labels(node.get()), "labels")
            event_id = imds.add_event(EventType="Reboot")["EventId"]
            vm.wait(lambda: cordoned(node.get()), "a cordon")
            imds.remove_event(event_id)
            vm.wait(lambda: not cordoned(node.get()), "its end")
            vm.run("systemctl", "stop", "imds-agent.service")
            assert vm.run("systemctl", "show", "-p", "Result", "imds-agent.service") == "Result=success\n"
