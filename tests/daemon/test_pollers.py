"""Pollers against IMDS over HTTP: they look, tell the board what changed, and say what is wrong once."""

from contextlib import contextmanager

import pytest

from agent.clients.imds import Imds
from agent.clients.imds_errors import ImdsRefused, ImdsUnavailable
from agent.core.health import health
from agent.daemon.board import Board
from agent.daemon.pollers import SAY_AGAIN, EventsPoller, InstancePoller, Trouble
from agent.emulator import Emulator
from tests.daemon.partners import Hand, Log, until

LATER = ImdsUnavailable("http://imds/x", "no answer", "Later")
NEVER = ImdsRefused("http://imds/x", "a page", "Never")


class Scene:
    """An emulator, its client, a board and a log; threads that are started end with it."""

    def __init__(self, imds: Emulator, client: Imds, *, events_on: bool = True) -> None:
        self.imds, self.client, self.log, self.clock = imds, client, Log(), Hand()
        at_most = {"instance": 100.0, "events": 100.0}
        self.board = Board(started=self.clock(), at_most=at_most, needed=("imds",), events_on=events_on)
        self.threads: list = []

    def instance_poller(self, interval: float = 300.0, confirm: float = 10.0) -> InstancePoller:
        return InstancePoller(
            self.client, self.board, self.log.logger, interval=interval, confirm=confirm, clock=self.clock
        )

    def events_poller(self, interval: float = 0.05) -> EventsPoller:
        return EventsPoller(self.client, self.board, self.log.logger, interval=interval, clock=self.clock)

    def start(self, poller):
        self.threads.append(poller)
        poller.start()

    def asked(self, path: str) -> int:
        return sum(each["path"].startswith(f"/metadata/{path}") for each in self.imds.requests())

    def close(self) -> None:
        self.board.stopping.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()


@contextmanager
def scene(*, events_on: bool = True, **client):
    """Give a scene whose client may ask as often as it likes, and is not kept waiting by a service that fails."""
    with (
        Emulator(rate_limit=None) as imds,
        Imds(imds.url, per_second=1000, **({"sleep": lambda _: None} | client)) as imds_client,
    ):
        found = Scene(imds, imds_client, events_on=events_on)
        try:
            yield found
        finally:
            found.board.stopping.set()
            imds.__exit__(None, None, None)  # ends a call that hangs
            found.close()


def test_three_looks_settle_what_is_known_of_the_vm_and_it_is_said_once():
    with scene() as found:
        poller = found.instance_poller()
        agreed = []
        for _ in range(4):
            poller.look()
            agreed.append(found.board.facts().sighting.agreed)
        assert agreed == [1, 2, 3, 3]
        assert found.log.names() == ["instance.seen"]
        assert found.log.said[0]["zone"] == "1"
        assert found.log.said[0]["complete"] is True


def test_a_changed_vm_is_said_and_must_settle_anew():
    with scene() as found:
        poller = found.instance_poller()
        for _ in range(3):
            poller.look()
        found.imds.patch_instance({"compute": {"platformFaultDomain": "1"}})
        poller.look()
        assert found.board.facts().sighting.agreed == 1
        assert found.log.names() == ["instance.seen", "instance.changed"]
        assert found.log.said[1]["fault_domain"] == 1


def test_new_user_data_is_said_and_counted_without_its_content_and_settles_nothing_anew():
    with scene() as found:
        changes = []
        poller = InstancePoller(
            found.client, found.board, found.log.logger, interval=300.0, confirm=10.0, clock=found.clock,
            changed=lambda: changes.append(1),
        )  # fmt: skip
        for _ in range(3):
            poller.look()
        found.log.forget()
        found.imds.patch_instance({"compute": {"userData": "c2VjcmV0"}})
        for _ in range(2):
            poller.look()
        assert found.log.names() == ["userdata.changed"]
        assert "c2VjcmV0" not in str(found.log.said)
        assert (len(changes), found.board.facts().sighting.settled) == (1, True)


def test_a_running_poller_asks_at_the_short_interval_until_three_answers_agree_then_rests():
    with scene() as found:
        found.start(found.instance_poller(interval=3600.0, confirm=0.01))
        until(lambda: (seen := found.board.facts().sighting) and seen.settled, "settled")
        assert found.asked("instance") == 3


def test_an_incomplete_answer_is_no_news_once_a_complete_one_was_seen():
    with scene() as found:
        poller = found.instance_poller()
        poller.look()
        known = found.board.facts().sighting
        found.imds.put_faults([{"kind": "partial", "empty": ["name", "vmId", "zone"]}])
        poller.look()
        assert found.board.facts().sighting == known
        assert found.log.names() == ["instance.seen"]


