"""Kubernetes Events from the daemon on the real API server: after the deed, each thing once, and never in the loop's way."""

import uuid
from collections import Counter
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone

import pytest
from prometheus_client import generate_latest

from agent.clients.cluster import Access, Cluster
from agent.core.actions import Approve
from agent.core.node import read_node
from agent.core.pods import Pod
from agent.daemon.clock import Clock
from agent.daemon.herald import AT_MOST, KEPT, LATELY, REST, Herald
from agent.daemon.metrics import Metrics
from tests.daemon.partners import Hand, Log
from tests.promises.agents import wait_until

EVENTS = "/api/v1/namespaces/default/events"
HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
STARTED = datetime.now(timezone.utc)


class Crier:
    """A herald of one node's agent, with what it sent and what it said; its clocks stand until they are set."""

    def __init__(self, plane, node, kubeconfig) -> None:
        self.plane, self.node = plane, node
        self.sent = Counter()
        self.clock, self.log = Hand(0.0), Log()
        self.slowness = 0.0  # seconds that each request takes
        self.cluster = Cluster(Access(kubeconfig=kubeconfig), seen=self.answered)
        self.start()

    def answered(self, verb, code) -> None:
        self.sent.update([(verb, code)])
        self.clock.now += self.slowness

    def start(self) -> None:
        """Begin with nothing remembered, as a restarted agent."""
        self.metrics = Metrics()
        clock = Clock(monotonic=self.clock, utc=lambda: STARTED + timedelta(seconds=self.clock.now))
        self.herald = Herald(self.cluster, self.metrics, self.log.logger, clock)

    def say(self, *keys, message="Cordoned.") -> None:
        """Tell of the node that it was cordoned for these events, and let it go out."""
        for key in keys:
            self.herald.node("NodeCordoned", message, key)
        self.flush()

    def flush(self) -> None:
        self.herald.flush(read_node(self.node.get(), quorum=True))

    def requests(self) -> int:
        return sum(self.sent.values())

    def outcomes(self) -> dict[str, float]:
        """What the metric says, by outcome."""
        name, lines = "imds_agent_kubernetes_events_total{outcome=", generate_latest(self.metrics.registry).decode()
        found = [line for line in lines.splitlines() if line.startswith(name)]
        return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in found}

    def standing(self, about=None) -> list[dict]:
        """Return the Events that stand about our node or another object, in the order in which they were made."""
        selector = f"involvedObject.uid={about or self.node.uid},reportingComponent=imds-agent"
        found = self.plane.admin.get(EVENTS, fieldSelector=selector)["items"]
        return sorted(found, key=lambda event: int(event["metadata"]["resourceVersion"]))

    def messages(self) -> list[str]:
        return [event["message"] for event in self.standing()]


@pytest.fixture
def crier(plane, node):
    crier = Crier(plane, node, plane.agent_kubeconfig(node.name))
    with closing(crier.cluster):
        yield crier


# -- what is told ------------------------------------------------------------------------------------------------------


def test_nothing_goes_out_before_the_turns_deeds_are_done_and_then_all_of_it_in_order(crier):
    crier.herald.node("NodeCordoned", "First.", "E1")
    crier.herald.node("DrainFailed", "Second.", "E1", warning=True)
    assert crier.requests() == 0
    crier.flush()
    first, second = crier.standing()
    assert (first["reason"], first["message"], first["type"]) == ("NodeCordoned", "First.", "Normal")
    assert (second["reason"], second["message"], second["type"]) == ("DrainFailed", "Second.", "Warning")
    assert first["involvedObject"]["name"] == first["source"]["host"] == crier.node.name
    assert crier.outcomes() == {"created": 2}


def test_a_pod_that_was_asked_to_leave_or_refused_is_told_of_beside_the_pod(crier):
    pod = Pod(uid=str(uuid.uuid4()), namespace="default", name="web-0")
    crier.herald.pod_asked(pod, deleted=False)
    crier.herald.pod_refused(pod, "the budget web says no")
    crier.herald.pod_asked(pod, deleted=True)
    crier.flush()
    told = [(event["reason"], event["type"], event["involvedObject"]["name"]) for event in crier.standing(pod.uid)]
    assert told == [
        ("PodEvicted", "Normal", "web-0"),
        ("PodNotEvicted", "Warning", "web-0"),
        ("PodDeleted", "Normal", "web-0"),
    ]
    assert "the budget web says no" in crier.standing(pod.uid)[1]["message"]
    assert crier.standing() == []


def test_an_approval_names_the_event_and_all_that_it_is_for(crier):
    crier.herald.approved(Approve(event_id="E1", event_type="Reboot", resources=("web_0", "web_1")))
    crier.flush()
    assert [event["reason"] for event in crier.standing()] == ["EventApproved"]
    assert crier.messages() == ["Reboot E1 may begin now, for web_0, web_1"]


def test_where_events_are_switched_off_nobody_is_told_and_nothing_fails(plane, node):
    log = Log()
    herald = Herald(None, Metrics(), log.logger, Clock(monotonic=Hand(), utc=lambda: STARTED))
    herald.node("NodeCordoned", "Cordoned.", "E1")
    herald.flush(read_node(node.get(), quorum=True))
    assert log.said == []


# -- each thing once ---------------------------------------------------------------------------------------------------


def test_the_same_thing_is_sent_once_in_ten_minutes_and_then_counted_up(crier):
    crier.say("E1")
    crier.clock.now = 599.9
    crier.say("E1", "E1")
    assert crier.requests() == 1
    crier.clock.now = 600.0
    crier.say("E1", message="Still cordoned.")
    (event,) = crier.standing()
    assert (event["count"], event["message"]) == (2, "Still cordoned.")
    assert crier.outcomes() == {"created": 1, "counted": 1}


