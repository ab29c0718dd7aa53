"""The emulator over real HTTP: connections, faults on the wire, and its end."""

import contextlib
import http.client
import socket
import threading
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import pytest

from agent.emulator import Emulator
from tests.emulator.asking import HEADER, ask

INSTANCE = "/metadata/instance?api-version=2025-04-07"
EVENTS = "/metadata/scheduledevents?api-version=2020-07-01"


@pytest.fixture
def emulator():
    with Emulator(rate_limit=None) as running:
        yield running


@contextlib.contextmanager
def connected(url):
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
        yield connection


def all_of(connection):
    """Read until the other side ends; tell the bytes, or that it was reset."""
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:
        return "reset"
    return received


def raw(url, text):
    """Send bytes as they are and return all that comes back until the end."""
    with connected(url) as connection:
        connection.sendall(text)
        return all_of(connection)


def test_one_connection_carries_many_requests(emulator):
    parts = urlsplit(emulator.url)
    with contextlib.closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)) as connection:
        sockets = set()
        for _ in range(20):
            connection.request("GET", INSTANCE, headers=HEADER)
            sockets.add(connection.sock.getsockname())
            with connection.getresponse() as response:
                assert (response.status, response.version) == (200, 11)
                response.read()
    assert len(sockets) == 1


def test_every_answer_has_a_date_and_a_length(emulator):
    before = int(time.time())
    for path in (INSTANCE, "/metadata/instance", "/nothing"):
        answer = ask(emulator.url + path)
        assert int(answer.headers["content-length"]) == len(answer.body) > 0
        assert before - 1 <= parsedate_to_datetime(answer.headers["date"]).timestamp() <= time.time() + 1


@pytest.mark.parametrize("target", [INSTANCE, EVENTS, "/metadata/nothing"])
def test_a_skewed_clock_shows_in_the_date_of_every_answer_and_a_missing_one_is_no_header(target):
    faults = [{"kind": "skew", "seconds": -3600, "times": 1}, {"kind": "no-date", "path": "/", "times": 2}]
    with Emulator(rate_limit=None, clock=lambda: 1_000_000.0) as emulator:
        emulator.put_faults([faults[0]])
        dates = [ask(emulator.url + target).headers.get("date") for _ in range(2)]
        emulator.put_faults(faults)
        dates += [ask(emulator.url + target).headers.get("date") for _ in range(3)]
    true = "Mon, 12 Jan 1970 13:46:40 GMT"
    assert dates == ["Mon, 12 Jan 1970 12:46:40 GMT", true, None, None, true]


def test_a_clock_that_is_ahead_is_so_for_the_service_whole():
    with Emulator(rate_limit=None, clock_skew=86_400.0) as emulator:
        event = emulator.add_event(NotBeforeSeconds=900)
        answer = ask(emulator.url + EVENTS)
        date = parsedate_to_datetime(answer.headers["date"])
        notice = parsedate_to_datetime(event["NotBefore"]) - date
        assert 86_000 < date.timestamp() - time.time() < 86_800
        assert 800 < notice.total_seconds() <= 900
        assert answer.json["Events"] == [event]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "BREW"])
def test_any_method_is_answered_and_not_allowed(emulator, method):
    answer = ask(emulator.url + INSTANCE, method=method, body=b"x" * 10)
    assert (answer.status, answer.body) == (405, b'{"error":"Not allowed"}')


def test_head_is_not_allowed_and_has_no_body_so_that_the_connection_stays_usable(emulator):
    parts = urlsplit(emulator.url)
    with contextlib.closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)) as connection:
        for method, status in (("HEAD", 405), ("GET", 200)):
            connection.request(method, INSTANCE, headers=HEADER)
            with connection.getresponse() as response:
                assert (response.status, bool(response.read())) == (status, method == "GET")


def test_nothing_follows_the_head_of_a_head_request(emulator):
    request = f"HEAD {INSTANCE} HTTP/1.1\r\nHost: x\r\nMetadata: true\r\nConnection: close\r\n\r\n"
    received = raw(emulator.url, request.encode())
    assert (received[:13], received[-4:]) == (b"HTTP/1.1 405 ", b"\r\n\r\n")


def test_a_header_name_is_compared_without_regard_to_case(emulator):
    assert ask(emulator.url + INSTANCE, headers={"mEtAdAtA": "true"}).status == 200
    assert ask(emulator.url + INSTANCE, headers=HEADER | {"x-FORWARDED-for": "1.2.3.4"}).status == 400


