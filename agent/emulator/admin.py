"""The admin side: JSON in, JSON out, on a port of its own; every operation takes ?vm=NAME, by default the first VM."""

import json
from typing import Any

from agent.emulator import events
from agent.emulator.authority import FILES
from agent.emulator.exchange import Delivery, Request, Response, parameters, segments
from agent.emulator.faults import faults_from
from agent.emulator.reading import InputError, object_of, whole_of, word_of, wrong
from agent.emulator.shape import compact
from agent.emulator.world import World

_OK, _CREATED, _BAD, _NOT_FOUND, _NOT_ALLOWED = 200, 201, 400, 404, 405

# First step of each path, and the methods below it; a path with an id or a name has its own.
_METHODS = {
    "instance": "GET PUT PATCH",
    "events": "GET POST",
    "events/*": "PATCH DELETE",
    "events/incarnation": "PUT",
    "faults": "PUT DELETE",
    "requests": "GET DELETE",
    "scenario": "POST",
    "identities": "PUT",
    "loadbalancer": "PUT",
    "issuers/*": "GET",
    "health": "GET",
}


class Admin:
    """Carries out admin requests on a world.

    Args:
        speed: how much faster a story is told whose request does not say.
    """

    def __init__(self, world: World, speed: float = 1.0) -> None:
        self._world = world
        self._speed = speed

    def deliver(self, request: Request) -> Delivery:
        """Carry out one request; what is wrong with it is said in {"error": "..."}."""
        steps = segments(request.path)
        known = "/".join(steps) if "/".join(steps) in _METHODS else "/".join([*steps[:-1], "*"])
        if known not in _METHODS:
            return _said(_NOT_FOUND, {"error": f"expected a path of {', '.join(_METHODS)}, found {request.path}"})
        if request.method not in _METHODS[known].split():
            return _said(_NOT_ALLOWED, {"error": f"expected {_METHODS[known]}, found {request.method}"})
        try:
            if known == "issuers/*":
                return Delivery(response=self._issuer(steps[-1]))
            status, document = self._done(known, steps[-1], request, dict(parameters(request.query)))
        except InputError as error:
            return _said(_BAD, {"error": str(error)})
        return _said(status, document)

    def _done(self, known: str, last: str, request: Request, query: dict[str, str]) -> tuple[int, Any]:
        vm = query.get("vm")
        self._world.vm_named(vm)
        match known:
            case "instance":
                return self._instance(request, vm)
            case "events" | "events/*" | "events/incarnation":
                return self._events(known, last, request, vm)
            case "faults":
                return self._faults(request, vm)
            case "requests":
                return self._requests(request, query)
            case "scenario":
                return self._scenario(request, vm)
            case "identities":
                self._world.put_identities(vm, _given(request))
                return _OK, _given(request)
            case "loadbalancer":
                self._world.put_load_balancer(vm, _given(request))
                return _OK, _given(request)
            case _:
                return _OK, {"status": "ok", "vms": [each.name for each in self._world.vms]}

    def _issuer(self, file: str) -> Response:
        """Return a certificate of who signs: NAME.crt in DER, NAME.pem in PEM."""
        name, _, form = file.rpartition(".")
        if name not in FILES or form not in ("crt", "pem"):
            known = ", ".join(f"{each}.crt" for each in FILES)
            raise InputError(f"expected one of {known}, or the same as .pem, found {file!r}")
        body = self._world.authority().certificate(name, pem=form == "pem")
        return Response(body=body, content_type="application/pkix-cert" if form == "crt" else "application/x-pem-file")

    def _instance(self, request: Request, vm: str | None) -> tuple[int, Any]:
        if request.method == "PUT":
            return _OK, self._world.put_instance(vm, _given(request))
        if request.method == "PATCH":
            return _OK, self._world.patch_instance(vm, object_of(_given(request), "$"))
        return _OK, self._world.instance(vm)

    def _events(self, known: str, last: str, request: Request, vm: str | None) -> tuple[int, Any]:
        if known == "events/incarnation":
            value = whole_of(object_of(_given(request), "$", ("value",)).get("value"), "$.value", least=0)
            self._world.put_incarnation(vm, value)
            return _OK, {"value": value}
        if request.method == "GET":
            return _OK, events.document(self._world.schedule(vm))
        if request.method == "POST":
            return _CREATED, events.event_document(self._world.add_event(vm, _given(request)))
        if request.method == "DELETE":
            return (_OK, {}) if self._world.remove_event(vm, last) else _no_event(last)
        changed = self._world.change_event(vm, last, _given(request))
        return _no_event(last) if changed is None else (_OK, events.event_document(changed))

    def _faults(self, request: Request, vm: str | None) -> tuple[int, Any]:
        given = [] if request.method == "DELETE" else _given(request)
        self._world.put_faults(vm, lambda now: faults_from(given, now))
        return _OK, given

    def _requests(self, request: Request, query: dict[str, str]) -> tuple[int, Any]:
        if request.method == "DELETE":
            self._world.forget_requests()
            return _OK, []
        since = query.get("since", "0")
        if not (since.isascii() and since.isdigit() and len(since) < 16):
            raise wrong("?since", "a number", since)
        return _OK, self._world.requests(int(since))

    def _scenario(self, request: Request, vm: str | None) -> tuple[int, Any]:
        given = object_of(_given(request), "$", ("name", "speed"))
        name = word_of(given.get("name"), "$.name", "a scenario's name")
        speed = given.get("speed", self._speed)
        if isinstance(speed, bool) or not isinstance(speed, (int, float)):
            raise wrong("$.speed", "a number above 0", speed)
        self._world.begin_scenario(vm, name, float(speed))
        return _OK, {"name": name, "speed": speed}


def _given(request: Request) -> Any:
    try:
        return json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"$: expected JSON: {error}") from None


def _no_event(event_id: str) -> tuple[int, Any]:
    return _NOT_FOUND, {"error": f"expected an event's id, found {event_id!r}"}


def _said(status: int, document: object) -> Delivery:
    return Delivery(response=Response(status=status, body=compact(document)))
