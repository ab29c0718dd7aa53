import json
from pathlib import Path

import pytest

from agent.core.document import DocumentError
from agent.core.instance import AT_MOST_TAGS, Tag, is_complete, missing, read_instance

DOCUMENTS = Path(__file__).parent.parent / "documents" / "imds"
WHOLE = {"vmId": "5C08B38E", "name": "web_0", "location": "westeurope", "vmSize": "Standard_A3", "subscriptionId": "s"}


def document(name: str) -> bytes:
    return (DOCUMENTS / name).read_bytes()


def compute(version="2025-04-07", **fields):
    return read_instance(json.dumps({"compute": fields}), version)


def printed(name: str, version: str):
    """Read a sample that shows `compute` only."""
    return read_instance(b'{"compute":' + document(name) + b"}", version)


def test_a_whole_document_of_2019_is_read():
    instance = read_instance(document("instance-2019-03-11-full-prod.json"), "2019-03-11")
    assert is_complete(instance)
    assert (instance.vm_id, instance.name, instance.vm_size) == (
        "13f56399-bd52-4150-9748-7190aae1ff21",
        "negasonic",
        "Standard_A1_v2",
    )
    assert (instance.location, instance.zone, instance.placement.fault_domain) == ("centralus", "1", 0)
    assert (instance.plan.product, instance.image.sku, instance.provider) == ("lampstack", "5-6", "Microsoft.Compute")
    assert instance.tags == (Tag("Department", "IT"), Tag("Environment", "Prod"), Tag("Role", "WorkerRole"))
    assert (instance.tags_from, instance.priority, instance.custom_data) == ("tags", None, None)
    [interface] = instance.network
    assert (interface.mac_address, interface.ipv4[0].private, interface.subnets[0].prefix) == (
        "00:0d:3a:36:dd:ed",
        "10.1.2.5",
        24,
    )


def test_the_current_sample_is_read_with_its_misprinted_priority():
    instance = printed("instance-compute-2025-04-07-linux.json", "2025-04-07")
    assert instance.priority == "regular"
    assert (instance.placement.physical_zone, instance.placement.host_group) == ("useast-AZ01", "testHostGroupId")
    assert (instance.placement.extended_location, instance.placement.extended_location_type) == (
        "microsoftlosangeles",
        "edgeZone",
    )
    assert (instance.hibernation_enabled, instance.is_host_compatibility_layer_vm) == (False, True)
    assert (instance.security.secure_boot_enabled, instance.security.virtual_tpm_enabled) == (True, False)
    assert (instance.security.encryption_at_host, instance.security.security_type) == (True, "TrustedLaunch")
    assert instance.vm_scale_set_id is not None
    assert instance.vm_scale_set_id.endswith("/virtualMachineScaleSets/virtual-machine-scale-set-name")
    assert (instance.os_profile.computer_name, instance.os_profile.disable_password_authentication) == (
        "examplevmname",
        True,
    )


def test_the_disks_of_the_current_sample_are_read():
    storage = printed("instance-compute-2025-04-07-linux.json", "2025-04-07").storage
    [data] = storage.data_disks
    assert (data.lun, data.size_gb, data.capacity_bytes, data.is_ultra_disk, data.is_shared_disk) == (
        0,
        1024,
        274877906944,
        True,
        False,
    )
    assert (data.bytes_per_second_throttle, data.ops_per_second_throttle) == (979202048, 65280)
    assert (storage.os_disk.diff_disk_option, storage.os_disk.size_gb, storage.os_disk.os_type) == (
        "Local",
        30,
        "linux",
    )
    assert storage.os_disk.encryption.enabled is False
    assert storage.os_disk.encryption.secret_vault_id is not None
    assert storage.os_disk.encryption.key_url is not None
    assert (storage.image.offer, storage.image.exact_version) == ("UbuntuServer", "1.1686127202.30113")
    assert storage.resource_disk_size == "4096"


def test_ipv6_addresses_are_read_and_an_empty_one_is_none():
    body = b'{"network":' + document("instance-network-2025-04-07.json") + b"}"
    [interface] = read_instance(body, "2025-04-07").network
    assert interface.ipv6 == ("b4bc:8fce:f33b:4990:cced:d94e:ab4f:6ea0",)
    sent = {"interface": [{"ipv6": {"ipAddress": [{"privateIpAddress": ""}]}, "macAddress": "unusual"}, {}]}
    odd, bare = read_instance(json.dumps({"network": sent}), "2025-04-07").network
    assert (odd.ipv6, odd.mac_address, bare.mac_address) == ((), "unusual", None)


@pytest.mark.parametrize("path", sorted(DOCUMENTS.glob("instance-*full*.json")), ids=lambda path: path.name)
def test_every_whole_sample_is_complete(path):
    assert missing(read_instance(path.read_bytes(), "2020-09-01")) == ()


def test_any_key_of_a_document_may_be_absent():
    """A client must survive any key being absent: each is taken out in turn."""
    full = json.loads(document("instance-2020-09-01-full.json"))

    def without_one(node):
        for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            rest = (
                {k: v for k, v in node.items() if k != key} if isinstance(node, dict) else node[:key] + node[key + 1 :]
            )
            yield rest
            for smaller in without_one(node[key]):
                yield {**node, key: smaller} if isinstance(node, dict) else [*node[:key], smaller, *node[key + 1 :]]

    smaller = list(without_one(full))
    assert len(smaller) > 70
    assert len({read_instance(json.dumps(each), "2020-09-01") for each in smaller}) > 40


