"""`facts` and `events` against IMDS over HTTP, well and unwell, as a person and as a program read them."""

import base64
import json
import re
import signal
import socket
import subprocess
import sys

import pytest

from agent.emulator import Emulator
from tests.cli.running import command, environment, imds_agent, on_a_terminal, refused

PASSWORD = "hunter2-in-cloud-init"  # what a careless team puts into its user data
SECRETS = {
    "userData": base64.b64encode(PASSWORD.encode()).decode(),
    "customData": base64.b64encode(b"custom " + PASSWORD.encode()).decode(),
    "publicKeys": [{"keyData": "ssh-rsa AAAAB3Nza-secret-key", "path": "/home/admin-of-it/.ssh/authorized_keys"}],
    "osProfile": {"adminUsername": "admin-of-it"},
}


@pytest.fixture
def imds():
    with Emulator(rate_limit=None) as found:
        yield found


def facts(imds, *arguments, **given):
    return imds_agent("facts", f"--imds-url={imds.url}", *arguments, **given)


def test_facts_are_the_vm_and_the_labels_it_would_get(imds):
    imds.patch_instance(
        {"compute": {"tagsList": [{"name": "Team", "value": "a b"}, {"name": "hidden-x", "value": "1"}]}}
    )
    done = facts(imds)
    assert (done.code, done.err) == (0, "")
    assert re.search(r"\n  region +westeurope, zone 1\n", done.out)
    assert re.search(r"\n  topology.imds-agent.github.io/rack +westeurope-1-fd0 +from ", done.out)
    assert re.search(r"\n  tag.imds-agent.github.io/team +a_b +from tag Team, for 'a b'\n", done.out)
    assert re.search(r"\n  tag hidden-x +denied by 'hidden-\*'", done.out)
    assert max(map(len, done.out.splitlines())) <= 130


def test_facts_as_json_are_one_line_that_parses(imds):
    done = facts(imds, "-o", "json")
    found = json.loads(done.out)
    assert done.out.count("\n") == 1
    assert found["instance"]["name"] == "aks-pool1-12345678-vmss_2"
    assert found["labels"]["topology.imds-agent.github.io/zone"] == "westeurope-1"
    assert found["missing"] == []
    assert json.loads(found["annotations"]["imds-agent.github.io/instance"])["vmId"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_of_the_vm_is_ever_shown(imds, form):
    imds.patch_instance({"compute": SECRETS})
    done = facts(imds, "-o", form, "--log-level=debug")
    assert done.code == 0
    said = done.out + done.err
    for secret in (PASSWORD, SECRETS["userData"], SECRETS["customData"], "secret-key", "admin-of-it"):
        assert secret not in said


def test_facts_take_their_settings_from_environment_and_file(imds, tmp_path):
    (tmp_path / "s.yaml").write_text("exclude-labels: 'vm.*'\ndomain: file.example.com")
    given = {"IMDS_AGENT_IMDS_URL": imds.url, "IMDS_AGENT_DOMAIN": "env.example.com"}
    labels = json.loads(imds_agent("facts", "-o", "json", f"--config={tmp_path}/s.yaml", **given).out)["labels"]
    assert {key.partition("/")[0] for key in labels} == {"topology.env.example.com", "tag.env.example.com"}


def test_an_incomplete_answer_is_shown_and_said_to_be_incomplete(imds):
    imds.put_faults([{"kind": "partial", "empty": ["name", "vmId"]}])
    assert "incomplete: " in facts(imds).out
    assert json.loads(facts(imds, "-o", "json").out)["missing"]


def test_facts_do_not_import_kubernetes():
    """Measured where it counts: in the process, after the command's own module was imported."""
    code = "import sys, agent.cli, agent.commands.facts; print(*(m for m in sys.modules if m.startswith('kubernetes')))"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_there_is_colour_on_a_terminal_only_and_not_with_no_color(imds):
    arguments = ("facts", f"--imds-url={imds.url}")
    assert "\033[1m" in on_a_terminal(*arguments)
    assert "\033" not in on_a_terminal(*arguments, NO_COLOR="1")
    assert "\033" not in facts(imds).out


def test_a_tag_cannot_send_escape_sequences_to_a_terminal(imds):
    imds.patch_instance({"compute": {"tagsList": [{"name": "a\x1b[2Jb", "value": "\x07\x1b]0;x\x07"}]}})
    shown = on_a_terminal("facts", f"--imds-url={imds.url}", NO_COLOR="1")
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_letters_that_the_terminal_does_not_know_are_no_reason_to_fail(imds):
    imds.patch_instance({"compute": {"tagsList": [{"name": "Größe", "value": "überall"}]}})
    done = facts(imds, PYTHONIOENCODING="ascii")
    assert done.code == 0
    assert "Gr\\xf6\\xdfe" in done.out


def test_nobody_listening_is_told_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    said = refused(1, "facts", f"--imds-url=http://127.0.0.1:{port}")
    assert "Connection refused" in said
    assert "this is no Azure VM" in said


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"kind": "html"}, "Something between this agent and IMDS answers"),
        ({"kind": "status", "status": 404, "body": "<html>not here</html>"}, "status 404"),
        ({"kind": "status", "status": 403}, "status 403"),
    ],
)
def test_a_service_that_is_no_imds_is_told_in_one_line(imds, fault, said):
    imds.put_faults([fault])
    for name in ("facts", "events"):
        assert said in refused(1, name, f"--imds-url={imds.url}")


