"""Signatures and chains of attested documents, by `cryptography`: who signed, and whether somebody we trust vouches for it.

Nothing is decided about the document itself; that is `core/attested.py`. The extra `attest` brings the library; the daemon never
loads it.
"""

from __future__ import annotations

import ssl
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

from agent.clients.issuers import IssuerRefused, Issuers, IssuerUnavailable
from agent.core.attested import Check, signer_name
from agent.told import Told

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from agent.core.signed import Digest, Signed

HOPS = 4  # issuers that are fetched, one named by the other; real chains have one or two between signer and root
_DIGESTS: dict[Digest, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_PURPOSES = {
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom to believe.

    Attributes:
        roots: certificates that vouch for themselves.
        pinned: certificates between signer and root that are known; they vouch for nobody by themselves.
        issuers: fetches what is missing between; None: offline.
    """

    roots: tuple[x509.Certificate, ...] = field(repr=False)
    pinned: tuple[x509.Certificate, ...] = field(default=(), repr=False)
    issuers: Issuers | None = None


def read_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """Read a file of certificates, PEM or one in DER.

    Raises:
        Told: it cannot be read, or there is none in it.
    """
    try:
        found = _certificates(path.read_bytes())
    except OSError as error:
        raise Told(f"{path}: cannot be read: {error.strerror}") from error
    if not found:
        raise Told(f"{path}: expected certificates in PEM or DER, found none")
    return found


def system_roots() -> tuple[x509.Certificate, ...]:
    """Return the roots that this system trusts.

    Raises:
        Told: there are none (Debian: the package ca-certificates).
    """
    context = ssl.create_default_context()
    found = tuple(_loaded(context.get_ca_certs(binary_form=True)))
    if not found:
        raise Told("no root certificates on this system; expected the package ca-certificates, or --roots FILE")
    return found


def _certificates(data: bytes) -> tuple[x509.Certificate, ...]:
    """Return the certificates in PEM or DER; none where it is neither."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of certificates that a later version of the library will not read
        try:
            if b"-----BEGIN" in data:
                return tuple(x509.load_pem_x509_certificates(data))
            return (x509.load_der_x509_certificate(data),)
        except ValueError:
            return ()


def _loaded(certificates: Iterable[bytes]) -> Iterable[x509.Certificate]:
    """Load those that can be: one odd root must not cost the others."""
    for der in certificates:
        yield from _certificates(der)


def verify(signed: Signed, expected_names: Iterable[str], trust: Trust, now: datetime) -> tuple[Check, ...]:
    """Return what is to be said of signature, signer and chain.

    Args:
        expected_names: who may sign; names below these, too.
    """
    loaded = _certificates(signed.certificates[0])
    if not loaded:
        return (Check(name="signature", result="bad", because="the signer's certificate cannot be read"),)
    signature = _signature(signed, loaded[0])
    if signature.result != "good":
        return (signature,)
    more = tuple(_loaded(signed.certificates[1:]))
    return (signature, _name(loaded[0], expected_names), _dates(loaded[0], now), _chain(loaded[0], more, trust, now))


def _signature(signed: Signed, signer: x509.Certificate) -> Check:
    try:
        key, digest = signer.public_key(), _DIGESTS[signed.digest]
        if isinstance(key, RSAPublicKey):
            key.verify(signed.signature, signed.content, PKCS1v15(), digest)
        elif isinstance(key, EllipticCurvePublicKey):
            key.verify(signed.signature, signed.content, ECDSA(digest))
        else:
            return Check(name="signature", result="bad", because="the signer's key is neither an RSA nor an EC key")
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return Check(name="signature", result="bad", because="it is not that of this content by this signer's key")
    return Check(name="signature", result="good", because=f"a key of {key.key_size} bits, {signed.digest.upper()}")


def _names(signer: x509.Certificate) -> tuple[str, ...]:
    """Return the names of a certificate: the alternative ones, else the common name as of old."""
    try:
        found = signer.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return tuple(found.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return tuple(str(each.value) for each in signer.subject.get_attributes_for_oid(NameOID.COMMON_NAME))


def _name(signer: x509.Certificate, expected: Iterable[str]) -> Check:
    wanted, names = tuple(expected), _names(signer)
    name = signer_name(names, wanted)
    if name is not None:
        return Check(name="signer", result="good", because=name)
    found = ", ".join(names)[:200] or "nobody"
    return Check(name="signer", result="bad", because=f"{found}; expected {' or '.join(wanted)}, or a name below it")


def _dates(signer: x509.Certificate, now: datetime) -> Check:
    begins, ends = signer.not_valid_before_utc, signer.not_valid_after_utc
    because = f"valid from {begins:%Y-%m-%d} to {ends:%Y-%m-%d}"
    return Check(name="certificate", result="good" if begins <= now <= ends else "bad", because=because)


def _chain(signer: x509.Certificate, more: tuple[x509.Certificate, ...], trust: Trust, now: datetime) -> Check:
    """Look for a chain with what is known, and fetch the issuer of the last link as long as there is none."""
    known, last = [*more, *trust.pinned], signer
    for _ in range(HOPS + 1):
        found = _chained(signer, known, trust, now)
        if isinstance(found, str):
            return Check(name="chain", result="good", because=found)
        if last.issuer == last.subject:
            break
        if trust.issuers is None:
            because = "no chain to a trusted root from what is here, and offline nothing is fetched"
            return Check(name="chain", result="unknown", because=because)
        at_hand = [each for each in known if each.subject == last.issuer and each != last]
        try:
            issuer = at_hand[0] if at_hand else _issuer(last, trust.issuers)
        except (IssuerRefused, IssuerUnavailable) as error:
            return Check(name="chain", result="unknown", because=str(error))
        if issuer is None:
            break
        known, last = [*known, *(() if at_hand else (issuer,))], issuer
    return Check(name="chain", result="bad", because=f"it leads to no trusted root: {found}")


def _chained(
    signer: x509.Certificate, known: list[x509.Certificate], trust: Trust, now: datetime
) -> str | VerificationError:
    """Return a chain in words, or why there is none.

    Names and purpose are ours to check: these are certificates of TLS servers that sign documents.
    """
    policy = PolicyBuilder().store(Store(list(trust.roots))).time(now.replace(tzinfo=None)).max_chain_depth(HOPS)
    policy = policy.extension_policies(
        ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.permit_all()
    )
    try:
        links = policy.build_client_verifier().verify(signer, known).chain
    except VerificationError as error:
        return error
    return " < ".join(_called(link) for link in links) if _for_tls(signer) else VerificationError("not for TLS")


def _for_tls(signer: x509.Certificate) -> bool:
    """Return whether a certificate is for what real signers' are for; one that says nothing is for everything."""
    try:
        purposes = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return not _PURPOSES.isdisjoint(purposes)


def _called(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()[:100]


def _issuer(certificate: x509.Certificate, issuers: Issuers) -> x509.Certificate | None:
    """Fetch the certificate of an issuer; None where nobody says where it is, or it is not there.

    Raises:
        IssuerRefused, IssuerUnavailable: the last place that was named.
    """
    failed: Told | None = None
    for url in _places(certificate):
        try:
            found = _certificates(issuers.fetch(url))
        except (IssuerRefused, IssuerUnavailable) as error:
            failed = error
            continue
        for each in found:
            if each.subject == certificate.issuer:
                return each
    if failed is not None:
        raise failed
    return None


def _places(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the URLs of "CA Issuers"; a handful at most, since anybody may have written them."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return ()
    urls = [
        each.access_location.value
        for each in found
        if each.access_method == AuthorityInformationAccessOID.CA_ISSUERS
        and isinstance(each.access_location, x509.UniformResourceIdentifier)
    ]
    return tuple(urls[:3])
