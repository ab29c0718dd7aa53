"""Clients that others wrote, unchanged, against the emulator at 169.254.169.254:80."""

import json
import os
import sys

from tests.foreign.beside import Missing, beside_imds
from tests.foreign.packages import CLOUD_INIT, FACTER, NotThere, unpacked
from tests.not_here import not_here

NAME, VM_ID = "aks-pool1-12345678-vmss_2", "02aab8a4-74ef-476e-8182-f6d2ba4166a6"


def shell(script: str, *options: str, **given) -> str:
    """Run it beside IMDS; without what it needs fail in CI and skip elsewhere."""
    try:
        return beside_imds(script, *options, **given)
    except Missing as missing:
        not_here(missing)


def package(*names: str):
    try:
        return unpacked(*names)
    except NotThere as missing:
        return not_here(missing)


ROOT_WRITTEN = "until [ -s root.pem ]; do sleep 0.1; done"  # the port answers before the key of the root is made
CURL = "curl -s -H Metadata:true --noproxy '*' 'http://169.254.169.254/metadata/"


def test_curl_as_azures_pages_show_it():
    script = "; echo\n".join(
        f"{CURL}{target}'"
        for target in (
            "instance?api-version=2021-02-01",
            "instance/compute/vmId?api-version=2017-08-01&format=text",
            "instance/compute/platformFaultDomain?api-version=2017-04-02&format=text",
            "instance/compute/tagsList?api-version=2019-06-04",
            "instance/network/interface/0?api-version=2017-08-01",
            "versions",
        )
    )
    whole, vm_id, domain, tags, interface, versions = shell(f"{script}; echo", "--rate-limit 0").splitlines()
    assert json.loads(whole)["compute"]["name"] == NAME
    assert (vm_id, domain) == (VM_ID, "0")
    assert json.loads(tags)[0] == {"name": "Department", "value": "IT"}
    assert json.loads(interface)["macAddress"] == "000D3AF806EC"
    assert "2021-02-01" in json.loads(versions)["apiVersions"]


# Use cases of Azure's pages, and what they print there, or the default VM's own where they print none.
USE_CASES = {
    "instance/compute/tags?api-version=2017-08-01&format=text": "Department:IT;Environment:Test;Role:WebRole",
    "instance/compute/azEnvironment?api-version=2018-10-01&format=text": "AzurePublicCloud",
    "instance/network/interface/0/ipv4/ipAddress/0/publicIpAddress?api-version=2017-08-01&format=text": "20.0.0.4",
    "instance/compute/customData?api-version=2019-02-01&&format=text": "TXkgY3VzdG9tIGRhdGEu",
    "instance?api-version=2017-04-02&format=text": "compute/ network/",
    "instance": '{ "error": "Bad request. api-version was not specified in the request. For more information refer to'
    ' aka.ms/azureimds", "newest-versions": [ "2018-10-01", "2018-04-02", "2018-02-01" ] }',
    "instance/compute/vmId?api-version=2017-08-01": '{ "error": "Bad request" }',
}


def test_curl_for_each_use_case_of_azures_pages():
    """In 2019, which showed custom data; the address and the data are put there first, as the sample's author had them."""
    public = {"ipv4": {"ipAddress": [{"privateIpAddress": "10.1.1.4", "publicIpAddress": "20.0.0.4"}]}}
    patch = {"compute": {"customData": "TXkgY3VzdG9tIGRhdGEu"}, "network": {"interface": [public]}}
    put = f"curl -s -o /dev/null -X PATCH http://127.0.0.1:8170/instance -d '{json.dumps(patch)}'\n"
    asked = "\n".join(f"{CURL}{target}' | tr '\\n' ' '; echo" for target in USE_CASES)
    printed = [line.rstrip() for line in shell(put + asked, "--era 2019 --rate-limit 0").splitlines()]
    assert dict(zip(USE_CASES, printed, strict=True)) == USE_CASES


def test_python_of_the_standard_library_sees_each_kind_as_its_name_says():
    script = """python3 - <<'PROGRAM'
import json, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
request = urllib.request.Request("http://169.254.169.254/metadata/instance?api-version=2021-02-01", headers={"Metadata": "true"})
with opener.open(request, timeout=2) as answer:
    compute = json.load(answer)["compute"]
print(compute["azEnvironment"], compute["location"], compute["vmScaleSetName"] or "-")
PROGRAM"""
    assert shell(script, "--profile china").split() == ["AzureChinaCloud", "chinanorth3", "aks-pool1-12345678-vmss"]
    assert shell(script, "--profile single-vm").split() == ["AzurePublicCloud", "westeurope", "-"]


def test_azures_recipe_for_the_signed_document_with_curl_and_openssl():
    """As on the page, but for jq, and for the root, which is the emulator's."""
    script = f"""
    {CURL}attested/document?api-version=2020-09-01&nonce=1234567890' > document.json
    python3 -c 'import json; print(json.load(open("document.json"))["signature"])' > signature
    base64 -d signature > decodedsignature
    openssl pkcs7 -in decodedsignature -inform DER -out sign.pk7
    openssl pkcs7 -in decodedsignature -inform DER -print_certs -out signer.pem
    url=$(openssl x509 -in signer.pem -text -noout | sed -n 's/.*CA Issuers - URI://p')
    curl -s -o intermediate.cer "$url"
    openssl x509 -inform DER -in intermediate.cer -out intermediate.pem
    openssl smime -verify -in sign.pk7 -inform pem -noverify 2> verified
    {ROOT_WRITTEN}
    openssl verify -CAfile root.pem -untrusted intermediate.pem signer.pem >&2 || exit 1
    echo; cat verified
    """
    printed = shell(script, "--root-file root.pem")
    assert json.loads(printed.splitlines()[0])["nonce"] == "1234567890"
    assert "Verification successful" in printed


