"""`events approve ID`: a person approves, on a terminal and off it, with and without Kubernetes."""

import json
import os
import pty
import subprocess

import pytest

from agent.core.mark import Mark, MarkedEvent, mark_text, read_mark
from agent.emulator import Emulator
from tests.cli import running
from tests.cli.running import PATIENCE, Done, environment
from tests.promises.agents import EVENTS, annotations, cordoned

OWN, OTHER = "aks-pool1-12345678-vmss_2", "aks-pool1-12345678-vmss_3"


@pytest.fixture
def imds():
    with Emulator(rate_limit=None) as found:
        yield found


@pytest.fixture
def event(imds):
    return imds.add_event(
        EventType="Reboot", EventSource="User", Resources=[OWN, OTHER], Description="asked for", NotBeforeSeconds=900
    )["EventId"]


def command(imds, *arguments):
    return running.command("events", "approve", *arguments, f"--imds-url={imds.url}")


def approve(imds, *arguments, **given):
    """Run it to its end without a terminal."""
    done = subprocess.run(
        command(imds, *arguments), cwd="/", env=environment(**given), capture_output=True, text=True,
        timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def answered(imds, answer, *arguments):
    """Run it with a terminal to type into; returns exit code and all that the terminal showed."""
    screen, terminal = pty.openpty()
    process = subprocess.Popen(
        command(imds, *arguments), cwd="/", env=environment(TERM="dumb", NO_COLOR="1"), stdin=terminal,
        stdout=terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    os.write(screen, answer.encode())
    shown = b""
    try:
        while piece := os.read(screen, 65536):
            shown += piece
    except OSError:  # the last writer left
        pass
    finally:
        os.close(screen)
    return process.wait(PATIENCE), shown.decode().replace("\r\n", "\n")


def statuses(imds):
    return [each.status for each in imds.world.schedule(None).events]


def posts(imds):
    return [each for each in imds.requests() if each["method"] == "POST"]


def refusal(imds, *arguments):
    """Run what must approve nothing; returns the one line that says why."""
    done = approve(imds, *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert posts(imds) == []
    return done.err.removeprefix("imds-agent: ").rstrip("\n")


def test_a_person_sees_the_event_and_all_its_vms_and_says_yes(imds, event):
    code, shown = answered(imds, "yes\n", event)
    assert code == 0
    lines = shown.splitlines()
    [head] = [line for line in lines if line.startswith(f"Reboot {event}: Scheduled, not before 20")]
    assert head.endswith("Z, asked for by User")
    assert "  asked for" in lines
    assert "  approved, it may begin at once, for all 2 VMs:" in lines
    assert f"    {OWN}  (the VM you are on)" in lines
    assert f"    {OTHER}" in lines
    assert any("Type yes to approve: " in line for line in lines)
    assert f"approved: Reboot {event} may begin now" in shown
    assert "  no node is configured, so no mark says so" in lines
    assert statuses(imds) == ["Started"]


@pytest.mark.parametrize("answer", ["no\n", "\n", "y\n", "\x04", "yes please\n"])
def test_anything_but_yes_approves_nothing(imds, event, answer):
    code, shown = answered(imds, answer, event)
    assert code == 1
    assert "imds-agent: not approved; nothing was sent" in shown
    assert (statuses(imds), posts(imds)) == (["Scheduled"], [])


def test_without_a_terminal_nobody_is_asked_and_yes_must_be_given(imds, event):
    assert refusal(imds, event) == "nobody can be asked here: give --yes to approve without a question"
    done = approve(imds, event, "--yes")
    assert (done.code, done.err) == (0, "")
    assert f"    {OTHER}\n" in done.out
    assert statuses(imds) == ["Started"]


def test_json_is_for_programs_and_so_asks_nothing(imds, event):
    assert refusal(imds, event, "-o", "json") == "nobody can be asked here: give --yes to approve without a question"
    code, shown = answered(imds, "yes\n", event, "-o", "json")
    assert (code, posts(imds)) == (1, [])
    assert "give --yes" in shown
    found = json.loads(approve(imds, event, "--yes", "-o", "json", "--as", "ann").out)
    assert {key: found[key] for key in found if key != "event"} == {
        "approved": True,
        "by": "person:ann",
        "node": None,
        "mark": None,
        "trouble": None,
    }
    assert (found["event"]["id"], found["event"]["resources"]) == (event, [OWN, OTHER])


def test_an_id_may_be_typed_in_lower_case(imds, event):
    assert approve(imds, event.lower(), "--yes").code == 0
    assert statuses(imds) == ["Started"]


def test_the_id_may_come_behind_the_flags(imds, event):
    done = approve(imds, "--yes", "--as", "ann", event)
    assert (done.code, done.err, statuses(imds)) == (0, "", ["Started"])


def test_without_an_id_it_is_wrong_usage_and_nothing_is_asked(imds, event):
    found = running.refused(2, "events", "approve", "--yes", f"--imds-url={imds.url}")
    assert found == "events approve: expected the ID of an event, found nothing"
    assert imds.requests() == []


def test_a_second_id_is_wrong_usage_since_each_event_is_shown_and_asked_about(imds, event):
    found = running.refused(2, "events", "approve", event, "--yes", "B", f"--imds-url={imds.url}")
    assert found.startswith("no such argument: B")
    assert imds.requests() == []


def test_an_id_that_is_not_shown_is_refused_and_those_that_are_are_told(imds, event):
    assert refusal(imds, "NONE", "--yes") == f"no event 'NONE' is scheduled; there are {event} (Reboot, Scheduled)"
    imds.remove_event(event)
    assert refusal(imds, event, "--yes") == f"no event '{event}' is scheduled; there is none at all"


def test_an_event_that_has_started_is_refused(imds, event):
    imds.start_event(event)
    assert refusal(imds, event, "--yes") == f"Reboot {event} has started already: there is nothing to approve"


def test_an_event_of_a_status_that_nobody_knows_is_refused(imds):
    event = imds.add_event(EventType="Freeze", EventStatus="Canceled")["EventId"]
    assert refusal(imds, event, "--yes") == f"Freeze {event} is Canceled: there is nothing to approve"


def test_an_event_that_is_not_this_vms_is_said_to_be_not(imds):
    event = imds.add_event(EventType="Redeploy", Resources=[OTHER], NotBefore="")["EventId"]
    done = approve(imds, event, "--yes")
    assert done.out.startswith(f"Redeploy {event}: Scheduled, asked for by Platform\n")
    assert "\n  approved, it may begin at once, for this one VM:\n" in done.out
    assert f"\n  the VM you are on, {OWN}, is not among them\n" in done.out


def test_who_cannot_be_told_which_vm_this_is_can_approve_all_the_same(imds, event):
    imds.put_faults([{"kind": "status", "status": 403, "path": "/metadata/instance"}])
    done = approve(imds, event, "--yes")
    assert done.code == 0
    assert "the VM you are on" not in done.out
    assert f"\n    {OWN}\n" in done.out


def test_what_was_sent_without_an_answer_is_told_apart_from_what_was_refused(imds, event):
    imds.put_faults([{"kind": "reset", "method": "POST"}])
    done = approve(imds, event, "--yes")
    assert done.code == 1
    assert "approved:" not in done.out
    assert done.err.endswith("It may have been received all the same: see imds-agent events.\n")
    imds.put_faults([{"kind": "status", "status": 429, "method": "POST"}])
    done = approve(imds, event, "--yes")
    assert done.code == 1
    assert "received all the same" not in done.err
    assert "approved:" not in done.out


# With Kubernetes


def marked(plane, node, *entries):
    """Write mark and cordon as the agent does."""
    body = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "annotations": {EVENTS: mark_text(Mark(events=entries))}},
        "spec": {"unschedulable": True},
    }
    plane.admin.apply(node.path, body, manager="imds-agent-events", force=True)


def entry(event, **more):
    return MarkedEvent(id=event, type="Reboot", do="drain", drain="begun", **more)


def approved_by(node):
    mark = read_mark(annotations(node.get()).get(EVENTS))
    return {each.id: each.approved for each in mark.events}


@pytest.fixture
def at_node(plane, node):
    """The flags of somebody in the agent's own pod: its token, under its rights and the policy."""
    return f"--kubeconfig={plane.agent_kubeconfig(node.name)}", f"--node-name={node.name}"


@pytest.mark.parametrize(("flags", "by"), [((), "person"), (("--as", "ann"), "person:ann")])
def test_the_mark_says_who_approved_and_keeps_all_else(plane, node, at_node, imds, event, flags, by):
    before = (entry(event.lower()), entry("OTHER", overridden=True))
    marked(plane, node, *before)
    done = approve(imds, event, "--yes", *at_node, *flags)
    assert (done.code, done.err) == (0, "")
    assert f"\n  the mark on node {node.name} says: approved by {by}\n" in done.out
    found = node.get()
    assert cordoned(found)
    first, other = before
    assert read_mark(annotations(found)[EVENTS]) == Mark(
        events=(MarkedEvent(id=first.id, type="Reboot", do="drain", drain="begun", approved=by), other)
        if first.id < other.id
        else (other, MarkedEvent(id=first.id, type="Reboot", do="drain", drain="begun", approved=by))
    )


def test_who_approved_first_stays_in_the_mark(plane, node, at_node, imds, event):
    marked(plane, node, entry(event, approved="agent"))
    version = node.get()["metadata"]["resourceVersion"]
    done = approve(imds, event, "--yes", *at_node)
    assert f"\n  the mark on node {node.name} says already: approved by agent\n" in done.out
    assert node.get()["metadata"]["resourceVersion"] == version


@pytest.mark.parametrize("others", [(), ("OTHER",)])
def test_a_node_without_a_mark_of_the_event_is_not_written_to(plane, node, at_node, imds, event, others):
    if others:
        marked(plane, node, *(entry(each) for each in others))
    version = node.get()["metadata"]["resourceVersion"]
    done = approve(imds, event, "--yes", *at_node)
    assert (done.code, statuses(imds)) == (0, ["Started"])
    assert f"\n  node {node.name} carries no mark of this event\n" in done.out
    assert node.get()["metadata"]["resourceVersion"] == version


def test_without_an_api_server_it_is_approved_and_said_that_no_mark_says_so(imds, event, tmp_path):
    done = approve(imds, event, "--yes", "-o", "json", f"--kubeconfig={tmp_path}/none", "--node-name=n")
    found = json.loads(done.out)
    assert (done.code, found["approved"], found["mark"]) == (0, True, "failed")
    assert found["trouble"].startswith("the mark on node n does not say so: no credentials")
    assert statuses(imds) == ["Started"]


def mark_owners(node):
    return {
        each["manager"]
        for each in node.get()["metadata"]["managedFields"]
        if f"f:{EVENTS}" in each["fieldsV1"].get("f:metadata", {}).get("f:annotations", {})
    }


def test_the_agent_takes_the_mark_back_with_its_next_apply(plane, node, at_node, imds, event):
    """Whoever patched last owns it; the agent applies by force."""
    marked(plane, node, entry(event))
    approve(imds, event, "--yes", *at_node)
    assert (mark_owners(node), approved_by(node)) == ({"imds-agent-approve"}, {event: "person"})
    marked(plane, node, entry(event, approved="person", started=True))
    assert (mark_owners(node), approved_by(node)) == ({"imds-agent-events"}, {event: "person"})


def test_a_mark_that_says_who_approved_can_be_withdrawn(plane, node, at_node, imds, event):
    marked(plane, node, entry(event))
    approve(imds, event, "--yes", *at_node)
    done = running.imds_agent("withdraw", *at_node)
    assert (done.code, done.out, done.err) == (0, f"node {node.name}: withdrawn\n", "")
    found = node.get()
    assert (EVENTS in annotations(found), cordoned(found)) == (False, False)
