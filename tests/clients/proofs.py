"""Signed documents of an authority of the tests' own, in the form that FACTS and Azure's sample show; not the emulator's code."""

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

NOW = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
PLAIN, QUIRK = bytes.fromhex("0609608648016503040201"), bytes.fromhex("06092a864886f70d01010b")  # SHA-256; with RSA
VM, SUBSCRIPTION = "02aab8a4-74ef-476e-8182-f6d2ba4166a6", "8d10da13-8125-4ba9-a717-bf7490507b3d"


def stamp(when: datetime) -> str:
    return when.strftime("%m/%d/%y %H:%M:%S -0000")


def content(nonce: str = "1234567890", made: datetime = NOW, hours: float = 6, **fields: object) -> bytes:
    document = {
        "nonce": nonce,
        "plan": {"name": "", "product": "", "publisher": ""},
        "subscriptionId": SUBSCRIPTION,
        "timeStamp": {"createdOn": stamp(made), "expiresOn": stamp(made + timedelta(hours=hours))},
        "vmId": VM,
    }
    return json.dumps({**document, **fields}, separators=(",", ":"), sort_keys=True).encode()


def key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@dataclass
class Holder:
    """Somebody with a certificate."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey = field(repr=False)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def issue(
    name: str,
    by: Holder | None = None,
    *,
    ca: bool = False,
    names: tuple[str, ...] = (),
    issuer_at: str | None = None,
    begins: datetime = NOW - timedelta(days=30),
    days: int = 365,
    own: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | None = None,
    purposes: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
) -> Holder:
    """Issue a certificate; by itself where nobody is named."""
    own = own or key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = (by.certificate.subject, by.key) if by else (subject, own)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    usage = dict.fromkeys(
        ("content_commitment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
    )
    bits = {"digital_signature": True, "key_encipherment": not ca, "key_cert_sign": ca, "crl_sign": ca}
    made = made.add_extension(x509.KeyUsage(**usage, **bits), critical=True)
    if not ca and purposes:
        made = made.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if names:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
    if issuer_at:
        place = x509.UniformResourceIdentifier(issuer_at)
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)
        made = made.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return Holder(made.sign(signer, hashes.SHA256()), own)


def sign(what: bytes, signer: Holder, *, quirk: bool = True, more: tuple[Holder, ...] = ()) -> bytes:
    """Return the DER that IMDS would send."""
    builder = pkcs7.PKCS7SignatureBuilder().set_data(what)
    builder = builder.add_signer(signer.certificate, signer.key, hashes.SHA256())
    for each in more:
        builder = builder.add_certificate(each.certificate)
    options = [pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoAttributes]
    der = builder.sign(serialization.Encoding.DER, options)
    return der.replace(PLAIN, QUIRK) if quirk else der


def envelope(der: bytes) -> str:
    return base64.b64encode(der).decode()


REGIONAL = ("metadata.azure.com", "westeurope.metadata.azure.com")


class Chain:
    """A root, an authority below it, and a signer."""

    def __init__(self, issuer_at: str | None = None, root_at: str | None = None, **signer: object) -> None:
        self.root = issue("Test Root", ca=True, begins=NOW - timedelta(days=900), days=3650)
        self.middle = issue("Test TLS CA 01", self.root, ca=True, issuer_at=root_at, days=700)
        self.signer = issue("metadata.azure.com", self.middle, issuer_at=issuer_at, **{"names": REGIONAL, **signer})
