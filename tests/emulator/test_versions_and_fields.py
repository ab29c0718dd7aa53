"""Each version's list of fields, typed from the table in Azure's documentation and not from the code."""

import json

import pytest

from agent.emulator.default_vm import default_vm
from agent.emulator.reading import merged
from agent.emulator.versions import Service
from tests.emulator.asking import document, said

ALL = document("versions-2025.json")["apiVersions"]

NETWORK = """
network.interface[].ipv4.ipAddress[].privateIpAddress network.interface[].ipv4.ipAddress[].publicIpAddress
network.interface[].ipv4.subnet[].address network.interface[].ipv4.subnet[].prefix
network.interface[].ipv6.ipAddress[].privateIpAddress network.interface[].macAddress
"""

ADDED_TO_COMPUTE = {
    "2017-03-01": """location name offer osType platformFaultDomain platformUpdateDomain publisher sku version vmId
        vmSize""",
    "2017-08-01": "placementGroupId resourceGroupName subscriptionId tags",
    "2017-12-01": "vmScaleSetName zone",
    "2018-04-02": "plan.name plan.product plan.publisher publicKeys[].keyData publicKeys[].path",
    "2018-10-01": "azEnvironment provider",
    "2019-02-01": "customData",
    "2019-03-11": "resourceId",
    "2019-06-01": """
        storageProfile.dataDisks[].caching storageProfile.dataDisks[].createOption
        storageProfile.dataDisks[].diskSizeGB storageProfile.dataDisks[].image.uri storageProfile.dataDisks[].lun
        storageProfile.dataDisks[].managedDisk.id storageProfile.dataDisks[].managedDisk.storageAccountType
        storageProfile.dataDisks[].name storageProfile.dataDisks[].vhd.uri
        storageProfile.dataDisks[].writeAcceleratorEnabled
        storageProfile.imageReference.id storageProfile.imageReference.offer storageProfile.imageReference.publisher
        storageProfile.imageReference.sku storageProfile.imageReference.version
        storageProfile.osDisk.caching storageProfile.osDisk.createOption storageProfile.osDisk.diffDiskSettings.option
        storageProfile.osDisk.diskSizeGB storageProfile.osDisk.encryptionSettings.enabled
        storageProfile.osDisk.image.uri storageProfile.osDisk.managedDisk.id
        storageProfile.osDisk.managedDisk.storageAccountType storageProfile.osDisk.name storageProfile.osDisk.osType
        storageProfile.osDisk.vhd.uri storageProfile.osDisk.writeAcceleratorEnabled""",
    "2019-06-04": "tagsList[].name tagsList[].value",
    "2020-06-01": "isHostCompatibilityLayerVm securityProfile.secureBootEnabled securityProfile.virtualTpmEnabled",
    "2020-07-15": "osProfile.adminUsername osProfile.computerName",
    "2020-09-01": "licenseType",
    "2020-10-01": "osProfile.disablePasswordAuthentication",
    "2020-12-01": "evictionPolicy priority",
    "2021-01-01": "userData",
    "2021-02-01": "storageProfile.resourceDisk.size",
    "2021-03-01": "extendedLocation.name extendedLocation.type virtualMachineScaleSet.id",
    "2021-05-01": """
        storageProfile.dataDisks[].bytesPerSecondThrottle storageProfile.dataDisks[].diskCapacityBytes
        storageProfile.dataDisks[].isSharedDisk storageProfile.dataDisks[].isUltraDisk
        storageProfile.dataDisks[].opsPerSecondThrottle""",
    "2021-10-01": "platformSubFaultDomain",
    "2021-11-01": """additionalCapabilities.hibernationEnabled securityProfile.encryptionAtHost
        storageProfile.osDisk.encryptionSettings.diskEncryptionKey.secretUrl
        storageProfile.osDisk.encryptionSettings.diskEncryptionKey.sourceVault.id
        storageProfile.osDisk.encryptionSettings.keyEncryptionKey.keyUrl
        storageProfile.osDisk.encryptionSettings.keyEncryptionKey.sourceVault.id""",
    "2021-11-15": "host.id hostGroup.id",
    "2021-12-13": "securityProfile.securityType",
    "2023-07-01": """storageProfile.imageReference.communityGalleryImageId
        storageProfile.imageReference.sharedGalleryImageId storageProfile.imageReference.exactVersion""",
    "2023-11-15": "physicalZone",
}

# One row in each array, so that the fields of its elements show.
ROWS = {
    "compute": {"publicKeys": [{}], "tagsList": [{}], "storageProfile": {"dataDisks": [{}]}},
    "network": {"interface": [{"ipv4": {"ipAddress": [{}], "subnet": [{}]}, "ipv6": {"ipAddress": [{}]}}]},
}


