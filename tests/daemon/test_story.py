"""The log as a story: each thing is said when it changes and not at each look, with the daemon's own logger."""

from datetime import timedelta

from prometheus_client import generate_latest

from agent.clients.cluster_errors import ClusterRefused, ClusterUnavailable, NodeMissing
from agent.core.known import Known, Rules
from agent.core.reconcile import reconcile
from agent.core.refusal import Refusal
from agent.daemon.board import Facts
from agent.daemon.clock import Clock
from agent.daemon.herald import Herald
from agent.daemon.metrics import Metrics
from agent.daemon.story import SAY_AGAIN, Story
from tests.core.builders import (
    NOW,
    cordoned,
    document,
    event,
    hearing,
    labelled,
    mark,
    marked_event,
    node,
    seen,
    showing,
    sighting,
    uncordoned,
    vanished,
)
from tests.daemon.partners import Log

CLOCK = Clock(monotonic=lambda: 0.0, utc=lambda: NOW)


class Teller:
    """A story, what it wrote, and turns to tell it."""

    def __init__(self) -> None:
        self.log, self.metrics = Log(), Metrics()
        self.story = Story(self.log.logger, self.metrics, Rules(), Herald(None, self.metrics, self.log.logger, CLOCK))

    def turn(self, sent, heard=None, *, acts: bool = False, instant: float = 0.0, utc=NOW, **known) -> list[str]:
        """Tell one turn that ends with the node so; returns the names of what was said."""
        self.log.forget()
        known = Known(sighting=sighting(), hearing=heard or hearing((instant, document())), **known)
        view = seen(sent)
        made = reconcile(known, view, Rules(), now=utc, instant=instant)
        if acts:
            self.story.acting(known, view, made, utc)
        self.story.told(known, view, made, utc=utc, instant=instant)
        return self.log.names()

    def entry(self, name: str) -> dict:
        (found,) = [entry for entry in self.log.said if entry["event"] == name]
        return found

    def metric(self, sample: str) -> float:
        lines = generate_latest(self.metrics.registry).decode().splitlines()
        (found,) = [line.rpartition(" ")[2] for line in lines if line.rpartition(" ")[0] == sample]
        return float(found)


def test_the_first_turn_says_how_things_stand_and_the_next_ones_nothing():
    teller = Teller()
    assert teller.turn(labelled()) == ["node.reconciled"]
    assert teller.entry("node.reconciled")["plan"] == "idle"
    assert teller.turn(labelled()) == []
    assert teller.turn(labelled()) == []


def test_a_cordon_of_somebody_else_is_a_change_of_how_things_stand_and_so_is_its_end():
    teller = Teller()
    teller.turn(labelled())
    assert teller.turn(labelled(cordoned=True)) == ["node.reconciled"]
    assert teller.entry("node.reconciled")["cordoned"] is True
    assert teller.turn(labelled()) == ["node.reconciled"]
    assert teller.turn(labelled()) == []


def test_an_event_is_told_once_with_the_decision_and_again_when_it_starts():
    teller = Teller()
    teller.turn(labelled(), showing(event()), acts=True)
    said = teller.entry("event.seen")
    assert (said["event_id"], said["event_type"], said["decision"]) == ("E1", "Reboot", "cordon")
    assert "event.seen" not in teller.turn(cordoned(), showing(event()))
    assert "event.seen" in teller.turn(cordoned(), showing(event(status="Started")))
    assert teller.entry("event.seen")["status"] == "Started"
    assert teller.turn(cordoned(), showing(event(status="Started"))) == []


def test_an_event_judged_anew_is_told_again():
    teller = Teller()
    ahead = event(not_before=NOW + timedelta(hours=3))
    teller.turn(labelled(), showing(ahead), acts=True)
    assert teller.entry("event.seen")["decision"] == "notify"
    assert "event.seen" in teller.turn(labelled(), showing(ahead), utc=NOW + timedelta(hours=2, minutes=30))
    assert teller.entry("event.seen")["decision"] == "cordon"
    assert teller.metric("imds_agent_notice_seconds_count") == 1.0  # its notice is counted once


