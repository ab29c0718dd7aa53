"""What IMDS answers: a function of the request, the VM's document and its events; nothing here waits or remembers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent.emulator import errors, events, identity, load_balancer
from agent.emulator.attested import NONCE, attested_versions
from agent.emulator.exchange import JSON, Request, Response, parameters, segments
from agent.emulator.reading import Document, InputError, list_of, object_of, word_of
from agent.emulator.routes import rendered, walked
from agent.emulator.shape import compact, empty_part, shaped
from agent.emulator.versions import Service, events_versions, has_versions_endpoint, instance_versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """What the categories besides instance and events answer from.

    Args:
        prove: makes the signed document of a version with a nonce; None where none was sent.
        balanced: the load balancer's document; None where there is none.
        now: seconds since 1970.
    """

    prove: Callable[[str, str | None], Response] = lambda _version, _nonce: Response(status=404)
    identities: tuple[identity.Identity, ...] = ()
    balanced: Document | None = None
    now: float = 0.0


def answer(
    request: Request,
    service: Service,
    instance: Mapping[str, Any],
    schedule: events.Schedule,
    emptied: tuple[str, ...] = (),
    *,
    others: Others | None = None,
) -> Response:
    """Answer one request, refusing in this order: forwarded, header, method, version, path, format (unconfirmed).

    `emptied` names parts of the instance document that the service fails to fill: keys of compute, or dotted paths.
    """
    response = _answer(request, service, instance, schedule, emptied, others=others or Others())
    if service.choices.json_charset and response.content_type == JSON:
        return replace(response, content_type=f"{JSON}; charset=utf-8")
    return response


EXTENDED = "2021-08-01"  # the version with extended=true (recorded by provisioning agents, documented nowhere)


def approved_ids(request: Request) -> tuple[str, ...]:
    """Return the events that a POST to scheduled events asks to start.

    Raises:
        InputError: where the body is not {"StartRequests":[{"EventId":"…"}]}; other keys are let pass.
    """
    try:
        document = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"$: expected JSON: {error}") from None
    asked = list_of(object_of(document, "$").get("StartRequests"), "$.StartRequests")
    entries = [object_of(each, f"$.StartRequests[{index}]") for index, each in enumerate(asked)]
    return tuple(
        word_of(each.get("EventId"), f"$.StartRequests[{index}].EventId") for index, each in enumerate(entries)
    )


def _answer(
    request: Request,
    service: Service,
    instance: Mapping[str, Any],
    schedule: events.Schedule,
    emptied: tuple[str, ...],
    *,
    others: Others,
) -> Response:
    steps = segments(request.path)
    pairs = parameters(request.query)
    query = dict(pairs)
    refusal = _refused_by_header(request, service, steps, query) or _refused_by_method(request, service, steps)
    if refusal is not None:
        return refusal
    if len(query) < len(pairs):
        return errors.duplicate(request.path, service)
    if steps == ["metadata", "versions"]:
        return _versions(request, service)
    if load_balancer.is_asked(steps, service):
        refusal = load_balancer.refused_by_version(query, service)
        return refusal or load_balancer.answered(request, steps[2:], query, others.balanced, service)
    version = query.get("api-version", "")
    if not version:
        return errors.missing_version(request.path, service)
    match steps[:2]:
        case ["metadata", "attested"]:
            return _attested(request, service, query, others)
        case ["metadata", "identity"]:
            return _identity(request, service, query, others)
        case ["metadata", "scheduledevents"]:
            return _scheduled_events(request, service, version, schedule)
        case ["metadata", "instance"]:
            return _instance_of(request, service, query, instance, emptied)
        case _:
            return errors.generic(404, request.path, service)


def _instance_of(
    request: Request,
    service: Service,
    query: Mapping[str, str],
    instance: Mapping[str, Any],
    emptied: tuple[str, ...],
) -> Response:
    version, form = query["api-version"], query.get("format")
    if version not in instance_versions(service):
        return errors.unknown_version(service)
    if query.get("extended") == "true" and version == EXTENDED:
        return _extended(request, service, form, instance, emptied)
    return _instance(request, service, form, _shown(instance, service, version, emptied))


def _refused_by_header(
    request: Request, service: Service, steps: list[str], query: Mapping[str, str]
) -> Response | None:
    if "x-forwarded-for" in request.headers:
        return errors.forwarded(service)
    if request.headers.get("metadata", "").strip().lower() == "true":
        return None
    if steps == ["metadata", "versions"] and not service.choices.versions_needs_header:
        return None
    is_preview = steps == ["metadata", "scheduledevents"] and query.get("api-version") == events.PREVIEW
    if is_preview and not service.choices.preview_events_need_header:
        return None
    return errors.no_header(request.path)


def _refused_by_method(request: Request, service: Service, steps: list[str]) -> Response | None:
    allowed = ("GET", "POST") if steps == ["metadata", "scheduledevents"] else ("GET",)
    if request.method in allowed:
        return None
    balanced = load_balancer.is_asked(steps, service)
    return load_balancer.refused_by_method(request) if balanced else errors.generic(405, request.path, service)


def _attested(request: Request, service: Service, query: Mapping[str, str], others: Others) -> Response:
    version, nonce = query["api-version"], query.get("nonce")
    if version not in attested_versions(service):
        return errors.unknown_version(service)
    if segments(request.path)[2:] != ["document"]:
        return errors.generic(404, request.path, service)
    if nonce and not NONCE.fullmatch(nonce):
        return Response(status=400, body=errors.BAD_REQUEST)
    return others.prove(version, nonce or None)


def _identity(request: Request, service: Service, query: Mapping[str, str], others: Others) -> Response:
    if query["api-version"] not in identity.identity_versions(service):
        return errors.generic(400, request.path, service)
    found = identity.answered(segments(request.path)[2:], query, others.identities, others.now)
    return errors.generic(404, request.path, service) if found is None else found


def _extended(
    request: Request, service: Service, form: str | None, instance: Mapping[str, Any], emptied: tuple[str, ...]
) -> Response:
    """Answer with the third part, as provisioning agents ask for it: whole, or not at all."""
    if emptied:
        return errors.generic(service.choices.extended_partial_status, request.path, service)
    document = _shown(instance, service, EXTENDED, ())
    has_custom_data = bool(instance.get("compute", {}).get("customData"))
    document["extended"] = {"compute": {"hasCustomData": has_custom_data, "ppsType": "None"}}
    return _instance(request, service, form, document)


def _versions(request: Request, service: Service) -> Response:
    if not has_versions_endpoint(service):
        return errors.generic(404, request.path, service)
    return Response(body=compact({"apiVersions": instance_versions(service)}))


def _shown(instance: Mapping[str, Any], service: Service, version: str, emptied: tuple[str, ...]) -> Document:
    document = shaped(instance, version)
    if "customData" in document["compute"] and service.era != "2019" and service.choices.custom_data == "by-era":
        document["compute"]["customData"] = ""
    for name in emptied:
        empty_part(document, name)
    return document


def _instance(request: Request, service: Service, form: str | None, document: Document) -> Response:
    keys = segments(request.path)[2:]
    found = walked(document, keys)
    if found is None:
        return errors.generic(404, request.path, service)
    return rendered(found.element, keys, form, service)


def _scheduled_events(request: Request, service: Service, version: str, schedule: events.Schedule) -> Response:
    if version not in events_versions(service):
        return Response(status=400, body=errors.BAD_REQUEST)
    if segments(request.path)[2:]:
        return errors.generic(404, request.path, service)
    if request.method == "POST":
        return _start_requests(request, service, schedule)
    body = compact(events.document(schedule, version))
    if not service.choices.events_etag:
        return Response(body=body)
    etag = f'"{schedule.incarnation}"'
    if request.headers.get("if-none-match") == etag:
        return Response(status=304, headers=(("ETag", etag),))
    return Response(body=body, headers=(("ETag", etag),))


def _start_requests(request: Request, service: Service, schedule: events.Schedule) -> Response:
    try:
        asked = approved_ids(request)
    except InputError:
        return Response(status=400, body=errors.BAD_REQUEST)
    if any(events.named(schedule, each) is None for each in asked):
        status = service.choices.approve_unknown_status
        return Response() if status == 200 else Response(status=status, body=errors.BAD_REQUEST)
    return Response()
