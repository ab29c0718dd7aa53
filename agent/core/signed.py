"""PKCS#7 SignedData (RFC 2315) in the form that IMDS sends: what is signed, by whom, and how; nothing is verified here.

IMDS names its digest by the signature's identifier (sha256WithRSAEncryption) where plain SHA-256 belongs, sends the signer's
certificate alone, and signs the content itself, without attributes (seen in Azure's sample and in real documents of 2022 and
2023). Whatever else a later service sends is read where it is unambiguous and refused by name where it is not.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from agent.core.der import INTEGER, OCTETS, SEQUENCE, SET, read_der
from agent.core.document import DocumentError

if TYPE_CHECKING:
    from agent.core.der import Element

Digest = Literal["sha256", "sha384", "sha512"]

_SIGNED_DATA, _DATA = "1.2.840.113549.1.7.2", "1.2.840.113549.1.7.1"
_DIGESTS: dict[str, Digest] = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "1.2.840.113549.1.1.11": "sha256",  # sha256WithRSAEncryption: what IMDS writes
    "2.16.840.1.101.3.4.2.2": "sha384",
    "1.2.840.113549.1.1.12": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "1.2.840.113549.1.1.13": "sha512",
}
_SIGNED_WITH = {
    "1.2.840.113549.1.1.1": "RSA",  # what IMDS writes
    "1.2.840.113549.1.1.11": "RSA",
    "1.2.840.113549.1.1.12": "RSA",
    "1.2.840.113549.1.1.13": "RSA",
    "1.2.840.10045.2.1": "ECDSA",  # Azure's issuers have certificates with such keys, too
    "1.2.840.10045.4.3.2": "ECDSA",
    "1.2.840.10045.4.3.3": "ECDSA",
    "1.2.840.10045.4.3.4": "ECDSA",
}
_OPTIONAL = 0xA0, 0xA1  # [0] certificates, [1] crls
_SPACE = re.compile(r"\s+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
AT_MOST = 256 * 1024  # bytes; a document with its certificate has two thousand


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What stands in a signed document.

    Attributes:
        content: what was signed.
        certificates: DER, the signer's first.
        signature: by the signer's key over the content; PKCS#1 v1.5 where it is an RSA key.
    """

    content: bytes = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)
    signature: bytes = field(repr=False)
    digest: Digest


def decode_signature(text: str) -> bytes:
    """Return the DER behind base64 with or without white space.

    Raises:
        DocumentError: not base64, or too long.
    """
    packed = _SPACE.sub("", text)
    if len(packed) > AT_MOST * 2:
        raise DocumentError("$.signature", f"at most {AT_MOST} bytes", f"{len(packed)} characters")
    if not _BASE64.fullmatch(packed) or len(packed) % 4:  # Python 3.10 itself takes "=" for base64 of nothing
        raise DocumentError("$.signature", "base64", f"{len(packed)} characters that are not")
    return base64.b64decode(packed)


def read_signed(der: bytes) -> Signed:
    """Read a PKCS#7 SignedData with embedded content and one signer.

    Raises:
        DocumentError: it is another structure; with the place in it.
    """
    kind, holder, *_ = read_der(der, "pkcs7").a(SEQUENCE).fields("contentType", "content")
    _expect(kind, {_SIGNED_DATA: "signedData"})
    [data] = _only(holder.a(0xA0), "signedData")
    version, digests, content, *rest = data.a(SEQUENCE).fields("version", "digestAlgorithms", "encapsulated")
    version.a(INTEGER)
    digests.a(SET)
    if len(rest) < 1 or rest[-1].tag != SET or any(part.tag not in _OPTIONAL for part in rest[:-1]):
        raise DocumentError(data.path, "certificates and one set of signers", f"{len(rest)} other parts")
    [signer] = _only(rest[-1], "signerInfo")
    issued, digest, signature = _signer(signer)
    certificates = tuple(each.whole for part in rest[:-1] if part.tag == 0xA0 for each in part.each())
    return Signed(
        content=_content(content),
        certificates=_sorted(certificates, issued, signer),
        signature=signature,
        digest=digest,
    )


def _only(holder: Element, name: str) -> tuple[Element]:
    found = holder.each(name)
    if len(found) != 1:
        raise DocumentError(holder.path, f"exactly one {name}", str(len(found)))
    return (found[0],)


def _expect(element: Element, known: dict[str, str]) -> None:
    if element.oid() not in known:
        raise DocumentError(element.path, " or ".join(dict.fromkeys(known.values())), element.oid())


def _content(element: Element) -> bytes:
    kind, *rest = element.a(SEQUENCE).fields("contentType")
    _expect(kind, {_DATA: "data"})
    if not rest:
        raise DocumentError(element.path, "the content itself", "a detached signature")
    [octets] = _only(rest[0].a(0xA0), "octets")
    return octets.a(OCTETS).body


def _signer(signer: Element) -> tuple[bytes, Digest, bytes]:
    """Return issuer and serial as they are encoded, the digest, and the signature."""
    names = ("version", "issuerAndSerialNumber", "digestAlgorithm", "signatureAlgorithm", "signature")
    version, issued, digest, *rest = signer.a(SEQUENCE).fields(*names[:3])
    version.a(INTEGER)
    if rest and rest[0].tag == 0xA0:  # then these are signed and not the content: another scheme, which IMDS never used
        raise DocumentError(signer.path, "no signed attributes", "some")
    _, _, _, algorithm, signature, *_ = signer.fields(*names)
    [oid, *_] = digest.a(SEQUENCE).fields("algorithm")
    _expect(oid, dict.fromkeys(_DIGESTS, "SHA-2"))
    [how, *_] = algorithm.a(SEQUENCE).fields("algorithm")
    _expect(how, _SIGNED_WITH)
    return issued.a(SEQUENCE).body, _DIGESTS[oid.oid()], signature.a(OCTETS).body


def _sorted(certificates: tuple[bytes, ...], issued: bytes, signer: Element) -> tuple[bytes, ...]:
    """Return the certificates, first the one that the signer names by issuer and serial number."""
    mine = [each for each in certificates if _issuer_and_serial(each) == issued]
    if len(mine) != 1:
        expected = "the signer's certificate among those that came along"
        raise DocumentError(signer.path, expected, f"{len(mine)} of {len(certificates)}")
    return (mine[0], *(each for each in certificates if each != mine[0]))


def _issuer_and_serial(certificate: bytes) -> bytes:
    body, *_ = read_der(certificate, "certificate").a(SEQUENCE).fields("toBeSigned")
    parts = body.a(SEQUENCE).each()
    at = 1 if parts and parts[0].tag == 0xA0 else 0  # [0] version
    if len(parts) < at + 3:
        raise DocumentError(body.path, "serial number, algorithm and issuer", f"{len(parts)} parts")
    return parts[at + 2].whole + parts[at].whole
