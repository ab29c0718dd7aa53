"""`/metadata/loadbalancer`: a document of its own order, and a sentence for everything that is wrong."""

from collections.abc import Mapping, Sequence

from agent.emulator.exchange import Request, Response, segments
from agent.emulator.reading import Document, list_of, object_of, text_of, whole_of
from agent.emulator.shape import compact
from agent.emulator.versions import Service, instance_versions

SINCE = "2020-10-01"
_FRONT = ("frontendIpAddress", "privateIpAddress")
_RULE = ("frontendIpAddress", "protocol", "frontendPort", "backendPort", "privateIpAddress")
_PORTS = ("frontendPort", "backendPort")
_LISTS = {"publicIpAddresses": _FRONT, "inboundRules": _RULE, "outboundRules": _FRONT}
# Azure's documentation; what stands around these sentences is not printed there.
NONE = (
    "No load balancer metadata is found. "
    "Check if your virtual machine is using any nonbasic SKU load balancer and retry later."
)
_FAILING = {
    404: "Load Balancer metadata API isn't available right now. Retry later",
    429: "Too many requests",
    503: "Internal service unavailable. Retry later",
}
_UNEXPECTED = "Unexpected request. Check the query parameters and retry."
_KNOWN = ("api-version", "format")


def load_balancer_from(given: object) -> Document | None:
    """Read a document as the service shows it, without its outer key; null means that there is no load balancer.

    Raises:
        InputError: for an unknown key, or a value of another kind.
    """
    if given is None:
        return None
    document = object_of(given, "$", _LISTS)
    return {
        name: [
            _row(each, f"$.{name}[{index}]", keys)
            for index, each in enumerate(list_of(document.get(name, []), f"$.{name}"))
        ]
        for name, keys in _LISTS.items()
    }


def _row(given: object, path: str, keys: Sequence[str]) -> Document:
    entry = object_of(given, path, keys)
    return {
        key: whole_of(entry[key], f"{path}.{key}") if key in _PORTS else text_of(entry[key], f"{path}.{key}")
        for key in keys
        if key in entry
    }


def said(status: int, sentence: str) -> Response:
    """Return an error."""
    return Response(status=status, body=compact({"error": sentence}))


def is_asked(steps: Sequence[str], service: Service) -> bool:
    """Tell whether a path is the load balancer's, in a service that has it."""
    return list(steps[:2]) == ["metadata", "loadbalancer"] and SINCE in instance_versions(service)


def failing(request: Request, status: int, service: Service) -> Response | None:
    """Return what it says that fails for now; None where it is not asked, or has no sentence for that status."""
    if status not in _FAILING or not is_asked(segments(request.path), service):
        return None
    return said(status, _FAILING[status])


def refused_by_method(request: Request) -> Response:
    """Return the 405."""
    return said(405, f'Http method isn\'t allowed: Path = "{request.path}", Method = "{request.method}"')


def refused_by_version(query: Mapping[str, str], service: Service) -> Response | None:
    """Return the 400 for a version that is missing or not there; None where it is right."""
    version = query.get("api-version", "")
    if not version:
        return said(400, 'Missing required parameter "api-version". Fix the request and retry.')
    if version in instance_versions(service) and version >= SINCE:
        return None
    value = (
        f'Parameter value isn\'t allowed, or parameter value "{version}" isn\'t allowed for parameter "api-version".'
    )
    return said(400, f"{value} Fix the request and retry.")


def answered(
    request: Request, steps: Sequence[str], query: Mapping[str, str], found: Document | None, service: Service
) -> Response:
    """Answer a request whose header, method and version are right.

    Args:
        steps: below /metadata/loadbalancer.
        found: the VM's document; None where it has none.
    """
    if steps:
        return said(404, f'API isn\'t found: Path = "{request.path}", Method = "{request.method}"')
    if (sentence := _too_long(request, query, service.choices.load_balancer_longest)) is not None:
        return said(400, sentence)
    if service.choices.load_balancer_strict and not set(query) <= set(_KNOWN):
        return said(400, _UNEXPECTED)
    if found is None:
        return said(404, NONE)
    shown = {name: [_shown(row, service) for row in rows] for name, rows in found.items()}
    return Response(body=compact({"loadbalancer": shown}))


def _too_long(request: Request, query: Mapping[str, str], longest: int) -> str | None:
    """Return the sentence for the first thing that is longer than allowed; 0 allows any length."""
    lengths = {
        "Request body is larger than MaxBodyLength": [len(request.body)],
        "Parameter key length is larger than MaxParameterKeyLength": [len(each) for each in query],
        "Parameter value length is larger than MaxParameterValueLength": [len(each) for each in query.values()],
        "Parameter header value length is larger than MaxHeaderValueLength": [
            len(each) for each in request.headers.values()
        ],
    }
    too_long = (sentence for sentence, found in lengths.items() if longest and max(found, default=0) > longest)
    return next((f"{sentence}: {longest}" for sentence in too_long), None)


def _shown(row: Document, service: Service) -> Document:
    if not service.choices.load_balancer_brackets:
        return row
    return {key: f"[{value}]" if isinstance(value, str) and ":" in value else value for key, value in row.items()}
