"""Clients as others wrote them: curl with the commands of Azure's documentation."""

import json
import shutil
import subprocess
import sys

import pytest

from agent.emulator import Emulator

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

# As Azure's documentation prints them, the shell's quoting apart.
CURL = ["curl", "-s", "-H", "Metadata:true", "--noproxy", "*"]
SERVICE = "http://169.254.169.254"


@pytest.fixture
def curl():
    """Run curl with its connections to the service's address sent to the emulator; the request stays as it is."""
    with Emulator(rate_limit=None) as emulator:
        there = emulator.url.removeprefix("http://")

        def run(*arguments, given=None):
            command = [*arguments, "--connect-to", f"169.254.169.254:80:{there}"]
            return subprocess.run(command, input=given, capture_output=True, timeout=20, check=True).stdout.decode()

        yield run, emulator


def test_the_whole_document(curl):
    run, _ = curl
    shown = json.loads(run(*CURL, f"{SERVICE}/metadata/instance?api-version=2021-02-01"))
    assert list(shown) == ["compute", "network"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("compute/platformFaultDomain?api-version=2017-08-01&format=text", "0"),
        ("compute/tags?api-version=2017-08-01&format=text", "Department:IT;Environment:Test;Role:WebRole"),
        ("compute/azEnvironment?api-version=2018-10-01&format=text", "AzurePublicCloud"),
        ("network/interface/0/ipv4/ipAddress/0/publicIpAddress?api-version=2017-08-01&format=text", ""),
    ],
)
def test_a_leaf_is_printed_bare(curl, path, text):
    run, _ = curl
    assert run(*CURL, f"{SERVICE}/metadata/instance/{path}") == text


def test_no_version(curl):
    run, _ = curl
    newest = json.loads(run(*CURL, f"{SERVICE}/metadata/instance"))["newest-versions"]
    assert newest == ["2025-04-07", "2024-07-17", "2024-03-15"]


def test_scheduled_events_are_read_and_approved_as_the_documentation_does(curl):
    run, emulator = curl
    event = emulator.add_event(EventType="Reboot")
    url = f"{SERVICE}/metadata/scheduledevents?api-version=2020-07-01"
    assert json.loads(run("curl", "-H", "Metadata:true", url))["Events"] == [event]
    approval = json.dumps({"StartRequests": [{"EventId": event["EventId"]}]})
    run("curl", "-f", "-H", "Metadata:true", "-X", "POST", "-d", approval, url)
    assert json.loads(run("curl", "-H", "Metadata:true", url))["Events"][0]["EventStatus"] == "Started"


def test_head_by_curl_does_not_work_as_others_found_out(curl):
    run, _ = curl
    head = run(
        "curl",
        "-s",
        "-I",
        "-H",
        "Metadata:true",
        f"{SERVICE}/metadata/instance/compute/vmId?api-version=2017-08-01&format=text",
    )
    assert head.startswith("HTTP/1.1 405 ")


IN_A_NAMESPACE = """
ip link set lo up && ip addr add 169.254.169.254/32 dev lo || exit 77
"$0" -m agent.emulator --listen 169.254.169.254:80 --admin 127.0.0.1:0 > ready &
until [ -s ready ]; do kill -0 $! || exit 1; sleep 0.05; done
curl -s -H Metadata:true --noproxy "*" "http://169.254.169.254/metadata/instance/compute/name?api-version=2017-08-01&format=text"
code=$?
kill $!
wait $! && exit $code
"""


def namespaces_work():
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    command = ["unshare", "-Urn", "ip", "link", "set", "lo", "up"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not namespaces_work(), reason="no unprivileged network namespaces, or no ip command")
def test_curl_finds_it_at_the_services_own_address_and_port(tmp_path):
    command = ["unshare", "-Urn", "sh", "-c", IN_A_NAMESPACE, sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "aks-pool1-12345678-vmss_2", "")
