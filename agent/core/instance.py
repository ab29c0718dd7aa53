"""`/metadata/instance` as values: what the VM is, where it stands, and whether the answer was whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from agent.core.document import DocumentError, Place, read_json
from agent.core.network import NetworkInterface, read_network
from agent.core.placement import Placement, read_placement
from agent.core.storage import StorageProfile, read_storage

if TYPE_CHECKING:
    from collections.abc import Iterable

Priority = Literal["regular", "spot"]

_CLOUDS = ("AzurePublicCloud", "AzureUSGovernmentCloud", "AzureChinaCloud", "AzureGermanCloud")
_SUBSCRIPTION_SINCE = "2017-08-01"
_PRIORITY_SINCE = "2020-12-01"
AT_MOST_TAGS = (
    250  # Azure allows 50; a hundred thousand, which fit into an answer, would take more memory than a pod has
)


class Tag(NamedTuple):
    """A tag of the VM as Azure has it; a pair, so that tags can be mapped without knowing where they came from."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """The gallery image; `sku` stays empty for custom images made from Marketplace images."""

    publisher: str | None = None
    offer: str | None = None
    sku: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The Marketplace plan; all None without one."""

    name: str | None = None
    product: str | None = None
    publisher: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OsProfile:
    """What was asked for when the VM was made."""

    admin_username: str | None = None
    computer_name: str | None = None
    disable_password_authentication: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityProfile:
    """Secure boot, virtual TPM, encryption at host."""

    secure_boot_enabled: bool | None = None
    virtual_tpm_enabled: bool | None = None
    encryption_at_host: bool | None = None
    security_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """An SSH key and the file that it was put into."""

    path: str | None = None
    data: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """What one answer of /metadata/instance says; None is "the answer does not say", whatever the reason.

    Attributes:
        version: the api-version that was asked for.
        vm_id: lower case.
        az_environment: as sent; `cloud` has the documented spelling.
        priority: None when the version has no such field, or the answer leaves it out.
        vm_scale_set_id: of a flexible scale set only; `vm_scale_set_name` knows both kinds (Azure's documentation).
        tags: by name, the first 250; of two names that differ only in case the last one sent, since Azure takes them for one.
        tags_from: the field that they were read from; None when both are empty.
        is_vm_in_standby_pool: as sent; the field is not documented.
    """

    version: str
    vm_id: str | None = None
    name: str | None = None
    resource_id: str | None = None
    resource_group_name: str | None = None
    subscription_id: str | None = None
    az_environment: str | None = None
    vm_size: str | None = None
    priority: Priority | None = None
    eviction_policy: str | None = None
    vm_scale_set_name: str | None = None
    vm_scale_set_id: str | None = None
    provider: str | None = None
    os_type: str | None = None
    license_type: str | None = None
    hibernation_enabled: bool | None = None
    is_host_compatibility_layer_vm: bool | None = None
    is_vm_in_standby_pool: str | None = None
    placement: Placement = field(default_factory=Placement)
    image: Image = Image()
    plan: Plan = Plan()
    os_profile: OsProfile = OsProfile()
    security: SecurityProfile = SecurityProfile()
    storage: StorageProfile = field(default_factory=StorageProfile)
    network: tuple[NetworkInterface, ...] = ()
    tags: tuple[Tag, ...] = ()
    tags_from: Literal["tagsList", "tags"] | None = None
    has_custom_data: bool | None = None
    pps_type: str | None = None
    public_keys: tuple[PublicKey, ...] = field(default=(), repr=False)
    custom_data: str | None = field(default=None, repr=False)
    user_data: str | None = field(default=None, repr=False)

    @property
    def location(self) -> str | None:
        """The region, in lower case."""
        return self.placement.location

    @property
    def zone(self) -> str | None:
        """The availability zone, a bare digit; None in a region without."""
        return self.placement.zone

    @property
    def cloud(self) -> str | None:
        """The cloud's documented name, whatever case IMDS sent it in; an unknown one as sent."""
        sent = self.az_environment
        return next((name for name in _CLOUDS if sent and name.lower() == sent.lower()), sent)


def missing(instance: Instance) -> tuple[str, ...]:
    """Name the fields that every whole answer has and this one has not.

    IMDS sometimes answers 200 with parts left out (recorded), so an empty fact is no proof that there is none.
    """
    wanted = {
        "vmId": instance.vm_id,
        "name": instance.name,
        "location": instance.location,
        "vmSize": instance.vm_size,
    }
    if instance.version >= _SUBSCRIPTION_SINCE:
        wanted["subscriptionId"] = instance.subscription_id
    return tuple(name for name, value in wanted.items() if value is None)


def is_complete(instance: Instance) -> bool:
    """Say whether no field is missing that every whole answer has."""
    return not missing(instance)


