"""The signed document: who may ask how, what stands in which version, and that openssl believes it as it believes Azure's."""

import base64
import json
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import pytest

from agent.emulator import Emulator
from agent.emulator.attested import FLAWS
from agent.emulator.authority import Authority
from agent.emulator.exchange import Request
from agent.emulator.fleet import one_vm
from agent.emulator.reading import InputError
from agent.emulator.unconfirmed import Choices
from agent.emulator.versions import Service
from agent.emulator.world import World
from tests.cli.running import PATIENCE, ROOT
from tests.emulator.asking import DOCUMENTS, ask, said

AT = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
PATH = "/metadata/attested/document?api-version="
NAMES = {
    "public": "metadata.azure.com",
    "government": "metadata.azure.us",
    "china": "metadata.azure.cn",
    "germany": "metadata.microsoftazure.de",
}


@pytest.fixture(scope="module")
def imds():
    with Emulator(rate_limit=None, clock=AT.timestamp) as found:
        yield found


def der(imds, version="2021-02-01", nonce="1234567890") -> bytes:
    answer = ask(f"{imds.url}{PATH}{version}{f'&nonce={nonce}' if nonce else ''}")
    assert (answer.status, list(answer.json)) == (200, ["encoding", "signature"])
    assert answer.json["encoding"] == "pkcs7"
    return base64.b64decode(answer.json["signature"], validate=True)


def openssl(*arguments, given=b"", good=True) -> bytes:
    done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=False)
    assert (done.returncode == 0) is good, done.stderr
    return done.stdout


def signed(imds, **given) -> dict:
    """Return what was signed, as openssl finds it."""
    return json.loads(openssl("smime", "-verify", "-inform", "DER", "-noverify", given=der(imds, **given)))


def signer(data: bytes, folder) -> str:
    file = folder / "signer.pem"
    file.write_bytes(openssl("pkcs7", "-inform", "DER", "-print_certs", given=data))
    return str(file)


def chain(imds, data: bytes, folder, *, good=True) -> None:
    """Verify as Azure's page does: the signature, then the signer by its issuer, which was fetched from where it says."""
    file = signer(data, folder)
    shown = openssl("x509", "-in", file, "-noout", "-text").decode()
    [place] = re.findall(r"CA Issuers - URI:(\S+)", shown)
    (folder / "root.pem").write_bytes(imds.certificate())
    (folder / "issuer.pem").write_bytes(openssl("x509", "-inform", "DER", given=ask(place, headers={}).body))
    at = ("-attime", str(int(AT.timestamp())), "-purpose", "any")
    roots = ("-no-CApath", "-CAfile", folder / "root.pem", "-untrusted", folder / "issuer.pem")
    openssl("verify", *at, *roots, file, good=good)


def outline(data: bytes) -> list[str]:
    """Return the structure down to the certificate: depth, kind and, of identifiers, value."""
    lines = openssl("asn1parse", "-inform", "DER", given=data).decode().splitlines()
    found = [re.sub(r"^\s*\d+:d=(\d+)\s+hl=\d+\s+l=\s*\d+\s+", r"\1 ", line).rstrip() for line in lines]
    return [re.sub(r"(INTEGER|OCTET STRING|PRINTABLESTRING|UTF8STRING|UTCTIME)\s+:?.*", r"\1", line) for line in found]


def around_the_certificate(data: bytes) -> list[str]:
    """Return the outline without the certificate itself, whose extensions are another matter."""
    found = outline(data)
    begins = next(index for index, line in enumerate(found) if line.startswith("3 cons: cont [ 0 ]"))
    ends = next(index for index, line in enumerate(found) if index > begins and line.startswith("3 "))
    return [*found[: begins + 1], *found[ends:]]


def test_its_structure_is_that_of_azures_own_sample(imds):
    sample = base64.b64decode((DOCUMENTS / "attested-sample.txt").read_text())
    kinds = {"UTF8STRING": "PRINTABLESTRING"}  # of a name
    ours = [kinds.get(line.split()[-1], line.split()[-1]) for line in around_the_certificate(der(imds))]
    theirs = [kinds.get(line.split()[-1], line.split()[-1]) for line in around_the_certificate(sample)]
    assert ours == theirs
    assert outline(der(imds)).count("5 prim: OBJECT            :sha256WithRSAEncryption") == 1


@pytest.mark.parametrize("cloud", NAMES)
def test_openssl_believes_it_in_every_cloud(cloud, tmp_path):
    with Emulator(rate_limit=None, cloud=cloud, clock=AT.timestamp) as imds:
        data = der(imds)
        chain(imds, data, tmp_path)
        shown = openssl("x509", "-in", signer(data, tmp_path), "-noout", "-subject", "-ext", "subjectAltName").decode()
        assert f"CN = {NAMES[cloud]}" in shown
        assert f"DNS:{NAMES[cloud]}, DNS:westeurope.{NAMES[cloud]}" in shown


