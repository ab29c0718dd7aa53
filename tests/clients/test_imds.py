import json
import threading
import urllib.request
from datetime import timedelta
from hashlib import sha256

import pytest

from agent.clients.imds import Imds, ImdsRefused, ImdsUnavailable
from agent.emulator import Emulator
from agent.emulator.unconfirmed import Choices
from tests.clients.imds_partners import OddServer, Waits


@pytest.fixture
def waits():
    return Waits()


@pytest.fixture
def emulator():
    with Emulator(rate_limit=None) as running:
        yield running


@pytest.fixture
def imds(emulator, waits):
    with Imds(emulator.url, read_timeout=2.0, clock=waits.clock, sleep=waits.sleep) as client:
        yield client


def asked(emulator, path="/metadata"):
    return [
        (each["path"].removeprefix("/metadata/"), each["status"])
        for each in emulator.requests()
        if path in each["path"]
    ]


def test_one_request_tells_what_the_vm_is(emulator, imds):
    answer = imds.instance()
    assert answer.value.name == emulator.world.instance(None)["compute"]["name"]
    assert (answer.version, answer.value.version) == ("2025-04-07", "2025-04-07")
    assert [each["query"] for each in emulator.requests()] == ["api-version=2025-04-07"]


def test_an_answer_carries_the_services_clock_and_the_hash_of_its_body(emulator, imds):
    answer = imds.instance()
    request = urllib.request.Request(
        f"{emulator.url}/metadata/instance?api-version=2025-04-07", headers={"Metadata": "true"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
        assert answer.sha256 == sha256(response.read()).hexdigest()
    assert answer.date is not None
    assert answer.date.utcoffset() == timedelta()


def test_events_come_with_their_fields(emulator, imds):
    assert imds.events().value.events == ()
    emulator.add_event(EventType="Reboot")
    [event] = imds.events().value.events
    assert (event.type, event.status) == ("Reboot", "Scheduled")
    assert event.not_before is not None


def test_the_service_tells_its_versions(imds):
    answer = imds.versions()
    assert (answer.value[0], answer.value[-1], answer.version) == ("2017-03-01", "2025-04-07", "")


def test_one_connection_serves_many_requests(imds):
    """The emulator is asked over real sockets; urllib3 counts the connections that it had to make."""
    for _ in range(3):
        imds.instance()
        imds.events()
    [session] = imds._http._sessions
    pools = session.get_adapter("http://").poolmanager.pools
    assert [pools[key].num_connections for key in pools.keys()] == [1]  # noqa: SIM118 not a dict


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reset"},
        {"kind": "truncate"},
        {"kind": "empty"},
        {"kind": "garbage"},
        {"kind": "garbage", "body": '{"error":"not a document"}'},
        {"kind": "garbage", "body": "[]"},
        {"kind": "hang", "seconds": 30},
        {"kind": "status", "status": 204, "body": ""},
        {"kind": "status", "status": 404},
        {"kind": "status", "status": 410},
        {"kind": "status", "status": 429},
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 504, "body": "<html>gateway</html>"},
    ],
    ids=lambda fault: "-".join(str(part) for part in fault.values()),
)
def test_what_passes_by_itself_is_waited_out_for_instance_but_not_for_events(emulator, imds, waits, fault):
    emulator.put_faults([{**fault, "times": 2}])
    assert imds.instance().value.name
    assert len(emulator.requests()) == 3
    assert waits.now >= 1002  # at least a second before each new try
    imds.events()
    emulator.put_faults([{**fault, "times": 1}])
    with pytest.raises(ImdsUnavailable):
        imds.events()
    assert len(asked(emulator, "scheduledevents")) == 2
    assert imds.events().value.events == ()


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "html"},
        {"kind": "status", "status": 400},
        {"kind": "status", "status": 401, "body": "who?"},
        {"kind": "status", "status": 403},
        {"kind": "status", "status": 404, "body": "<html>no such page</html>"},
        {"kind": "status", "status": 405},
        {"kind": "status", "status": 407, "body": "proxy"},
        {"kind": "status", "status": 302},
        {"kind": "garbage", "body": "x" * (1024 * 1024 + 1)},
    ],
    ids=lambda fault: "-".join(str(part)[:20] for part in fault.values()),
)
def test_what_does_not_pass_by_itself_is_refused_at_once(emulator, imds, fault):
    emulator.put_faults([fault])
    with pytest.raises(ImdsRefused):
        imds.instance()
    assert len(emulator.requests()) == 1


def test_410_is_waited_out_for_seventy_seconds_whatever_the_deadline(emulator, imds, waits):
    emulator.put_faults([{"kind": "status", "status": 410}])
    with pytest.raises(ImdsUnavailable, match=r"status 410") as caught:
        imds.instance(deadline=1000)
    assert caught.value.status == 410
    assert 1050 < waits.now <= 1070


@pytest.mark.parametrize("deadline", [0, 5, 200])
def test_the_deadline_bounds_all_tries(emulator, imds, waits, deadline):
    emulator.put_faults([{"kind": "status", "status": 500}])
    with pytest.raises(ImdsUnavailable):
        imds.instance(deadline=deadline)
    assert waits.now <= 1000 + deadline
    assert emulator.requests()