def test_what_was_told_lately_keeps_back_nothing_that_is_new(crier):
    crier.say("E1")
    crier.say("E1", "E2")
    assert crier.outcomes() == {"created": 2}


def test_after_a_restart_it_is_not_told_a_second_time(crier):
    crier.say("E1")
    before = crier.standing()
    crier.clock.now = 60.0
    crier.start()
    crier.say("E1")
    assert crier.standing() == before
    assert crier.outcomes() == {"known": 1}


def test_a_new_node_of_the_same_name_is_told_of_anew(crier):
    crier.say("E1")
    crier.node.recreate()
    crier.say("E1")
    assert len(crier.standing()) == 1
    assert crier.outcomes() == {"created": 2}


# -- never in the way --------------------------------------------------------------------------------------------------


def test_a_turn_tells_twenty_things_and_the_next_turn_the_rest(crier):
    keys = [f"E{number}" for number in range(AT_MOST + 5)]
    crier.say(*keys)
    assert crier.requests() == AT_MOST == 20
    crier.flush()
    assert crier.requests() == AT_MOST + 5
    crier.flush()
    assert crier.requests() == AT_MOST + 5


def test_where_events_are_slow_a_turn_tells_for_two_seconds_and_the_next_turn_goes_on(crier):
    crier.slowness = 0.75
    crier.say("E1", "E2", "E3", "E4")
    assert crier.requests() == 3
    crier.flush()
    assert crier.outcomes() == {"created": 4}


def test_of_what_piles_up_the_oldest_is_not_told(crier):
    for number in range(KEPT + 1):
        crier.herald.node("NodeCordoned", f"{number}.", f"E{number}")
    crier.flush()
    assert crier.messages() == [f"{number}." for number in range(1, AT_MOST + 1)]
    for _ in range(KEPT // AT_MOST + 1):
        crier.flush()
    assert crier.outcomes() == {"created": KEPT}


def test_in_ten_minutes_five_hundred_things_are_told_at_most(crier):
    """Who plays IMDS to an agent can have it see other events each second."""
    for turn in range(30):
        crier.say(*(f"E{turn}-{n}" for n in range(AT_MOST)))
        crier.clock.now += 1
    assert crier.requests() == LATELY
    assert crier.outcomes()["too many"] == 30 * AT_MOST - LATELY
    crier.clock.now += 600
    crier.say("later")
    assert crier.requests() == LATELY + 1


def test_one_that_is_refused_costs_the_others_nothing(crier):
    crier.herald.pod_asked(Pod(uid="gone", namespace="nowhere", name="web-0"), deleted=False)
    crier.say("E1")
    assert crier.messages() == ["Cordoned."]
    assert crier.outcomes() == {"refused": 1, "created": 1}
    assert crier.log.said == []


def test_without_the_right_it_is_said_once_and_not_tried_for_half_an_hour(plane, node):
    crier = Crier(plane, node, plane.agent_kubeconfig(node.name, service_account="nobody"))
    crier.say("E1", "E2")
    (said,) = crier.log.said
    assert (said["event"], said["level"], said["node"]) == ("kubernetes_events.refused", "warning", node.name)
    assert 'cannot create resource "events"' in said["error"]
    crier.clock.now = REST - 0.1
    crier.say("E3")
    assert crier.sent == {("POST", 403): 1}
    crier.clock.now = REST
    crier.say()
    assert crier.requests() == 1  # what happened meanwhile is not told late
    crier.say("E4")
    assert crier.sent == {("POST", 403): 2}
    assert crier.outcomes() == {"forbidden": 2}
    crier.cluster.close()


@contextmanager
def broken_hook(crier):
    """Let every Event about our node meet a webhook that does not answer: the API server says 500."""
    name = f"broken-{uuid.uuid4().hex[:8]}.example.com"
    hook = {
        "name": name,
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["events"]}],
        "matchConditions": [{"name": "ours", "expression": f"object.involvedObject.name == '{crier.node.name}'"}],
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    crier.plane.admin.post(HOOKS, {**kind, "metadata": {"name": name}, "webhooks": [hook]})
    try:
        wait_until(lambda: probed(crier) == 500, "the webhook is asked")
        yield
    finally:
        crier.plane.admin.delete(f"{HOOKS}/{name}")
    wait_until(lambda: probed(crier) == 201, "the webhook is forgotten")


def probed(crier) -> int:
    """Return the status that an Event about our node would get."""
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"probe-{uuid.uuid4().hex[:8]}", "namespace": "default"},
        "involvedObject": {"kind": "Node", "name": crier.node.name},
    }
    return crier.plane.admin.raw("POST", EVENTS, event, dryRun="All").status_code


def test_where_events_cannot_be_written_now_the_turn_goes_on_after_one_attempt(crier):
    with broken_hook(crier):
        crier.say("E1", "E2", "E3")
        assert crier.sent == {("POST", 500): 1}
    crier.say()
    assert crier.requests() == 1  # what happened has happened: it is not told late
    crier.say("E4")
    assert crier.messages() == ["Cordoned."]
    assert crier.outcomes() == {"failed": 1, "created": 1}
    assert crier.log.said == []


def test_where_nobody_answers_the_turn_goes_on_after_one_attempt(plane, node, tmp_path):
    config = plane.agent_kubeconfig(node.name).read_text().replace(plane.url, "https://127.0.0.1:1")
    (tmp_path / "nowhere.kubeconfig").write_text(config)
    crier = Crier(plane, node, tmp_path / "nowhere.kubeconfig")
    crier.say("E1", "E2")
    assert crier.sent == {("POST", 0): 1}
    assert crier.outcomes() == {"failed": 1}
    crier.cluster.close()
