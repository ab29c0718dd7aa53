"""`compute.storageProfile` of /metadata/instance (2019-06-01 and later; an AKS node was recorded with `{}`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.core.document import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """The image that the OS disk was made from; all None for a VM made from an attached disk."""

    id: str | None = None
    publisher: str | None = None
    offer: str | None = None
    sku: str | None = None
    version: str | None = None
    exact_version: str | None = None
    community_gallery_image_id: str | None = None
    shared_gallery_image_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """Where the keys of an encrypted OS disk are kept; addresses and ids, no keys."""

    enabled: bool | None = None
    secret_url: str | None = None
    secret_vault_id: str | None = None
    key_url: str | None = None
    key_vault_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """What OS disk and data disks have in common."""

    name: str | None = None
    caching: str | None = None
    create_option: str | None = None
    size_gb: int | None = None
    image_uri: str | None = None
    vhd_uri: str | None = None
    managed_disk_id: str | None = None
    storage_account_type: str | None = None
    write_accelerator_enabled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OsDisk(Disk):
    """The OS disk.

    Attributes:
        diff_disk_option: "Local" for an ephemeral disk.
    """

    os_type: str | None = None
    diff_disk_option: str | None = None
    encryption: Encryption = Encryption()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDisk(Disk):
    """A data disk; the throttles and the capacity are filled for Ultra disks only (Azure's documentation)."""

    lun: int | None = None
    capacity_bytes: int | None = None
    bytes_per_second_throttle: int | None = None
    ops_per_second_throttle: int | None = None
    is_shared_disk: bool | None = None
    is_ultra_disk: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageProfile:
    """The disks and their image.

    Attributes:
        resource_disk_size: as sent: kilobytes by Azure's documentation, megabytes in recorded answers; not for sums.
    """

    image: ImageReference = ImageReference()
    os_disk: OsDisk = OsDisk()
    data_disks: tuple[DataDisk, ...] = ()
    resource_disk_size: str | None = None


def read_storage(place: Place) -> StorageProfile:
    """Read `storageProfile`."""
    return StorageProfile(
        image=_image(place.at("imageReference")),
        os_disk=_os_disk(place.at("osDisk")),
        data_disks=tuple(_data_disk(each) for each in place.at("dataDisks").each()),
        resource_disk_size=place.at("resourceDisk").at("size").text(),
    )


def _image(place: Place) -> ImageReference:
    return ImageReference(
        id=place.at("id").text(),
        publisher=place.at("publisher").text(),
        offer=place.at("offer").text(),
        sku=place.at("sku").text(),
        version=place.at("version").text(),
        exact_version=place.at("exactVersion").text(),
        community_gallery_image_id=place.at("communityGalleryImageId").text(),
        shared_gallery_image_id=place.at("sharedGalleryImageId").text(),
    )


def _os_disk(place: Place) -> OsDisk:
    return OsDisk(
        name=place.at("name").text(),
        caching=place.at("caching").text(),
        create_option=place.at("createOption").text(),
        size_gb=place.at("diskSizeGB").number(),
        image_uri=place.at("image").at("uri").text(),
        vhd_uri=place.at("vhd").at("uri").text(),
        managed_disk_id=place.at("managedDisk").at("id").text(),
        storage_account_type=place.at("managedDisk").at("storageAccountType").text(),
        write_accelerator_enabled=place.at("writeAcceleratorEnabled").flag(),
        os_type=place.at("osType").text(),
        diff_disk_option=place.at("diffDiskSettings").at("option").text(),
        encryption=_encryption(place.at("encryptionSettings")),
    )


def _data_disk(place: Place) -> DataDisk:
    return DataDisk(
        name=place.at("name").text(),
        caching=place.at("caching").text(),
        create_option=place.at("createOption").text(),
        size_gb=place.at("diskSizeGB").number(),
        image_uri=place.at("image").at("uri").text(),
        vhd_uri=place.at("vhd").at("uri").text(),
        managed_disk_id=place.at("managedDisk").at("id").text(),
        storage_account_type=place.at("managedDisk").at("storageAccountType").text(),
        write_accelerator_enabled=place.at("writeAcceleratorEnabled").flag(),
        lun=place.at("lun").number(),
        capacity_bytes=place.at("diskCapacityBytes").number(),
        bytes_per_second_throttle=place.at("bytesPerSecondThrottle").number(),
        ops_per_second_throttle=place.at("opsPerSecondThrottle").number(),
        is_shared_disk=place.at("isSharedDisk").flag(),
        is_ultra_disk=place.at("isUltraDisk").flag(),
    )


def _encryption(place: Place) -> Encryption:
    secret, key = place.at("diskEncryptionKey"), place.at("keyEncryptionKey")
    return Encryption(
        enabled=place.at("enabled").flag(),
        secret_url=secret.at("secretUrl").text(),
        secret_vault_id=secret.at("sourceVault").at("id").text(),
        key_url=key.at("keyUrl").text(),
        key_vault_id=key.at("sourceVault").at("id").text(),
    )