def test_the_deadline_bounds_a_single_try_as_well(emulator):
    emulator.put_faults([{"kind": "hang"}])
    with Imds(emulator.url, read_timeout=60) as imds, pytest.raises(ImdsUnavailable, match=r"no answer within 0\.1 s"):
        imds.instance(deadline=0.1)


def test_after_a_429_half_the_rate_is_used_for_a_minute(emulator, waits):
    times = []
    emulator.put_faults([{"kind": "status", "status": 429, "times": 1}])

    def seen(endpoint, outcome):
        times.append((waits.now, outcome))

    with Imds(emulator.url, clock=waits.clock, sleep=waits.sleep, seen=seen) as imds:
        with pytest.raises(ImdsUnavailable, match="slows down for a minute"):
            imds.events()
        while waits.now < 1080:
            imds.events()
    assert times[0] == (1000, "429")
    slow = [now for now, _ in times if now < 1060]
    fast = [now for now, _ in times if now >= 1062]
    assert all(later - now >= 2 for now, later in zip(slow, slow[2:], strict=False))
    assert len(slow) == 60
    assert len(fast) >= 36


def test_events_may_take_long_the_first_time_only():
    slow = Choices(first_events_seconds=0.8)
    with (
        Emulator(rate_limit=None, choices=slow) as emulator,
        Imds(emulator.url, read_timeout=0.3, first_events_timeout=30) as imds,
    ):
        assert imds.events().value.events == ()
        emulator.put_faults([{"kind": "delay", "seconds": 0.8}])
        with pytest.raises(ImdsUnavailable, match=r"no answer within 0\.3 s"):
            imds.events()


def test_a_failed_first_request_for_events_leaves_the_long_time_out(emulator):
    with Imds(emulator.url, read_timeout=0.3, first_events_timeout=30) as imds:
        emulator.put_faults([{"kind": "status", "status": 500, "times": 1}, {"kind": "delay", "seconds": 0.8}])
        with pytest.raises(ImdsUnavailable):
            imds.events()
        assert imds.events().value.events == ()


def test_a_slow_answer_about_the_vm_is_not_explained_by_its_events(emulator):
    emulator.put_faults([{"kind": "hang"}])
    told = r"no answer within [0-9.]+ s\. It is worth asking again"  # the last try has what is left of the time for all
    with Imds(emulator.url, read_timeout=0.3) as imds, pytest.raises(ImdsUnavailable, match=told):
        imds.instance()


def test_a_slow_first_request_for_events_delays_no_labels(emulator):
    emulator.put_faults([{"kind": "hang", "path": "/metadata/scheduledevents"}])
    done = []
    with Imds(emulator.url, first_events_timeout=3) as imds:

        def ask_for_events():
            with pytest.raises(ImdsUnavailable, match="may take two minutes"):
                imds.events()
            done.append("events")

        thread = threading.Thread(target=ask_for_events)
        thread.start()
        imds.instance()
        done.append("instance")
        thread.join()
    assert done == ["instance", "events"]


def test_what_came_of_each_request_is_told(emulator, waits):
    told = []
    with Imds(
        emulator.url, read_timeout=2.0, clock=waits.clock, sleep=waits.sleep, seen=lambda *each: told.append(each)
    ) as imds:
        emulator.put_faults([{"kind": kind, "times": 1} for kind in ("reset", "truncate", "garbage")])
        imds.instance()
        imds.events()
        imds.versions()
    assert told == [
        ("instance", "unreached"),
        ("instance", "broken"),
        ("instance", "200"),
        ("instance", "200"),
        ("scheduledevents", "200"),
        ("versions", "200"),
    ]


def test_requests_carry_the_header_that_imds_wants_and_none_that_it_forbids():
    with OddServer(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n") as server:
        with Imds(server.url, user_agent="imds-agent/test") as imds, pytest.raises(ImdsUnavailable):
            imds.events()
        [request] = server.requests
    lines = request.decode().lower().split("\r\n")
    assert {"metadata: true", "user-agent: imds-agent/test", "accept-encoding: identity"} <= set(lines)
    assert not any(line.startswith("x-forwarded-for") for line in lines)


@pytest.mark.parametrize("url", ["169.254.169.254", "ftp://169.254.169.254", "http://", ""])
def test_an_address_that_is_none_is_refused_when_the_client_is_made(url):
    with pytest.raises(ValueError, match="IMDS address: expected something like"):
        Imds(url)


def test_a_document_with_a_wrong_value_is_named_by_its_path_and_not_shown(emulator, imds):
    body = json.dumps({"compute": {"platformFaultDomain": "x", "userData": "hunter2"}})
    emulator.put_faults([{"kind": "garbage", "body": body}])
    with pytest.raises(ImdsUnavailable, match=r"\$\.compute\.platformFaultDomain: expected a number") as caught:
        imds.instance(deadline=1)
    assert "hunter2" not in str(caught.value)


def test_two_busy_threads_never_meet_the_services_limit():
    """Six requests in one second would be refused; ours are two, also when many are wanted at once."""
    with Emulator(rate_limit=5) as emulator, Imds(emulator.url) as imds:

        def ask():
            for _ in range(2):
                imds.instance()
                imds.events()

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [status for _, status in asked(emulator)] == 8 * [200]
