"""This machine as the kernel sees it: routes, addresses, firmware. Read only, unprivileged, without programs of others."""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path

IMDS = "169.254.169.254"
PROXIES = ("http_proxy", "https_proxy", "all_proxy")

# Netlink (linux/rtnetlink.h): asked for one route, the kernel answers with the one that a packet would take, rules and all.
_GETROUTE, _NEWROUTE, _GETADDR, _NEWADDR, _ERROR, _DONE = 26, 24, 22, 20, 2, 3
_REQUEST, _DUMP = 1, 0x300
_DST, _OIF, _GATEWAY, _PREFSRC = 1, 4, 5, 7
_ADDRESS, _LOCAL, _FLAGS = 1, 2, 8
_PERMANENT = 0x80
_HEADER = struct.Struct("=IHHII")
_UNREACHABLE = (6, 7, 8)  # route types: blackhole, unreachable, prohibit


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where a packet would go.

    Attributes:
        error: what the kernel said instead of a route.
    """

    interface: str | None = None
    gateway: str | None = None
    source: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRoute:
    """A line of the main table."""

    interface: str
    network: str
    prefix: int
    gateway: str | None
    metric: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A network interface.

    Attributes:
        mac: in lower case with colons.
        addresses: IPv4, and whether each was given for a time only, as DHCP clients do.
    """

    name: str
    mac: str | None = None
    addresses: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """All that was read.

    Attributes:
        proxies: the variables that name a proxy, without their values.
        no_proxy: what is exempt.
        chassis_tag, product_uuid: of DMI; None where they cannot be read.
        leases: files of DHCP clients that were found.
        in_pod: the process has a service account: it runs in a pod.
    """

    route: Route = Route()
    table: tuple[TableRoute, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    proxies: tuple[str, ...] = ()
    no_proxy: str = ""
    chassis_tag: str | None = None
    product_uuid: str | None = None
    leases: tuple[str, ...] = field(default=())
    in_pod: bool = False

    @property
    def default(self) -> TableRoute | None:
        """The default route that is taken."""
        return min((each for each in self.table if each.prefix == 0), key=lambda each: each.metric, default=None)

    def interface(self, name: str | None) -> Interface | None:
        """Return an interface by name."""
        return next((each for each in self.interfaces if each.name == name), None)


def read_host(root: Path = Path("/")) -> Host:
    """Look at this machine."""
    dmi = root / "sys/class/dmi/id"
    environment = {name.lower(): value for name, value in os.environ.items() if value}
    return Host(
        route=route_to(IMDS),
        table=table(_text(root / "proc/net/route") or ""),
        interfaces=_interfaces(root),
        proxies=tuple(name for name in PROXIES if name in environment),
        no_proxy=environment.get("no_proxy", ""),
        chassis_tag=_text(dmi / "chassis_asset_tag"),
        product_uuid=_text(dmi / "product_uuid"),
        leases=_leases(root),
        in_pod=(root / "var/run/secrets/kubernetes.io/serviceaccount/token").exists(),
    )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def _leases(root: Path) -> tuple[str, ...]:
    patterns = (
        "run/systemd/netif/leases/*",
        "var/lib/dhcp/*lease*",
        "var/lib/NetworkManager/*lease*",
        "run/NetworkManager/devices/*",
    )
    return tuple(str(path) for pattern in patterns for path in sorted(root.glob(pattern)))


def table(text: str) -> tuple[TableRoute, ...]:
    """Read /proc/net/route: the main table, addresses as little-endian hexadecimal words."""
    found = []
    for line in text.splitlines()[1:]:
        cells = line.split()
        if len(cells) < 8 or not int(cells[3], 16) & 1:  # RTF_UP
            continue
        gateway = _address(cells[2])
        found.append(
            TableRoute(
                interface=cells[0],
                network=_address(cells[1]),
                prefix=int(cells[7], 16).bit_count(),
                gateway=None if gateway == "0.0.0.0" else gateway,
                metric=int(cells[6]),
            )
        )
    return tuple(found)


def _address(word: str) -> str:
    return socket.inet_ntoa(struct.pack("<I", int(word, 16)))


def _interfaces(root: Path) -> tuple[Interface, ...]:
    by_index = _addresses()
    found = []
    for path in sorted((root / "sys/class/net").glob("*")):
        try:
            index = socket.if_nametoindex(path.name)
        except OSError:
            continue
        found.append(Interface(name=path.name, mac=_text(path / "address"), addresses=tuple(by_index.get(index, ()))))
    return tuple(found)


def route_to(address: str) -> Route:
    """Ask the kernel for the route to an IPv4 address."""
    wanted = struct.pack("=BBBBBBBBI", socket.AF_INET, 32, 0, 0, 0, 0, 0, 0, 0) + _attribute(
        _DST, socket.inet_aton(address)
    )
    try:
        answers = _ask(_GETROUTE, wanted)
    except OSError as error:
        return Route(error=error.strerror or str(error))
    for kind, body in answers:
        if kind == _ERROR:
            code = -int(struct.unpack_from("=i", body)[0])
            return Route(error=os.strerror(code))
        if kind == _NEWROUTE:
            return _route(body)
    return Route(error="no answer of the kernel")


def _route(body: bytes) -> Route:
    if body[7] in _UNREACHABLE:
        return Route(error="the route says that it is not to be reached")
    found = _attributes(body[12:])
    index = struct.unpack("=I", found[_OIF])[0] if _OIF in found else None
    return Route(
        interface=socket.if_indextoname(index) if index else None,
        gateway=socket.inet_ntoa(found[_GATEWAY]) if _GATEWAY in found else None,
        source=socket.inet_ntoa(found[_PREFSRC]) if _PREFSRC in found else None,
    )


def _addresses() -> dict[int, list[tuple[str, bool]]]:
    """Return IPv4 addresses by the index of their interface, and whether each is for a time only."""
    found: dict[int, list[tuple[str, bool]]] = {}
    try:
        answers = _ask(_GETADDR, struct.pack("=BBBBI", socket.AF_INET, 0, 0, 0, 0), flags=_DUMP)
    except OSError:
        return found
    for kind, body in answers:
        if kind != _NEWADDR:
            continue
        _, _, flags, _, index = struct.unpack_from("=BBBBI", body)
        said = _attributes(body[8:])
        address = said.get(_LOCAL) or said.get(_ADDRESS)
        if _FLAGS in said:
            flags = struct.unpack("=I", said[_FLAGS])[0]
        if address is not None:
            found.setdefault(index, []).append((socket.inet_ntoa(address), not flags & _PERMANENT))
    return found


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value


def _attributes(data: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        found[kind] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def _ask(kind: int, body: bytes, flags: int = 0) -> list[tuple[int, bytes]]:
    """Send one netlink request and return the kinds and bodies of all answers."""
    found: list[tuple[int, bytes]] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.settimeout(2.0)
        netlink.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, 1, 0) + body)
        while True:
            data = netlink.recv(1 << 16)
            while data:
                length, answer, _, _, _ = _HEADER.unpack_from(data)
                found.append((answer, data[_HEADER.size : length]))
                if answer in (_DONE, _ERROR) or not flags:
                    return found
                data = data[(length + 3) & ~3 :]
