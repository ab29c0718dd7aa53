"""Every error body that is known, to the byte.

Recorded bodies have a space inside their braces; the REST specification's generic ones have none. Both are kept as
they were found, since clients have compared them as text.
"""

import json

from agent.emulator.exchange import Response
from agent.emulator.versions import NEWEST, Service

BAD_REQUEST = b'{ "error": "Bad request" }'  # recorded: a leaf asked for without format=text
NO_HEADER = b'{ "error": "Bad request: . Required metadata header not specified" }'  # recorded in 2022, ": ." and all
IDENTITY_NO_HEADER = b'{"error":"invalid_request","error_description":"Required metadata header not specified"}'
OLD_UNKNOWN_VERSION = b'{ "error": "Not found. Invalid version requested" }'  # recorded 2017 to 2019

# REST specification, examples of 2018-10-01.
GENERIC = {
    400: b'{"error":"Bad request"}',
    403: b'{"error":"Forbidden"}',
    404: b'{"error":"Not found"}',
    405: b'{"error":"Not allowed"}',
    429: b'{"error":"Too many requests"}',
    500: b'{"error":"Server error"}',
    503: b'{"error":"Service unavailable"}',
}

# REST specification, identity examples.
GENERIC_IDENTITY = {
    400: b'{"error":"invalid_request","error_description":"Bad request"}',
    404: b'{"error":"not_found","error_description":"Not found"}',
    405: b'{"error":"method_not_allowed","error_description":"Not allowed"}',
    429: b'{"error":"too_many_requests","error_description":"Too many requests"}',
    500: b'{"error":"server_error","error_description":"Server error"}',
}

_REFER = "For more information refer to aka.ms/azureimds"
_NOT_SPECIFIED = f"Bad request. api-version was not specified in the request. {_REFER}"
_INVALID = f"Bad request. api-version is invalid or was not specified in the request. {_REFER}"


def is_identity(path: str) -> bool:
    """Tell whether a path is the identity category's, whose errors have two keys."""
    return path == "/metadata/identity" or path.startswith("/metadata/identity/")


def generic(status: int, path: str, service: Service) -> Response:
    """Return the body that a status has where nothing more is known; empty for a status that nobody described."""
    bodies = GENERIC | GENERIC_IDENTITY if is_identity(path) else GENERIC
    body = service.choices.gone_body.encode() if status == 410 else bodies.get(status, b"")
    return Response(status=status, body=body)


def too_many(path: str, service: Service) -> Response:
    """Return the 429 of the rate limit."""
    response = generic(429, path, service)
    seconds = service.choices.retry_after
    headers = (("Retry-After", str(seconds)),) if seconds else ()
    return Response(status=429, body=response.body, headers=headers)


def no_header(path: str) -> Response:
    """Return the 400 for a request without Metadata: true."""
    return Response(status=400, body=IDENTITY_NO_HEADER if is_identity(path) else NO_HEADER)


def forwarded(service: Service) -> Response:
    """Return the refusal of a request that came through a forwarder."""
    return Response(status=service.choices.forwarded_status, body=service.choices.forwarded_body.encode())


def duplicate(path: str, service: Service) -> Response:
    """Return the 400 for a parameter given twice; identity's is documented to be `invalid_request`."""
    if is_identity(path):
        return Response(status=400, body=GENERIC_IDENTITY[400])
    return Response(status=400, body=service.choices.duplicate_body.encode())


def missing_version(path: str, service: Service) -> Response:
    """Return the 400 that names the three newest versions; its text is the era's. Identity has two keys instead."""
    if is_identity(path):
        return Response(status=400, body=GENERIC_IDENTITY[400])
    return _with_newest(_INVALID if service.era == "2025" else _NOT_SPECIFIED, service)


def unknown_version(service: Service) -> Response:
    """Return the refusal of a version that /metadata/instance does not have."""
    chosen = service.choices.unknown_version_text
    if chosen == "old" or (chosen == "by-era" and service.era == "2019"):
        return Response(status=service.choices.old_unknown_version_status, body=OLD_UNKNOWN_VERSION)
    return _with_newest(_INVALID, service)


def _with_newest(text: str, service: Service) -> Response:
    newest = NEWEST[service.era]
    if not service.choices.hint_spaces:
        document = {"error": text, "newest-versions": newest}
        return Response(status=400, body=json.dumps(document, separators=(",", ":")).encode())
    names = ", ".join(f'"{version}"' for version in newest)
    return Response(status=400, body=f'{{ "error": "{text}", "newest-versions": [ {names} ] }}'.encode())
