"""What goes into a support bundle: an allow-list, and masks over what is free text. What is not named here stays out.

Out unless asked for: tags, userData and customData, names and ids, addresses, keys.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from agent.core.instance import Instance
    from agent.core.node import NodeView

Extra = Literal["addresses", "ids", "keys", "tags", "user-data"]
EXTRAS: tuple[Extra, ...] = get_args(Extra)

# Keys of a log event that say what happened and not to whom.
LOG_KEYS = (
    "timestamp", "level", "event", "event_type", "status", "decision", "rule", "because", "plan", "cordoned", "holds",
    "seconds", "failures", "error", "group", "labels", "what", "zone", "fault_domain", "update_domain", "tags_from",
    "complete", "version", "not_before", "duration", "source", "left_out", "outcome", "grace", "budget", "again", "size",
)  # fmt: skip
NODE_LABELS = ("topology.", "vm.")
LOG_LINES = 2000  # the last ones

_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
_RESOURCE = re.compile(r"/subscriptions/[^\s\"',;]+", re.IGNORECASE)
_MAC = re.compile(r"\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b", re.IGNORECASE)
_IPV4 = re.compile(r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b")
_IPV6 = re.compile(r"(?<![0-9A-Za-z:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![0-9A-Za-z:])", re.IGNORECASE)
_LONG = re.compile(r"[A-Za-z0-9+/_=-]{40,}")  # a key, a token, a document
_EVERYBODYS = ("169.254.169.254", "168.63.129.16", "0.0.0.0", "127.0.0.1", "255.255.255.255", "169.254.0.0")


def masked(text: str, names: Iterable[str], keep: Collection[str] = ()) -> str:
    """Return free text without addresses, ids and what looks like a secret.

    Args:
        names: of this VM and its node, which are ids, too.
        keep: the extras that were asked for.
    """
    if "ids" not in keep:
        text = _RESOURCE.sub("<resource id>", text)
        text = _UUID.sub("<id>", text)
        for name in sorted(set(names), key=len, reverse=True):
            text = text.replace(name, "<name>")
    if "addresses" not in keep:
        text = _MAC.sub("<mac>", text)
        text = _IPV4.sub(lambda found: found[0] if found[0] in _EVERYBODYS else "<address>", text)
        text = _IPV6.sub("<address>", text)
    return text if "keys" in keep else _LONG.sub("<removed>", text)


def names_of(instance: Instance | None, node: str | None) -> tuple[str, ...]:
    """Return what the VM and its node are called; short words are left, since they stand in other words."""
    found = [node]
    if instance is not None:
        found += [instance.name, instance.vm_scale_set_name, instance.resource_group_name]
        found += [
            instance.os_profile.computer_name,
            instance.os_profile.admin_username,
            instance.placement.placement_group,
        ]
    return tuple(name for name in found if name and len(name) > 3)


def vm_facts(instance: Instance, keep: Collection[str] = ()) -> dict[str, object]:
    """Return what kind of VM it is, and where it stands."""
    placed = instance.placement
    found: dict[str, object] = {
        "size": instance.vm_size,
        "priority": instance.priority,
        "eviction_policy": instance.eviction_policy,
        "cloud": instance.cloud,
        "os_type": instance.os_type,
        "api_version": instance.version,
        "image": asdict(instance.image),
        "security": asdict(instance.security),
        "in_scale_set": instance.vm_scale_set_name is not None,
        "placement": {
            "location": placed.location,
            "zone": placed.zone,
            "physical_zone": placed.physical_zone,
            "fault_domain": placed.fault_domain,
            "update_domain": placed.update_domain,
        },
        "interfaces": len(instance.network),
        "tags": len(instance.tags),
        "user_data_characters": len(instance.user_data or ""),
        "public_keys": len(instance.public_keys),
    }
    return found | {name: value for name, value in _extras(instance).items() if name in keep}


def _extras(instance: Instance) -> dict[str, object]:
    return {
        "ids": {
            "vm_id": instance.vm_id,
            "name": instance.name,
            "resource_id": instance.resource_id,
            "subscription_id": instance.subscription_id,
            "scale_set": instance.vm_scale_set_name,
        },
        "addresses": [asdict(each) for each in instance.network],
        "tags": {tag.name: tag.value for tag in instance.tags},
        "user-data": {"user_data": instance.user_data, "custom_data": instance.custom_data},
        "keys": [asdict(each) for each in instance.public_keys],
    }


def node_facts(view: NodeView, domain: str, keep: Collection[str] = ()) -> dict[str, object]:
    """Return the state of the node: our labels of the VM and its place, cordon, taints, and who owns what."""
    prefixes = tuple(f"{name}{domain}/" for name in (*NODE_LABELS, *(("tag.",) if "tags" in keep else ())))
    private = () if "ids" in keep else ("scale-set", "placement-group", "resource-group", "subscription", "host")
    labels = {
        key: value
        for key, value in view.labels.items()
        if key.startswith(prefixes) and key.rpartition("/")[2] not in private
    }
    return {
        "labels": labels,
        "unschedulable": view.unschedulable,
        "ready": view.ready,
        "taints": [taint.key for taint in view.taints or ()],
        "mark": f"{domain}/events" in view.annotations,
        "hold": f"{domain}/hold" in view.annotations,
        "owners": [
            {"manager": owner.manager, "labels": len(owner.labels), "unschedulable": owner.unschedulable}
            for owner in view.owners
        ],
    }


def log_lines(text: str, names: Iterable[str], keep: Collection[str] = ()) -> tuple[str, ...]:
    """Return the last log events with the keys that are allowed, masked; other lines are only counted."""
    found, others, known = [], 0, tuple(names)
    for line in text.splitlines()[-LOG_LINES:]:
        entry = _event(line)
        if entry is None:
            others += 1
            continue
        kept = {key: entry[key] for key in LOG_KEYS if key in entry}
        found.append(masked(json.dumps(kept, ensure_ascii=False, default=str), known, keep))
    return (*found, *((f"({others} other lines left out)",) if others else ()))


def _event(line: str) -> Mapping[str, object] | None:
    """Return the log event in a line, also behind what journals and container engines put before it."""
    at = line.find("{")
    try:
        entry = json.loads(line[at:]) if at >= 0 else None
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("event"), str) else None
