import errno
import socket

import pytest
import requests

from agent.clients.imds import Imds, ImdsError, ImdsRefused, ImdsUnavailable
from agent.clients.imds_errors import shown, unreached
from agent.emulator import Emulator
from tests.clients.imds_partners import OddServer

URL = "http://169.254.169.254/metadata/instance"
CAUSES = ("hostNetwork: true", "primary NIC", "no route to 169.254.169.254/32")


def failure(url, **settings) -> ImdsError:
    with Imds(url, **settings) as imds, pytest.raises(ImdsError) as caught:
        imds.events()
    return caught.value


def spoiled(**fault) -> ImdsError:
    with Emulator(rate_limit=None) as emulator:
        emulator.put_faults([fault])
        return failure(emulator.url)


def test_nobody_listening_is_said_with_what_it_may_mean():
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    error = failure(url)
    assert isinstance(error, ImdsUnavailable)
    assert str(error) == (
        f"{url}/metadata/scheduledevents?api-version=2020-07-01: no answer: Connection refused. "
        "Nothing listens there: this is no Azure VM, the address is wrong, or a local firewall refuses."
    )


def test_a_connect_time_out_names_the_usual_causes():
    """A full accept queue swallows further connections, as a blocked pod network does."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(server.getsockname())
        error = failure(f"http://127.0.0.1:{server.getsockname()[1]}", connect_timeout=0.3)
        for each in waiting:
            each.close()
    assert isinstance(error, ImdsUnavailable)
    assert "no connection within 0.3 s" in str(error)
    assert all(cause in str(error) for cause in CAUSES)


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH])
def test_a_missing_route_names_the_same_causes(number):
    below = requests.ConnectionError(OSError(number, "No way there"))
    error = unreached(URL, below, 2, 5)
    assert all(cause in str(error) for cause in ("No way there", *CAUSES))


def test_an_error_that_no_system_call_gave_is_named_by_its_innermost_cause():
    inner = ValueError("odd")
    error = requests.ConnectionError("outer", inner)
    assert "no answer: ValueError" in str(unreached(URL, error, 2, 5))
    with OddServer(b"") as server:
        assert "no answer: RemoteDisconnected" in str(failure(server.url))


def test_a_reset_is_said_to_be_one():
    error = spoiled(kind="reset")
    assert isinstance(error, ImdsUnavailable)
    assert "Connection reset by peer" in str(error)
    assert error.status is None


def test_an_answer_that_ends_too_soon_is_said_to_break_off():
    assert "the answer broke off" in str(spoiled(kind="truncate"))


def test_an_answer_that_trickles_meets_the_end_of_its_time():
    """Each byte comes before the socket's own time-out, so only a bound on the whole helps."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"
    with OddServer(head, *(50 * [b"x"]), pause=0.1) as server:
        error = failure(server.url, read_timeout=0.5, first_events_timeout=0.5)
    assert isinstance(error, ImdsUnavailable)
    assert "not whole after 0.5 s" in str(error)


def test_a_chunked_answer_is_read():
    body = b'{"DocumentIncarnation":7,"Events":[]}'
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with OddServer(head, b"%x\r\n%s\r\n" % (len(body), body), b"0\r\n\r\n") as server, Imds(server.url) as imds:
        assert imds.events().value.incarnation == 7


def test_a_flood_is_cut_off():
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    with OddServer(head, *(40 * [65536 * b"x"])) as server:
        error = failure(server.url)
    assert isinstance(error, ImdsRefused)
    assert "more than 1048576 bytes" in str(error)


def test_a_redirection_is_never_followed_and_names_a_proxy():
    with Emulator(rate_limit=None) as emulator:
        head = f"HTTP/1.1 302 Found\r\nLocation: {emulator.url}/metadata\r\nContent-Length: 0\r\n\r\n"
        with OddServer(head.encode()) as server:
            error = failure(server.url)
        assert emulator.requests() == []
    assert isinstance(error, ImdsRefused)
    assert f"status 302, a redirection to {emulator.url}/metadata" in str(error)
    assert "never be asked through a proxy" in str(error)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "html"}, ImdsRefused),
        ({"kind": "status", "status": 403, "body": "<p>no</p>"}, ImdsRefused),
        ({"kind": "status", "status": 504, "body": "<p>later</p>"}, ImdsUnavailable),
    ],
)
def test_a_page_is_called_a_proxys(fault, kind):
    error = spoiled(**fault)
    assert isinstance(error, kind)
    assert "<" in str(error)
    assert "never be asked through a proxy" in str(error)


def test_a_body_is_cut_to_256_characters():
    error = spoiled(kind="status", status=500, body="y" * 5000)
    assert 200 < str(error).count("y") <= 256


@pytest.mark.parametrize("key", ["userData", "customData", "publicKeys", "keyData", "access_token"])
def test_a_body_that_may_hold_secrets_is_not_shown(key):
    error = spoiled(kind="status", status=500, body=f'{{"{key}":"hunter2"}}')
    assert "hunter2" not in str(error)
    assert "not shown because it may hold secrets" in str(error)


def test_a_broken_document_shows_nothing_of_itself():
    error = spoiled(kind="garbage", body='{"hunter2')
    assert "hunter2" not in str(error)
    assert "hunter2" not in "".join(str(each) for each in (error.__cause__, error.__context__))


def test_characters_that_could_disturb_a_terminal_are_replaced():
    assert shown(b"a\x1b[31m\n\tb\x00\xff") == "a�[31m b��"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 99999 Odd\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + 70000 * b"y" + b"\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + 200 * b"X: y\r\n" + b"\r\n{}",
        b"HTTP/1.1 302 Found\r\nLocation: http://[\xff\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\nSet-Cookie: \xff;=\r\nDate: \xff\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=lambda said: said[:60].decode("latin-1").replace("\r\n", " "),
)
def test_whatever_answers_the_client_says_it_in_its_own_errors(said):
    """What was not expected here would end a thread that polls."""
    with OddServer(said) as server:
        assert failure(server.url, read_timeout=2).url.startswith(server.url)
