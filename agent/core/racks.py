"""Placements in, a table of racks out: paths in one form and of one depth for a whole cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING

from agent.core.document import DocumentError
from agent.core.rack import zone
from agent.core.rack_table import VERSION, canonical, network_of, right_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.core.instance import Instance
    from agent.core.rack import Placed

FORMS = ("auto", "zone/fd")
FIELDS = ("region", "zone", "fd", "ud", "site")
_PLAIN = re.compile(r"[a-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class RackForm:
    """How paths are made.

    Attributes:
        template: such as `/{zone}/fd{fd}`; with `auto`, `/westeurope-1` where there are zones, else `/fd2`.
        depth: of every path.
    """

    template: str
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RackedHost:
    """A host and where it stands.

    Attributes:
        names: addresses and names, all that somebody may ask for.
        networks: of its pods.
    """

    names: tuple[str, ...]
    placement: Placed
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows for a table, and what is to be said about them.

    Attributes:
        rows: canonical key -> path.
        warnings: a sentence each.
    """

    rows: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def addresses_of(instance: Instance) -> tuple[str, ...]:
    """Return a VM's private addresses, IPv4 first, as IMDS sent them."""
    ipv4 = [address.private for each in instance.network for address in each.ipv4]
    ipv6 = [address for each in instance.network for address in each.ipv6]
    return tuple(dict.fromkeys(address for address in [*ipv4, *ipv6] if address))


def host_of(instance: Instance) -> RackedHost | None:
    """Return a VM as a host: all its addresses, and its names; None where it has neither."""
    names = [*addresses_of(instance), instance.os_profile.computer_name, instance.name]
    found = tuple(dict.fromkeys(name for name in names if name))
    return RackedHost(names=found, placement=instance.placement) if found else None


def read_form(text: str) -> RackForm:
    """Read a form: `auto`, `zone/fd`, or a template with {region}, {zone}, {fd}, {ud} and {site}.

    Raises:
        DocumentError: it is none.
    """
    if text == "auto":
        return RackForm(template="auto", depth=1)
    template = "/{site}/fd{fd}" if text == "zone/fd" else text
    try:
        names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError:
        names = [""]
    plain = template.format_map(dict.fromkeys(FIELDS, "0")) if set(names) <= set(FIELDS) and names else ""
    depth = template.count("/")
    if not right_path(plain, depth) or any(not _PLAIN.fullmatch(part) for part in plain.split("/")[1:]):
        expected = f"auto, zone/fd, or a template such as '/{{zone}}/fd{{fd}}' of {', '.join(FIELDS)}"
        raise DocumentError("rack form", expected, repr(text))
    return RackForm(template=template, depth=depth)


def path_of(placement: Placed, form: RackForm) -> str | None:
    """Return a host's path; None where a part that the form asks for is missing, so that nobody guesses."""
    own_zone, domain = zone(placement), placement.fault_domain
    if form.template == "auto":
        return f"/{own_zone}" if own_zone else f"/fd{domain}" if domain is not None else None
    parts = {
        "region": placement.location or "",
        "zone": own_zone,
        "site": own_zone or placement.location or "",
        "fd": "" if domain is None else str(domain),
        "ud": "" if placement.update_domain is None else str(placement.update_domain),
    }
    used = {name for _, name, _, _ in Formatter().parse(form.template) if name}
    path = form.template.format_map(parts)
    valid = all(_PLAIN.fullmatch(part) for part in path.split("/")[1:])
    return path if all(parts[name] for name in used) and valid and right_path(path, form.depth) else None


def table_of(hosts: Iterable[RackedHost], form: RackForm, overrides: Mapping[str, str] | None = None) -> Table:
    """Return the rows of a cluster.

    Args:
        overrides: canonical key -> path, of people's own; they win.
    """
    rows: dict[str, str] = {}
    warnings: list[str] = []
    zonal, regional = 0, 0
    for host in hosts:
        path = path_of(host.placement, form)
        if path is None:
            warnings.append(f"{host.names[0]}: no rack: a part that {form.template!r} asks for is missing")
            continue
        zonal, regional = zonal + bool(host.placement.zone), regional + (not host.placement.zone)
        for key in (*map(canonical, host.names), *host.networks):
            other = rows.setdefault(key, path)
            if other != path:
                warnings.append(f"{key}: two hosts have it, in {other} and in {path}; the first one counts")
    if zonal and regional and form.template == "auto":
        warnings.append(
            f"{zonal} hosts in zones and {regional} without: racks of both kinds stand side by side; choose zone/fd"
        )
    for key, path in (overrides or {}).items():
        if right_path(path, form.depth):
            rows[key] = path
        else:
            warnings.append(f"override {key}: expected a path of depth {form.depth}, found {path!r}")
    return Table(rows=rows, warnings=tuple(warnings))


def table_text(rows: Mapping[str, str], form: RackForm, own: Iterable[str] = ()) -> str:
    """Return the file: header, sorted rows, and a last line that proves it whole."""
    networks = ",".join(text for text in own if network_of(text) is not None)
    head = f"{VERSION}depth={form.depth}{f' own={networks}' if networks else ''}"
    lines = [f"{key} {path}" for key, path in sorted(rows.items())]
    return "\n".join([head, *lines, f"# end {len(lines)}", ""])


def read_overrides(text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Read people's own rows, two columns and `#` for remarks; returns them by canonical key, and what is wrong."""
    found: dict[str, str] = {}
    wrong: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if len(words) == 2:
            found[words[0] if "/" in words[0] else canonical(words[0])] = words[1]
        elif words:
            wrong.append(f"line {number}: expected a host and a path, found {len(words)} words")
    return found, tuple(wrong)
