"""Who signed, and who vouches for it; openssl is asked the same questions about the same documents."""

import base64
import json
import shutil
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from agent.attestation import judge
from agent.clients.imds import Imds
from agent.clients.issuers import Issuers, Place
from agent.clients.signature import Trust, read_certificates, system_roots
from agent.core.attested import Expected, expected_signers
from agent.emulator import Emulator
from agent.emulator.attested import FLAWS
from agent.told import Told
from tests.clients.proofs import NOW, REGIONAL, SUBSCRIPTION, VM, Chain, content, envelope, issue, sign
from tests.clients.serving import serving

DOCUMENTS = Path(__file__).parents[1] / "documents" / "imds"
EXPECTED = Expected(nonce="1234567890", vm_id=VM, subscription_id=SUBSCRIPTION)
CHAIN = Chain()


def judged(der: bytes, *, chain=CHAIN, pinned=None, issuers=None, expected=EXPECTED, now=NOW, cloud="AzurePublicCloud"):
    links = (chain.middle,) if pinned is None else pinned
    trust = Trust(roots=(chain.root.certificate,), pinned=tuple(each.certificate for each in links), issuers=issuers)
    return judge(envelope(der), expected, signers=expected_signers(cloud), trust=trust, now=now)


def wrong(found) -> dict[str, str]:
    return {check.name: check.because for check in found.checks if check.result != "good"}


def openssl(folder: Path, der: bytes, chain, now=NOW) -> tuple[bool, bool]:
    """Return whether openssl accepts the signature, and the chain with the intermediate at hand."""
    assert shutil.which("openssl"), "openssl is missing (Debian, Ubuntu: apt-get install openssl)"
    folder.mkdir(exist_ok=True)
    files = {name: folder / name for name in ("p7", "root", "middle", "signer", "content")}
    files["p7"].write_bytes(der)
    files["root"].write_bytes(chain.root.pem)
    files["middle"].write_bytes(chain.middle.pem)
    smime = ["openssl", "smime", "-verify", "-inform", "DER", "-in", files["p7"], "-noverify", "-out", files["content"]]
    good = subprocess.run([*smime, "-signer", files["signer"]], capture_output=True, check=False).returncode == 0
    if not good:
        return False, False
    at = ["-attime", str(int(now.timestamp())), "-purpose", "any"]
    roots = ["-CAfile", files["root"], "-no-CApath", "-untrusted", files["middle"]]
    verify = ["openssl", "verify", *at, *roots, files["signer"]]
    return True, subprocess.run(verify, capture_output=True, check=False).returncode == 0


def test_a_document_that_is_right_in_everything_is_genuine(tmp_path):
    der = sign(content(), CHAIN.signer)
    found = judged(der)
    assert (found.answer, wrong(found)) == ("genuine", {})
    assert [check.because for check in found.checks if check.name == "chain"] == [
        "metadata.azure.com < Test TLS CA 01 < Test Root"
    ]
    assert found.document.vm_id == VM
    assert openssl(tmp_path, der, CHAIN) == (True, True)


def test_a_document_that_was_tampered_with_is_not_and_says_nothing_of_its_signer(tmp_path):
    der = sign(content(), CHAIN.signer)
    other = der.replace(VM.encode(), VM.replace("0", "1").encode())
    found = judged(
        other, expected=Expected(nonce="1234567890", vm_id=VM.replace("0", "1"), subscription_id=SUBSCRIPTION)
    )
    assert (found.answer, list(wrong(found))) == ("not genuine", ["signature"])
    assert openssl(tmp_path, other, CHAIN) == (False, False)


def test_a_signer_of_another_name_or_cloud_is_not_believed():
    evil = issue("metadata.azure.com", CHAIN.middle, names=("evilmetadata.azure.com",))
    found = judged(sign(content(), evil))
    assert (found.answer, list(wrong(found))) == ("not genuine", ["signer"])
    assert "evilmetadata.azure.com; expected metadata.azure.com" in wrong(found)["signer"]
    assert list(wrong(judged(sign(content(), CHAIN.signer), cloud="AzureChinaCloud"))) == ["signer"]


