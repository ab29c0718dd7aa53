"""`attest` against the emulator's signed documents, and those that somebody sends: three answers, three exit codes."""

import json

import pytest

from agent.emulator import Emulator
from agent.emulator.attested import FLAWS
from agent.emulator.unconfirmed import Choices
from tests.cli.running import imds_agent, refused
from tests.emulator.asking import ask

# What each flaw makes wrong, as far as the signature holds.
WRONG = {
    "expired": {"certificate", "chain"},
    "wrong-name": {"signer"},
    "wrong-chain": {"chain"},
    "tampered": {"signature", "vmId"},  # the letter that was changed is one of vmId
    "stale": {"lifetime"},
    "other-vm": {"vmId"},
    "cached": {"nonce"},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("roots") / "root.pem"


@pytest.fixture(scope="module")
def imds(root):
    with Emulator(rate_limit=None) as found:
        root.write_bytes(found.certificate())
        yield found


def host(imds) -> str:
    return imds.admin_url.removeprefix("http://")


def attest(imds, root, *arguments):
    return imds_agent("attest", f"--imds-url={imds.url}", f"--roots={root}", f"--issuer-host={host(imds)}", *arguments)


def checks(done) -> dict[str, str]:
    return {check["name"]: check["result"] for check in json.loads(done.out)["checks"]}


def test_a_vm_of_azure_is_genuine_and_all_that_was_looked_at_is_said(imds, root):
    done = attest(imds, root)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "genuine"
    assert [line.split()[:2] for line in lines[1:-1]] == [
        ["ok", name]
        for name in (
            "structure",
            "signature",
            "signer",
            "certificate",
            "chain",
            "lifetime",
            "nonce",
            "vmId",
            "subscription",
        )
    ]
    assert "not zone, tags or events" in lines[-1]


@pytest.mark.parametrize("flaw", FLAWS)
def test_every_flaw_is_found_and_none_other(imds, root, flaw):
    imds.put_faults([{"kind": "attested", "flaw": flaw}])
    try:
        done = attest(imds, root, "-o", "json")
    finally:
        imds.clear_faults()
    assert (done.code, json.loads(done.out)["answer"]) == (1, "not genuine")
    assert {name for name, result in checks(done).items() if result != "good"} == WRONG[flaw]


def test_a_root_that_nobody_trusts_is_not_genuine_and_an_issuer_that_cannot_be_had_leaves_it_open(imds, root):
    url = f"--imds-url={imds.url}"
    for arguments, said in [
        ((), "expected one of www.microsoft.com"),
        (("--offline",), "offline"),
        ((f"--issuer-host={host(imds)}", "--offline"), "offline"),
    ]:
        done = imds_agent("attest", url, f"--roots={root}", *arguments)
        assert (done.code, done.out.splitlines()[0]) == (3, "cannot tell")
        assert said in done.out
    done = imds_agent("attest", url, f"--issuer-host={host(imds)}")  # the system's roots
    assert (done.code, done.out.splitlines()[0]) == (1, "not genuine")


def test_offline_with_the_issuers_at_hand_it_is_genuine(imds, root, tmp_path):
    issuers = tmp_path / "issuers.pem"
    issuers.write_bytes(imds.certificate("emulator-issuing-ca-01"))
    done = imds_agent("attest", f"--imds-url={imds.url}", f"--roots={root}", "--offline", f"--intermediates={issuers}")
    assert done.code == 0, done


def test_a_cached_answer_is_asked_for_again_and_taken_only_by_the_lenient(root, tmp_path):
    with Emulator(rate_limit=None, choices=Choices(attested_cached=True)) as imds:
        (tmp_path / "root.pem").write_bytes(imds.certificate())
        ask(f"{imds.url}/metadata/attested/document?api-version=2025-04-07&nonce=0000000000")
        imds.world.forget_requests()
        strict = attest(imds, tmp_path / "root.pem", "-o", "json")
        asked = [entry for entry in imds.requests() if entry["path"].startswith("/metadata/attested")]
        assert (strict.code, len(asked), checks(strict)["nonce"]) == (1, 3, "bad")
        lenient = attest(imds, tmp_path / "root.pem", "--lenient")
        assert (lenient.code, lenient.out.splitlines()[0]) == (0, "genuine")


def test_another_cloud_vm_or_subscription_than_expected_is_not_genuine(imds, root):
    for option, name in (
        ("--cloud=AzureChinaCloud", "signer"),
        ("--vm-id=x", "vmId"),
        ("--subscription=x", "subscription"),
    ):
        done = attest(imds, root, option, "-o", "json")
        assert done.code == 1
        assert {each for each, result in checks(done).items() if result == "bad"} == {name}


def test_a_document_that_somebody_sends_is_judged_by_the_nonce_that_was_sent(imds, root, tmp_path):
    sent = ask(f"{imds.url}/metadata/attested/document?api-version=2021-02-01&nonce=5555555555").body
    file = tmp_path / "proof.json"
    file.write_bytes(sent)
    known = ("--cloud=AzurePublicCloud", f"--roots={root}", f"--issuer-host={host(imds)}", f"--document={file}")
    assert imds_agent("attest", *known, "--nonce=5555555555").code == 0
    assert imds_agent("attest", *known, "--nonce=6666666666").code == 1
    assert imds_agent("attest", *known, "--nonce=5555555555", "--vm-id=02aab8a4-74ef-476e-8182-f6d2ba4166a6").code == 0
    assert imds_agent("attest", *known, "--nonce=5555555555", "--vm-id=x").code == 1
    file.write_text(json.loads(sent)["signature"])  # the base64 alone, as people cut it out
    assert imds_agent("attest", *known, "--nonce=5555555555").code == 0


def test_wrong_input_is_one_line(imds, root, tmp_path):
    assert "--nonce: expected 1 to 32 letters and digits" in refused(1, "attest", "--nonce=a-b")
    assert "cannot be read" in refused(1, "attest", f"--document={tmp_path / 'none'}")
    (tmp_path / "x.json").write_text("{}")
    assert "$.encoding: expected 'pkcs7'" in refused(1, "attest", f"--document={tmp_path / 'x.json'}")
    assert "expected certificates in PEM or DER" in refused(1, "attest", f"--roots={tmp_path / 'x.json'}")
    assert "--issuer-host: expected HOST or HOST:PORT" in refused(1, "attest", "--issuer-host=:x")


def test_without_imds_it_is_told_in_one_line():
    assert "no answer" in refused(1, "attest", "--imds-url=http://127.0.0.1:1")
