"""An approval over real HTTP: what the service gets, and what can be said of one that was not confirmed."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agent.clients.imds import Imds, ImdsError, ImdsRefused, ImdsUnavailable, unsent
from agent.emulator import Emulator
from tests.clients.imds_partners import Waits

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Saying(ThreadingHTTPServer):
    """Reads each request to its end, says the same bytes to each, and remembers what it read."""

    def __init__(self, said: bytes):
        self.said, self.read = said, []
        super().__init__(("127.0.0.1", 0), Heard)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()

    def handle_error(self, *_):
        """A client that had enough is no defect."""


class Heard(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.read.append((self.command, self.path, dict(self.headers), json.loads(body)))
        self.wfile.write(self.server.said)

    def log_message(self, *_):
        pass


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


def posts(emulator):
    return [(each["path"], each["query"], each["status"]) for each in emulator.requests() if each["method"] == "POST"]


def not_confirmed(client, event_id="E"):
    with pytest.raises(ImdsError) as caught:
        client.approve(event_id)
    return caught.value


def test_an_approved_event_starts(emulator, imds):
    other, event = (emulator.add_event(EventType="Reboot")["EventId"] for _ in range(2))
    imds.approve(event)
    assert {each.id: each.status for each in imds.events().value.events} == {other: "Scheduled", event: "Started"}


def test_approving_again_is_no_error(emulator, imds):
    event = emulator.add_event(EventType="Reboot")["EventId"]
    imds.approve(event)
    imds.approve(event)
    assert [status for _, _, status in posts(emulator)] == [200, 200]


@pytest.mark.parametrize(("era", "version"), [("2025", "2020-07-01"), ("2019", "2019-04-01")])
def test_it_goes_out_with_the_version_that_events_are_read_with(waits, era, version):
    with (
        Emulator(rate_limit=None, era=era) as emulator,
        Imds(emulator.url, clock=waits.clock, sleep=waits.sleep) as imds,
    ):
        event = emulator.add_event(EventType="Reboot")["EventId"]
        imds.events()
        imds.approve(event)
        assert posts(emulator) == [("/metadata/scheduledevents", f"api-version={version}", 200)]
        assert [each.status for each in imds.events().value.events] == ["Started"]


def test_the_request_is_the_documented_one():
    with Saying(OK) as server, Imds(server.url) as imds:
        imds.approve('A"B')
    [(method, path, headers, body)] = server.read
    assert (method, path) == ("POST", "/metadata/scheduledevents?api-version=2020-07-01")
    assert (headers["Metadata"], headers["Content-Type"]) == ("true", "application/json")
    assert body == {"StartRequests": [{"EventId": 'A"B'}]}


def test_it_goes_past_the_proxies_of_the_environment(emulator, imds, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    imds.approve(emulator.add_event(EventType="Reboot")["EventId"])
    assert len(posts(emulator)) == 1


def test_it_counts_in_the_one_budget_of_requests(emulator, imds, waits):
    event = emulator.add_event(EventType="Reboot")["EventId"]
    imds.events()
    imds.approve(event)
    assert waits.now == 1000
    imds.approve(event)
    assert waits.now == 1001
    emulator.put_faults([{"kind": "status", "status": 429, "times": 1}])
    not_confirmed(imds, event)
    before = waits.now
    for _ in range(5):
        imds.events()
    assert waits.now >= before + 5  # half the rate; 3 s at the full one


def test_what_comes_of_it_is_counted_like_any_request(emulator, waits):
    told = []
    with Imds(
        emulator.url, read_timeout=2.0, clock=waits.clock, sleep=waits.sleep, seen=lambda *what: told.append(what)
    ) as imds:
        imds.approve(emulator.add_event(EventType="Reboot")["EventId"])
        not_confirmed(imds, "no such event")
        emulator.put_faults([{"kind": "reset"}])
        not_confirmed(imds)
    assert told == [("scheduledevents", "200"), ("scheduledevents", "400"), ("scheduledevents", "unreached")]


def test_an_unknown_event_is_refused_and_surely_not_approved(imds):
    error = not_confirmed(imds, "no such event")
    assert (type(error), error.status, unsent(error)) == (ImdsRefused, 400, True)


@pytest.mark.parametrize(
    ("status", "kind", "nothing_done"),
    [
        (400, ImdsRefused, True),
        (403, ImdsRefused, True),
        (404, ImdsUnavailable, True),
        (405, ImdsRefused, True),
        (410, ImdsUnavailable, True),
        (429, ImdsUnavailable, True),
        (500, ImdsUnavailable, False),
        (503, ImdsUnavailable, False),
        (204, ImdsUnavailable, False),
        (302, ImdsRefused, False),
    ],
)
def test_only_an_answer_that_says_no_is_surely_no_approval(emulator, imds, status, kind, nothing_done):
    emulator.put_faults([{"kind": "status", "status": status}])
    error = not_confirmed(imds)
    assert (type(error), error.status, unsent(error)) == (kind, status, nothing_done)


@pytest.mark.parametrize(
    "fault", [{"kind": "reset"}, {"kind": "hang", "seconds": 5}, {"kind": "truncate"}, {"kind": "html"}],
    ids=lambda fault: fault["kind"],
)  # fmt: skip
def test_whatever_breaks_after_it_was_sent_may_have_been_received(emulator, imds, fault):
    event = emulator.add_event(EventType="Reboot")["EventId"]
    emulator.put_faults([fault])
    assert not unsent(not_confirmed(imds, event))


def test_an_answer_that_comes_too_late_was_received_all_the_same(emulator, imds):
    event = emulator.add_event(EventType="Reboot")["EventId"]
    emulator.put_faults([{"kind": "delay", "seconds": 5, "times": 1}])
    error = not_confirmed(imds, event)
    assert (type(error), unsent(error)) == (ImdsUnavailable, False)
    assert [each.status for each in imds.events().value.events] == ["Started"]


def test_a_refused_connection_is_surely_no_approval():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with Imds(f"http://127.0.0.1:{port}") as imds:
        error = not_confirmed(imds)
    assert (type(error), unsent(error)) == (ImdsUnavailable, True)


def test_no_connection_in_time_is_surely_no_approval():
    """A full backlog lets nobody in: the packets of further clients are dropped, as a blocked pod network drops them."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = [socket.socket() for _ in range(4)]
        try:
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(server.getsockname())
            with Imds(f"http://127.0.0.1:{server.getsockname()[1]}", connect_timeout=0.3) as imds:
                error = not_confirmed(imds)
        finally:
            for each in waiting:
                each.close()
    assert (str(error).partition(": ")[2][:20], unsent(error)) == ("no connection within", True)


