"""An instance as JSON can have it, for people and other programs: nothing in it that must not be shown."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.core.instance import Instance

SECRET_FIELDS = ("user_data", "custom_data", "public_keys")


def instance_document(instance: Instance) -> dict[str, object]:
    """Return the facts without userData, customData, keys and the admin's name; tags by name."""
    document: dict[str, object] = asdict(instance)
    for name in SECRET_FIELDS:
        document.pop(name)
    profile = asdict(instance.os_profile)
    profile.pop("admin_username")
    return {**document, "os_profile": profile, "tags": {tag.name: tag.value for tag in instance.tags}}
