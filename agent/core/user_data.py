"""Has userData changed? It may at any time, without a restart of the VM; its content is nobody's business here."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from agent.core.instance import is_complete

if TYPE_CHECKING:
    from agent.core.instance import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class UserData:
    """UserData as last seen.

    Attributes:
        digest: SHA-256 of its text in hex, white space aside; None where there is none. Not to be shown: a short secret could be
            guessed from it.
        size: characters of base64, white space aside.
        doubted: the last answer had none, although there was some; answers with parts missing look the same.
        changes: how often it changed.
    """

    digest: str | None = None
    size: int = 0
    doubted: bool = False
    changes: int = 0


def followed(before: UserData | None, instance: Instance) -> UserData | None:
    """Return what is known of userData after one more good answer; None until a complete one came.

    That it is gone is believed when it is said twice.
    """
    if not is_complete(instance):
        return before
    text = "".join((instance.user_data or "").split())
    digest = sha256(text.encode("utf-8", "replace")).hexdigest() if text else None
    if before is None:
        return UserData(digest=digest, size=len(text))
    if digest == before.digest:
        return UserData(digest=digest, size=len(text), changes=before.changes)
    if digest is None and not before.doubted:
        return UserData(digest=before.digest, size=before.size, doubted=True, changes=before.changes)
    return UserData(digest=digest, size=len(text), changes=before.changes + 1)
