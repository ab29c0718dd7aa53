"""`attest`: is this a VM of Azure, and which? By the signed document of its IMDS, or one that somebody sends."""

from __future__ import annotations

import dataclasses
import secrets
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from agent.clients.imds import ImdsError
from agent.clients.issuers import Issuers, Place
from agent.commands.output import BOLD, columns, paint, say, say_json
from agent.core.attested import NONCE, Expected, expected_signers, read_envelope
from agent.core.document import DocumentError
from agent.daemon.partners import imds_client
from agent.told import Told

if TYPE_CHECKING:
    import argparse

    from agent.attestation import Judgement, Trust
    from agent.clients.imds import Imds
    from agent.core.instance import Instance
    from agent.settings import Settings

DEADLINE = 10.0  # seconds a person waits for IMDS
TRIES = (
    3  # questions with a nonce of their own, where the service answers another's: from its cache, for up to six hours
)
LARGEST = 1024 * 1024  # bytes of a file with a document
PROVES = "It proves the VM and its subscription; not zone, tags or events."
EXITS = {"genuine": 0, "not genuine": 1, "cannot tell": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A document, and what is known beside it.

    Attributes:
        nonce: what the document should say; None where nobody knows.
    """

    signature: str
    nonce: str | None
    instance: Instance | None = None


def attest(settings: Settings, arguments: argparse.Namespace) -> int:
    """Judge a document, and say so by the exit code."""
    nonce = arguments.nonce
    if nonce is not None and not NONCE.fullmatch(nonce):
        raise Told(f"--nonce: expected 1 to 32 letters and digits, found {nonce[:40]!r}")
    trust = _trust(arguments)
    if arguments.document is not None:
        asked = _Asked(signature=_read(arguments.document), nonce=nonce)
        found = _judged(asked, arguments, trust)
    else:
        with imds_client(settings) as client:
            asked, found = _ask(client, arguments, trust)
    _show(found, asked, arguments)
    return EXITS[found.answer]


def _trust(arguments: argparse.Namespace) -> Trust:
    try:
        from agent.clients.signature import Trust, read_certificates, system_roots  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise Told("attest needs the library cryptography: pip install 'cryptography>=44'") from error
    roots = read_certificates(Path(arguments.roots)) if arguments.roots else system_roots()
    pinned = tuple(each for path in arguments.intermediates or () for each in read_certificates(Path(path)))
    issuers = None if arguments.offline else Issuers(_place(text) for text in arguments.issuer_host or ())
    return Trust(roots=roots, pinned=pinned, issuers=issuers)


def _place(text: str) -> Place:
    host, _, port = text.partition(":")
    if not host or (port and not port.isdecimal()):
        raise Told(f"--issuer-host: expected HOST or HOST:PORT, found {text[:100]!r}")
    return Place(host=host.casefold(), port=int(port) if port else None)


def _read(name: str) -> str:
    """Read a document as IMDS sent it, or the base64 in it."""
    try:
        body = sys.stdin.buffer.read(LARGEST) if name == "-" else Path(name).read_bytes()[:LARGEST]
    except OSError as error:
        raise Told(f"{name}: cannot be read: {error.strerror}") from error
    if not body.lstrip().startswith(b"{"):
        return body.decode("ascii", "replace")
    try:
        return read_envelope(body)
    except DocumentError as error:
        raise Told(f"{name}: {error}") from error


def _ask(client: Imds, arguments: argparse.Namespace, trust: Trust) -> tuple[_Asked, Judgement]:
    """Ask this VM's IMDS; where it answers with another's nonce, ask again."""
    instance = _instance(client)
    for _ in range(1 if arguments.nonce or arguments.lenient else TRIES):
        nonce = arguments.nonce or secrets.token_hex(16)
        signature = client.attested(nonce, deadline=DEADLINE).value
        asked = _Asked(signature=signature, nonce=nonce, instance=instance)
        found = _judged(asked, arguments, trust)
        if found.document is None or found.document.nonce == nonce:
            break
    return asked, found


def _instance(client: Imds) -> Instance | None:
    try:
        return client.instance(deadline=DEADLINE).value
    except ImdsError:  # what it would say is compared with nothing then, and the answer says so
        return None


def _judged(asked: _Asked, arguments: argparse.Namespace, trust: Trust) -> Judgement:
    from agent.attestation import judge  # noqa: PLC0415 - as in _trust

    instance = asked.instance
    expected = Expected(
        nonce=asked.nonce,
        fresh=not arguments.lenient,
        vm_id=arguments.vm_id or (instance.vm_id if instance else None),
        subscription_id=arguments.subscription or (instance.subscription_id if instance else None),
        compared=arguments.document is None,
    )
    cloud = arguments.cloud or (instance.cloud if instance else None)
    now = datetime.now(timezone.utc)
    return judge(asked.signature, expected, signers=expected_signers(cloud), trust=trust, now=now)


def _show(found: Judgement, asked: _Asked, arguments: argparse.Namespace) -> None:
    if arguments.output == "json":
        checks = [dataclasses.asdict(check) for check in found.checks]
        document = dataclasses.asdict(found.document) if found.document else None
        say_json({"answer": found.answer, "checks": checks, "document": document, "nonce_sent": asked.nonce})
        return
    say(paint(found.answer, BOLD))
    words = {"good": "ok", "bad": "WRONG", "unknown": "unknown"}
    columns((words[check.result], check.name, check.because) for check in found.checks)
    if found.answer == "genuine":
        say(PROVES)