def test_an_answer_with_neither_compute_nor_network_is_no_instance():
    with pytest.raises(DocumentError, match=r"^\$: expected compute or network, found neither$"):
        read_instance('{"error":"x"}', "2025-04-07")


def test_a_value_of_the_wrong_type_is_named_with_its_path():
    with pytest.raises(DocumentError, match=r"^\$\.compute\.platformFaultDomain: expected a number, found 'x'$"):
        compute(platformFaultDomain="x")


@pytest.mark.parametrize("field", ["userData", "customData", "publicKeys"])
def test_secrets_are_neither_in_errors_nor_in_the_text_of_an_instance(field):
    with pytest.raises(DocumentError) as caught:
        compute(**{field: {"deep": "hunter2"}} if field != "publicKeys" else {field: [{"keyData": ["hunter2"]}]})
    assert "hunter2" not in str(caught.value)
    kept = compute(**{field: "hunter2"} if field != "publicKeys" else {field: [{"path": "p", "keyData": "hunter2"}]})
    assert "hunter2" not in repr(kept)
    assert "hunter2" in (kept.user_data, kept.custom_data, *(key.data for key in kept.public_keys))


@pytest.mark.parametrize("absent", list(WHOLE))
def test_an_answer_without_one_of_the_five_fields_is_not_complete(absent):
    instance = compute(**{**WHOLE, absent: ""})
    assert missing(instance) == (absent,)
    assert not is_complete(instance)


def test_versions_that_have_no_subscription_are_complete_without_it():
    old = {name: value for name, value in WHOLE.items() if name != "subscriptionId"}
    assert is_complete(compute("2017-04-02", **old))
    assert not is_complete(compute("2017-08-01", **old))


@pytest.mark.parametrize("sent", ["CentralUS", "Central US", "centralus"])
def test_the_location_is_in_lower_case_without_blanks(sent):
    assert compute(location=sent).location == "centralus"


def test_the_vm_id_is_in_lower_case():
    assert compute(vmId="5C08B38E-4D57").vm_id == "5c08b38e-4d57"


@pytest.mark.parametrize(
    ("sent", "cloud"),
    [
        ("AZUREPUBLICCLOUD", "AzurePublicCloud"),
        ("azureusgovernmentcloud", "AzureUSGovernmentCloud"),
        ("SomeStack", "SomeStack"),
        ("", None),
    ],
)
def test_a_cloud_has_one_name_in_whatever_case_it_comes_and_keeps_the_text(sent, cloud):
    instance = compute(azEnvironment=sent)
    assert (instance.cloud, instance.az_environment) == (cloud, sent or None)


@pytest.mark.parametrize(
    ("fields", "version", "priority"),
    [
        ({"priority": "Spot"}, "2025-04-07", "spot"),
        ({"priority": "Low"}, "2025-04-07", "spot"),
        ({"priority": "Regular"}, "2025-04-07", "regular"),
        ({"priority": ""}, "2020-12-01", "regular"),
        ({"priority": ""}, "2020-10-01", None),
        ({"priority": "Golden"}, "2025-04-07", None),
        ({}, "2025-04-07", None),
    ],
)
def test_an_empty_priority_is_regular_where_the_version_has_it(fields, version, priority):
    assert compute(version, **fields).priority == priority


def test_extended_answers_say_whether_there_is_custom_data():
    body = '{"compute":{},"extended":{"compute":{"hasCustomData":false,"ppsType":"None"}}}'
    instance = read_instance(body, "2021-08-01")
    assert (instance.has_custom_data, instance.pps_type) == (False, "None")


def test_tags_come_from_the_list_by_name():
    listed = [{"name": "b", "value": "2"}, {"name": "A", "value": ""}, {"name": "c"}, {"name": "", "value": "lost"}]
    instance = compute(tagsList=listed, tags="x:y")
    assert instance.tags == (Tag("A", ""), Tag("b", "2"), Tag("c", ""))
    assert instance.tags_from == "tagsList"


def test_of_two_names_that_differ_in_case_the_last_wins():
    listed = [{"name": "Env", "value": "1"}, {"name": "env", "value": "2"}]
    assert compute(tagsList=listed).tags == (Tag("env", "2"),)


@pytest.mark.parametrize("fields", [{"tagsList": []}, {}])
def test_without_a_list_the_tags_are_split_at_semicolons_and_first_colons(fields):
    instance = compute(tags="Role:Web;aks-managed-orchestrator:Kubernetes:1.29.2;Empty:", **fields)
    assert instance.tags == (Tag("aks-managed-orchestrator", "Kubernetes:1.29.2"), Tag("Empty", ""), Tag("Role", "Web"))
    assert instance.tags_from == "tags"


def test_a_piece_of_the_tags_without_colon_belongs_to_the_value_before_it():
    assert compute(tags="a:1;2;b:3").tags == (Tag("a", "1;2"), Tag("b", "3"))


@pytest.mark.parametrize(("joined", "tags"), [("lonely", (Tag("lonely", ""),)), (":x", ()), (";a:1", (Tag("a", "1"),))])
def test_odd_tags_are_still_read(joined, tags):
    assert compute(tags=joined).tags == tags


def test_no_tags_come_from_nowhere():
    instance = compute(tags="", tagsList=[])
    assert (instance.tags, instance.tags_from) == ((), None)


def test_of_more_tags_than_a_vm_can_have_the_first_ones_are_read():
    tags = [{"name": f"t{number:05}", "value": ""} for number in range(AT_MOST_TAGS + 1)]
    for found in (compute(tagsList=tags), compute(tags=";".join(f"{tag['name']}:" for tag in tags))):
        assert [tag.name for tag in found.tags] == [tag["name"] for tag in tags[:-1]]