def expected_paths(version):
    names = " ".join(added for since, added in ADDED_TO_COMPUTE.items() if since <= version)
    return {f"compute.{name}" for name in names.split()} | set(NETWORK.split())


def leaf_paths(element, path=""):
    if isinstance(element, dict):
        return {each for key, value in element.items() for each in leaf_paths(value, f"{path}.{key}".lstrip("."))}
    if isinstance(element, list):
        return {each for value in element for each in leaf_paths(value, f"{path}[]")}
    return {path}


def keys_in_order(pairs):
    assert [name for name, _ in pairs] == sorted(name for name, _ in pairs)
    return dict(pairs)


@pytest.mark.parametrize("version", ALL)
def test_a_version_shows_exactly_its_fields(version):
    response = said(f"/metadata/instance?api-version={version}", vm=merged(default_vm(), ROWS))
    assert response.status == 200
    assert leaf_paths(json.loads(response.body)) == expected_paths(version)


@pytest.mark.parametrize("version", ALL)
def test_keys_come_in_alphabetical_order_without_white_space(version):
    response = said(f"/metadata/instance?api-version={version}", vm=merged(default_vm(), ROWS))
    shown = json.loads(response.body, object_pairs_hook=keys_in_order)
    assert response.body == json.dumps(shown, separators=(",", ":")).encode()


@pytest.mark.parametrize("version", ALL)
def test_a_vm_of_which_nothing_is_known_shows_empty_strings_lists_and_objects_and_never_null(version):
    shown = json.loads(said(f"/metadata/instance?api-version={version}", vm={"compute": {}, "network": {}}).body)
    assert shown["network"] == {"interface": []}
    assert shown["compute"].get("publicKeys", []) == []
    assert shown["compute"].get("plan", {"name": "", "product": "", "publisher": ""}) == {
        "name": "",
        "product": "",
        "publisher": "",
    }
    leaves = [value for value in shown["compute"].values() if not isinstance(value, (dict, list))]
    assert leaves
    assert set(leaves) == {""}


@pytest.mark.parametrize(
    "name", ["isVmInStandbyPool", "systemFaultDomain", "interconnectGroupId", "interconnectSubgroupId"]
)
def test_an_undocumented_field_is_shown_only_where_the_vm_has_it(name):
    without = json.loads(said("/metadata/instance/compute?api-version=2025-04-07").body)
    vm = merged(default_vm(), {"compute": {name: "7"}})
    with_it = json.loads(said("/metadata/instance/compute?api-version=2025-04-07", vm=vm).body)
    older = json.loads(said("/metadata/instance/compute?api-version=2021-12-13", vm=vm).body)
    assert (name in without, with_it[name], name in older) == (False, "7", False)


@pytest.mark.parametrize(("era", "name"), [("2021", "versions-2021.json"), ("2025", "versions-2025.json")])
def test_versions_lists_what_the_era_had_ascending(era, name):
    response = said("/metadata/versions", service=Service(era=era))
    assert (response.status, json.loads(response.body)) == (200, document(name))


def test_a_service_of_2019_has_no_list_of_versions():
    response = said("/metadata/versions", service=Service(era="2019"))
    assert (response.status, response.body) == (404, b'{"error":"Not found"}')


@pytest.mark.parametrize(
    ("cloud", "name"),
    [
        ("public", "AzurePublicCloud"),
        ("government", "AzureUSGovernmentCloud"),
        ("china", "AzureChinaCloud"),
        ("germany", "AzureGermanCloud"),
    ],
)
def test_in_2019_a_cloud_has_the_versions_of_the_table_and_no_others(cloud, name):
    service = Service(era="2019", cloud=cloud)
    had = [each for each in ALL if said(f"/metadata/instance?api-version={each}", service=service).status == 200]
    assert had == document("supported-versions-by-cloud-2019.json")[name]


@pytest.mark.parametrize(("era", "count"), [("2021", 21), ("2025", 35)])
def test_later_all_versions_of_the_era_are_served_in_every_cloud(era, count):
    service = Service(era=era, cloud="china")
    had = [each for each in ALL if said(f"/metadata/instance?api-version={each}", service=service).status == 200]
    assert len(had) == count


def test_custom_data_is_shown_in_2019_and_empty_since():
    vm = merged(default_vm(), {"compute": {"customData": "TXkgY3VzdG9tIGRhdGEu"}})
    target = "/metadata/instance/compute/customData?api-version=2019-02-01&&format=text"
    assert said(target, vm=vm, service=Service(era="2019")).body == b"TXkgY3VzdG9tIGRhdGEu"
    assert said(target, vm=vm).body == b""
