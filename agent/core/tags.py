"""Tags of the VM in, labels and one annotation out: a total mapping, each step of which can be explained.

Azure's names may be 512 characters long and hold almost anything; Kubernetes refuses a whole request for one label that
is not valid. So every tag gets a valid label or, where the policy says so, none.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from hashlib import sha256
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from agent.core.document import without_surrogates

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DOMAIN = "imds-agent.github.io"

# Written by Azure, AKS and autoscalers, not by people; some change with every operation and would churn every node.
BUILT_IN_DENY = (
    "hidden-*",
    "aks-managed-*",
    "k8s-azure-*",
    "k8s.io_cluster-autoscaler_*",
    "karpenter.*_*",
    "aksEngineVersion",
    "orchestrator",
    "poolName",
    "creationSource",
    "resourceNameSuffix",
    "compute.aks.billing",
    "ms-resource-usage",
)
ANNOTATION_LIMIT = 16 * 1024  # bytes; all annotations of an object together may have 256 KiB

_LONGEST = 63  # characters of a label's name and of its value
_VALID = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_OTHER = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TagPolicy:
    """Which tags become labels, and how.

    Attributes:
        allow, deny: globs over tag names without regard to case; deny wins.
        built_in_deny: deny what Azure, AKS and autoscalers write for themselves, too.
        rename: pairs of a tag's name (any case) and the label name that it gets instead of the mapped one.
        case: of label names; Azure takes tag names that differ only in case for one.
        lossy: what becomes of a value that no label can hold as it is: `sanitize` replaces, `hash` also appends a hash
            so that different values stay different, `skip` gives no label.

    Raises:
        ValueError: a rename target is no label name, a tag is renamed twice, or an unknown `case` or `lossy`.
    """

    allow: tuple[str, ...] = ("*",)
    deny: tuple[str, ...] = ()
    built_in_deny: bool = True
    rename: tuple[tuple[str, str], ...] = ()
    case: Literal["lower", "preserve"] = "lower"
    lossy: Literal["sanitize", "hash", "skip"] = "sanitize"

    def __post_init__(self) -> None:
        if self.case not in ("lower", "preserve"):
            raise ValueError(f"tag case: expected lower or preserve, found {self.case!r}")
        if self.lossy not in ("sanitize", "hash", "skip"):
            raise ValueError(f"lossy tag values: expected sanitize, hash or skip, found {self.lossy!r}")
        renamed: set[str] = set()
        for name, target in self.rename:
            if not _VALID.fullmatch(target):
                rule = "1 to 63 letters, digits, '.', '_' or '-' with a letter or digit at both ends"
                raise ValueError(f"rename of tag {name!r}: expected a label name ({rule}), found {target!r}")
            if name.casefold() in renamed:
                raise ValueError(f"rename of tag {name!r}: it is renamed twice")
            renamed.add(name.casefold())


@dataclass(frozen=True, slots=True, kw_only=True)
class TagLabel:
    """What becomes of one tag.

    Attributes:
        key: None when the tag gets no label; then `label` is None, too.
        label: the label's value.
        allowed: whether the tag may be shown at all, as a label or in the annotation.
        lossy: whether the value cannot be a label's value as it is.
        because: each step from the tag to its label, or to having none.
    """

    name: str
    value: str
    key: str | None
    label: str | None
    allowed: bool
    lossy: bool
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collision:
    """Tags that wanted one key.

    Attributes:
        names: all of them, sorted.
        keeper: whose it is; None where all got a key with a hash instead.
    """

    key: str
    names: tuple[str, ...]
    keeper: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TagLabels:
    """All tags mapped.

    Attributes:
        annotation: canonical JSON of the allowed tags as they are, `{}` for none.
        explained: one entry a tag, by name.
    """

    labels: dict[str, str] = field(default_factory=dict)
    annotation: str = "{}"
    explained: tuple[TagLabel, ...] = ()
    collisions: tuple[Collision, ...] = ()


def label_value(text: str) -> str:
    """Return the label value nearest to a text: itself if it is one, "" if nothing of it can stay."""
    if not text or _VALID.fullmatch(text):
        return text
    return _short(_OTHER.sub("_", text).strip("-_."), text)


def explain_tag(name: str, value: str, policy: TagPolicy, domain: str = DOMAIN) -> TagLabel:
    """Map one tag by itself, as if no other tag wanted its key."""
    allowed, because = _allowed(name, policy)
    label, value_because = _value(value, policy)
    lossy = label != value
    if not allowed or label is None:
        reasons = (because,) if not allowed else (because, *value_because)
        return TagLabel(name=name, value=value, key=None, label=None, allowed=allowed, lossy=lossy, because=reasons)
    part, name_because = _name(name, policy)
    reasons = (because, *name_because, *value_because)
    key = f"tag.{domain}/{part}"
    return TagLabel(name=name, value=value, key=key, label=label, allowed=True, lossy=lossy, because=reasons)


def tag_labels(tags: Iterable[tuple[str, str]], policy: TagPolicy, domain: str = DOMAIN) -> TagLabels:
    """Map all tags of a VM; the order in which they come makes no difference.

    Of names that differ only in case one is taken, the last when sorted. Of several tags that want one key, the one
    that is renamed to it or needed no change keeps it, and the others get a hash of their name appended.
    """
    last = {name.casefold(): (name, value) for name, value in sorted(tags)}
    explained = [explain_tag(*last[folded], policy, domain) for folded in sorted(last)]
    explained, collisions = _settled(explained, policy)
    return TagLabels(
        labels={tag.key: tag.label for tag in explained if tag.key is not None and tag.label is not None},
        annotation=_annotation({tag.name: tag.value for tag in explained if tag.allowed}),
        explained=tuple(explained),
        collisions=collisions,
    )


def _allowed(name: str, policy: TagPolicy) -> tuple[bool, str]:
    denied = _matching(name, policy.deny)
    if denied is not None:
        return False, f"denied by {denied!r}"
    built_in = _matching(name, BUILT_IN_DENY) if policy.built_in_deny else None
    if built_in is not None:
        return False, f"denied by {built_in!r}, which is built in: Azure, AKS or an autoscaler writes it"
    allowed = _matching(name, policy.allow)
    if allowed is None:
        return False, "no allow pattern matches"
    return True, f"allowed by {allowed!r}"


def _matching(name: str, globs: tuple[str, ...]) -> str | None:
    folded = name.casefold()
    return next((glob for glob in globs if fnmatchcase(folded, glob.casefold())), None)


def _renamed(name: str, policy: TagPolicy) -> str | None:
    return next((target for tag, target in policy.rename if tag.casefold() == name.casefold()), None)


def _cased(name: str, policy: TagPolicy) -> str:
    return name.lower() if policy.case == "lower" else name


def _name(name: str, policy: TagPolicy) -> tuple[str, tuple[str, ...]]:
    """Return the name part of the key and what was done to get it."""
    renamed = _renamed(name, policy)
    if renamed is not None:
        return renamed, (f"renamed to {renamed!r}",)
    cased = _cased(name, policy)
    because: tuple[str, ...] = ("name in lower case",) if cased != name else ()
    stripped = _OTHER.sub("_", cased).strip("-_.")
    if stripped != cased:
        because += ("characters of the name that no label can hold replaced by _, and none left at its ends",)
    if not stripped:
        return f"x-{_digest(name.casefold(), 10)}", (*because, "nothing of the name left: a hash of it instead")
    if len(stripped) > _LONGEST:
        because += (f"name cut to {_LONGEST} characters, the last 8 a hash of it",)
    return _short(stripped, name.casefold()), because


def _value(value: str, policy: TagPolicy) -> tuple[str | None, tuple[str, ...]]:
    """Return the label's value, None where the policy skips it, and what was done to get it."""
    label = label_value(value)
    if label == value:
        return value, ()
    if policy.lossy == "skip":
        return None, ("no label: it could not hold the value as it is",)
    if policy.lossy == "hash":
        return _hashed(label, value), ("value made valid, with a hash of it at the end",)
    return label, ("value made valid; as it is it stands in the annotation only",)