def read_instance(body: bytes | str, version: str) -> Instance:
    """Read an answer of /metadata/instance; any key may be absent, but not both `compute` and `network`.

    Raises:
        DocumentError: not JSON, a value of the wrong type, or neither `compute` nor `network`.
    """
    root = read_json(body)
    if not {"compute", "network"} & root.members().keys():
        raise DocumentError("$", "compute or network", "neither")
    compute = root.at("compute")
    vm_id = compute.at("vmId").text()
    tags, tags_from = _tags(compute)
    extended = root.at("extended").at("compute")
    return Instance(
        version=version,
        vm_id=vm_id and vm_id.lower(),
        name=compute.at("name").text(),
        resource_id=compute.at("resourceId").text(),
        resource_group_name=compute.at("resourceGroupName").text(),
        subscription_id=compute.at("subscriptionId").text(),
        az_environment=compute.at("azEnvironment").text(),
        vm_size=compute.at("vmSize").text(),
        priority=_priority(compute, version),
        eviction_policy=compute.at("evictionPolicy").text(),
        vm_scale_set_name=compute.at("vmScaleSetName").text(),
        vm_scale_set_id=compute.at("virtualMachineScaleSet").at("id").text(),
        provider=compute.at("provider").text(),
        os_type=compute.at("osType").text(),
        license_type=compute.at("licenseType").text(),
        hibernation_enabled=compute.at("additionalCapabilities").at("hibernationEnabled").flag(),
        is_host_compatibility_layer_vm=compute.at("isHostCompatibilityLayerVm").flag(),
        is_vm_in_standby_pool=compute.at("isVmInStandbyPool").text(),
        placement=read_placement(compute),
        image=_image(compute),
        plan=_plan(compute.at("plan")),
        os_profile=_os_profile(compute.at("osProfile")),
        security=_security(compute.at("securityProfile")),
        storage=read_storage(compute.at("storageProfile")),
        network=read_network(root.at("network")),
        tags=tags,
        tags_from=tags_from,
        has_custom_data=extended.at("hasCustomData").flag(),
        pps_type=extended.at("ppsType").text(),
        public_keys=tuple(_public_key(each) for each in compute.at("publicKeys", secret=True).each()),
        custom_data=compute.at("customData", secret=True).text(),
        user_data=compute.at("userData", secret=True).text(),
    )


def _priority(compute: Place, version: str) -> Priority | None:
    """Read the priority: a regular VM was recorded as "", and Azure's own sample prints the key as `Priority`."""
    place = next((compute.at(key) for key in ("priority", "Priority") if key in compute.members()), None)
    if place is None:
        return None
    match (place.text() or "").lower():
        case "spot" | "low":  # Low is the name that Spot had before
            return "spot"
        case "regular":
            return "regular"
        case "" if version >= _PRIORITY_SINCE:
            return "regular"
        case _:
            return None


def _image(compute: Place) -> Image:
    return Image(
        publisher=compute.at("publisher").text(),
        offer=compute.at("offer").text(),
        sku=compute.at("sku").text(),
        version=compute.at("version").text(),
    )


def _plan(place: Place) -> Plan:
    return Plan(
        name=place.at("name").text(), product=place.at("product").text(), publisher=place.at("publisher").text()
    )


def _os_profile(place: Place) -> OsProfile:
    return OsProfile(
        admin_username=place.at("adminUsername").text(),
        computer_name=place.at("computerName").text(),
        disable_password_authentication=place.at("disablePasswordAuthentication").flag(),
    )


def _security(place: Place) -> SecurityProfile:
    return SecurityProfile(
        secure_boot_enabled=place.at("secureBootEnabled").flag(),
        virtual_tpm_enabled=place.at("virtualTpmEnabled").flag(),
        encryption_at_host=place.at("encryptionAtHost").flag(),
        security_type=place.at("securityType").text(),
    )


def _public_key(place: Place) -> PublicKey:
    return PublicKey(path=place.at("path").text(), data=place.at("keyData").text())


def _tags(compute: Place) -> tuple[tuple[Tag, ...], Literal["tagsList", "tags"] | None]:
    listed = [(each.at("name").text(), each.at("value").text() or "") for each in compute.at("tagsList").each()]
    tags = _ordered(Tag(name, value) for name, value in listed if name)
    if tags:
        return tags, "tagsList"
    # A partial answer was recorded with `tags` full and `tagsList` empty.
    joined = _ordered(_split(compute.at("tags").text() or ""))
    return joined, "tags" if joined else None


def _ordered(tags: Iterable[Tag]) -> tuple[Tag, ...]:
    last = {tag.name.casefold(): tag for tag in tags}
    return tuple(last[folded] for folded in sorted(last)[:AT_MOST_TAGS])


def _split(joined: str) -> list[Tag]:
    """Split `name:value;…`; a piece without colon is the rest of the value before it, which held a semicolon."""
    tags: list[Tag] = []
    for piece in joined.split(";"):
        name, colon, value = piece.partition(":")
        if tags and not colon:
            tags[-1] = Tag(tags[-1].name, f"{tags[-1].value};{piece}")
        elif name:
            tags.append(Tag(name, value))
    return tags
