"""A new user at the command line: help, version, and what is told about a wrong command or setting."""

import signal
import socket
import subprocess
import time

import pytest

from agent import __version__
from agent.emulator import Emulator
from agent.settings import TOPICS
from agent.sub_commands import SUBS
from tests.cli.running import command, environment, imds_agent, refused

NAMES = [*(sub.name for sub in SUBS), "emulate"]


def test_help_lists_every_command_in_short_lines():
    done = imds_agent("--help")
    assert (done.code, done.err) == (0, "")
    for name in NAMES:
        assert f"\n    {name}" in done.out
    assert "exit codes: 0 done" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.parametrize("name", NAMES)
def test_help_of_a_command_is_short_lines_about_its_own_topics(name):
    done = imds_agent(name, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"usage: imds-agent {name} [options]")
    assert max(map(len, done.out.splitlines())) <= 80
    assert "exit codes: 0 done" in done.out
    topics = next((sub.topics for sub in SUBS if sub.name == name), ())
    assert [title for topic, title in TOPICS.items() if f"\n{title}:\n" in done.out] == [
        title for topic, title in TOPICS.items() if topic in topics
    ]


def test_version_is_said():
    assert imds_agent("--version") == (0, f"imds-agent {__version__}\n", "")


def test_no_command_is_wrong_usage_and_help_is_named():
    assert refused(2).endswith("COMMAND (see imds-agent --help)")


def test_a_wrong_command_is_told_with_what_may_have_been_meant():
    assert refused(2, "fact") == "no such command: fact; did you mean facts? (see imds-agent --help)"
    assert refused(2, "xyzzy") == "no such command: xyzzy (see imds-agent --help)"


def test_a_wrong_flag_is_told_with_what_may_have_been_meant():
    said = refused(2, "run", "--relase-after=2m")
    assert said == "no such argument: --relase-after; did you mean --release-after? (see imds-agent run --help)"
    assert refused(2, "label", "now") == "no such argument: now (see imds-agent label --help)"


def test_a_mistyped_variable_is_told_and_stops_nothing():
    done = imds_agent("explain-tag", "a", "b", IMDS_AGENT_RELASE_AFTER="2m")
    assert (done.code, done.out.splitlines()[0]) == (0, "tag.imds-agent.github.io/a=b")
    assert done.err == "imds-agent: IMDS_AGENT_RELASE_AFTER: no such setting; did you mean IMDS_AGENT_RELEASE_AFTER?\n"


def test_a_flag_cannot_be_shortened_for_a_new_one_might_be_meant_tomorrow():
    assert "no such argument: --kube" in refused(2, "run", "--kube=x")


def test_a_flag_without_its_value_and_a_choice_that_is_none_are_told():
    assert "expected one argument" in refused(2, "facts", "--imds-url")
    assert "invalid choice: 'xml'" in refused(2, "facts", "-o", "xml")


@pytest.mark.parametrize("name", [sub.name for sub in SUBS if sub.name != "explain-tag"])
def test_a_bad_domain_is_a_wrong_setting_before_anything_is_asked(name):
    assert "label domain: expected a DNS name" in refused(2, name, "--domain=Not_One", "--node-name=n")


@pytest.mark.parametrize("name", ["run", "plan", "label", "hold", "withdraw"])
def test_what_needs_a_node_says_so(name):
    assert refused(2, name).startswith("--node-name (or NODE_NAME): expected the name of this VM's node")


@pytest.mark.parametrize("name", ["run", "label", "hold", "withdraw"])
def test_without_credentials_the_flag_for_them_is_named(name):
    said = refused(1, name, "--node-name=n", "--probe-address=off")
    assert "no credentials for a cluster" in said
    assert "--kubeconfig" in said


@pytest.mark.parametrize(
    ("flag", "value"), [("--approval", "when-drained"), ("--approval-waits-for", "hdfs")], ids=["approval", "waits"]
)
def test_without_kubernetes_nothing_may_depend_on_it(flag, value):
    said = refused(2, "run", "--no-kubernetes", f"{flag}={value}", "--probe-address=off")
    assert said.startswith(f"{flag}: expected")
    assert said.endswith(f"without Kubernetes, found {value!r}")


def test_a_second_agent_on_the_host_is_told_before_anything_is_asked(free_port_taken):
    said = refused(1, "run", "--node-name=n", f"--probe-address={free_port_taken}")
    assert said.startswith(f"{free_port_taken} cannot be listened on")
    assert "another agent" in said


@pytest.fixture
def free_port_taken():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_an_example_of_a_tag_is_explained_without_any_network():
    done = imds_agent("explain-tag", "Cost Center", "R&D", "--domain=vm.example.com")
    assert done.code == 0
    assert done.out.startswith("tag.vm.example.com/cost_center=R_D\n  allowed by '*'\n")
    assert imds_agent("explain-tag", "hidden-x", "y").out.startswith(
        "no label for tag hidden-x\n  denied by 'hidden-*'"
    )


@pytest.mark.parametrize("arguments", [("--help",), ("emulate", "--list-choices"), ("explain-tag", "a", "b")])
def test_a_reader_that_leaves_ends_it_quietly(arguments):
    process = subprocess.Popen(
        command(*arguments), env=environment(), cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(60), said) == (0, "")


def test_a_full_disk_is_told_in_one_line():
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            command("explain-tag", "a", "b"),
            env=environment(),
            cwd="/",
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("imds-agent: ")
    assert "No space left" in done.stderr
    assert done.stderr.count("\n") == 1


def test_ctrl_c_ends_with_130_and_no_word(silent_imds):
    process = subprocess.Popen(
        command("facts", f"--imds-url={silent_imds.url}", "--imds-read-timeout=30s"),
        env=environment(),
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    last = time.monotonic() + 60
    while not silent_imds.requests():
        assert time.monotonic() < last
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "")


@pytest.fixture
def silent_imds():
    with Emulator() as imds:
        imds.put_faults([{"kind": "hang"}])
        yield imds
