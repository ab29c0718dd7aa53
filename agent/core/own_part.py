"""Our own part of customData or userData: labels and taints for this node, within bounds that the image sets.

Whoever may write userData must not gain more by it than a few labels: no URL, no other setting, no key of Kubernetes' own,
and nothing below prefixes that nobody allowed.

    #imds-agent
    {"labels": {"imds-agent.github.io/pool": "blue"}, "taints": [{"key": "example.com/new", "effect": "NoSchedule"}]}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.core.document import DocumentError, Place, read_json

if TYPE_CHECKING:
    from collections.abc import Iterable

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
AT_MOST = 32  # labels, and taints
LARGEST = 64 * 1024  # bytes: all that Azure allows for customData, and 32 labels and taints are a tenth
# Kubernetes' own: labels below these decide where pods may go, and taints what the control plane does to a node.
RESERVED = ("kubernetes.io", "k8s.io")

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_DNS = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTaint:
    """A taint to register a node with."""

    key: str
    effect: str
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPart:
    """What our own part asks for, and what of it is refused.

    Attributes:
        refused: place, expected, found.
    """

    labels: tuple[tuple[str, str], ...] = ()
    taints: tuple[OwnTaint, ...] = ()
    refused: tuple[str, ...] = ()


def read_own_part(content: bytes, domain: str, allowed: Iterable[str] = ()) -> OwnPart:
    """Read our own part; what is wrong is refused piece by piece.

    Args:
        domain: labels below `domain/` may always be added.
        allowed: prefixes of further label keys, such as `example.com/`.
    """
    if len(content) > LARGEST:
        return OwnPart(refused=(f"$: expected at most {LARGEST} bytes, found {len(content)}",))
    content = content.lstrip()  # as its kind was told
    text = content.split(b"\n", 1)[-1] if content[:11].lower() == b"#imds-agent" else content
    prefixes = (f"{domain}/", *allowed)
    try:
        root = read_json(text)
        members = root.members()
    except DocumentError as error:
        return OwnPart(refused=(str(error),))
    unknown = [
        f"$.{name}: expected labels or taints, found {name!r}" for name in members if name not in ("labels", "taints")
    ]
    labels, bad_labels = _labels(root.at("labels"), prefixes)
    taints, bad_taints = _taints(root.at("taints"), domain)
    return OwnPart(labels=labels, taints=taints, refused=(*unknown, *bad_labels, *bad_taints))


def allowed_prefixes(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read a file of label prefixes, one a line, `#` for remarks; returns them and what is wrong.

    A prefix holds a whole domain and its slash, since `e` would be a prefix of everything's.
    """
    found, wrong = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        prefix = line.partition("#")[0].strip()
        if not prefix:
            continue
        domain, slash, rest = prefix.partition("/")
        if slash and _DNS.fullmatch(domain) and not _reserved(domain) and re.fullmatch(r"[A-Za-z0-9._-]*", rest):
            found.append(prefix)
        else:
            wrong.append(f"line {number}: expected a prefix such as 'example.com/', found {prefix[:60]!r}")
    return tuple(found), tuple(wrong)


def _reserved(domain: str) -> bool:
    return any(domain == each or domain.endswith(f".{each}") for each in RESERVED)


def _labels(place: Place, prefixes: tuple[str, ...]) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    try:
        members = place.members()
    except DocumentError as error:
        return (), (str(error),)
    found, wrong = [], []
    for key in list(members)[:AT_MOST]:
        try:
            found.append((_key(place.path, key, prefixes), _value(place.at(key))))
        except DocumentError as error:
            wrong.append(str(error))
    if len(members) > AT_MOST:
        wrong.append(f"{place.path}: expected at most {AT_MOST} labels, found {len(members)}")
    return tuple(found), tuple(wrong)


def _key(path: str, key: str, prefixes: tuple[str, ...] | None) -> str:
    domain, slash, name = key.partition("/")
    if not slash or not _DNS.fullmatch(domain) or len(domain) > 253 or not _NAME.fullmatch(name):
        raise DocumentError(path, "a key such as 'example.com/name'", repr(key))
    if _reserved(domain):
        raise DocumentError(path, "a key that is not Kubernetes' own", repr(key))
    if prefixes is not None and not key.startswith(prefixes):
        raise DocumentError(path, f"a key below {' or '.join(prefixes)}", repr(key))
    return key


def _value(place: Place) -> str:
    value = place.text() or ""
    if value and not _NAME.fullmatch(value):
        raise place.wrong("at most 63 letters, digits, '-', '_' and '.', a letter or digit at both ends")
    return value


def _taints(place: Place, domain: str) -> tuple[tuple[OwnTaint, ...], tuple[str, ...]]:
    try:
        entries = place.each()
    except DocumentError as error:
        return (), (str(error),)
    found, wrong = [], []
    for entry in entries[:AT_MOST]:
        try:
            found.append(_taint(entry, domain))
        except DocumentError as error:
            wrong.append(str(error))
    if len(entries) > AT_MOST:
        wrong.append(f"{place.path}: expected at most {AT_MOST} taints, found {len(entries)}")
    return tuple(found), tuple(wrong)


def _taint(place: Place, domain: str) -> OwnTaint:
    unknown = [name for name in place.members() if name not in ("key", "value", "effect")]
    if unknown:
        raise DocumentError(place.path, "key, value and effect", repr(unknown[0]))
    key, effect = place.at("key"), place.at("effect")
    named = _key(key.path, key.text() or "", None)
    if named == f"{domain}/scheduled-event":  # it would tell of an event that there is not
        raise key.wrong("a key that is not the event taint's")
    if effect.text() not in EFFECTS:
        raise effect.wrong(f"one of {', '.join(EFFECTS)}")
    return OwnTaint(key=named, effect=str(effect.text()), value=_value(place.at("value")))
