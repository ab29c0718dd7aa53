"""Log events: JSON or readable, from a level on, and never with a secret."""

import io
import json
import os
import pty

import pytest

from agent.log import LONGEST, set_up
from tests.daemon.partners import Log

JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6IkEifQ.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQifQ.c2lnbmF0dXJl"
SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="


def test_a_log_event_is_one_json_object_a_line_with_name_level_and_time():
    log = Log()
    log.logger.info("node.cordoned", node="n", seconds=0.5)
    (entry,) = log.said
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {"event": "node.cordoned", "level": "info", "node": "n", "seconds": 0.5}


def test_a_value_of_several_lines_stays_on_one():
    log = Log()
    log.logger.info("imds.failed", error="one\ntwo")
    assert log.said[0]["error"] == "one\ntwo"
    assert log.stream.getvalue().count("\n") == 1


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_what_is_less_severe_than_the_level_is_not_written(level, heard):
    log = Log(level)
    for name in ("debug", "info", "warning", "error"):
        getattr(log.logger, name)("x.happened")
    assert [entry["level"] for entry in log.said] == heard


@pytest.mark.parametrize(
    "key",
    [
        *("custom_data", "customData", "userData", "user_data", "publicKeys", "public_key", "keyData"),
        *("token", "access_token", "Authorization", "client_secret", "admin_password"),
    ],
)
@pytest.mark.parametrize("value", [SECRET, [SECRET], {"inner": SECRET}, 4711])
def test_a_value_under_a_secret_key_is_masked_whatever_it_is(key, value):
    log = Log()
    log.logger.info("x.happened", **{key: value})
    assert log.said[0][key] == "***"


@pytest.mark.parametrize("key", ["customData", "token"])
def test_a_secret_key_is_masked_however_deep_it_stands(key):
    log = Log()
    log.logger.info("x.happened", answer={"compute": [{key: SECRET, "name": "vm"}]})
    assert SECRET not in log.stream.getvalue()
    assert log.said[0]["answer"] == {"compute": [{key: "***", "name": "vm"}]}


@pytest.mark.parametrize(
    "text", [f"Authorization: Bearer {JWT}", f"bearer {SECRET} was refused", f"token is {JWT}.", "BEARER abc.def-_~+/="]
)
def test_a_token_in_a_text_is_masked_and_the_rest_stays(text):
    log = Log()
    log.logger.warning("cluster.unavailable", error=f"before {text} after")
    log.logger.warning("cluster.unavailable", error=[f"before {text} after"], managers={"m": text}, keys=(text,))
    for secret in (JWT, JWT.split(".")[1], SECRET, "abc.def-_~+/="):
        assert secret not in log.stream.getvalue()
    assert log.said[0]["error"].startswith("before ")
    assert log.said[0]["error"].endswith(" after")


def test_what_is_no_secret_stands_as_it_is():
    log = Log()
    facts = {"tags_from": "tagsList", "managers": {"f:spec": "kubectl"}, "holds": ["annotation x/hold"], "none": None}
    log.logger.info("x.happened", **facts)
    assert {key: log.said[0][key] for key in facts} == facts


def test_masking_leaves_the_callers_own_values_alone():
    answer = {"token": SECRET}
    Log().logger.info("x.happened", answer=answer)
    assert answer == {"token": SECRET}


def test_auto_is_json_where_no_terminal_reads():
    stream = io.StringIO()
    set_up(level="info", form="auto", stream=stream).info("x.happened")
    assert json.loads(stream.getvalue())["event"] == "x.happened"


def test_console_is_readable_and_without_colour_where_no_terminal_reads():
    stream = io.StringIO()
    set_up(level="info", form="console", stream=stream).info("x.happened", node="n", token=SECRET)
    assert "x.happened" in stream.getvalue()
    assert "node=n" in stream.getvalue()
    assert "\033" not in stream.getvalue()
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("1", False)])
def test_auto_is_console_on_a_terminal_in_colour_unless_no_color_is_set(no_color, coloured, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w") as terminal, os.fdopen(reader, "rb", buffering=0) as screen:
        set_up(level="info", form="auto", stream=terminal).info("x.happened", node="n")
        terminal.flush()
        shown = os.read(screen.fileno(), 4096)
    assert b"x.happened" in shown
    assert not shown.startswith(b"{")
    assert (b"\033[" in shown) is coloured


def test_a_value_without_end_is_cut_and_its_secrets_with_it():
    log = Log()
    before = "x" * (LONGEST - len(JWT) - 2)  # so that the token's end is cut off
    log.logger.info("imds.failed", error=f"{before} {JWT}{'x' * 10**6}")
    (entry,) = log.said
    assert entry["error"] == f"{before} ***…"