def test_python_as_azures_sample_program_asks():
    script = f"""{sys.executable} - <<'PROGRAM'
import json, requests
def instance(path, version="2021-02-01", **more):
    session = requests.Session(); session.trust_env = False
    answer = session.get("http://169.254.169.254/metadata/" + path, params={{"api-version": version, **more}}, headers={{"Metadata": "true"}})
    return answer
print(json.dumps(instance("instance").json()["compute"]["name"]))
print(json.dumps(instance("attested/document", nonce="1234567890").json()["encoding"]))
print(json.dumps(instance("scheduledevents", "2020-07-01").json()["Events"]))
PROGRAM"""
    assert [json.loads(line) for line in shell(script).splitlines()] == [NAME, "pkcs7", []]


# What its Azure datasource asks with, of Debian 12 and of later releases.
CLOUD_INIT_ASKS = """
import json
from cloudinit.helpers import Paths
from cloudinit.sources import DataSourceAzure as azure
source = azure.DataSourceAzure({}, None, Paths({"cloud_dir": "/tmp", "run_dir": "/tmp"}))
try:
    found = source.get_imds_data_with_api_fallback(retries=2)
except AttributeError:
    from cloudinit.sources.azure import imds
    found = imds.fetch_metadata_with_api_fallback(retry_deadline=10**9)
print(json.dumps(found))
"""


def cloud_init(*options: str):
    there = package(*CLOUD_INIT)
    path = f"PYTHONPATH={there}/usr/lib/python3/dist-packages"
    printed = shell(f"{path} {sys.executable} -W ignore - <<'PROGRAM'{CLOUD_INIT_ASKS}PROGRAM", *options)
    return json.loads(printed.splitlines()[-1])


def test_debians_cloud_init_reads_the_vm_with_extended_true():
    found = cloud_init()
    assert (found["compute"]["vmId"], list(found["network"])) == (VM_ID, ["interface"])
    assert found["extended"] == {"compute": {"hasCustomData": False, "ppsType": "None"}}


def test_debians_cloud_init_falls_back_on_a_service_of_2019():
    found = cloud_init("--era 2019")
    assert (found["compute"]["vmId"], "extended" in found) == (VM_ID, False)


def test_facter_tells_of_the_vm_on_a_machine_that_says_it_is_hyper_v(tmp_path):
    """It asks only where virt-what says Hyper-V: that is the machine's part, which is played here."""
    there = package(*FACTER)
    virtual = tmp_path / "virt-what"
    virtual.write_text("#!/bin/sh\necho hyperv\n")
    virtual.chmod(0o755)
    ruby, triplet = (
        there / "usr/lib/ruby",
        "x86_64-linux-gnu" if os.uname().machine == "x86_64" else f"{os.uname().machine}-linux-gnu",
    )
    gems = sorted((there / "usr/share/rubygems-integration/all/gems").glob("*/lib"))
    libraries = [
        ruby / "3.1.0",
        ruby / "vendor_ruby",
        there / f"usr/lib/{triplet}/ruby/3.1.0",
        there / f"usr/lib/{triplet}/ruby/vendor_ruby/3.1.0",
        *gems,
    ]
    script = f"{there}/usr/bin/ruby3.1 {there}/usr/bin/facter --json az_metadata"
    printed = shell(
        script,
        path=str(tmp_path),
        pids=True,
        RUBYLIB=":".join(map(str, libraries)),
        LD_LIBRARY_PATH=f"{there}/usr/lib/{triplet}",
    )
    found = json.loads(printed)["az_metadata"]
    assert found["compute"]["vmId"] == VM_ID
    assert found["network"]["interface"][0]["macAddress"] == "000D3AF806EC"


def test_azure_identity_gets_a_token_of_the_managed_identity():
    script = f"""{sys.executable} -W ignore - <<'PROGRAM'
from azure.identity import ManagedIdentityCredential
token = ManagedIdentityCredential().get_token("https://management.azure.com/.default")
print(token.token.count("."), token.expires_on > 0)
PROGRAM"""
    assert shell(script).split() == ["2", "True"]


def test_opentelemetry_finds_the_vm_within_its_200_milliseconds():
    script = f"""{sys.executable} -W ignore - <<'PROGRAM'
import json, time
from opentelemetry.resource.detector.azure.vm import AzureVMResourceDetector
for _ in range(20):  # a busy machine may stand still for as long, once
    found = dict(AzureVMResourceDetector().detect().attributes)
    if found:
        break
    time.sleep(0.5)
print(json.dumps(found))
PROGRAM"""
    found = json.loads(shell(script).splitlines()[-1])
    assert (found["host.id"], found["cloud.region"], found["cloud.platform"]) == (VM_ID, "westeurope", "azure_vm")
    assert found["azure.vm.scaleset.name"] == "aks-pool1-12345678-vmss"


def test_our_own_program_needs_no_address_there():
    assert shell("imds-agent facts vm_id").strip() == VM_ID
    assert json.loads(shell("imds-agent doctor -o json; true"))["findings"]
    attest = "imds-agent attest --roots root.pem --issuer-host 127.0.0.1:8170"
    printed = shell(f"{ROOT_WRITTEN}\n{attest}", "--root-file root.pem")
    assert printed.startswith("genuine\n")
