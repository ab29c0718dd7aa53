"""What this VM was given: customData for whoever asked for it, and our own parts in it and in userData."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.clients.vm_copies import Copy, read_allowed, read_copies
from agent.core.custom_data import decode, unpacked
from agent.core.own_part import read_own_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from agent.core.instance import Instance
    from agent.core.own_part import OwnPart


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What was given.

    Attributes:
        custom_data: as it was before base64; None where there is none.
        own: our own parts, those of customData first: userData can be changed later, and must not overrule them.
        wrong: what is wrong with the image's list of allowed prefixes.
    """

    custom_data: bytes | None = field(default=None, repr=False)
    own: tuple[OwnPart, ...] = ()
    wrong: tuple[str, ...] = ()


def given(root: Path, instance: Instance | None, domain: str, allowed: Iterable[str] = ()) -> Given:
    """Read the first source of customData that says something, and userData.

    Args:
        allowed: prefixes of label keys besides those that the image allows.
    """
    prefixes, wrong = read_allowed(root)
    custom = next((copy for copy in _custom(root, instance) if copy.content is not None), None)
    sources = [copy for copy in (custom, _imds(instance.user_data if instance else None)) if copy is not None]
    own = [
        read_own_part(part.content, domain, (*prefixes, *allowed))
        for copy in sources
        for part in decode(copy.content or b"", encoded=copy.encoded).parts
        if part.kind == "imds-agent"
    ]
    raw = None if custom is None else unpacked(custom.content or b"", encoded=custom.encoded)[0]
    return Given(custom_data=raw, own=tuple(own), wrong=wrong)


def _custom(root: Path, instance: Instance | None) -> Iterator[Copy]:
    yield _imds(instance.custom_data if instance else None)
    yield from read_copies(root)


def _imds(text: str | None) -> Copy:
    return Copy(source="IMDS", content=text.encode("utf-8", "replace") if text else None, encoded=True)
