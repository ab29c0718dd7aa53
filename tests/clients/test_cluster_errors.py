"""Answers of 400 and more, classified: bodies in the form and words of kube-apiserver 1.34."""

import json

import pytest

from agent.clients.cluster_errors import (
    ClusterConflict,
    ClusterRefused,
    ClusterUnavailable,
    NodeMissing,
    NodeReplaced,
    error_of,
)


def status(message: str, reason: str = "", **details: object) -> bytes:
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    return json.dumps({**body, "reason": reason, "details": details}).encode()


MISSING = status('nodes "n" not found', "NotFound", name="n", kind="nodes")
CREATED_WITH_UID = status(
    'Operation cannot be fulfilled on nodes "n": uid mismatch: the provided object specified uid x, and no existing '
    "object was found",
    "Conflict",
    name="n",
    kind="nodes",
)
ANOTHER_UID = status(
    'Node "n" is invalid: metadata.uid: Invalid value: "x": field is immutable',
    "Invalid",
    causes=[{"reason": "FieldValueInvalid", "message": "field is immutable", "field": "metadata.uid"}],
)
OWNED = status(
    'Apply failed with 2 conflicts: conflicts with "kubectl" using v1:\n- .metadata.labels.a',
    "Conflict",
    causes=[
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl" using v1',
            "field": ".metadata.labels.a",
        },
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl-label" with subresource "status" using v1 at 2026-11-22T10:00:00Z',
            "field": ".metadata.labels.b",
        },
    ],
)
STALE = status(
    "the object has been modified; please apply your changes to the latest version and try again", "Conflict"
)
INVALID_LABEL = status(
    'Node "n" is invalid: metadata.labels: Invalid value: "x y"',
    "Invalid",
    causes=[{"reason": "FieldValueInvalid", "message": "…", "field": "metadata.labels"}],
)
BUSY = b"Too many requests, please try again later.\n"  # plain text: priority and fairness


@pytest.mark.parametrize(
    ("code", "body", "kind"),
    [
        (404, MISSING, NodeMissing),
        (409, CREATED_WITH_UID, NodeMissing),
        (422, ANOTHER_UID, NodeReplaced),
        (409, OWNED, ClusterConflict),
        (409, STALE, ClusterConflict),
        (422, INVALID_LABEL, ClusterRefused),
        (400, status("bad"), ClusterRefused),
        (401, status("Unauthorized"), ClusterRefused),
        (403, status("forbidden"), ClusterRefused),
        (410, status("expired"), ClusterRefused),
        (429, BUSY, ClusterUnavailable),
        (500, status("etcdserver: request timed out"), ClusterUnavailable),
        (502, b"<html>bad gateway</html>", ClusterUnavailable),
        (503, status("apiserver is shutting down."), ClusterUnavailable),
        (504, status("Timeout: request did not complete"), ClusterUnavailable),
    ],
)
def test_each_answer_is_what_a_caller_does_about_it(code, body, kind):
    error = error_of("PATCH /api/v1/nodes/n", code, body)
    assert type(error) is kind
    assert str(error).startswith(f"PATCH /api/v1/nodes/n: {code}: ")


def test_a_conflict_says_who_owns_which_field():
    error = error_of("PATCH x", 409, OWNED)
    assert error.managers == {".metadata.labels.a": "kubectl", ".metadata.labels.b": "kubectl-label"}
    assert error_of("PATCH x", 409, STALE).managers == {}


def test_a_refusal_keeps_the_servers_words_in_full_and_tells_the_beginning():
    words = "denied: " + ", ".join(f"label-{number}" for number in range(200))
    error = error_of("PATCH x", 403, status(words))
    assert (error.status, error.message) == (403, words)
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        (None, None),
        ("", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("-1", None),
        ("²", None),
    ],
)
def test_how_long_the_server_asks_to_wait_is_told(header, seconds):
    for code in (429, 503):
        assert error_of("GET x", code, BUSY, header).retry_after == seconds


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"5", b"\xff\xfe", b"<html>", b'{"details":[]}', b'{"message":5,"details":{"causes":[5]}}'],
)
@pytest.mark.parametrize("code", [400, 403, 404, 409, 422, 429, 500])
def test_no_body_however_odd_hides_the_status(code, body):
    assert f": {code}: " in str(error_of("GET x", code, body))
