"""`GET /facts` over HTTP: it can only be read, and whoever asks cannot keep others from asking."""

import json
import socket
import time
from contextlib import contextmanager

import pytest
import requests

from agent.core.facts_document import read_facts
from agent.core.mark import Mark
from agent.core.policy import Policy
from agent.daemon.board import Board
from agent.daemon.facts_server import FactsServer, facts_answer
from agent.daemon.listening import Server
from tests.core.builders import NOW, event, marked_event, showing, sighting
from tests.daemon.partners import until


def board(**given) -> Board:
    return Board(started=0.0, at_most={}, needed=("imds", "node"), **given)


def answered(**given) -> Board:
    """A board on which IMDS has answered at 100 about the VM and at 107 about events."""
    found = board(**given)
    found.put_sighting(sighting())
    found.answered("imds", 100.0)
    found.answered("events", 107.0)
    return found


@contextmanager
def serving(answer=lambda: (200, "{}")):
    server = FactsServer("127.0.0.1:0", answer)
    try:
        yield server
    finally:
        server.close()


def ask(server: FactsServer, path: str = "/facts", method: str = "GET") -> requests.Response:
    return requests.request(method, f"http://127.0.0.1:{server.port}{path}", timeout=10)


def facts(found: Board, instant: float = 110.0):
    status, text = facts_answer(found, Policy(), now=NOW, instant=instant)
    assert status == 200
    return read_facts(text)


def test_before_imds_has_answered_nothing_is_told_and_why():
    status, text = facts_answer(board(), Policy(), now=NOW, instant=0.0)
    assert (status, json.loads(text)) == (503, {"error": "IMDS has not answered yet"})


def test_the_vm_is_told_with_its_place_and_the_age_of_the_news():
    told = facts(answered())
    assert (told.name, told.placement.zone, told.complete, told.age) == ("web_0", "1", True, 3)
    assert facts(answered(events_on=False)).age == 10


def test_events_are_not_known_before_the_loop_has_looked_and_then_as_it_marks_them():
    found = answered()
    found.put_hearing(showing(event()))
    assert facts(found).events is None
    found.put_mark(Mark())
    assert facts(found).events == (marked_event(),)
    found.put_mark(Mark(events=(marked_event(overridden=True),)))
    assert facts(found).events == (marked_event(overridden=True),)


def test_get_and_head_are_answered_alike():
    with serving(lambda: (200, '{"v":1}')) as server:
        got, headed = ask(server, "/facts?x=1"), ask(server, method="HEAD")
    assert (got.status_code, got.text, got.headers["Content-Type"]) == (200, '{"v":1}\n', "application/json")
    assert (headed.status_code, headed.text, headed.headers["Content-Length"]) == (200, "", "8")
    assert got.headers["Server"] == "imds-agent"


@pytest.mark.parametrize("path", ["/", "/facts/", "/fact", "/metrics", "/healthz"])
def test_any_other_path_is_not_found(path):
    with serving() as server:
        answer = ask(server, path)
    assert answer.status_code == 404
    assert "/facts" in answer.json()["error"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_can_be_written(method):
    with serving() as server:
        answer = ask(server, method=method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_who_holds_all_connections_open_is_cut_off_and_others_are_answered(monkeypatch):
    monkeypatch.setattr(Server, "AT_MOST", 0.5)
    with serving() as server:
        held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(Server.AT_ONCE)]
        try:
            for each in held:
                each.sendall(b"GET /facts HTTP/1.0\r\nX: ")
            until(lambda: alive(server), "an answer")
            for each in held:
                each.settimeout(10)
                assert each.recv(1) == b""
        finally:
            for each in held:
                each.close()


def test_for_one_connection_too_many_the_oldest_is_hung_up_on_and_the_new_one_answered():
    with serving() as server:
        held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(Server.AT_ONCE)]
        try:
            assert alive(server)
            held[0].settimeout(10)
            assert held[0].recv(1) == b""
            held[-1].sendall(b"GET /facts HTTP/1.0\r\n\r\n")
            assert held[-1].recv(12) == b"HTTP/1.0 200"
        finally:
            for each in held:
                each.close()


def alive(server: FactsServer) -> bool:
    try:
        return ask(server).status_code == 200
    except requests.ConnectionError:
        return False


def test_a_slow_answer_keeps_nobody_else_waiting():
    calls = []

    def answer():
        calls.append(time.monotonic())
        if len(calls) == 1:
            until(lambda: len(calls) > 1, "the second request")
        return 200, "{}"

    with serving(answer) as server:
        slow = socket.create_connection(("127.0.0.1", server.port))
        slow.sendall(b"GET /facts HTTP/1.0\r\n\r\n")
        until(lambda: calls, "the first request")
        assert alive(server)
        slow.close()