def test_a_signer_with_an_ec_key_is_believed_and_one_of_another_kind_is_not(tmp_path):
    """Azure's issuers include some of EC; none was seen to sign documents yet."""
    curved = issue("metadata.azure.com", CHAIN.middle, own=ec.generate_private_key(ec.SECP256R1()), names=REGIONAL)
    der = sign(content(), curved)
    assert judged(der).answer == "genuine"
    assert openssl(tmp_path, der, CHAIN) == (True, True)
    other = der.replace(VM.encode(), VM.replace("0", "1").encode())
    assert "signature" in wrong(judged(other))


def test_without_alternative_names_the_common_name_counts():
    old = issue("westeurope.metadata.azure.com", CHAIN.middle)
    assert judged(sign(content(), old)).answer == "genuine"


def test_a_stranger_with_the_right_name_is_not_genuine(tmp_path):
    stranger = Chain()
    der = sign(content(), stranger.signer)
    found = judged(der, pinned=(stranger.middle, stranger.root), issuers=Issuers())
    assert (found.answer, list(wrong(found))) == ("not genuine", ["chain"])
    assert openssl(tmp_path, der, CHAIN) == (True, False)
    alone = issue("metadata.azure.com", names=("metadata.azure.com",))
    assert judged(sign(content(), alone)).answer == "not genuine"


def test_a_leaf_that_issues_certificates_is_no_authority(tmp_path):
    """The classic mistake of chains made by hand: somebody with any good certificate signs another one."""
    anybody = issue("anybody.example", CHAIN.middle, names=("anybody.example",))
    forged = issue("metadata.azure.com", anybody, names=("metadata.azure.com",))
    found = judged(sign(content(), forged), pinned=(CHAIN.middle, anybody), issuers=Issuers())
    assert (found.answer, list(wrong(found))) == ("not genuine", ["chain"])


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"begins": NOW - timedelta(days=40), "days": 30}, ["certificate", "chain"]),
        ({"begins": NOW + timedelta(days=1)}, ["certificate", "chain"]),
        ({"purposes": (ExtendedKeyUsageOID.CODE_SIGNING,)}, ["chain"]),
    ],
)
def test_a_certificate_that_is_over_or_for_something_else_is_not_believed(given, names, tmp_path):
    chain = Chain(**given)
    der = sign(content(), chain.signer)
    found = judged(der, chain=chain, issuers=Issuers())
    assert (found.answer, list(wrong(found))) == ("not genuine", names)
    if "purposes" not in given:  # -purpose any
        assert openssl(tmp_path, der, chain) == (True, False)


def test_the_issuer_is_fetched_from_where_the_signer_says_over_several_hops():
    with serving() as server:
        chain = Chain(issuer_at=server.url("/two.crt"))
        cross = issue("Test Second CA", chain.middle, ca=True, issuer_at=server.url("/one.crt"), days=600)
        signer = issue("metadata.azure.com", cross, names=("metadata.azure.com",), issuer_at=server.url("/two.crt"))
        server.files |= {"/two.crt": cross.der, "/one.crt": chain.middle.der}
        issuers = Issuers([Place(host="127.0.0.1", port=server.port)])
        found = judged(sign(content(), signer), chain=chain, pinned=(), issuers=issuers)
        assert (found.answer, wrong(found)) == ("genuine", {})
        assert server.asked == ["/two.crt", "/one.crt"]


def test_where_the_issuer_cannot_be_had_nobody_can_tell():
    with serving() as server:
        chain = Chain(issuer_at=server.url("/ca.crt"))
        der, named = sign(content(), chain.signer), [Place(host="127.0.0.1", port=server.port)]
        for issuers, said in [
            (None, "offline"),
            (Issuers(), "expected one of www.microsoft.com"),
            (Issuers(named), "status 404"),
        ]:
            found = judged(der, chain=chain, pinned=(), issuers=issuers)
            assert (found.answer, list(wrong(found))) == ("cannot tell", ["chain"])
            assert said in wrong(found)["chain"]
        server.files["/ca.crt"] = b"<html>"
        assert judged(der, chain=chain, pinned=(), issuers=Issuers(named)).answer == "not genuine"
        server.files["/ca.crt"] = chain.root.der  # somebody else's certificate
        assert judged(der, chain=chain, pinned=(), issuers=Issuers(named)).answer == "not genuine"
    assert judged(der, chain=chain, issuers=None).answer == "genuine"  # offline, with what was pinned


