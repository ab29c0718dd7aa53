"""Kinds of VMs: each is whole, each differs where its name says, and what provisioning agents ask for besides."""

import argparse
import json
import subprocess
import sys

import pytest

from agent.core.instance import is_complete, read_instance
from agent.emulator import Emulator, command
from agent.emulator.profiles import PROFILES, document_of
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
    command = [sys.executable, "-m", "agent.emulator"]
    listed = subprocess.run([*command, "--list-profiles", "-o", "json"], capture_output=True, check=True)
    assert list(json.loads(listed.stdout)) == list(PROFILES)
    refused = subprocess.run([*command, "--profile=x"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith("emulate: --profile: expected one of")


def test_help_names_every_kind():
    assert command.KINDS.replace(" or ", ", ").split(", ") == list(PROFILES)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert command.KINDS in " ".join(parser.format_help().split())


def texts(value):
    """Return every string in a document."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value
    return [text for each in inner for text in texts(each)]


@pytest.mark.parametrize("name", PROFILES)
def test_a_kind_does_not_contradict_itself(name):
    """Its ids, its disk, its image and its group are of the same VM: clients compare them."""
    profile = PROFILES[name]
    vm = document_of(profile, profile.cloud or "public")["compute"]
    own = f"/subscriptions/{vm['subscriptionId']}/resourceGroups/{vm['resourceGroupName']}/"
    ids = [text for text in texts(vm) if text.startswith("/subscriptions/") and "/galleries/" not in text]
    assert all(each.startswith(own) for each in ids), ids
    assert vm["resourceGroupName"] == "examplerg" or vm["resourceGroupName"].endswith(f"_{vm['location']}")
    disks = [each for each in texts(vm) if "OsDisk" in each]
    assert all(each.rpartition("/")[2] == f"{vm['name']}_OsDisk_1" for each in disks), disks
    image = vm.get("storageProfile", {}).get("imageReference", {})
    assert image.get("publisher", vm.get("publisher")) == vm.get("publisher")
    assert not ("publisher" in image and "id" in image)
    if vm["physicalZone"]:
        assert vm["zone"]
        assert vm["physicalZone"].startswith(vm["location"])


def test_a_fleet_is_of_the_kind_that_is_asked_for():
    fleet = [
        {"address": "127.0.4.1", "instance": {"compute": {"name": "one"}}},
        {"address": "127.0.4.2", "instance": {"compute": {"name": "two", "zone": "3"}}},
    ]
    with Emulator(profile="single-vm", fleet=fleet, rate_limit=None) as imds:
        found = [ask(f"{url}/metadata/instance?api-version={NEWEST}").json["compute"] for url in imds.urls.values()]
        assert [(each["name"], each["zone"], each["publisher"]) for each in found] == [
            ("one", "2", "Canonical"),
            ("two", "3", "Canonical"),
        ]
        for url in imds.urls.values():
            assert ask(f"{url}/metadata/loadbalancer?api-version=2020-10-01").status == 200
    with Emulator(profile="old-2017", fleet=fleet) as imds:
        assert imds.world.service.era == "2019"


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


def test_speed_hastens_the_switch_for_events_too():
    clock = [1_800_000_000.0]
    choices = Choices(first_events_seconds=0.6, events_flow_seconds=300)
    with Emulator(rate_limit=None, clock=lambda: clock[0], choices=choices, speed=60) as imds:
        url = f"{imds.url}/metadata/scheduledevents?api-version=2020-07-01"
        imds.add_event(EventType="Reboot", NotBeforeSeconds=500_000)
        counts = []
        for passed in (0, 4.9, 0.2, 1_439, 1_441, 5.1):  # 300 s are 5, a day is 1,440
            clock[0] += passed
            counts.append(len(ask(url).json["Events"]))
        assert counts == [0, 0, 1, 1, 0, 1]
        assert imds.world.service.choices.first_events_seconds == 0.01


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
