"""Facts for every other program on the VM: lines for a shell or systemd, each safe to source; no tags."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from agent.core.instance import is_complete
from agent.core.rack import rack, update_group, zone

if TYPE_CHECKING:
    from agent.core.instance import Instance

_CONTROL = re.compile(r"[^\x20-\x7e]")  # more than a line; or letters that a shell's locale may not have


def facts_env(instance: Instance) -> str:
    """Return `KEY=VALUE` lines, always the same keys; empty for what is not known or cannot stand in one plain line."""
    lines = (f"IMDS_{name}={_value(value)}\n" for name, value in _facts(instance).items())
    return "".join(lines)


def _facts(instance: Instance) -> dict[str, str | int | None]:
    placed = instance.placement
    whole = is_complete(instance)  # a rack or priority made of half an answer would be a wrong one
    return {
        "VM_ID": instance.vm_id,
        "NAME": instance.name,
        "COMPUTER_NAME": instance.os_profile.computer_name,
        "RESOURCE_ID": instance.resource_id,
        "RESOURCE_GROUP": instance.resource_group_name,
        "SUBSCRIPTION": instance.subscription_id,
        "CLOUD": instance.cloud,
        "SIZE": instance.vm_size,
        "PRIORITY": instance.priority if whole else None,
        "SCALE_SET": instance.vm_scale_set_name,
        "REGION": placed.location,
        "ZONE": zone(placed),
        "FAULT_DOMAIN": placed.fault_domain,
        "UPDATE_DOMAIN": placed.update_domain,
        "RACK": rack(placed) if whole else None,
        "UPDATE_GROUP": update_group(placed) if whole else None,
        "PLACEMENT_GROUP": placed.placement_group,
        "PHYSICAL_ZONE": placed.physical_zone,
    }


def _value(value: str | int | None) -> str:
    """Return a value as a shell and systemd read it alike: plain, or in single quotes; nothing where neither can."""
    text = "" if value is None else str(value)
    if not text or _CONTROL.search(text):
        return ""
    return shlex.quote(text)
