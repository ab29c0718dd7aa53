"""The emulator as a program, in a process of its own."""

import base64
import contextlib
import json
import signal
import socket
import subprocess
import sys
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import pytest

from tests.emulator.asking import HEADER, ask, document

PROGRAM = [sys.executable, "-W", "error", "-m", "agent.emulator"]
ANY = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
INSTANCE = "/metadata/instance?api-version=2025-04-07"


@contextlib.contextmanager
def running(*arguments, output="json"):
    """Run the program until the block ends, and see that it ends well."""
    command = [*PROGRAM, *ANY, "-o", output, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            yield (json.loads(line) if output == "json" else line), process
        finally:
            process.terminate()
            rest, complaints = process.communicate(timeout=20)
        assert (process.returncode, rest, complaints) == (0, "", "")


def ended(*arguments):
    done = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout, done.stderr


def test_one_line_of_json_says_where_everything_is():
    with running() as (ready, _):
        assert list(ready) == ["listen", "admin", "vms"]
        assert ready["vms"] == {"aks-pool1-12345678-vmss_2": ready["listen"]}
        assert ask(ready["listen"] + INSTANCE).status == 200
        assert ask(ready["admin"] + "/health", headers={}).json["status"] == "ok"


def test_one_line_of_text_says_it_to_a_person():
    with running(output="text") as (line, _):
        assert line.startswith("IMDS of aks-pool1-12345678-vmss_2 at http://127.0.0.1:")
        assert line.endswith("; stop with Ctrl-C\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_0_on_a_signal_even_while_a_client_hangs(number):
    with running() as (ready, process):
        ask(ready["admin"] + "/faults", "PUT", headers={}, body=[{"kind": "hang"}])
        host, port = ready["listen"].removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as client:
            client.sendall(f"GET {INSTANCE} HTTP/1.1\r\nHost: x\r\nMetadata: true\r\n\r\n".encode())
            while not ask(ready["admin"] + "/requests", headers={}).json:
                pass
            process.send_signal(number)
            assert client.recv(1) == b""
        assert process.wait(timeout=20) == 0


def test_a_vm_from_a_file_is_what_it_plays(tmp_path):
    file = tmp_path / "vm.json"
    file.write_text(json.dumps(document("instance-2019-03-11-full-prod.json")))
    with running("--instance", str(file), "--era", "2019") as (ready, _):
        answer = ask(ready["listen"] + "/metadata/instance?api-version=2019-03-11")
        assert answer.json == document("instance-2019-03-11-full-prod.json")


def test_a_fleet_from_a_file_is_what_it_plays(tmp_path):
    file = tmp_path / "fleet.json"
    vms = [{"address": f"127.0.1.{n}", "instance": {"compute": {"name": f"vm_{n}"}}} for n in (1, 2, 3)]
    file.write_text(json.dumps(vms))
    with running("--fleet", str(file)) as (ready, _):
        assert list(ready["vms"]) == ["vm_1", "vm_2", "vm_3"]
        assert ready["listen"] == ready["vms"]["vm_1"]
        for name, url in ready["vms"].items():
            target = "/metadata/instance/compute/name?api-version=2017-08-01&format=text"
            assert ask(url + target).body == name.encode()


def test_era_cloud_limit_and_choices_are_heard():
    arguments = ["--era", "2019", "--cloud", "china", "--rate-limit", "0", "--choice", "old_unknown_version_status=404"]
    with running(*arguments) as (ready, _):
        target = "/metadata/instance?api-version=2019-06-04"
        answers = [ask(ready["listen"] + target) for _ in range(10)]
        assert {(each.status, each.body) for each in answers} == {
            (404, b'{ "error": "Not found. Invalid version requested" }')
        }
        text = "/metadata/instance/compute/azEnvironment?api-version=2018-10-01&format=text"
        assert ask(ready["listen"] + text).body == b"AzureChinaCloud"


def test_faults_are_there_from_the_start_on_every_vm(tmp_path):
    file = tmp_path / "fleet.json"
    vms = [{"address": f"127.0.1.{n}", "instance": {"compute": {"name": f"vm_{n}"}}} for n in (1, 2)]
    file.write_text(json.dumps(vms))
    faults = [
        '{"kind": "attested", "flaw": "other-vm"}',
        '{"kind": "status", "status": 410, "path": "/metadata/instance"}',
    ]
    with running("--fleet", str(file), "--fault", faults[0], "--fault", faults[1]) as (ready, _):
        for url in ready["vms"].values():
            assert ask(url + INSTANCE).status == 410
            signed = ask(url + "/metadata/attested/document?api-version=2021-02-01").json["signature"]
            assert b'"vmId":"00000000-0000-4000-8000-000000000000"' in base64.b64decode(signed)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--fault", '{"kind": "attested", "flaw": "x"}'], "--fault[0].flaw: expected one of expired, "),
        (["--fault", '{"kind": "hang"}', "--fault", "[]"], "--fault[1]: expected an object"),
        (["--fault", "expired"], "--fault: expected JSON: "),
        (["--issuers-url", "x"], "--issuers-url: expected a URL such as 'http://www.microsoft.com/issuers', found 'x'"),
    ],
)
def test_a_wrong_fault_or_url_of_issuers_is_refused_in_one_line(arguments, error):
    code, printed, told = ended(*ANY, *arguments)
    assert (code, printed, told.count("\n")) == (2, "", 1)
    assert told.startswith(f"emulate: {error}")


