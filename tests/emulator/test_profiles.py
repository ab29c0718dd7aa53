"""Kinds of VMs: each is whole, each differs where its name says, and what provisioning agents ask for besides."""

import json
import subprocess
import sys

import pytest

from agent.core.instance import is_complete, read_instance
from agent.emulator import Emulator
from agent.emulator.profiles import PROFILES
from agent.emulator.reading import InputError
from agent.emulator.unconfirmed import Choices
from agent.emulator.versions import instance_versions
from tests.emulator.asking import ask, said

NEWEST = "2025-04-07"


def compute(imds, version=NEWEST):
    return ask(f"{imds.url}/metadata/instance?api-version={version}").json["compute"]


@pytest.mark.parametrize("name", PROFILES)
def test_each_kind_is_a_whole_vm_that_our_own_reader_understands(name):
    with Emulator(profile=name, rate_limit=None) as imds:
        versions = instance_versions(imds.world.service)
        body = ask(f"{imds.url}/metadata/instance?api-version={versions[-1]}").body
        found = read_instance(body, versions[-1])
        assert is_complete(found)
        assert found.vm_id


def test_each_kind_differs_where_its_name_says():
    def told(name, version=NEWEST):
        with Emulator(profile=name, rate_limit=None) as imds:
            return compute(imds, version)

    assert told("vmss-uniform")["virtualMachineScaleSet"]["id"] == ""
    flex = told("vmss-flex")
    assert flex["virtualMachineScaleSet"]["id"].endswith(f"/virtualMachineScaleSets/{flex['vmScaleSetName']}")
    assert told("single-vm")["vmScaleSetName"] == ""
    assert told("spot")["priority"] == "Spot"
    assert (told("no-zones")["zone"], told("no-zones")["platformFaultDomain"]) == ("", "2")
    assert told("china")["azEnvironment"] == "AzureChinaCloud"
    assert told("usgov")["azEnvironment"] == "AzureUSGovernmentCloud"
    assert told("old-2017", "2019-06-04")["location"] == "CentralUS"
    with Emulator(profile="multi-nic", rate_limit=None) as imds:
        document = ask(f"{imds.url}/metadata/instance?api-version={NEWEST}").json
        assert len(document["network"]["interface"]) == 3
    with Emulator(profile="single-vm", rate_limit=None) as imds:
        found = ask(f"{imds.url}/metadata/loadbalancer?api-version=2020-10-01").json["loadbalancer"]
        assert found["publicIpAddresses"][0]["privateIpAddress"] == "10.224.0.6"
    with Emulator(profile="old-2017", rate_limit=None) as imds:
        assert ask(f"{imds.url}/metadata/instance?api-version={NEWEST}").status == 400
        assert ask(f"{imds.url}/metadata/versions").status == 404


def test_a_wrong_profile_is_refused_and_all_are_listed():
    with pytest.raises(InputError, match=r"profile: expected one of vmss-uniform, .*, found 'x'"):
        Emulator(profile="x")
    with pytest.raises(InputError, match="found more than one"):
        Emulator(profile="spot", instance={})
    command = [sys.executable, "-m", "agent.emulator"]
    listed = subprocess.run([*command, "--list-profiles", "-o", "json"], capture_output=True, check=True)
    assert list(json.loads(listed.stdout)) == list(PROFILES)
    refused = subprocess.run([*command, "--profile=x"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith("emulate: --profile: expected one of")


def test_extended_adds_a_third_part_in_its_version_alone():
    found = json.loads(said("/metadata/instance?api-version=2021-08-01&extended=true").body)
    assert found["extended"] == {"compute": {"hasCustomData": False, "ppsType": "None"}}
    assert list(found) == ["compute", "network", "extended"]
    for query in (
        "api-version=2021-08-01",
        "api-version=2021-08-01&extended=false",
        f"api-version={NEWEST}&extended=true",
    ):
        assert list(json.loads(said(f"/metadata/instance?{query}").body)) == ["compute", "network"]
    vm = {"compute": {"customData": "Zm9v"}, "network": {}}
    assert json.loads(said("/metadata/instance?api-version=2021-08-01&extended=true", vm=vm).body)["extended"][
        "compute"
    ]["hasCustomData"]


def test_extended_fails_where_the_answer_would_be_partial():
    with Emulator(rate_limit=None) as imds:
        imds.put_faults([{"kind": "partial"}])
        assert ask(f"{imds.url}/metadata/instance?api-version=2021-08-01").json["compute"]["zone"] == ""
        assert ask(f"{imds.url}/metadata/instance?api-version=2021-08-01&extended=true").status == 500


def test_events_are_switched_on_by_the_first_request_flow_later_and_go_off_after_a_day():
    clock = [1_800_000_000.0]
    choices = Choices(first_events_seconds=0.01, events_flow_seconds=300)
    with Emulator(rate_limit=None, clock=lambda: clock[0], choices=choices) as imds:
        url = f"{imds.url}/metadata/scheduledevents?api-version=2020-07-01"
        imds.add_event(EventType="Reboot", NotBeforeSeconds=500_000)
        assert ask(url).json["Events"] == []
        clock[0] += 299
        assert ask(url).json["Events"] == []
        clock[0] += 2
        assert len(ask(url).json["Events"]) == 1
        clock[0] += 86_399
        assert len(ask(url).json["Events"]) == 1
        clock[0] += 86_400
        assert ask(url).json["Events"] == []
        clock[0] += 301
        assert len(ask(url).json["Events"]) == 1
