"""Kinds of VMs, each as a whole document: what differs between them is what clients stumble over."""

import json
from dataclasses import dataclass, field

from agent.emulator.default_vm import RESOURCE_GROUP, SCALE_SET, SUBSCRIPTION, default_vm
from agent.emulator.reading import Document, InputError, merged
from agent.emulator.versions import CLOUDS, Cloud, Era

_GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.Compute"
_NO_PLACE = {"placementGroupId": "", "platformFaultDomain": "0", "platformUpdateDomain": "0"}
_SINGLE = {
    **_NO_PLACE,
    "name": "examplevm",
    "osProfile": {"computerName": "examplevm"},
    "resourceId": f"{_GROUP}/virtualMachines/examplevm",
    "vmScaleSetName": "",
}
_IMAGE = {"offer": "0001-com-ubuntu-server-jammy", "publisher": "Canonical", "sku": "22_04-lts-gen2"}
_UBUNTU = {
    **_IMAGE,
    "storageProfile": {
        "imageReference": {"id": None, **_IMAGE, "version": "latest", "exactVersion": "22.04.202501280"}
    },
    "version": "22.04.202501280",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind.

    Args:
        changes: a merge patch over the default document.
        balanced: what the load balancer says; None where there is none.
        group: its resource group; None means that AKS made it, and named it after the region.
        cloud, era: None leaves what else is asked for.
    """

    told: str
    changes: Document = field(default_factory=dict)
    balanced: Document | None = None
    group: str | None = None
    cloud: Cloud | None = None
    era: Era | None = None


def _interface(mac: str, private: str, public: str = "", ipv6: str = "") -> Document:
    return {
        "ipv4": {
            "ipAddress": [{"privateIpAddress": private, "publicIpAddress": public}],
            "subnet": [{"address": f"{private.rpartition('.')[0]}.0", "prefix": "24"}],
        },
        "ipv6": {"ipAddress": [{"privateIpAddress": ipv6}] if ipv6 else []},
        "macAddress": mac,
    }


_INBOUND = {
    "frontendIpAddress": "50.0.0.1",
    "protocol": "Tcp",
    "frontendPort": 80,
    "backendPort": 443,
    "privateIpAddress": "10.224.0.6",
}
_BALANCED = {
    "publicIpAddresses": [{"frontendIpAddress": "51.0.0.1", "privateIpAddress": "10.224.0.6"}],
    "inboundRules": [_INBOUND],
    "outboundRules": [{"frontendIpAddress": "50.0.0.1", "privateIpAddress": "10.224.0.6"}],
}
_SPOT = "aks-spot-12345678-vmss"

PROFILES: dict[str, Profile] = {
    "vmss-uniform": Profile(told="an AKS node: zonal, in a uniform scale set (what is played without a profile)"),
    "vmss-flex": Profile(
        told="in a flexible scale set: named SET_ab12cd34, and the only kind with virtualMachineScaleSet.id",
        changes={
            "compute": {
                **_UBUNTU,
                "name": "flexpool_1a2b3c4d",
                "osProfile": {"computerName": "flexpool1a2b3c4d"},
                "placementGroupId": "",
                "platformFaultDomain": "2",
                "platformUpdateDomain": "0",
                "resourceId": f"{_GROUP}/virtualMachines/flexpool_1a2b3c4d",
                "virtualMachineScaleSet": {"id": f"{_GROUP}/virtualMachineScaleSets/flexpool"},
                "vmScaleSetName": "flexpool",
            }
        },
        group="examplerg",
    ),
    "single-vm": Profile(
        told="a VM alone, of a Marketplace image, with a public address behind a Standard load balancer",
        changes={"compute": {**_SINGLE, **_UBUNTU, "priority": "Regular", "zone": "2"}},
        balanced=_BALANCED,
        group="examplerg",
    ),
    "spot": Profile(
        told="a Spot instance of a uniform scale set: it can be preempted",
        changes={
            "compute": {
                "evictionPolicy": "Delete",
                "name": f"{_SPOT}_7",
                "osProfile": {"computerName": f"{_SPOT}000007"},
                "priority": "Spot",
                "resourceId": f"{_GROUP}/virtualMachineScaleSets/{_SPOT}/virtualMachines/7",
                "vmScaleSetName": _SPOT,
            }
        },
    ),
    "no-zones": Profile(
        told="an instance in a region without zones: fault and update domains are all there is",
        changes={
            "compute": {
                "location": "westcentralus",
                "physicalZone": "",
                "platformFaultDomain": "2",
                "platformUpdateDomain": "4",
                "zone": "",
            }
        },
    ),
    "multi-nic": Profile(
        told="three interfaces in no order, one of them with IPv6 and a public address",
        changes={
            "compute": {**_SINGLE, **_UBUNTU},
            "network": {
                "interface": [
                    _interface("000D3AF806ED", "10.1.2.5"),
                    _interface("000D3AF806EC", "10.1.1.4", "20.0.0.4", "ace:cab:deca:deed::4"),
                    _interface("000D3AF806EE", "10.1.3.6"),
                ]
            },
        },
        group="examplerg",
    ),
    "china": Profile(
        told="in the cloud of 21Vianet, in a region with zones",
        changes={"compute": {"location": "chinanorth3", "physicalZone": ""}},
        cloud="china",
    ),
    "usgov": Profile(
        told="in Azure Government",
        changes={"compute": {"location": "usgovvirginia", "physicalZone": ""}},
        cloud="government",
    ),
    "old-2017": Profile(
        told="a VM of 2017, never updated since, before a service of 2019: much is empty, its place is CentralUS",
        changes={
            "compute": {
                **_SINGLE,
                "location": "CentralUS",
                "offer": "UbuntuServer",
                "physicalZone": "",
                "publicKeys": [],
                "publisher": "Canonical",
                "resourceId": "",
                "sku": "16.04-LTS",
                "storageProfile": None,
                "tagsList": [],
                "version": "16.04.201706191",
                "vmSize": "Standard_A3",
                "zone": "",
            }
        },
        group="examplerg",
        era="2019",
    ),
}


def profile_named(name: str) -> Profile:
    """Return a profile.

    Raises:
        InputError: where none has the name.
    """
    if name not in PROFILES:
        raise InputError(f"profile: expected one of {', '.join(PROFILES)}, found {name!r}")
    return PROFILES[name]


def document_of(profile: Profile, cloud: Cloud) -> Document:
    """Return a profile's whole document, fresh, in a cloud; its ids and its disk are named after its own VM and group."""
    document: Document = merged(default_vm(CLOUDS[cloud]), profile.changes)
    compute = document["compute"]
    group = profile.group or f"MC_examplerg_examplecluster_{compute['location']}"
    text = json.dumps(document).replace(RESOURCE_GROUP, group)
    renamed: Document = json.loads(text.replace(f"{SCALE_SET}_2_OsDisk_1", f"{compute['name']}_OsDisk_1"))
    return renamed