def test_an_event_that_comes_back_after_it_was_gone_is_told_anew():
    teller = Teller()
    teller.turn(labelled(), showing(event()), acts=True)
    teller.turn(labelled())
    assert "event.seen" in teller.turn(labelled(), showing(event()), acts=True)


def test_a_neighbours_event_is_no_part_of_the_story():
    teller = Teller()
    teller.turn(labelled())
    assert teller.turn(labelled(), showing(event(resources=("another-vm",))), acts=True) == []
    assert teller.metric('imds_agent_events{status="Scheduled",type="Reboot"}') == 0.0


def test_a_confirmed_cordon_is_said_once_with_the_seconds_since_the_event_was_seen():
    teller = Teller()
    heard = hearing((10.0, document(event())), (12.5, document(event())))
    assert "node.cordoned" in teller.turn(cordoned(), heard, instant=12.5)
    assert teller.entry("node.cordoned")["seconds"] == 2.5
    assert teller.turn(cordoned(), heard, instant=20.0) == []
    assert teller.metric("imds_agent_cordon_seconds_count") == 1.0
    assert teller.metric("imds_agent_cordon_seconds_sum") == 2.5
    assert teller.metric('imds_agent_plan{plan="cordon"}') == 1.0
    assert teller.metric('imds_agent_events{status="Scheduled",type="Reboot"}') == 1.0


def test_a_second_event_is_confirmed_by_itself():
    teller = Teller()
    teller.turn(cordoned(), showing(event()))
    both = cordoned(mark(marked_event(), marked_event("E2")))
    assert teller.turn(both, hearing((0.0, document(event())), (1.0, document(event(), event("E2")))), instant=1.0) == [
        "event.seen",
        "node.cordoned",
    ]
    assert teller.entry("node.cordoned")["event_id"] == "E2"


def test_why_a_node_is_not_given_back_is_said_once_and_again_when_it_is_another_reason():
    teller = Teller()
    heard = vanished(event(), until=1000.0)
    assert "node.release_waiting" in teller.turn(cordoned(ready=False), heard, instant=1000.0)
    assert teller.entry("node.release_waiting")["because"] == "the node is not Ready"
    assert teller.turn(cordoned(ready=False), heard, instant=1001.0) == []
    assert "node.release_waiting" in teller.turn(cordoned(), heard, instant=1100.0)
    assert "IMDS" in teller.entry("node.release_waiting")["because"]


def test_what_a_turn_is_about_to_do_is_said_before_it_is_done():
    teller = Teller()
    assert "node.cordon_wanted" in teller.turn(labelled(), showing(event()), acts=True)
    assert teller.entry("node.cordon_wanted")["event_id"] == ["E1"]
    ahead = event(not_before=NOW + timedelta(hours=3))
    assert "node.mark_wanted" in Teller().turn(labelled(), showing(ahead), acts=True)
    assert "node.release_wanted" in teller.turn(cordoned(), vanished(event()), acts=True, instant=1000.0)
    assert teller.metric('imds_agent_plan{plan="release"}') == 1.0


def test_an_override_is_said_and_counted_when_it_is_found():
    teller = Teller()
    assert "cordon.overridden" in teller.turn(uncordoned(), showing(event()), acts=True)
    assert teller.metric("imds_agent_overrides_total") == 1.0
    overridden = mark(marked_event(overridden=True))
    assert "cordon.overridden" not in teller.turn(uncordoned(overridden), showing(event()), acts=True)
    assert teller.metric("imds_agent_override") == 1.0
    assert teller.metric("imds_agent_overrides_total") == 1.0


def test_who_holds_the_node_is_said_when_it_changes():
    teller = Teller()
    teller.turn(cordoned(), showing(event()))
    held = cordoned(annotations={"imds-agent.github.io/hold": "disk"})
    assert teller.turn(held, showing(event())) == ["node.reconciled"]
    assert teller.entry("node.reconciled")["holds"] == ["annotation imds-agent.github.io/hold"]
    assert teller.metric("imds_agent_hold") == 1.0
    assert teller.turn(held, showing(event())) == []


def failed(teller: Teller, error, failures: int = 1) -> list[str]:
    teller.log.forget()
    teller.story.failed("node-1", error, failures)
    return teller.log.names()