@pytest.mark.parametrize("cloud", NAMES)
def test_openssl_refuses_what_is_wrong_in_every_cloud(cloud, tmp_path):
    with Emulator(rate_limit=None, cloud=cloud, clock=AT.timestamp) as imds:
        imds.put_faults([{"kind": "attested", "flaw": "tampered"}])
        openssl("smime", "-verify", "-inform", "DER", "-noverify", given=der(imds), good=False)
        for flaw in ("expired", "wrong-chain"):
            imds.put_faults([{"kind": "attested", "flaw": flaw}])
            chain(imds, der(imds), tmp_path, good=False)


def place_of_the_issuer(imds, folder) -> str:
    shown = openssl("x509", "-in", signer(der(imds), folder), "-noout", "-text").decode()
    return re.findall(r"CA Issuers - URI:(\S+)", shown)[0]


def test_the_issuer_is_said_to_be_where_the_admin_side_is_or_where_one_was_told(tmp_path):
    with Emulator(rate_limit=None) as imds:
        assert place_of_the_issuer(imds, tmp_path) == f"{imds.admin_url}/issuers/emulator-issuing-ca-01.crt"
    with Emulator(rate_limit=None, issuers_url="http://www.microsoft.com/issuers/") as imds:
        place = "http://www.microsoft.com/issuers/emulator-issuing-ca-01.crt"
        assert place_of_the_issuer(imds, tmp_path) == place


def test_an_admin_side_on_every_address_names_one_that_a_verifier_can_reach(tmp_path):
    with Emulator(rate_limit=None, admin="0.0.0.0:0") as imds:
        place = place_of_the_issuer(imds, tmp_path)
        assert place == f"http://127.0.0.1:{imds.admin_url.rpartition(':')[2]}/issuers/emulator-issuing-ca-01.crt"
        assert ask(place, headers={}).status == 200


@pytest.mark.parametrize(
    "url", ["", "x", "ftp://x/y", "http:///y", "http://[", "http://\u00e4.example/x", "http://x/a b"]
)
def test_a_url_of_issuers_that_no_certificate_could_name_is_refused(url):
    with pytest.raises(
        InputError, match=r"issuers_url: expected a URL such as 'http://www\.microsoft\.com/issuers', found "
    ):
        Emulator(issuers_url=url)


def test_no_other_request_waits_while_keys_are_made():
    begun, goes_on = threading.Event(), threading.Event()

    class Slow(World):
        def authority(self) -> Authority:
            begun.set()
            assert goes_on.wait(PATIENCE)
            return super().authority()

    world = Slow(one_vm(), service=Service(), rate_limit=None, clock=AT.timestamp)
    world.issuers_at = "http://x"
    [vm] = world.vms
    header = {"metadata": "true"}
    proof = Request(method="GET", path="/metadata/attested/document", query="api-version=2021-02-01", headers=header)
    other = Request(method="GET", path="/metadata/versions", query="", headers=header)
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(world.deliver, vm.name, proof)
        try:
            assert begun.wait(PATIENCE)
            assert threads.submit(world.deliver, vm.name, other).result(PATIENCE).response.status == 200
        finally:
            goes_on.set()
        assert slow.result(PATIENCE).response.status == 200


def test_the_fields_are_those_of_the_version_in_alphabetical_order_and_compact(imds):
    imds.patch_instance({"compute": {"licenseType": "Windows_Server", "sku": "s", "plan": {"name": "n"}}})
    found = {
        version: list(signed(imds, version=version))
        for version in ("2018-10-01", "2019-04-30", "2019-11-01", "2020-09-01")
    }
    first = ["nonce", "plan", "timeStamp", "vmId"]
    assert found["2018-10-01"] == first
    assert found["2019-04-30"] == [*first[:2], "subscriptionId", *first[2:]]
    assert found["2019-11-01"] == [*first[:2], "sku", "subscriptionId", *first[2:]]
    assert found["2020-09-01"] == ["licenseType", *found["2019-11-01"]]
    whole = signed(imds)
    assert whole["plan"] == {"name": "n", "product": "", "publisher": ""}
    assert (whole["licenseType"], whole["sku"], whole["nonce"]) == ("Windows_Server", "s", "1234567890")
    assert whole["timeStamp"] == {"createdOn": "11/26/26 12:00:00 -0000", "expiresOn": "11/26/26 18:00:00 -0000"}
    raw = openssl("smime", "-verify", "-inform", "DER", "-noverify", given=der(imds))
    assert raw == json.dumps(whole, separators=(",", ":"), sort_keys=True).encode()


def test_without_a_nonce_it_is_the_time_of_its_end_and_in_2019_of_its_making(imds):
    assert signed(imds, nonce="")["nonce"] == "20261126-180000"
    with Emulator(era="2019", clock=AT.timestamp) as old:
        assert signed(old, version="2019-06-04", nonce="")["nonce"] == "20261126-120000"


@pytest.mark.parametrize("nonce", ["0", "1234567890", "a" * 32, "Zz9" * 10])
def test_a_nonce_of_up_to_32_letters_and_digits_comes_back(imds, nonce):
    assert signed(imds, nonce=nonce)["nonce"] == nonce


