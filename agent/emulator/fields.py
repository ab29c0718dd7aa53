"""Every field of /metadata/instance and the version that brought it.

Sources: Azure's documentation (tables of 2019, 2021 and 2025), the REST specification, and recorded answers
(`provider`). Fields marked optional were seen in other projects' recordings only; the version that brought them is
unconfirmed, and they are shown only where the VM's document has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

FIRST = "2017-04-02"  # the preview 2017-03-01 is taken to show the same (unconfirmed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Leaf:
    """A string; "" where it does not apply."""

    since: str = FIRST
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """An object; present with empty leaves where it does not apply."""

    fields: Mapping[str, "Field"]
    since: str = FIRST
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """An array of objects; [] where it does not apply."""

    row: Node
    since: str = FIRST
    optional: bool = False


Field: TypeAlias = Leaf | Node | Rows


def _leaves(names: str, since: str = FIRST, *, optional: bool = False) -> dict[str, Field]:
    return {name: Leaf(since=since, optional=optional) for name in names.split()}


def _node(since: str = FIRST, **fields: Field) -> Node:
    return Node(fields=fields, since=since)


_SEEN = "2023-07-01"  # the age of the recordings that show the undocumented fields

_URI = _node(uri=Leaf())
_ID = _node(id=Leaf())
_MANAGED_DISK = Node(fields=_leaves("id storageAccountType"))

_DATA_DISK = Node(
    fields=_leaves("caching createOption diskSizeGB lun name writeAcceleratorEnabled")
    | _leaves("bytesPerSecondThrottle diskCapacityBytes isSharedDisk isUltraDisk opsPerSecondThrottle", "2021-05-01")
    | {"image": _URI, "managedDisk": _MANAGED_DISK, "vhd": _URI}
)

_ENCRYPTION = _node(
    enabled=Leaf(),
    diskEncryptionKey=_node("2021-11-01", secretUrl=Leaf(), sourceVault=_ID),
    keyEncryptionKey=_node("2021-11-01", keyUrl=Leaf(), sourceVault=_ID),
)

_OS_DISK = Node(
    fields=_leaves("caching createOption diskSizeGB name osType writeAcceleratorEnabled")
    | {
        "diffDiskSettings": _node(
            option=Leaf(),
            placement=Leaf(since=_SEEN, optional=True),
            enableFullCaching=Leaf(since=_SEEN, optional=True),
        ),
        "encryptionSettings": _ENCRYPTION,
        "image": _URI,
        "managedDisk": _MANAGED_DISK,
        "vhd": _URI,
    }
)

_IMAGE_REFERENCE = Node(
    fields=_leaves("id offer publisher sku version")
    | _leaves("communityGalleryImageId sharedGalleryImageId exactVersion", "2023-07-01")
)

_STORAGE_PROFILE = _node(
    "2019-06-01",
    dataDisks=Rows(row=_DATA_DISK),
    imageReference=_IMAGE_REFERENCE,
    osDisk=_OS_DISK,
    resourceDisk=_node("2021-02-01", size=Leaf()),
)

_SECURITY_PROFILE = _node(
    "2020-06-01",
    secureBootEnabled=Leaf(),
    virtualTpmEnabled=Leaf(),
    encryptionAtHost=Leaf(since="2021-11-01"),
    securityType=Leaf(since="2021-12-13"),
)

_OS_PROFILE = _node(
    "2020-07-15",
    adminUsername=Leaf(),
    computerName=Leaf(),
    disablePasswordAuthentication=Leaf(since="2020-10-01"),
)

COMPUTE = Node(
    fields=_leaves(
        "location name offer osType platformFaultDomain platformUpdateDomain publisher sku version vmId vmSize"
    )
    | _leaves("placementGroupId resourceGroupName subscriptionId tags", "2017-08-01")
    | _leaves("vmScaleSetName zone", "2017-12-01")
    | {
        "plan": Node(fields=_leaves("name product publisher"), since="2018-04-02"),
        "publicKeys": Rows(row=Node(fields=_leaves("keyData path")), since="2018-04-02"),
    }
    | _leaves("azEnvironment provider", "2018-10-01")
    | _leaves("customData", "2019-02-01")
    | _leaves("resourceId", "2019-03-11")
    | {
        "storageProfile": _STORAGE_PROFILE,
        "tagsList": Rows(row=Node(fields=_leaves("name value")), since="2019-06-04"),
        "securityProfile": _SECURITY_PROFILE,
        "osProfile": _OS_PROFILE,
    }
    | _leaves("isHostCompatibilityLayerVm", "2020-06-01")
    | _leaves("licenseType", "2020-09-01")
    | _leaves("evictionPolicy priority", "2020-12-01")
    | _leaves("userData", "2021-01-01")
    | {
        "extendedLocation": Node(fields=_leaves("name type"), since="2021-03-01"),
        "virtualMachineScaleSet": _node("2021-03-01", id=Leaf()),
        "additionalCapabilities": _node("2021-11-01", hibernationEnabled=Leaf()),
        "host": _node("2021-11-15", id=Leaf()),
        "hostGroup": _node("2021-11-15", id=Leaf()),
    }
    | _leaves("platformSubFaultDomain", "2021-10-01")
    | _leaves("physicalZone", "2023-11-15")
    | _leaves("isVmInStandbyPool systemFaultDomain interconnectGroupId interconnectSubgroupId", _SEEN, optional=True)
)

_ADDRESS_BLOCK = Rows(row=Node(fields=_leaves("address prefix")), since=_SEEN, optional=True)

_INTERFACE = Node(
    fields=_leaves("macAddress")
    | _leaves("interfaceCompartmentId interfaceCompartmentVersion", _SEEN, optional=True)
    | {
        "ipv4": _node(
            ipAddress=Rows(row=Node(fields=_leaves("privateIpAddress publicIpAddress"))),
            ipAddressBlock=_ADDRESS_BLOCK,
            subnet=Rows(row=Node(fields=_leaves("address prefix"))),
        ),
        "ipv6": _node(ipAddress=Rows(row=Node(fields=_leaves("privateIpAddress"))), ipAddressBlock=_ADDRESS_BLOCK),
    }
)

INSTANCE = _node(compute=COMPUTE, network=_node(interface=Rows(row=_INTERFACE)))
