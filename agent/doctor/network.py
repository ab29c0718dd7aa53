"""Is the way to IMDS the one that IMDS answers on? Values in, findings out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.doctor.finding import Finding
from agent.doctor.host import IMDS

if TYPE_CHECKING:
    from agent.core.instance import Instance
    from agent.doctor.host import Host, TableRoute

AZURE = "7783-7084-3265-9085-8269-3286-77"  # DMI chassis asset tag of every Azure VM (cloud-init)
_ROUTE = (
    f"a host route: ip route add {IMDS}/32 via GATEWAY dev INTERFACE, with the default route's gateway and interface"
)


def route(host: Host) -> Finding:
    """Find the route that a request to IMDS takes, by the kernel's own choice."""
    looked_at, found = f"route to {IMDS}, policy rules included", host.route
    if found.error is not None:
        return _bad("route", looked_at, found.error, f"There is no way to IMDS: add {_ROUTE}")
    via = f" via {found.gateway}" if found.gateway else ""
    shown = f"{found.interface}{via}, from {found.source or 'no address'}"
    default = host.default
    if found.interface == "lo":
        return Finding(
            check="route",
            verdict="warn",
            looked_at=looked_at,
            found=shown,
            advice="This machine itself answers at that address: no Azure VM does",
        )
    if default is not None and found.interface != default.interface:
        advice = (
            f"IMDS answers the primary interface only, most likely the default route's, {default.interface}: {_ROUTE}"
        )
        return Finding(check="route", verdict="warn", looked_at=looked_at, found=shown, advice=advice)
    return Finding(check="route", verdict="ok", looked_at=looked_at, found=shown)


def swallowed(host: Host) -> Finding:
    """Find a link-local network that takes packets to IMDS along, as failover clusters and some CNIs set it up."""
    looked_at, default = "routes to 169.254.0.0/16", host.default
    wide = [each for each in host.table if each.network.startswith("169.254.") and 0 < each.prefix < 32]
    if not wide:
        return Finding(check="swallowing routes", verdict="ok", looked_at=looked_at, found="none")
    shown = ", ".join(f"{each.network}/{each.prefix} dev {each.interface}" for each in wide)
    elsewhere = [each for each in wide if _covers(each) and (default is None or each.interface != default.interface)]
    narrow = any(each.network == IMDS and each.prefix == 32 for each in host.table)
    if not elsewhere or narrow:
        return Finding(check="swallowing routes", verdict="ok", looked_at=looked_at, found=f"{shown}; harmless")
    advice = f"They take requests to IMDS to another interface (a failover cluster's adapter does so): add {_ROUTE}"
    return _bad("swallowing routes", looked_at, shown, advice)


def _covers(wide: TableRoute) -> bool:
    """Return whether a network holds the address of IMDS."""
    words = [int.from_bytes(bytes(map(int, text.split("."))), "big") for text in (wide.network, IMDS)]
    return words[0] >> (32 - wide.prefix) == words[1] >> (32 - wide.prefix)


def primary(host: Host, instance: Instance | None) -> Finding:
    """Compare the interface and address that requests come from with those that IMDS names."""
    looked_at = "interface and source address against IMDS's list of interfaces"
    if instance is None or not instance.network:
        return Finding(check="primary interface", verdict="unknown", looked_at=looked_at, found="IMDS named none")
    used = host.interface(host.route.interface)
    known = {each.mac_address: each for each in instance.network}
    if used is None or used.mac not in known:
        macs = ", ".join(str(mac) for mac in known)
        found = f"{used.name} {used.mac}" if used else "no interface"
        advice = f"IMDS names {macs}. In a pod without hostNetwork this is so; on the host requests leave by a wrong interface"
        return Finding(check="primary interface", verdict="warn", looked_at=looked_at, found=found, advice=advice)
    private = [address.private for address in known[used.mac].ipv4]
    found = f"{used.name} {used.mac}, from {host.route.source}"
    if host.route.source not in private:
        advice = f"IMDS names {', '.join(map(str, private))} for it, and answers the primary address only"
        return Finding(check="primary interface", verdict="warn", looked_at=looked_at, found=found, advice=advice)
    return Finding(check="primary interface", verdict="ok", looked_at=looked_at, found=found)


