"""Agents asked for their facts: each gives them or a reason, and none costs another."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest

from agent.clients.agents import LIMIT, AgentError, ask_agents
from agent.core.facts_document import facts_text, host_facts
from agent.daemon.facts_server import FactsServer
from tests.clients.serving import serving
from tests.core.builders import instance, marked_event

FACTS = host_facts(instance(), complete=True, events=(marked_event(),), age=2)


@contextmanager
def agent(answer=lambda: (200, facts_text(FACTS))):
    server = FactsServer("127.0.0.1:0", answer)
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.close()


@contextmanager
def raw(talk):
    """A server that says what it likes to its first caller."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                try:
                    connection.recv(4096)
                    talk(connection)
                except OSError:  # the caller had enough
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def only(url: str, **given):
    return ask_agents([url], **given)[url]


def test_an_agent_tells_its_facts_with_or_without_the_path():
    with agent() as url:
        assert ask_agents([url, f"{url}/facts"]) == {url: FACTS, f"{url}/facts": FACTS}
    assert ask_agents([]) == {}


def test_one_that_is_away_costs_no_other():
    with agent() as one, agent() as other, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and nobody listens
        away = f"http://127.0.0.1:{unused.getsockname()[1]}"
        found = ask_agents([one, away, other], at_once=2)
    assert list(found) == [one, away, other]
    assert (found[one], found[other]) == (FACTS, FACTS)
    assert "no answer: ConnectionRefusedError" in str(found[away])


def test_an_agent_that_waits_for_imds_says_so():
    with agent(lambda: (503, '{"error":"IMDS has not answered yet"}')) as url:
        assert str(only(url)) == f"{url}: 503: IMDS has not answered yet"


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with agent() as url:
        assert only(url) == FACTS


def test_a_redirection_is_not_followed():
    with serving() as other:

        def elsewhere(handler):
            handler.send_response(302)
            handler.send_header("Location", other.url("/facts"))
            handler.end_headers()

        other.files["/moved"] = elsewhere
        found = only(other.url("/moved"))
        assert other.asked == ["/moved"]
    assert str(found) == f"{other.url('/moved')}: 302: no facts"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n<html>", "$: expected JSON"),
        (b"HTTP/1.0 200 OK\r\n\r\n{}", "$.v: expected version 1"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 500\r\n\r\n{}", "no answer: IncompleteRead"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no answer: BadStatusLine"),
        (b"", "no answer: RemoteDisconnected"),
    ],
)
def test_what_is_no_document_is_a_reason(body, said):
    with raw(lambda connection: connection.sendall(body)) as url:
        found = only(url)
    assert isinstance(found, AgentError)
    assert said in str(found)


def test_a_flood_ends_at_the_limit():
    def flood(connection):
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        for _ in range(2 * LIMIT // 65536 + 64):
            connection.sendall(b" " * 65536)

    with raw(flood) as url:
        assert f"{LIMIT} bytes" in str(only(url))


def test_a_trickle_of_headers_ends_with_its_time():
    ended = threading.Event()

    def trickle(connection):
        connection.sendall(b"HTTP/1.0 200 OK\r\n")
        while not ended.wait(0.02):
            connection.sendall(b"X: 1\r\n")

    with raw(trickle) as url:
        begun = time.monotonic()
        found = only(url, timeout=0.3)
        took = time.monotonic() - begun
        ended.set()
    assert "no whole answer" in str(found) or "no answer: TimeoutError" in str(found)
    assert took < 30  # a trickle has no end of its own


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1",
        "ftp://x",
        "10.0.0.1:80",
        "http://",
        "http://u:p@h/",
        "http://h:99999/",
        "http://h/a b",
        "http://ä/",
    ],
)
def test_what_is_no_url_of_an_agent_is_a_reason(url):
    assert isinstance(only(url, timeout=0.5), AgentError)
