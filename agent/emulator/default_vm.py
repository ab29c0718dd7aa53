"""The VM that the emulator plays when it is given none: a zonal AKS node in a uniform scale set."""

from agent.emulator.reading import Document

SUBSCRIPTION = "8d10da13-8125-4ba9-a717-bf7490507b3d"
RESOURCE_GROUP = "MC_examplerg_examplecluster_westeurope"
SCALE_SET = "aks-pool1-12345678-vmss"
_GROUP_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
_IMAGE = (
    "/subscriptions/109a5e88-712a-48ae-9078-9ca8b3c81345/resourceGroups/AKS-Ubuntu/providers/Microsoft.Compute"
    "/galleries/AKSUbuntu/images/2204gen2containerd/versions/202501.12.0"
)


def default_vm(azure_environment: str = "AzurePublicCloud") -> Document:
    """Return a fresh document in newest form; instance 2 of its scale set, whose node is named ...000002."""
    return {"compute": _compute() | {"azEnvironment": azure_environment}, "network": {"interface": [_interface()]}}


def _compute() -> Document:
    return {
        "location": "westeurope",
        "name": f"{SCALE_SET}_2",
        "osProfile": {
            "adminUsername": "azureuser",
            "computerName": f"{SCALE_SET}000002",
            "disablePasswordAuthentication": "true",
        },
        "osType": "Linux",
        "physicalZone": "westeurope-AZ02",
        "placementGroupId": "f67c14ab-e92c-408c-ae2d-da15866ec79a",
        "platformFaultDomain": "0",
        "platformUpdateDomain": "3",
        "provider": "Microsoft.Compute",
        "publicKeys": [{"keyData": "ssh-rsa 0\n", "path": "/home/azureuser/.ssh/authorized_keys"}],
        "resourceGroupName": RESOURCE_GROUP,
        "resourceId": f"{_GROUP_ID}/providers/Microsoft.Compute/virtualMachineScaleSets/{SCALE_SET}/virtualMachines/2",
        "securityProfile": {"encryptionAtHost": "false", "secureBootEnabled": "false", "virtualTpmEnabled": "false"},
        "additionalCapabilities": {"hibernationEnabled": "false"},
        "isHostCompatibilityLayerVm": "false",
        "storageProfile": _storage_profile(),
        "subscriptionId": SUBSCRIPTION,
        "tags": "Department:IT;Environment:Test;Role:WebRole",
        "tagsList": [
            {"name": "Department", "value": "IT"},
            {"name": "Environment", "value": "Test"},
            {"name": "Role", "value": "WebRole"},
        ],
        "version": "202501.12.0",
        "vmId": "02aab8a4-74ef-476e-8182-f6d2ba4166a6",
        "vmScaleSetName": SCALE_SET,
        "vmSize": "Standard_D4s_v3",
        "zone": "1",
    }


def _storage_profile() -> Document:
    return {
        "dataDisks": [],
        "imageReference": {"id": _IMAGE},
        "osDisk": {
            "caching": "ReadOnly",
            "createOption": "FromImage",
            "diskSizeGB": "128",
            "encryptionSettings": {"enabled": "false"},
            "managedDisk": {
                "id": f"{_GROUP_ID}/providers/Microsoft.Compute/disks/{SCALE_SET}_2_OsDisk_1",
                "storageAccountType": "Premium_LRS",
            },
            "name": f"{SCALE_SET}_2_OsDisk_1",
            "osType": "Linux",
            "writeAcceleratorEnabled": "false",
        },
        "resourceDisk": {"size": "63488"},
    }


def _interface() -> Document:
    return {
        "ipv4": {
            "ipAddress": [{"privateIpAddress": "10.224.0.6", "publicIpAddress": ""}],
            "subnet": [{"address": "10.224.0.0", "prefix": "16"}],
        },
        "ipv6": {"ipAddress": []},
        "macAddress": "000D3AF806EC",
    }