def _short(text: str, original: str) -> str:
    return text if len(text) <= _LONGEST else _hashed(text, original)


def _hashed(text: str, original: str, digits: int = 8) -> str:
    """Return a text of at most 63 characters that ends in a hash of the original."""
    head = text[: _LONGEST - 1 - digits].rstrip("-_.")
    return f"{head or 'x'}-{_digest(original, digits)}"


def _digest(text: str, digits: int) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]


def _settled(explained: list[TagLabel], policy: TagPolicy) -> tuple[list[TagLabel], tuple[Collision, ...]]:
    """Give each key to one tag; the others get another key."""
    wanting: defaultdict[str, list[TagLabel]] = defaultdict(list)
    for tag in explained:
        if tag.key is not None:
            wanting[tag.key].append(tag)
    contested = {key: tags for key, tags in wanting.items() if len(tags) > 1}
    collisions = tuple(_collision(key, contested[key], policy) for key in sorted(contested))
    keepers = {collision.key: collision.keeper for collision in collisions}
    taken = set(wanting)
    settled: list[TagLabel] = []
    for tag in explained:
        if tag.key is None or tag.key not in keepers or tag.name == keepers[tag.key]:
            settled.append(tag)
        else:
            settled.append(_moved(tag, tag.key, taken))
    return settled, collisions


def _collision(key: str, tags: list[TagLabel], policy: TagPolicy) -> Collision:
    part = key.partition("/")[2]
    renamed = [tag.name for tag in tags if _renamed(tag.name, policy) is not None]
    unchanged = [tag.name for tag in tags if _cased(tag.name, policy) == part]
    names = tuple(tag.name for tag in tags)
    return Collision(key=key, names=names, keeper=next(iter(renamed + unchanged), None))


def _moved(tag: TagLabel, key: str, taken: set[str]) -> TagLabel:
    """Return the tag under a key of its own: 8 digits of hash, and more should another tag be named just so."""
    prefix, _, part = key.partition("/")
    keys = (f"{prefix}/{_hashed(part, tag.name.casefold(), digits)}" for digits in range(8, _LONGEST - 1))
    free = next(each for each in keys if each not in taken)
    taken.add(free)
    return replace(tag, key=free, because=(*tag.because, f"another tag wants {key}: a hash of the name appended"))


def _annotation(tags: Mapping[str, str]) -> str:
    """Return canonical JSON of the tags; beyond 16 KiB of those that fit, by name, with a hash of all."""
    whole = _json(tags)
    if len(whole.encode()) <= ANNOTATION_LIMIT:
        return whole
    about = {"truncated": True, "count": len(tags), "sha256": sha256(whole.encode()).hexdigest()}
    room = ANNOTATION_LIMIT - len(_json({**about, "tags": {}}))
    names = sorted(tags)
    used = accumulate(len(_json({name: tags[name]}).encode()) for name in names)  # braces stand in for the comma
    shown = {name: tags[name] for name, size in zip(names, used, strict=True) if size <= room}
    return _json({**about, "tags": shown})


def _json(value: Mapping[str, object]) -> str:
    return without_surrogates(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
