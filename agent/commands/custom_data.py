"""`custom-data`: what customData and userData this VM was given, part by part; content goes into a folder or nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.clients.files import private_folder, write_whole
from agent.clients.imds import ImdsError
from agent.clients.vm_copies import Copy, read_allowed, read_copies, read_file
from agent.commands.output import BOLD, DIM, columns, paint, say, say_json
from agent.core.custom_data import Decoded, Part, decode, safe_name
from agent.core.own_part import read_own_part
from agent.daemon.partners import imds_client
from agent.told import Told

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from agent.core.own_part import OwnPart
    from agent.settings import Settings

DEADLINE = 6.0  # seconds a person waits for IMDS
IMDS_CUSTOM, IMDS_USER = "IMDS customData", "IMDS userData"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A source that had something to say.

    Attributes:
        own: what each of our own parts asks for, by place.
    """

    copy: Copy
    decoded: Decoded
    own: dict[str, OwnPart]


def custom_data(settings: Settings, arguments: argparse.Namespace) -> int:
    """List what each source holds; the first that speaks is the one that counts."""
    copies = tuple(_copies(settings, arguments))
    allowed, wrong = read_allowed(Path(arguments.root))
    spoken = [_spoken(copy, settings, allowed) for copy in copies if copy.content is not None]
    written = _extract(spoken, Path(arguments.extract)) if arguments.extract else {}
    if arguments.output == "json":
        say_json(_document(copies, spoken, wrong, written))
    else:
        _show(copies, spoken, wrong, written)
    return 0 if spoken else 1


def _copies(settings: Settings, arguments: argparse.Namespace) -> Iterable[Copy]:
    """Return all sources in the order in which they are believed: customData, then its copies, then userData."""
    source = arguments.source
    if source == "user-data":
        yield _imds(settings)[IMDS_USER]
        return
    if source not in (None, "imds", "vm"):
        yield read_file(Path(source))
        return
    known = _imds(settings) if source != "vm" else {}
    if source != "vm":
        yield known[IMDS_CUSTOM]
    if source != "imds":
        yield from read_copies(Path(arguments.root))
    if source != "vm":
        yield known[IMDS_USER]


def _imds(settings: Settings) -> dict[str, Copy]:
    try:
        with imds_client(settings) as client:
            instance = client.instance(deadline=DEADLINE).value
    except ImdsError as error:
        return {name: Copy(source=name, note=str(error)) for name in (IMDS_CUSTOM, IMDS_USER)}
    texts = {IMDS_CUSTOM: instance.custom_data, IMDS_USER: instance.user_data}
    return {
        name: Copy(source=name, content=text.encode() if text else None, encoded=True, note="" if text else "empty")
        for name, text in texts.items()
    }


def _spoken(copy: Copy, settings: Settings, allowed: tuple[str, ...]) -> Spoken:
    decoded = decode(copy.content or b"", encoded=copy.encoded)
    domain = settings.domain
    own = {
        part.place: read_own_part(part.content, domain, allowed) for part in decoded.parts if part.kind == "imds-agent"
    }
    return Spoken(copy=copy, decoded=decoded, own=own)


def _extract(spoken: list[Spoken], folder: Path) -> dict[str, str]:
    """Write the parts of the source that counts; returns the file of each place."""
    if not spoken:
        raise Told("nothing to extract: no source holds anything")
    private_folder(folder)
    written = {}
    for part in spoken[0].decoded.parts:
        path = folder / safe_name(part)
        write_whole(path, part.content)
        written[part.place] = str(path)
    return written


def _document(copies: tuple[Copy, ...], spoken: list[Spoken], wrong: tuple[str, ...], written: dict[str, str]) -> Any:
    by_source = {each.copy.source: each for each in spoken}
    return {
        "spoke": spoken[0].copy.source if spoken else None,
        "sources": [_source(copy, by_source.get(copy.source)) for copy in copies],
        "wrong": list(wrong),
        "extracted": written,
    }


def _source(copy: Copy, spoken: Spoken | None) -> dict[str, Any]:
    found: dict[str, Any] = {"source": copy.source, "note": copy.note}
    if spoken is None:
        return found
    decoded = spoken.decoded
    parts = [_part(part, spoken.own.get(part.place)) for part in decoded.parts]
    return {**found, "size": decoded.size, "sha256": decoded.sha256, "notes": decoded.notes, "parts": parts}


def _part(part: Part, own: OwnPart | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "place": part.place,
        "kind": part.kind,
        "size": part.size,
        "sha256": part.sha256,
        "content_type": part.content_type,
        "filename": part.filename,
        "notes": part.notes,
    }
    if own is not None:
        taints = [{"key": each.key, "value": each.value, "effect": each.effect} for each in own.taints]
        found["asks_for"] = {"labels": dict(own.labels), "taints": taints, "refused": own.refused}
    return found


def _show(copies: tuple[Copy, ...], spoken: list[Spoken], wrong: tuple[str, ...], written: dict[str, str]) -> None:
    by_source = {each.copy.source: each for each in spoken}
    for copy in copies:
        found = by_source.get(copy.source)
        if found is None:
            say(f"{paint(copy.source, BOLD)}: {copy.note}")
            continue
        counts = " (this one counts)" if found is spoken[0] else ""
        notes = "".join(f", {note}" for note in found.decoded.notes)
        say(f"{paint(copy.source, BOLD)}: {found.decoded.size} bytes{notes}{counts}")
        columns(_row(part) for part in found.decoded.parts)
        _show_own(found)
    for each in wrong:
        say(each)
    for path in written.values():
        say(f"wrote {path}")


def _row(part: Part) -> tuple[str, ...]:
    named = [f"{name}" for name in (part.content_type, part.filename) if name]
    return (part.place, part.kind, f"{part.size} bytes", part.sha256[:12], paint(", ".join([*named, *part.notes]), DIM))


def _show_own(found: Spoken) -> None:
    for place, own in found.own.items():
        say(f"  {place} asks for")
        columns([(f"label {key}={value}",) for key, value in own.labels], indent="    ")
        columns([(f"taint {each.key}={each.value}:{each.effect}",) for each in own.taints], indent="    ")
        columns([(f"refused: {why}",) for why in own.refused], indent="    ")
