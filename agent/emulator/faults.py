"""Faults: which one meets a request, and what it makes of the answer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, cast

from agent.emulator import errors
from agent.emulator.exchange import JSON, Delivery, Request, Response
from agent.emulator.reading import list_of, object_of, seconds_of, text_of, texts_of, whole_of, word_of, wrong
from agent.emulator.versions import Service

Kind: TypeAlias = Literal[
    "status", "delay", "hang", "reset", "truncate", "html", "partial", "empty", "garbage"
]  # fmt: skip
KINDS: tuple[Kind, ...] = ("status", "delay", "hang", "reset", "truncate", "html", "partial", "empty", "garbage")

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
        body: None means the one that fits the kind (and for kind status the service's own for that status).
        seconds: of delay, or of a hang before the connection is closed; None means 1 of delay, and no end of a hang.
        times: how many requests it still meets; None means all.
        until: when it ends, on the emulator's clock; None means never.
        empty: parts that a partial document lacks.
    """

    kind: Kind
    path: str = "/metadata"
    status: int = 503
    body: str | None = None
    seconds: float | None = None
    times: int | None = None
    until: float | None = None
    empty: tuple[str, ...] = PARTIAL


Faults: TypeAlias = tuple[Fault, ...]


def met(faults: Faults, path: str, now: float) -> tuple[Fault | None, Faults]:
    """Return the first fault that a request meets, if any, and the faults that are left."""
    left = tuple(each for each in faults if each.until is None or now < each.until)
    for index, fault in enumerate(left):
        if not path.startswith(fault.path):
            continue
        if fault.times is None:
            return fault, left
        rest = (replace(fault, times=fault.times - 1),) if fault.times > 1 else ()
        return fault, (*left[:index], *rest, *left[index + 1 :])
    return None, left


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
            return errors.generic(fault.status, request.path, service)
        return Response(status=fault.status, body=fault.body.encode())
    default, content_type = {"html": (PAGE, "text/html"), "garbage": (GARBAGE, JSON), "empty": ("", JSON)}[fault.kind]
    return Response(body=(default if fault.body is None else fault.body).encode(), content_type=content_type)


def _fault_from(given: object, path: str, now: float) -> Fault:
    document = object_of(given, path, {"kind", *_READERS})
    kind = document.get("kind")
    if kind not in KINDS:
        raise wrong(f"{path}.kind", f"one of {', '.join(KINDS)}", kind)
    changes: dict[str, Any] = {}
    for key, value in document.items():
        if key in _READERS:
            field, read = _READERS[key]
            changes[field] = read(value, f"{path}.{key}")
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


_READERS: dict[str, tuple[str, Callable[[object, str], Any]]] = {
    "path": ("path", lambda value, path: word_of(value, path, "the beginning of a path such as '/metadata'")),
    "status": ("status", _status),
    "body": ("body", _or_none(text_of)),
    "seconds": ("seconds", _or_none(seconds_of)),
    "times": ("times", _or_none(lambda value, path: whole_of(value, path, least=1))),
    "for": ("until", _or_none(seconds_of)),
    "empty": ("empty", texts_of),
}