def dhcp(host: Host) -> Finding:
    """Find out whether the address was given by DHCP, which IMDS asks for."""
    used = host.interface(host.route.interface)
    looked_at = "lifetime of the source address, and lease files"
    address = next((each for each in (used.addresses if used else ()) if each[0] == host.route.source), None)
    if address is None:
        return Finding(check="dhcp", verdict="unknown", looked_at=looked_at, found="no source address")
    if address[1] or host.leases:
        found = "given for a time" if address[1] else host.leases[0]
        return Finding(check="dhcp", verdict="ok", looked_at=looked_at, found=f"{address[0]}: {found}")
    advice = "Azure asks for DHCP on the primary interface; a static address must be the one that IMDS names"
    return Finding(
        check="dhcp", verdict="warn", looked_at=looked_at, found=f"{address[0]}: for ever, no lease", advice=advice
    )


def proxies(host: Host) -> Finding:
    """Find proxies that other programs on this machine would ask IMDS through; this one never does."""
    looked_at = "proxy variables of the environment"
    if not host.proxies:
        return Finding(check="proxies", verdict="ok", looked_at=looked_at, found="none")
    found = ", ".join(host.proxies)  # their values may hold a password
    if IMDS in host.no_proxy.split(","):
        return Finding(check="proxies", verdict="ok", looked_at=looked_at, found=f"{found}; {IMDS} is in no_proxy")
    advice = f"This agent goes past them; for all other clients add {IMDS} to no_proxy"
    return Finding(check="proxies", verdict="warn", looked_at=looked_at, found=found, advice=advice)


def firmware(host: Host) -> Finding:
    """Tell whether this is an Azure VM, by its firmware: no network is needed for that."""
    looked_at = "DMI chassis asset tag"
    if host.chassis_tag is None:
        return Finding(check="azure firmware", verdict="unknown", looked_at=looked_at, found="cannot be read here")
    if host.chassis_tag == AZURE:
        return Finding(check="azure firmware", verdict="ok", looked_at=looked_at, found="Azure's")
    advice = "This is no Azure VM, or its firmware is hidden: whatever answers at IMDS's address is something else"
    return Finding(
        check="azure firmware", verdict="warn", looked_at=looked_at, found=repr(host.chassis_tag[:40]), advice=advice
    )


def identity(host: Host, instance: Instance | None) -> Finding:
    """Compare vmId with the firmware's UUID, whose first three groups older firmware has in the other byte order."""
    looked_at = "vmId against DMI product_uuid (root only)"
    if host.product_uuid is None or instance is None or instance.vm_id is None:
        return Finding(check="vm id", verdict="unknown", looked_at=looked_at, found="one of them cannot be read")
    ours, theirs = host.product_uuid.lower(), instance.vm_id.lower()
    if theirs in (ours, swapped(ours)):
        order = "the same" if ours == theirs else "the same, in the byte order of generation 1"
        return Finding(check="vm id", verdict="ok", looked_at=looked_at, found=order)
    advice = "IMDS speaks of another VM: something on the way answers in its place, or the firmware was cloned"
    return _bad("vm id", looked_at, f"{theirs} against {ours}", advice)


def swapped(uuid: str) -> str:
    """Return a UUID with its first three groups in the other byte order."""
    groups = uuid.split("-")
    turned = ["".join(reversed([group[at : at + 2] for at in range(0, len(group), 2)])) for group in groups[:3]]
    return "-".join([*turned, *groups[3:]])


def domains(instance: Instance | None) -> Finding:
    """Tell whether fault and update domains say anything here."""
    looked_at = "platformFaultDomain, platformUpdateDomain and zone"
    if instance is None:
        return Finding(check="fault domains", verdict="unknown", looked_at=looked_at, found="IMDS did not say")
    placed = instance.placement
    found = f"fault {placed.fault_domain}, update {placed.update_domain}, zone {placed.zone or 'none'}"
    if placed.fault_domain not in (None, 0):
        return Finding(check="fault domains", verdict="ok", looked_at=looked_at, found=found)
    advice = (
        "0 may be one of several, or the only one: scale sets with max spreading (AKS pools in zones) show 0 on all instances, "
        "and then the zone is all that tells racks apart. Compare: kubectl get nodes -L topology.imds-agent.github.io/rack"
    )
    return Finding(check="fault domains", verdict="warn", looked_at=looked_at, found=found, advice=advice)


def _bad(check: str, looked_at: str, found: str, advice: str) -> Finding:
    return Finding(check=check, verdict="bad", looked_at=looked_at, found=found, advice=advice)
