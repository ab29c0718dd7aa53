"""An authority of the emulator's own that signs as IMDS does: PKCS#7 of the very structure of Azure's sample.

Needs `cryptography`, which is loaded when the first signed document is asked for. Its names are those of the clouds; its root is
one that no system trusts, and can be had from the admin side.
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from agent.emulator.reading import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from agent.emulator.attested import Flaw
    from agent.emulator.versions import Cloud

# Who signs in which cloud (Azure's documentation); real certificates are for the bare name and a regional one.
SIGNERS: Mapping[Cloud, str] = {
    "public": "metadata.azure.com",
    "government": "metadata.azure.us",
    "china": "metadata.azure.cn",
    "germany": "metadata.microsoftazure.de",
}
ROOT, ISSUER, STRANGER = "emulator-root", "emulator-issuing-ca-01", "stranger-issuing-ca"
FILES = (ROOT, ISSUER, STRANGER)  # each served as NAME.crt, in DER, where certificates say that their issuer is

_YEAR, _DAY = timedelta(days=365), timedelta(days=1)
_OF_THE_SIGNER: tuple[Flaw, ...] = ("expired", "wrong-name", "wrong-chain")  # the other flaws are of what is signed
# The service names its digest by the signature's identifier. Both are nine bytes, and nothing of these places is signed.
_SHA256, _SHA256_WITH_RSA = bytes.fromhex("0609608648016503040201"), bytes.fromhex("06092a864886f70d01010b")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    certificate: x509.Certificate
    key: RSAPrivateKey


def _tampered(der: bytes) -> bytes:
    """Return a document with one other letter in vmId, or in its nonce where that is empty."""
    at = der.index(b'"vmId":"') + len(b'"vmId":"')
    if der[at : at + 1] == b'"':
        at = der.index(b'"nonce":"') + len(b'"nonce":"')
    return der[:at] + (b"1" if der[at : at + 1] == b"0" else b"0") + der[at + 1 :]


class Authority:
    """A root, an authority below it, and signers.

    Args:
        now: seconds since 1970, from when on all of it is valid.
        issuers_at: the URL below which the issuers' certificates are.
    """

    def __init__(self, now: float, issuers_at: str) -> None:
        try:
            import cryptography  # noqa: F401, PLC0415 lazy: everything else needs the standard library alone
        except ImportError:
            raise InputError("signed documents need the library cryptography: pip install cryptography") from None
        self._lock = threading.RLock()  # two threads that ask at the same time must not get two roots
        self._now = datetime.fromtimestamp(now, timezone.utc)
        self._issuers_at = issuers_at.rstrip("/")

    def sign(self, content: bytes, cloud: Cloud, region: str, flaw: Flaw | None = None) -> bytes:
        """Return the DER of a signed document: one signer, its certificate alone, content within, no attributes."""
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import pkcs7  # noqa: PLC0415

        signer = self._ready_signer(cloud, region, flaw)
        builder = pkcs7.PKCS7SignatureBuilder().set_data(content)
        builder = builder.add_signer(signer.certificate, signer.key, hashes.SHA256())
        options = [pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoAttributes]
        der = builder.sign(serialization.Encoding.DER, options).replace(_SHA256, _SHA256_WITH_RSA)
        return _tampered(der) if flaw == "tampered" else der

    def prepare(self, cloud: Cloud, region: str, flaw: Flaw | None = None) -> None:
        """Make the keys that `sign` will need; tenths of a second each, once."""
        self._ready_signer(cloud, region, flaw)

    def _ready_signer(self, cloud: Cloud, region: str, flaw: Flaw | None) -> _Holder:
        with self._lock:
            return self._signer(cloud, region, flaw if flaw in _OF_THE_SIGNER else None)

    def certificate(self, name: str, *, pem: bool = False) -> bytes:
        """Return a certificate of FILES."""
        from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

        with self._lock:
            return self._issuer(name).certificate.public_bytes(Encoding.PEM if pem else Encoding.DER)

    @functools.cache  # noqa: B019 one authority lives as long as its emulator
    def _issuer(self, name: str) -> _Holder:
        if name == ROOT:
            return self._made("Emulator Root (trust it in tests only)", days=3650)
        if name == ISSUER:
            return self._made("Emulator TLS Issuing CA 01", by=ROOT, days=730)
        return self._made("Stranger TLS Issuing CA", days=730)

    @functools.cache  # noqa: B019 as above
    def _signer(self, cloud: Cloud, region: str, flaw: Flaw | None) -> _Holder:
        name = f"evil{SIGNERS[cloud]}" if flaw == "wrong-name" else SIGNERS[cloud]
        by = STRANGER if flaw == "wrong-chain" else ISSUER
        begins = self._now - _YEAR if flaw == "expired" else self._now - _DAY
        return self._made(name, by=by, names=(name, f"{region}.{name}"), begins=begins, days=180)

    def _made(
        self,
        name: str,
        *,
        by: str | None = None,
        names: tuple[str, ...] = (),
        begins: datetime | None = None,
        days: int,
    ) -> _Holder:
        """Issue a certificate; of an authority where no names of hosts are given."""
        from cryptography import x509  # noqa: PLC0415
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415
        from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = self._issuer(by) if by else None
        signer = issuer.key if issuer else key
        start = begins or self._now - 2 * _YEAR
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=bool(names),
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=not names,
            crl_sign=not names,
            encipher_only=False,
            decipher_only=False,
        )
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days) + (0 * _DAY if begins else 2 * _YEAR))
            .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        if names:
            purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            hosts = [x509.DNSName(each) for each in names]
            made = made.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            made = made.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        if by and by != ROOT:
            place = x509.UniformResourceIdentifier(f"{self._issuers_at}/{by}.crt")
            access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)
            made = made.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
        return _Holder(certificate=made.sign(signer, hashes.SHA256()), key=key)
