"""Machines, as values."""

import json
from dataclasses import replace

from agent.core.instance import Instance, read_instance
from agent.doctor.host import Host, Interface, Route, TableRoute

DEFAULT = TableRoute(interface="eth0", network="0.0.0.0", prefix=0, gateway="10.224.0.1", metric=100)
IMDS_ROUTE = TableRoute(interface="eth0", network="169.254.169.254", prefix=32, gateway="10.224.0.1", metric=100)
ETH0 = Interface(name="eth0", mac="00:0d:3a:f8:06:ec", addresses=(("10.224.0.6", True),))
WELL = Host(
    route=Route(interface="eth0", gateway="10.224.0.1", source="10.224.0.6"),
    table=(DEFAULT, IMDS_ROUTE),
    interfaces=(ETH0,),
    chassis_tag="7783-7084-3265-9085-8269-3286-77",
    product_uuid="02aab8a4-74ef-476e-8182-f6d2ba4166a6",
    leases=("/run/systemd/netif/leases/2",),
)


def host(**changes) -> Host:
    return replace(WELL, **changes)


def instance(**compute) -> Instance:
    interface = {
        "macAddress": "000D3AF806EC",
        "ipv4": {"ipAddress": [{"privateIpAddress": "10.224.0.6", "publicIpAddress": ""}]},
    }
    document = {
        "compute": {
            "vmId": "02aab8a4-74ef-476e-8182-f6d2ba4166a6",
            "name": "vm-of-ours",
            "location": "westeurope",
            "vmSize": "Standard_D4s_v3",
            "subscriptionId": "8d10da13-8125-4ba9-a717-bf7490507b3d",
            "azEnvironment": "AzurePublicCloud",
            "zone": "1",
            "platformFaultDomain": "2",
            "platformUpdateDomain": "3",
            **compute,
        },
        "network": {"interface": [interface]},
    }
    return read_instance(json.dumps(document), "2025-04-07")