def test_a_story_is_told_from_the_start():
    with running("--scenario", "host-failure", "--speed", "1000", "--rate-limit", "0") as (ready, _):
        url = ready["listen"] + "/metadata/scheduledevents?api-version=2020-07-01"
        while ask(url, headers=HEADER).json["DocumentIncarnation"] < 3:
            pass
        assert ask(url).json["Events"] == []


@pytest.mark.parametrize("skew", [5400, -5400])
def test_a_service_whose_clock_is_wrong_shows_it_in_the_date_and_in_not_before(skew):
    with running("--clock-skew", str(skew)) as (ready, _):
        ask(ready["admin"] + "/events", "POST", headers={}, body={"NotBeforeSeconds": 600})
        answer = ask(ready["listen"] + "/metadata/scheduledevents?api-version=2020-07-01")
    date = parsedate_to_datetime(answer.headers["date"])
    ahead = (date - datetime.now(timezone.utc)).total_seconds()
    assert abs(ahead - skew) < 600  # however slow the machine
    notice = parsedate_to_datetime(answer.json["Events"][0]["NotBefore"]) - date
    assert 540 < notice.total_seconds() <= 600


def test_stories_are_listed():
    code, out, _ = ended("--list-scenarios")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        "reboot", "live-migration", "preempt", "redeploy", "terminate", "cancelled-maintenance", "host-failure",
        "flapping-service", "user-reboot", "user-redeploy", "hardware-prediction", "multi-vm", "preempt-burst",
        "maintenance-wave", "freeze-wave", "approved-by-others", "reschedules", "overlapping", "incarnation-restarts",
    ]  # fmt: skip


def test_choices_are_listed_with_their_defaults():
    code, out, _ = ended("--list-choices", "-o", "json")
    assert code == 0
    assert {'gone_body={ "error": "Gone" }', "retry_after=0", "tags_list_as_text=listing"} <= set(json.loads(out))


def test_a_port_in_use_is_one_line_and_2():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, out, err = ended("--listen", address, "--admin", "127.0.0.1:0")
    assert (code, out) == (2, "")
    assert err == f"emulate: cannot listen on {address} or 127.0.0.1:0: Address already in use\n"


def test_the_default_ports_are_not_asked_for_when_a_file_is_wrong(tmp_path):
    missing, broken, wrong = tmp_path / "missing", tmp_path / "broken", tmp_path / "wrong"
    broken.write_text("{")
    wrong.write_text('{"compute": {"zone": 1}}')
    assert ended("--instance", str(missing)) == (2, "", f"emulate: {missing}: No such file or directory\n")
    code, _, err = ended("--fleet", str(broken))
    assert (code, err.startswith(f"emulate: {broken}: expected JSON: "), err.count("\n")) == (2, True, 1)
    assert ended("--instance", str(wrong)) == (2, "", f"emulate: {wrong}: $.compute.zone: expected a string, found 1\n")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--scenario", "x"], "--scenario: expected one of reboot, live-migration, "),
        (["--scenario", "reboot", "--speed", "0"], "--speed: expected a number above 0, found 0.0"),
        (["--clock-skew", "nan"], "--clock-skew: expected seconds, -3e8 to 3e8, found nan"),
        (["--clock-skew=-1e9"], "--clock-skew: expected seconds, -3e8 to 3e8, found -1000000000.0"),
        (["--listen", "here"], "expected an address such as '127.0.0.1:8080', found 'here'"),
        (["--admin", "127.0.0.1:99999"], "expected an address such as '127.0.0.1:8080', found '127.0.0.1:99999'"),
        (["--listen", "192.0.2.1:0", "--admin", "127.0.0.1:0"], "cannot listen on 192.0.2.1:0 or 127.0.0.1:0: Cannot assign requested address"),
        (["--listen", "no.such.host.invalid:0", "--admin", "127.0.0.1:0"], "cannot listen on no.such.host.invalid:0 "),
        (["--choice", "x=1"], "choice x: expected one of forwarded_status, "),
        (["--choice", "hint_spaces=yes"], "choice hint_spaces: expected true or false, found 'yes'"),
        (["--choice", "retry_after=x"], "choice retry_after: expected a number, found 'x'"),
        (["--choice", "tags_list_as_text=x"], "choice tags_list_as_text: expected one of listing, json, found 'x'"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_one_line_and_2(arguments, error):
    code, out, err = ended(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"emulate: {error}")
