"""Faults: which one meets a request, and what it makes of the answer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, cast, get_args

from agent.emulator import errors, load_balancer
from agent.emulator.attested import FLAWS, Flaw
from agent.emulator.exchange import JSON, Delivery, Request, Response
from agent.emulator.reading import list_of, object_of, seconds_of, skew_of, text_of, texts_of, whole_of, word_of, wrong
from agent.emulator.versions import Service

Kind: TypeAlias = Literal[
    "status", "delay", "hang", "reset", "truncate", "html", "partial", "empty", "garbage", "skew", "no-date", "attested"
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
CLOCK: tuple[Kind, ...] = ("skew", "no-date")  # what is wrong with the time; the rest of the answer is as it would be

# What Azure's engineers told of partial answers, and what clients recorded: these parts go missing first.
PARTIAL = ("zone", "platformFaultDomain", "tags", "tagsList")
# A corporate proxy's page with status 200, as agents without a proxy bypass have met it.
PAGE = "<!DOCTYPE html>\n<html><head><title>Network error</title></head><body>The proxy says no.</body></html>\n"
GARBAGE = '{"compute":{"azEnvironment":"AzurePubl\x00\ufffd'


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to fail, for requests below a path.

    Args:
        status: for kind status.
        path: how a path begins; of kind attested it is /metadata/attested where none is given.
        body: None means the one that fits the kind (and for kind status the service's own for that status).
        method: GET or POST; None means both.
        seconds: of delay, or of a hang before the connection is closed; None means 1 of delay, and no end of a hang. Of
            skew: how far the VM's clock is behind the service's, negative where it is ahead.
        times: how many requests it still meets; None means all.
        until: when it ends, on the emulator's clock; None means never.
        empty: parts that a partial document lacks.
        flaw: of kind attested: what is wrong with the signed document.
    """

    kind: Kind
    path: str = "/metadata"
    method: str | None = None
    status: int = 503
    body: str | None = None
    seconds: float | None = None
    times: int | None = None
    until: float | None = None
    empty: tuple[str, ...] = PARTIAL
    flaw: Flaw = "tampered"


Faults: TypeAlias = tuple[Fault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """What a request met.

    Args:
        fault: None where nothing spoils the answer.
        skew: seconds that all times in the answer are later than the emulator's clock has them.
        dated: whether there is a Date header.
        left: the faults that later requests may meet.
    """

    fault: Fault | None
    skew: float = 0.0
    dated: bool = True
    left: Faults


def met(faults: Faults, method: str, path: str, now: float) -> Met:
    """Return the first fault that a request meets, if any, and what is wrong with the time besides."""
    left = tuple(each for each in faults if each.until is None or now < each.until)
    here = [each for each in left if path.startswith(each.path) and each.method in (None, method)]
    spoiling = [each for each in here if each.kind not in CLOCK][:1]
    clock = [each for each in here if each.kind in CLOCK]
    return Met(
        fault=spoiling[0] if spoiling else None,
        skew=sum(each.seconds or 0.0 for each in clock if each.kind == "skew"),
        dated=not any(each.kind == "no-date" for each in clock),
        left=_once_less(left, [*spoiling, *clock]),
    )


def _once_less(faults: Faults, used: list[Fault]) -> Faults:
    found: list[Fault] = []
    for fault in faults:
        if fault.times is None or not any(fault is each for each in used):
            found.append(fault)
        elif fault.times > 1:
            found.append(replace(fault, times=fault.times - 1))
    return tuple(found)


def spoiled(
    fault: Fault, request: Request, service: Service, answered: Callable[[tuple[str, ...]], Response]
) -> Delivery:
    """Return what a request gets that met a fault.

    `answered` gives the true answer, with the named parts of the instance document emptied.
    """
    if fault.kind == "hang":
        return Delivery(manner="hang", seconds=fault.seconds)
    if fault.kind == "reset":
        return Delivery(manner="reset")
    if fault.kind == "delay":
        return Delivery(response=answered(()), seconds=1.0 if fault.seconds is None else fault.seconds)
    if fault.kind == "truncate":
        return Delivery(response=answered(()), manner="truncated")
    if fault.kind == "attested":  # the flaw is in the true answer
        return Delivery(response=answered(()))
    if fault.kind == "partial":
        return Delivery(response=answered(fault.empty))
    return Delivery(response=_instead(fault, request, service))


def faults_from(given: object, now: float) -> Faults:
    """Read a list of faults.

    Raises:
        InputError: for an unknown key, kind or value.
    """
    return tuple(_fault_from(each, f"$[{index}]", now) for index, each in enumerate(list_of(given, "$")))


def _instead(fault: Fault, request: Request, service: Service) -> Response:
    if fault.kind == "status":
        if fault.body is None:
            own = load_balancer.failing(request, fault.status, service)
            return own or errors.generic(fault.status, request.path, service)
        return Response(status=fault.status, body=fault.body.encode())
    default, content_type = {"html": (PAGE, "text/html"), "garbage": (GARBAGE, JSON), "empty": ("", JSON)}[fault.kind]
    return Response(body=(default if fault.body is None else fault.body).encode(), content_type=content_type)


def _fault_from(given: object, path: str, now: float) -> Fault:
    document = object_of(given, path, {"kind", *_READERS})
    kind = document.get("kind")
    if kind not in KINDS:
        raise wrong(f"{path}.kind", f"one of {', '.join(KINDS)}", kind)
    readers = {**_READERS, "seconds": ("seconds", skew_of)} if kind == "skew" else _READERS
    # A flaw meets no other request: it would use up its times there, and hide the faults after it.
    changes: dict[str, Any] = {"path": "/metadata/attested"} if kind == "attested" else {}
    for key, (field, read) in readers.items():
        if key in document:
            changes[field] = read(document[key], f"{path}.{key}")
    if kind == "skew" and "seconds" not in document:
        raise wrong(f"{path}.seconds", "seconds, -3e8 to 3e8", None)
    if changes.get("until") is not None:
        changes["until"] += now
    return Fault(kind=cast("Kind", kind), **changes)


def _or_none(read: Callable[[object, str], Any]) -> Callable[[object, str], Any]:
    return lambda value, path: None if value is None else read(value, path)


def _status(value: object, path: str) -> int:
    status = whole_of(value, path)
    if not 200 <= status <= 599:
        raise wrong(path, "a status from 200 to 599", value)
    return status


def _flaw(value: object, path: str) -> str:
    if value not in FLAWS:
        raise wrong(path, f"one of {', '.join(FLAWS)}", value)
    return str(value)


def _method(value: object, path: str) -> str:
    if value not in ("GET", "POST"):
        raise wrong(path, "GET or POST", value)
    return str(value)


_READERS: dict[str, tuple[str, Callable[[object, str], Any]]] = {
    "path": ("path", lambda value, path: word_of(value, path, "the beginning of a path such as '/metadata'")),
    "method": ("method", _or_none(_method)),
    "status": ("status", _status),
    "body": ("body", _or_none(text_of)),
    "seconds": ("seconds", _or_none(seconds_of)),
    "times": ("times", _or_none(lambda value, path: whole_of(value, path, least=1))),
    "for": ("until", _or_none(seconds_of)),
    "empty": ("empty", texts_of),
    "flaw": ("flaw", _flaw),
}
