"""What Azure's documentation prints, put in as a VM and asked for again."""

import json

import pytest

from agent.emulator.shape import checked_instance, compact
from agent.emulator.versions import Service
from tests.emulator.asking import document, said


def leaves(element, path=()):
    if isinstance(element, dict):
        return {leaf: value for key, each in element.items() for leaf, value in leaves(each, (*path, key)).items()}
    if isinstance(element, list):
        return {leaf: value for i, each in enumerate(element) for leaf, value in leaves(each, (*path, str(i))).items()}
    return {path: element}


@pytest.mark.parametrize("name", ["instance-2019-03-11-full-prod.json", "instance-2019-03-11-full-test.json"])
def test_the_documents_of_2019_come_back_to_the_byte(name):
    vm = checked_instance(document(name))
    response = said("/metadata/instance?api-version=2019-03-11", vm=vm, service=Service(era="2019"))
    assert response.body == compact(document(name))


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("instance-compute-2020-09-01-linux.json", "2020-09-01"),
        ("instance-compute-2020-09-01-windows.json", "2020-09-01"),
        ("instance-compute-2025-04-07-linux.json", "2025-04-07"),
    ],
)
def test_a_printed_compute_document_comes_back_with_its_values_and_the_rest_empty(name, version):
    compute = document(name)
    if "Priority" in compute:  # the page's misprint
        compute["priority"] = compute.pop("Priority")
    vm = checked_instance({"compute": compute})
    shown = leaves(json.loads(said(f"/metadata/instance/compute?api-version={version}", vm=vm).body))
    printed = leaves(compute)
    if version == "2020-09-01":  # printed there, though documented as a field of 2020-10-01
        del printed["osProfile", "disablePasswordAuthentication"]
    assert {path: shown.get(path) for path in printed} == printed
    assert {value for path, value in shown.items() if path not in printed} <= {""}


def test_the_full_document_of_2020_comes_back_with_its_values():
    given = document("instance-2020-09-01-full.json")
    shown = leaves(json.loads(said("/metadata/instance?api-version=2020-10-01", vm=checked_instance(given)).body))
    assert {path: shown.get(path) for path in leaves(given)} == leaves(given)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("instance-network-2017-08-01.json", "2017-08-01"),
        ("instance-network-2025-04-07.json", "2025-04-07"),
        ("instance-network-route-parameters-example.json", "2017-08-01"),
    ],
)
def test_a_printed_network_document_comes_back_to_the_byte(name, version):
    vm = checked_instance({"network": document(name)})
    assert said(f"/metadata/instance/network?api-version={version}", vm=vm).body == compact(document(name))


def test_the_first_interface_is_the_array_element_itself():
    vm = checked_instance({"network": document("instance-network-route-parameters-example.json")})
    response = said("/metadata/instance/network/interface/0?api-version=2017-08-01", vm=vm)
    assert json.loads(response.body) == document("instance-network-interface-0.json")


@pytest.mark.parametrize("page", ["2019", "2021"])
def test_a_printed_list_of_tags_comes_back_to_the_byte(page):
    tags = document(f"instance-compute-tagsList-2019-06-04-page-of-{page}.json")
    vm = checked_instance({"compute": {"tagsList": tags}})
    assert said("/metadata/instance/compute/tagsList?api-version=2019-06-04", vm=vm).body == compact(tags)


@pytest.mark.parametrize(
    "sample", [each for each in document("text-leaf-values.json") if each["body"]], ids=lambda each: each["request"]
)
def test_a_printed_leaf_is_the_bare_value(sample):
    name = sample["request"].split("?")[0].rsplit("/", 1)[1]
    vm = checked_instance({"compute": {name: sample["body"]}})
    response = said(sample["request"], vm=vm, service=Service(era="2019" if name == "customData" else "2025"))
    assert (response.status, response.content_type, response.body) == (200, "text/plain", sample["body"].encode())