def test_a_failing_imds_changes_nothing_counts_as_an_attempt_and_is_said_once_and_when_it_ends():
    with scene() as found:
        poller = found.events_poller()
        assert poller.look()
        heard = found.board.facts().hearing
        found.imds.put_faults([{"kind": "status", "status": 500}])
        for second in range(1, 6):
            found.clock.now = 1000.0 + second
            assert not poller.look()
        assert found.board.facts().hearing == heard
        assert found.board.signs().answers["events"] == 1000.0
        assert found.board.signs().pulses["events"].attempted == 1005.0
        assert found.log.names() == ["imds.failed"]
        found.imds.clear_faults()
        found.clock.now = 1007.0
        assert poller.look()
        assert found.log.names() == ["imds.failed", "imds.recovered"]
        assert found.log.said[1]["seconds"] == 6
        assert found.log.said[1]["what"] == "events"


@pytest.mark.parametrize("kind", ["reset", "truncate", "html", "garbage", "empty"])
def test_no_way_of_failing_reads_as_no_events(kind):
    with scene() as found:
        found.imds.add_event(EventType="Reboot")
        poller = found.events_poller()
        poller.look()
        assert len(found.board.facts().hearing.present()) == 1
        found.imds.put_faults([{"kind": kind}])
        assert not poller.look()
        assert len(found.board.facts().hearing.present()) == 1


def test_a_failing_instance_is_an_attempt_so_that_nobody_elses_outage_restarts_us():
    with scene() as found:
        found.imds.put_faults([{"kind": "html", "path": "/metadata/instance"}])
        found.clock.now = 1090.0
        found.instance_poller().look()
        assert found.board.facts().sighting is None
        assert [entry["level"] for entry in found.log.said] == ["error"]  # a proxy's page: a person is needed
        judged = health(found.board.signs(), 1120.0)
        assert not any(reason.startswith("instance") for reason in judged.stuck)
        assert judged.not_ready == ("imds: no good answer yet",)


def test_an_unreadable_part_of_the_events_is_said_once_and_again_when_it_changes():
    with scene() as found:
        poller = found.events_poller()
        odd = '{"DocumentIncarnation":1,"Events":[{"EventId":"E1"%s}]}'
        for text in (odd % "", odd % "", odd % ',"EventType":"Reboot"'):
            found.imds.put_faults([{"kind": "status", "status": 200, "body": text}])
            assert poller.look()
        assert found.log.names() == ["events.unreadable", "events.unreadable"]
        assert found.log.said[0]["level"] == "error"


def test_the_first_events_call_that_hangs_keeps_no_label_waiting():
    with scene(first_events_timeout=120.0) as found:
        found.imds.put_faults([{"kind": "hang", "path": "/metadata/scheduledevents"}])
        found.start(found.events_poller())
        until(lambda: found.asked("scheduledevents"), "a call that hangs")
        found.start(found.instance_poller(confirm=0.01))
        until(lambda: (seen := found.board.facts().sighting) and seen.settled, "settled beside the hanging call")
        assert found.board.facts().hearing.last_good is None
        assert found.asked("scheduledevents") == 1


def test_events_that_nobody_wants_are_not_asked_for_until_a_mark_wants_them():
    with scene(events_on=False) as found:
        found.start(found.events_poller(interval=0.01))
        until(lambda: found.board.signs().pulses["events"].attempted, "an attempt that rests")
        assert found.asked("scheduledevents") == 0
        found.board.events_wanted_by_mark(marked=True)
        until(lambda: found.board.facts().hearing.last_good, "an answer")
        assert found.asked("scheduledevents") >= 1


def test_a_running_poller_goes_on_through_failures_and_hears_the_next_event():
    with scene() as found:
        found.start(found.events_poller(interval=0.01))
        until(lambda: found.board.facts().hearing.last_good, "a first answer")
        found.imds.put_faults([{"kind": each, "times": 1} for each in ("reset", "garbage", "html", "truncate")])
        found.imds.add_event(EventType="Preempt")
        until(lambda: found.board.facts().hearing.present() != (), "the event")


@pytest.mark.parametrize(("error", "level"), [(LATER, "warning"), (NEVER, "error")])
def test_trouble_is_a_warning_where_asking_again_may_help_and_else_an_error(error, level):
    log = Log()
    Trouble(log.logger, Hand(), "instance").failed(error)
    assert (log.said[0]["event"], log.said[0]["level"], log.said[0]["what"]) == ("imds.failed", level, "instance")


def test_lasting_trouble_is_said_again_every_five_minutes_with_how_long_it_has_lasted():
    log, clock = Log(), Hand(0.0)
    trouble = Trouble(log.logger, clock, "events")
    for second in range(700):
        clock.now = float(second)
        trouble.failed(LATER)
    assert SAY_AGAIN == 300.0
    assert [entry["seconds"] for entry in log.said] == [0, 300, 600]


def test_an_end_without_a_trouble_is_not_said_and_the_next_trouble_is_said_at_once():
    log, clock = Log(), Hand(0.0)
    trouble = Trouble(log.logger, clock, "events")
    trouble.ended()
    assert log.said == []
    trouble.failed(LATER)
    trouble.ended()
    trouble.ended()
    trouble.failed(LATER)
    assert log.names() == ["imds.failed", "imds.recovered", "imds.failed"]
