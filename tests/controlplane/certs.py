"""The test cluster's own certificate authority: serving and client certificates, and the key that signs tokens."""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=30)  # long enough for a demo that is left running
SLACK = timedelta(hours=1)  # against clocks that differ
LOOPBACK = x509.SubjectAlternativeName(
    [
        x509.DNSName("localhost"),
        x509.DNSName("kubernetes.default.svc"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """Files of one certificate and its private key, PEM."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority in a folder; opened again it goes on with the same key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = KeyPair(certificate=folder / "ca.crt", key=folder / "ca.key")
        if not self.files.key.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make()
        self.key = read_key(self.files.key)
        self.certificate = x509.load_pem_x509_certificate(self.files.certificate.read_bytes())

    def issue(self, common_name: str, *groups: str) -> KeyPair:
        """Issue a certificate good for serving on loopback and as a client.

        Args:
            common_name: the user's name to Kubernetes, as `system:node:a`.
            groups: the user's groups to Kubernetes.
        """
        files = self._files(common_name)
        if files.certificate.exists():
            return files
        key = write_key(files.key)
        builder = (
            certificate_builder(subject(common_name, *groups), self.certificate.subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(LOOPBACK, critical=False)
        )
        write_certificate(files.certificate, builder.sign(self.key, hashes.SHA256()))
        return files

    def token_key(self) -> Path:
        """Return the file of the key that signs service-account tokens."""
        path = self.folder / "service-account.key"
        if not path.exists():
            write_key(path)
        return path

    def _files(self, common_name: str) -> KeyPair:
        stem = common_name.replace(":", "-")
        return KeyPair(certificate=self.folder / f"{stem}.crt", key=self.folder / f"{stem}.key")

    def _make(self) -> None:
        key = write_key(self.files.key)
        name = subject("imds-agent test cluster")
        builder = (
            certificate_builder(name, name, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage(signs_certificates=True), critical=True)
        )
        write_certificate(self.files.certificate, builder.sign(key, hashes.SHA256()))


def subject(common_name: str, *groups: str) -> x509.Name:
    """Return the name that Kubernetes reads: organizations are groups, the common name is the user."""
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def certificate_builder(
    owner: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(owner)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SLACK)
        .not_valid_after(now + LIFETIME)
        # Python 3.13 checks strictly: both key identifiers and key usage must be there
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def write_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Make a key and write it for its owner alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.TraditionalOpenSSL  # the form in which the API server also takes its token key
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return key


def read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def write_certificate(path: Path, certificate: x509.Certificate) -> None:
    """Write the certificate whole or not at all: its being there says that the pair is complete."""
    partial = path.with_suffix(".part")
    partial.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    partial.replace(path)