def test_a_target_in_a_proxys_absolute_form_is_understood(emulator):
    received = raw(
        emulator.url,
        b"GET http://169.254.169.254/metadata/versions HTTP/1.1\r\nHost: x\r\nMetadata: true\r\nConnection: close\r\n\r\n",
    )
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "headers",
    [
        "Transfer-Encoding: chunked",
        "Content-Length: x",
        "Content-Length: -1",
        "Content-Length: 9999999",
        f"Content-Length: {'9' * 5000}",
    ],
)
def test_a_body_without_a_sensible_length_is_refused_and_ends_the_connection(emulator, headers):
    request = f"POST {EVENTS} HTTP/1.1\r\nHost: x\r\nMetadata: true\r\n{headers}\r\n\r\n"
    assert raw(emulator.url, request.encode()).startswith(b"HTTP/1.1 400 ")


def test_approving_an_event_starts_it(emulator):
    event = emulator.add_event(EventType="Reboot")
    answer = ask(emulator.url + EVENTS, "POST", body={"StartRequests": [{"EventId": event["EventId"]}]})
    assert (answer.status, answer.body) == (200, b"")
    (shown,) = ask(emulator.url + EVENTS).json["Events"]
    assert (shown["EventId"], shown["EventStatus"], shown["NotBefore"]) == (event["EventId"], "Started", "")


def test_a_refused_approval_starts_nothing(emulator):
    emulator.add_event(EventType="Reboot", EventId="A")
    assert ask(emulator.url + EVENTS, "POST", headers={}, body={"StartRequests": [{"EventId": "A"}]}).status == 400
    body = {"StartRequests": [{"EventId": "A"}, {"EventId": "B"}]}
    assert ask(emulator.url + EVENTS, "POST", body=body).status == 400
    (shown,) = ask(emulator.url + EVENTS).json["Events"]
    assert shown["EventStatus"] == "Scheduled"


def test_events_can_be_added_started_and_removed_from_the_same_process(emulator):
    event_id = emulator.add_event(EventType="Freeze", NotBeforeSeconds=600)["EventId"]
    first = ask(emulator.url + EVENTS).json
    emulator.start_event(event_id)
    second = ask(emulator.url + EVENTS).json
    emulator.remove_event(event_id)
    third = ask(emulator.url + EVENTS).json
    assert [each["EventStatus"] for document in (first, second, third) for each in document["Events"]] == [
        "Scheduled",
        "Started",
    ]
    assert first["DocumentIncarnation"] < second["DocumentIncarnation"] < third["DocumentIncarnation"]
    for call in (emulator.start_event, emulator.remove_event):
        with pytest.raises(KeyError):
            call(event_id)


def test_a_vm_can_be_replaced_and_patched_from_the_same_process(emulator):
    zone = f"{emulator.url}/metadata/instance/compute/zone?api-version=2025-04-07&format=text"
    emulator.patch_instance({"compute": {"zone": "3"}})
    assert ask(zone).body == b"3"
    emulator.patch_instance({"compute": {"zone": None}})
    assert ask(zone).body == b""
    emulator.put_instance({"compute": {"name": "other"}})
    shown = ask(emulator.url + INSTANCE).json["compute"]
    assert (shown["name"], shown["vmId"], shown["tagsList"]) == ("other", "", [])


def test_a_document_that_was_put_is_not_changed_by_the_caller_later(emulator):
    document = {"compute": {"tagsList": [{"name": "a", "value": "b"}]}}
    emulator.put_instance(document)
    document["compute"]["tagsList"].clear()
    assert ask(emulator.url + INSTANCE).json["compute"]["tagsList"] == [{"name": "a", "value": "b"}]


def test_a_reset_is_a_reset_and_not_an_end(emulator):
    emulator.put_faults([{"kind": "reset", "times": 1}])
    request = f"GET {INSTANCE} HTTP/1.1\r\nHost: x\r\nMetadata: true\r\nConnection: close\r\n\r\n".encode()
    assert raw(emulator.url, request) == "reset"
    assert raw(emulator.url, request).startswith(b"HTTP/1.1 200 OK")