def test_an_api_server_that_is_away_is_said_at_first_then_now_and_then_and_when_it_is_back():
    teller = Teller()
    away = ClusterUnavailable("GET x: no answer")
    said = [number for number in range(1, 3 * SAY_AGAIN + 1) if failed(teller, away, number)]
    assert said == [1, SAY_AGAIN, 2 * SAY_AGAIN, 3 * SAY_AGAIN]
    assert "cluster.recovered" in teller.turn(labelled())
    assert "cluster.recovered" not in teller.turn(labelled())
    assert failed(teller, away) == ["cluster.unavailable"]


def test_a_missing_node_is_said_once_until_it_was_there_again():
    teller = Teller()
    assert failed(teller, NodeMissing("GET x: 404")) == ["node.missing"]
    assert failed(teller, NodeMissing("GET x: 404"), 2) == []
    teller.turn(labelled())
    assert failed(teller, NodeMissing("GET x: 404")) == ["node.missing"]


def test_a_refusal_is_an_error_said_once_and_again_with_other_words():
    teller = Teller()
    assert failed(teller, ClusterRefused("PATCH x", 403, "no right")) == ["node.refused"]
    assert teller.entry("node.refused")["level"] == "error"
    assert failed(teller, ClusterRefused("PATCH x", 403, "no right"), 2) == []
    assert failed(teller, ClusterRefused("PATCH x", 403, "a policy"), 3) == ["node.refused"]
    assert failed(teller, ClusterRefused("PATCH x", 403, "a policy"), SAY_AGAIN) == ["node.refused"]


def test_what_admission_refused_is_said_once_for_each_thing_that_is_left_out():
    teller = Teller()
    refusal, error = Refusal(keys=frozenset({"vm.x/b", "vm.x/a"}), until=100.0), ClusterRefused("PATCH x", 403, "no")
    for group in ("facts", "facts", "tags"):
        teller.story.refused(group, refusal, error)
    teller.story.refused("facts", Refusal(labels=True, until=100.0), error)
    assert [(entry["group"], entry["left_out"]) for entry in teller.log.said] == [
        ("facts", ["vm.x/a", "vm.x/b"]),
        ("tags", ["vm.x/a", "vm.x/b"]),
        ("facts", "labels"),
    ]
    teller.turn(labelled(), refusals={"facts": refusal}, instant=50.0)
    assert teller.metric('imds_agent_labels_refused{group="facts"}') == 1.0
    teller.turn(labelled(), refusals={"facts": refusal}, instant=100.0)
    assert teller.metric('imds_agent_labels_refused{group="facts"}') == 0.0


def test_a_node_without_labels_is_part_of_no_story_of_events():
    assert Teller().turn(node(), acts=True) == ["node.reconciled"]


def test_an_event_that_had_begun_when_it_was_first_seen_is_counted_once():
    teller, begun = Teller(), event(status="Started", not_before=None)
    teller.turn(labelled(), showing(begun), acts=True)
    teller.turn(cordoned(), showing(begun))
    assert teller.metric("imds_agent_events_without_notice_total") == 1.0


def test_an_event_that_was_seen_in_time_has_had_notice_also_where_the_agent_restarts_after_it_began():
    teller = Teller()
    teller.turn(labelled(), showing(event()), acts=True)
    teller.turn(cordoned(), showing(event(status="Started")))
    assert teller.metric("imds_agent_events_without_notice_total") == 0.0
    restarted = Teller()
    restarted.turn(cordoned(), showing(event(status="Started")))
    assert restarted.metric("imds_agent_events_without_notice_total") == 0.0


def test_a_cordon_is_unconfirmed_until_a_turn_has_ended_well_with_it():
    teller = Teller()
    heard = Facts(sighting=sighting(), hearing=showing(event()))
    assert teller.story.unconfirmed(heard, NOW) == 1
    teller.turn(cordoned(), showing(event()))
    assert teller.story.unconfirmed(heard, NOW) == 0
    ahead = Facts(sighting=sighting(), hearing=showing(event(not_before=NOW + timedelta(hours=3))))
    assert teller.story.unconfirmed(ahead, NOW) == 0  # only told for now
    assert teller.story.unconfirmed(Facts(sighting=None, hearing=showing(event())), NOW) == 0
