"""PKCS#7 in the form that IMDS sends, Azure's own sample first; any other form is refused by name."""

import base64
import json
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.attested import read_envelope
from agent.core.der import OCTETS, OID, SEQUENCE, SET
from agent.core.document import DocumentError
from agent.core.signed import AT_MOST, decode_signature, read_signed
from tests.clients.proofs import PLAIN, QUIRK, Chain, content, issue, sign
from tests.core.test_der import der

DOCUMENTS = Path(__file__).parents[1] / "documents" / "imds"
SAMPLE = decode_signature((DOCUMENTS / "attested-sample.txt").read_text())
CHAIN = Chain()


def oid(text: str) -> bytes:
    return {
        "signed": der(OID, bytes.fromhex("2a864886f70d010702")),
        "data": der(OID, bytes.fromhex("2a864886f70d010701")),
    }[text]


def refusal(data: bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        read_signed(data)
    return str(caught.value)


def test_azures_own_sample_is_read():
    found = read_signed(SAMPLE)
    assert json.loads(found.content) == json.loads((DOCUMENTS / "attested-sample-decoded.json").read_text())
    assert (found.digest, len(found.certificates), len(found.signature)) == ("sha256", 1, 128)
    assert decode_signature(read_envelope((DOCUMENTS / "attested-document.json").read_bytes())) == SAMPLE


@pytest.mark.parametrize("quirk", [True, False])
def test_the_digest_may_be_named_by_its_own_identifier_or_by_the_signatures(quirk):
    data = sign(content(), CHAIN.signer, quirk=quirk)
    assert (QUIRK in data[:60], PLAIN in data[:60]) == (quirk, not quirk)
    found = read_signed(data)
    assert (found.content, found.digest, found.certificates) == (content(), "sha256", (CHAIN.signer.der,))


def test_of_several_certificates_the_one_that_the_signer_names_comes_first():
    found = read_signed(sign(content(), CHAIN.signer, more=(CHAIN.root, CHAIN.middle)))
    assert found.certificates[0] == CHAIN.signer.der
    assert set(found.certificates[1:]) == {CHAIN.root.der, CHAIN.middle.der}


def test_nothing_of_it_shows_in_its_text():
    found = read_signed(sign(content(), CHAIN.signer))
    assert repr(found) == "Signed(digest='sha256')"


def altered(find: bytes, put: bytes, times: int = 1) -> bytes:
    data = sign(content(), CHAIN.signer)
    assert data.count(find) >= times
    return data.replace(find, put)


def test_what_is_another_structure_is_refused_by_name():
    assert refusal(altered(oid("signed"), oid("data"))).startswith("pkcs7.contentType: expected signedData")
    data = "pkcs7.content.signedData.encapsulated.contentType: expected data"
    assert refusal(altered(oid("data"), oid("signed"))).startswith(data)
    md5 = der(OID, bytes.fromhex("2a864886f70d010104"))
    assert "digestAlgorithm.algorithm: expected SHA-2" in refusal(altered(QUIRK, md5))
    assert "signatureAlgorithm.algorithm: expected RSA or ECDSA" in refusal(altered(rsa_of_the_signer(), oid("data")))


def rsa_of_the_signer() -> bytes:
    """Return the encoding of rsaEncryption, which stands in the certificate's key, too: both are changed."""
    return der(OID, bytes.fromhex("2a864886f70d010101"))


def test_attributes_a_detached_signature_and_a_stranger_are_refused():
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content())
    builder = builder.add_signer(CHAIN.signer.certificate, CHAIN.signer.key, hashes.SHA256())
    encoding, options = serialization.Encoding.DER, pkcs7.PKCS7Options
    assert "no signed attributes" in refusal(builder.sign(encoding, [options.Binary]))
    detached = builder.sign(encoding, [options.Binary, options.NoAttributes, options.DetachedSignature])
    assert "a detached signature" in refusal(detached)
    alone = builder.sign(encoding, [options.Binary, options.NoAttributes, options.NoCerts])
    assert "the signer's certificate among those that came along, found 0 of 0" in refusal(alone)
    twice = builder.add_signer(issue("b").certificate, CHAIN.signer.key, hashes.SHA256())
    assert "exactly one signerInfo, found 2" in refusal(twice.sign(encoding, [options.Binary, options.NoAttributes]))


def test_parts_that_are_missing_are_named():
    empty = der(
        SEQUENCE, oid("signed") + der(0xA0, der(SEQUENCE, der(2, b"\x01") + der(SET, b"") + der(SEQUENCE, b"")))
    )
    assert "certificates and one set of signers, found 0 other parts" in refusal(empty)
    body = der(2, b"\x01") + der(SET, b"") + der(SEQUENCE, b"") + der(OCTETS, b"") + der(SET, b"")
    assert "found 2 other parts" in refusal(der(SEQUENCE, oid("signed") + der(0xA0, der(SEQUENCE, body))))


def test_a_certificate_without_its_first_fields_is_refused():
    data = sign(content(), CHAIN.signer)
    stub = der(SEQUENCE, der(SEQUENCE, der(2, b"\x01")))
    at = data.index(CHAIN.signer.der)
    # Rebuilt around a stub: lengths before it change, so the parts are written anew.
    signers = data[at + len(CHAIN.signer.der) :]
    encapsulated = der(SEQUENCE, oid("data") + der(0xA0, der(OCTETS, content())))
    body = der(2, b"\x01") + der(SET, b"") + encapsulated + der(0xA0, stub) + signers
    said = refusal(der(SEQUENCE, oid("signed") + der(0xA0, der(SEQUENCE, body))))
    assert said == "certificate.toBeSigned: expected serial number, algorithm and issuer, found 1 parts"


@pytest.mark.parametrize("text", ["not base64!", "QUJ", "=", "\u00e4"])
def test_what_is_no_base64_is_refused_without_being_shown(text):
    with pytest.raises(DocumentError, match=r"\$\.signature: expected base64") as caught:
        decode_signature(text)
    assert text not in str(caught.value)


def test_white_space_is_passed_over_and_a_flood_is_refused():
    packed = base64.b64encode(SAMPLE).decode()
    assert decode_signature("\n".join(packed[at : at + 64] for at in range(0, len(packed), 64)) + "\r\n") == SAMPLE
    with pytest.raises(DocumentError, match=f"at most {AT_MOST} bytes"):
        decode_signature("A" * (AT_MOST * 2 + 4))


@given(st.integers(0, len(SAMPLE) - 1), st.binary(min_size=0, max_size=3))
@settings(max_examples=300)
def test_a_sample_with_any_bytes_changed_is_read_or_refused_and_nothing_else(at, put):
    with suppress(DocumentError):
        read_signed(SAMPLE[:at] + put + SAMPLE[at + 1 :])