def test_a_truncated_body_ends_before_its_announced_length(emulator):
    whole = ask(emulator.url + INSTANCE).body
    emulator.put_faults([{"kind": "truncate"}])
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(emulator.url + INSTANCE)
    assert caught.value.partial == whole[: len(whole) // 2]
    assert caught.value.expected == len(whole) - len(whole) // 2


def test_an_empty_answer_is_a_200_without_a_body(emulator):
    emulator.put_faults([{"kind": "empty"}])
    answer = ask(emulator.url + INSTANCE)
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")


def test_a_proxys_page_is_a_200_of_html(emulator):
    emulator.put_faults([{"kind": "html"}])
    answer = ask(emulator.url + INSTANCE)
    assert (answer.status, answer.headers["content-type"], answer.body[:15]) == (200, "text/html", b"<!DOCTYPE html>")


def test_a_hanging_request_is_never_answered_and_others_are(emulator):
    emulator.put_faults([{"kind": "hang", "path": "/metadata/instance"}])
    with pytest.raises(TimeoutError):
        ask(emulator.url + INSTANCE, timeout=0.3)
    assert ask(emulator.url + "/metadata/versions").status == 200
    assert [(each["status"], each["fault"]) for each in emulator.requests()] == [(None, "hang"), (200, None)]


def test_a_hang_of_some_seconds_ends_without_an_answer(emulator):
    emulator.put_faults([{"kind": "hang", "seconds": 0.05}])
    request = f"GET {INSTANCE} HTTP/1.1\r\nHost: x\r\nMetadata: true\r\n\r\n".encode()
    assert raw(emulator.url, request) == b""


def test_a_delayed_answer_comes_whole(emulator):
    whole = ask(emulator.url + INSTANCE).body
    emulator.put_faults([{"kind": "delay", "seconds": 0.05}])
    assert ask(emulator.url + INSTANCE).body == whole


def test_faults_can_be_cleared(emulator):
    emulator.put_faults([{"kind": "status", "status": 500}])
    assert ask(emulator.url + INSTANCE).status == 500
    emulator.clear_faults()
    assert ask(emulator.url + INSTANCE).status == 200


def test_the_thread_of_a_client_that_gave_up_on_a_hang_ends(emulator):
    emulator.put_faults([{"kind": "hang"}])
    before = threading.active_count()
    with connected(emulator.url) as connection:
        connection.sendall(f"GET {INSTANCE} HTTP/1.1\r\nHost: x\r\nMetadata: true\r\n\r\n".encode())
        while not emulator.requests():
            time.sleep(0.01)
        assert threading.active_count() == before + 1
    deadline = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_closing_ends_hanging_idle_and_half_sent_conversations_and_all_threads():
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        with Emulator(rate_limit=None) as emulator:
            emulator.put_faults([{"kind": "hang", "path": "/metadata/instance"}, {"kind": "delay", "seconds": 3600}])
            connections = [stack.enter_context(connected(emulator.url)) for _ in range(4)]
            request = "GET {} HTTP/1.1\r\nHost: x\r\nMetadata: true\r\n\r\n"
            connections[0].sendall(request.format(INSTANCE).encode())
            connections[1].sendall(request.format("/metadata/versions").encode())
            connections[2].sendall(b"GET /half HT")
            while len(emulator.requests()) < 2:
                time.sleep(0.01)
        ended = [all_of(each) for each in connections]
        assert ended[:2] == [b""] * 2
        assert set(ended[2:]) <= {b"", "reset"}  # the kernel resets those that nobody had accepted yet
    assert threading.active_count() == before


def test_after_closing_nobody_answers():
    with Emulator() as emulator:
        url = emulator.url
    with pytest.raises(ConnectionRefusedError):
        ask(url)


def test_a_fleet_of_threads_each_gets_the_answer_to_its_own_question(emulator):
    wrong = []

    def look(name):
        for _ in range(20):
            url = f"{emulator.url}/metadata/instance/compute/{name}?api-version=2025-04-07&format=text"
            body = ask(url).body.decode()
            if body != emulator.world.instance(None)["compute"][name]:
                wrong.append((name, body))

    threads = [threading.Thread(target=look, args=(each,)) for each in ("name", "location", "zone", "vmId", "vmSize")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(emulator.requests()) == 100


def test_the_rate_limit_is_on_by_default():
    standing = [1_000_000.0]
    with Emulator(clock=lambda: standing[0]) as emulator:
        statuses = [ask(emulator.url + INSTANCE).status for _ in range(7)]
        standing[0] += 1
        statuses.append(ask(emulator.url + INSTANCE).status)
    assert statuses == [200] * 5 + [429] * 2 + [200]