@pytest.mark.parametrize("nonce", ["a" * 33, "12-34", "%C3%A4", "a%20b", "%0a"])
def test_another_nonce_is_refused(imds, nonce):
    answer = ask(f"{imds.url}{PATH}2021-02-01&nonce={nonce}")
    assert (answer.status, answer.body) == (400, b'{ "error": "Bad request" }')


def test_versions_before_the_first_are_unknown_and_other_paths_are_not_there():
    assert said(f"{PATH}2018-04-02").status == 400
    assert b"newest-versions" in said("/metadata/attested/document").body
    for path in ("/metadata/attested", "/metadata/attested/document/x", "/metadata/attested/x"):
        assert said(f"{path}?api-version=2021-02-01").status == 404
    assert said(f"{PATH}2021-02-01", method="POST").status == 405
    assert said(f"{PATH}2021-02-01", headers={}).status == 400


def test_a_cache_answers_with_an_earlier_nonce_until_it_is_over(tmp_path):
    clock = [AT.timestamp()]
    with Emulator(rate_limit=None, clock=lambda: clock[0], choices=Choices(attested_cached=True)) as imds:
        first = signed(imds, nonce="1111111111")
        assert signed(imds, nonce="2222222222") == first
        clock[0] += 6 * 3600
        assert signed(imds, nonce="3333333333")["nonce"] == "3333333333"


@pytest.mark.parametrize("flaw", FLAWS)
def test_every_flaw_is_what_it_says(imds, flaw, tmp_path):
    good = signed(imds)
    imds.put_faults([{"kind": "attested", "flaw": flaw}])
    try:
        data = der(imds)
        verified = subprocess.run(
            ["openssl", "smime", "-verify", "-inform", "DER", "-noverify"], input=data, capture_output=True, check=False
        )
        assert (verified.returncode == 0) is (flaw != "tampered")
        if flaw in ("expired", "wrong-chain"):
            chain(imds, data, tmp_path, good=False)
        elif flaw != "tampered":
            chain(imds, data, tmp_path)
        if flaw == "wrong-name":
            shown = openssl("x509", "-in", signer(data, tmp_path), "-noout", "-subject").decode()
            assert "CN = evilmetadata.azure.com" in shown
        content = json.loads(verified.stdout) if verified.returncode == 0 else {}
        changed = {key for key in content if content[key] != good[key]}
        assert changed == {"stale": {"timeStamp"}, "other-vm": {"vmId"}, "cached": {"nonce"}}.get(flaw, set())
    finally:
        imds.clear_faults()


def test_the_root_and_the_issuers_can_be_had(imds):
    for name in ("emulator-root", "emulator-issuing-ca-01", "stranger-issuing-ca"):
        answer = ask(f"{imds.admin_url}/issuers/{name}.crt", headers={})
        assert answer.headers["content-type"] == "application/pkix-cert"
        pem = ask(f"{imds.admin_url}/issuers/{name}.pem", headers={}).body
        assert openssl("x509", "-inform", "DER", given=answer.body) == openssl("x509", given=pem)
    assert ask(f"{imds.admin_url}/issuers/root.crt", headers={}).status == 400


def test_all_who_ask_at_the_same_time_see_one_authority(tmp_path):
    with Emulator(rate_limit=None, clock=AT.timestamp) as imds, ThreadPoolExecutor(6) as threads:
        roots = [threads.submit(imds.certificate) for _ in range(3)]
        documents = [threads.submit(der, imds) for _ in range(3)]
        assert len({root.result() for root in roots}) == 1
        for document in documents:
            chain(imds, document.result(), tmp_path)


WITHOUT = """
import sys
sys.modules["cryptography"] = None  # as if it were not installed
from agent.emulator import Emulator
from tests.emulator.asking import ask
with Emulator() as imds:
    for url in (f"{imds.url}/metadata/attested/document?api-version=2021-02-01", f"{imds.admin_url}/issuers/emulator-root.pem"):
        answer = ask(url)
        print(answer.status, answer.json["error"])
"""


def test_without_the_library_it_says_so_and_all_else_works():
    done = subprocess.run([sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True, check=True)
    told = "signed documents need the library cryptography: pip install cryptography"
    assert (done.stdout.splitlines(), done.stderr) == ([f"501 {told}", f"400 {told}"], "")


def test_a_flaw_meets_the_signed_document_alone_and_other_requests_use_it_up_no_more(imds):
    imds.put_faults([{"kind": "attested", "flaw": "other-vm", "times": 1}, {"kind": "status", "status": 410}])
    try:
        assert ask(f"{imds.url}/metadata/versions").status == 410
        assert signed(imds)["vmId"] == "00000000-0000-4000-8000-000000000000"
        assert ask(f"{imds.url}{PATH}2021-02-01").status == 410
    finally:
        imds.clear_faults()


def test_an_unknown_flaw_is_refused(imds):
    with pytest.raises(InputError, match=r"\[0\]\.flaw: expected one of expired, .*, found 'x'"):
        imds.put_faults([{"kind": "attested", "flaw": "x"}])