def test_no_try_is_repeated(emulator, imds):
    for fault in ({"kind": "status", "status": 503}, {"kind": "reset"}, {"kind": "truncate"}):
        emulator.put_faults([fault])
        before = len(emulator.requests())
        not_confirmed(imds)
        assert len(emulator.requests()) == before + 1


def test_a_redirection_is_not_followed(imds):
    with Saying(OK) as elsewhere:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: {elsewhere.url}/\r\nContent-Length: 0\r\n\r\n".encode()
        with Saying(moved) as server, Imds(server.url) as client:
            assert type(not_confirmed(client)) is ImdsRefused
        assert elsewhere.read == []


def test_a_flood_in_place_of_an_answer_is_cut_off():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n"
    with Saying(head + b"x" * 4_000_000) as server, Imds(server.url) as imds:
        error = not_confirmed(imds)
    assert (type(error), unsent(error)) == (ImdsRefused, False)


def test_a_body_that_nobody_documented_does_no_harm():
    with Saying(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"any":"x"}') as server, Imds(server.url) as imds:
        imds.approve("E")


def test_it_does_not_disturb_the_connection_that_events_are_read_over(emulator, imds):
    event = emulator.add_event(EventType="Reboot")["EventId"]
    imds.events()
    thread = threading.Thread(target=imds.approve, args=(event,))
    thread.start()
    thread.join()
    imds.events()
    [session] = imds._http._sessions
    pools = session.get_adapter("http://").poolmanager.pools
    assert [pools[key].num_connections for key in pools.keys()] == [1]  # noqa: SIM118 not a dict