def test_a_chain_that_goes_on_and_on_is_given_up():
    with serving() as server:
        links = [issue("Endless 0", ca=True)]
        for number in range(1, 9):
            at = server.url(f"/{number - 1}.crt")
            links.append(issue(f"Endless {number}", links[-1], ca=True, issuer_at=at))
            server.files[f"/{number}.crt"] = links[-1].der
        signer = issue("metadata.azure.com", links[-1], names=("metadata.azure.com",), issuer_at=server.url("/8.crt"))
        issuers = Issuers([Place(host="127.0.0.1", port=server.port)])
        assert judged(sign(content(), signer), pinned=(), issuers=issuers).answer == "not genuine"
        assert len(server.asked) <= 5


def test_azures_sample_of_2018_is_read_and_not_trusted():
    text = (DOCUMENTS / "attested-sample.txt").read_text()
    now = NOW.replace(year=2018, month=11, day=20, hour=22, minute=8, second=0)
    trust = Trust(roots=system_roots())
    found = judge(text, Expected(nonce="1234567890"), signers=expected_signers(None), trust=trust, now=now)
    assert found.answer == "not genuine"
    assert list(wrong(found)) == ["chain", "nonce", "vmId", "subscription"]
    assert found.document.nonce == json.loads((DOCUMENTS / "attested-sample-decoded.json").read_text())["nonce"]


@pytest.mark.parametrize(
    ("text", "name"), [("", "structure"), ("QUJD", "structure"), ("no base64!", "structure"), ("MAA=", "structure")]
)
def test_what_is_no_document_is_not_genuine(text, name):
    trust = Trust(roots=(CHAIN.root.certificate,))
    found = judge(text, EXPECTED, signers=expected_signers(None), trust=trust, now=NOW)
    assert (found.answer, list(wrong(found)), found.document) == ("not genuine", [name], None)


def test_a_good_signature_over_something_else_is_not_genuine():
    found = judged(sign(b"hello", CHAIN.signer))
    assert (found.answer, list(wrong(found))) == ("not genuine", ["document"])


def test_certificates_are_read_from_pem_and_der_and_a_wrong_file_is_told(tmp_path):
    path = tmp_path / "ca"
    for data in (CHAIN.root.pem + CHAIN.middle.pem, CHAIN.root.der):
        path.write_bytes(data)
        assert read_certificates(path)[0] == CHAIN.root.certificate
    path.write_bytes(b"something else")
    with pytest.raises(Told, match="expected certificates in PEM or DER"):
        read_certificates(path)
    with pytest.raises(Told, match="cannot be read"):
        read_certificates(tmp_path / "none")


@pytest.mark.parametrize("flaw", [None, *FLAWS])
def test_openssl_and_we_say_the_same_of_every_document_of_the_emulator(flaw, tmp_path):
    with Emulator(rate_limit=None) as imds:
        imds.put_faults([{"kind": "attested", "flaw": flaw}] if flaw else [])
        with Imds(imds.url, per_second=1000) as client:
            text = client.attested("1234567890").value
        files = [tmp_path / name for name in ("root", "middle")]
        for path, name in zip(files, ("emulator-root", "emulator-issuing-ca-01"), strict=True):
            path.write_bytes(imds.certificate(name))
    now = datetime.now(timezone.utc)
    root, middle = (read_certificates(path) for path in files)
    found = judge(text, EXPECTED, signers=expected_signers(None), trust=Trust(roots=root, pinned=middle), now=now)
    ours = {check.name: check.result for check in found.checks}
    believed = ours["signature"] == "good", ours["signature"] == ours.get("chain") == "good"
    holders = SimpleNamespace(
        root=SimpleNamespace(pem=files[0].read_bytes()), middle=SimpleNamespace(pem=files[1].read_bytes())
    )
    assert believed == openssl(tmp_path / "x", base64.b64decode(text), holders, now)
    assert believed == {"tampered": (False, False), "expired": (True, False), "wrong-chain": (True, False)}.get(
        flaw, (True, True)
    )