def test_a_service_that_hangs_is_left_in_time(imds):
    imds.put_faults([{"kind": "hang", "path": "/metadata/scheduledevents"}])
    said = refused(1, "events", f"--imds-url={imds.url}", "--first-events-timeout=300ms")
    assert "no answer within 0.3 s" in said


def test_a_vm_whose_requests_are_used_up_is_asked_about_once_more(imds):
    imds.put_faults([{"kind": "status", "status": 429, "path": "/metadata/scheduledevents", "times": 1}])
    assert imds_agent("events", f"--imds-url={imds.url}").code == 0
    imds.put_faults([{"kind": "status", "status": 429, "path": "/metadata/scheduledevents"}])
    assert "status 429" in refused(1, "events", f"--imds-url={imds.url}")


def test_no_events_are_said_to_be_none(imds):
    done = imds_agent("events", f"--imds-url={imds.url}")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("no scheduled events; this VM is aks-pool1-12345678-vmss_2;")


def test_events_are_shown_with_their_date_and_what_follows(imds):
    event = imds.add_event(EventType="Reboot")["EventId"]
    imds.add_event(EventType="Freeze", DurationInSeconds=9)
    imds.add_event(EventType="Redeploy", Resources=["another_7"])
    done = imds_agent("events", f"--imds-url={imds.url}")
    assert done.out.startswith("3 scheduled events; ")
    assert re.search(rf"\n  Reboot +Scheduled  not before \d{{4}}-\d\d-\d\d [\d:]{{8}}Z  {event}\n", done.out)
    assert "cordon: Reboot stops the VM" in done.out
    assert "notify: a freeze pauses the VM; its 9 s are below 30s" in done.out
    assert "not this VM: for another_7" in done.out
    assert max(map(len, done.out.splitlines())) <= 110


def test_events_as_json_parse_and_their_times_are_iso_8601(imds):
    imds.add_event(EventType="Preempt")
    found = json.loads(imds_agent("events", f"--imds-url={imds.url}", "-o", "json").out)
    (event,) = found["events"]
    assert (event["type"], event["own"], event["decision"]) == ("Preempt", True, "cordon")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["not_before"])


def test_a_watch_shows_each_change_at_once_in_a_pipe_survives_a_failing_imds_and_ends_with_ctrl_c(imds):
    process = subprocess.Popen(
        command("events", "--watch", "-o", "json", f"--imds-url={imds.url}"),
        env=environment(),
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert json.loads(process.stdout.readline())["events"] == []
            imds.put_faults([{"kind": "html"}])
            assert process.stderr.readline().endswith("Still watching.\n")
            imds.clear_faults()
            imds.add_event(EventType="Reboot")
            assert json.loads(process.stdout.readline())["events"][0]["type"] == "Reboot"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (130, "", "")
