"""Is this document the proof of an Azure VM's identity? For `imds-agent attest`, and for whoever receives such a document.

    from agent.attestation import judge
    found = judge(envelope, Expected(nonce=sent, vm_id=known), signers=expected_signers("AzurePublicCloud"), trust=trust, now=now)
    found.answer  # genuine, not genuine, cannot tell

A receiver sends the VM a nonce, the VM asks its IMDS with it and sends back the answer as it came. What is proven then: that a
VM with this vmId, of this subscription, answered within the document's lifetime. Not its zone, its tags or its events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.clients.signature import Trust, verify
from agent.core.attested import Answer, Attested, Check, Expected, content_checks, read_attested, verdict
from agent.core.document import DocumentError
from agent.core.signed import decode_signature, read_signed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

__all__ = ["Expected", "Judgement", "Trust", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was found.

    Attributes:
        checks: in the order in which they were made; after one that leaves nothing to look at there are no more.
        document: what it says, whether that is to be believed or not; None where it could not be read.
    """

    answer: Answer
    checks: tuple[Check, ...]
    document: Attested | None = None


def judge(signature: str, expected: Expected, *, signers: Iterable[str], trust: Trust, now: datetime) -> Judgement:
    """Look at a signed document.

    Args:
        signature: the base64 as IMDS sent it.
        signers: whose names may sign: `core.attested.expected_signers`.
        now: UTC.
    """
    try:
        signed = read_signed(decode_signature(signature))
    except DocumentError as error:
        return _judgement((Check(name="structure", result="bad", because=str(error)),))
    structure = Check(name="structure", result="good", because=f"PKCS#7, {len(signed.content)} bytes signed by one")
    checks = (structure, *verify(signed, signers, trust, now))
    try:
        document = read_attested(signed.content)
    except DocumentError as error:
        return _judgement((*checks, Check(name="document", result="bad", because=str(error))))
    return _judgement((*checks, *content_checks(document, expected, now)), document)


def _judgement(checks: tuple[Check, ...], document: Attested | None = None) -> Judgement:
    return Judgement(answer=verdict(checks), checks=checks, document=document)
