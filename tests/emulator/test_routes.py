"""Walking into the document; JSON and text."""

import json

import pytest

from agent.emulator.default_vm import default_vm
from agent.emulator.reading import merged
from agent.emulator.unconfirmed import Choices
from agent.emulator.versions import Service
from tests.emulator.asking import said

NODES = {
    "": "compute/\nnetwork/",
    "/network": "interface/",
    "/network/interface": "0/",
    "/network/interface/0": "ipv4/\nipv6/\nmacAddress",
    "/network/interface/0/ipv4/ipAddress/0": "privateIpAddress\npublicIpAddress",
    "/network/interface/0/ipv6/ipAddress": "",
    "/compute/tagsList": "0/\n1/\n2/",
    "/compute/plan": "name\nproduct\npublisher",
}
COMPUTE_2017 = "location name offer osType platformFaultDomain platformUpdateDomain publisher sku version vmId vmSize"


@pytest.mark.parametrize(("path", "listing"), NODES.items())
def test_a_node_as_text_lists_its_children_with_a_slash_behind_nodes(path, listing):
    response = said(f"/metadata/instance{path}?api-version=2019-06-04&format=text")
    assert (response.status, response.content_type, response.body.decode()) == (200, "text/plain", listing)


def test_the_listing_of_compute_has_the_names_of_that_version_only():
    response = said("/metadata/instance/compute?api-version=2017-04-02&format=text")
    assert response.body.decode().split("\n") == COMPUTE_2017.split()


@pytest.mark.parametrize("path", NODES)
@pytest.mark.parametrize("form", ["", "&format=json"])
def test_a_node_as_json_is_the_part_of_the_whole_document_without_a_wrapper(path, form):
    whole = json.loads(said("/metadata/instance?api-version=2019-06-04").body)
    for step in path.split("/")[1:]:
        whole = whole[int(step)] if isinstance(whole, list) else whole[step]
    response = said(f"/metadata/instance{path}?api-version=2019-06-04{form}")
    assert (response.status, response.content_type, json.loads(response.body)) == (200, "application/json", whole)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("compute/name", "aks-pool1-12345678-vmss_2"),
        ("compute/osProfile/computerName", "aks-pool1-12345678-vmss000002"),
        ("compute/zone", "1"),
        ("compute/platformFaultDomain", "0"),
        ("compute/platformUpdateDomain", "3"),
        ("compute/location", "westeurope"),
        ("compute/tags", "Department:IT;Environment:Test;Role:WebRole"),
        ("compute/tagsList/2/name", "Role"),
        ("network/interface/0/ipv4/ipAddress/0/publicIpAddress", ""),
        ("network/interface/0/macAddress", "000D3AF806EC"),
    ],
)
def test_a_leaf_as_text_is_the_bare_value_and_nothing_when_empty(path, text):
    response = said(f"/metadata/instance/{path}?api-version=2020-09-01&format=text")
    assert (response.status, response.body.decode()) == (200, text)


@pytest.mark.parametrize(
    "path", ["/metadata/instance/", "/metadata/instance/compute/", "/metadata/versions/", "/metadata/scheduledevents/"]
)
def test_one_trailing_slash_is_accepted(path):
    assert said(f"{path}?api-version=2017-08-01").status == 200


def test_a_step_may_be_percent_encoded():
    assert (
        said("/metadata/instance/%63ompute/name?api-version=2017-08-01&format=te%78t").body
        == b"aks-pool1-12345678-vmss_2"
    )


def test_values_that_are_not_ascii_go_out_as_utf_8():
    vm = merged(default_vm(), {"compute": {"tags": "Ort:Zürich"}})
    assert "Ort:Zürich".encode() in said("/metadata/instance?api-version=2017-08-01", vm=vm).body
    assert (
        said("/metadata/instance/compute/tags?api-version=2017-08-01&format=text", vm=vm).body == "Ort:Zürich".encode()
    )


@pytest.mark.parametrize(
    ("choice", "target", "attribute", "before", "after"),
    [
        ({"tags_list_as_text": "json"}, "/metadata/instance/compute/tagsList?api-version=2019-06-04&format=text", "body", b"0/\n1/\n2/",
         b'[{"name":"Department","value":"IT"},{"name":"Environment","value":"Test"},{"name":"Role","value":"WebRole"}]'),
        ({"text_final_newline": True}, "/metadata/instance?api-version=2017-08-01&format=text", "body", b"compute/\nnetwork/", b"compute/\nnetwork/\n"),
        ({"json_charset": True}, "/metadata/versions", "content_type", "application/json", "application/json; charset=utf-8"),
        ({"unknown_version_text": "old", "old_unknown_version_status": 404}, "/metadata/instance?api-version=1999-01-01", "status", 400, 404),
        ({"events_etag": True}, "/metadata/scheduledevents?api-version=2020-07-01", "headers", (), (("ETag", '"1"'),)),
    ],
)  # fmt: skip
def test_a_choice_changes_just_what_it_says(choice, target, attribute, before, after):
    assert getattr(said(target), attribute) == before
    assert getattr(said(target, service=Service(choices=Choices(**choice))), attribute) == after


def test_the_choices_about_the_header_can_be_switched():
    lenient = Service(choices=Choices(versions_needs_header=False, preview_events_need_header=True))
    assert said("/metadata/versions", headers={}, service=lenient).status == 200
    assert said("/metadata/scheduledevents?api-version=2017-03-01", headers={}, service=lenient).status == 400


def test_custom_data_can_be_shown_in_every_era():
    shown = Service(choices=Choices(custom_data="shown"))
    vm = merged(default_vm(), {"compute": {"customData": "Zm9v"}})
    assert (
        said("/metadata/instance/compute/customData?api-version=2025-04-07&format=text", vm=vm, service=shown).body
        == b"Zm9v"
    )


def test_an_etag_that_is_still_right_saves_the_body():
    service = Service(choices=Choices(events_etag=True))
    target = "/metadata/scheduledevents?api-version=2020-07-01"
    assert said(target, service=service, headers={"metadata": "true", "if-none-match": '"1"'}).status == 304
    assert said(target, service=service, headers={"metadata": "true", "if-none-match": '"0"'}).status == 200
