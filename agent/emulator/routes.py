"""Walking into a document by path, and showing what is found there as JSON or as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.emulator import errors
from agent.emulator.exchange import TEXT, Response
from agent.emulator.shape import compact
from agent.emulator.versions import Service


@dataclass(frozen=True, slots=True)
class Found:
    """An element of a document."""

    element: Any


def walked(document: Any, steps: Sequence[str]) -> Found | None:
    """Return what a path leads to: keys of objects, decimal indices of arrays, from 0; None where it leads nowhere."""
    element = document
    for step in steps:
        if isinstance(element, dict) and step in element:
            element = element[step]
        elif isinstance(element, list) and step in map(str, range(len(element))):
            element = element[int(step)]
        else:
            return None
    return Found(element)


def rendered(element: Any, steps: Sequence[str], form: str | None, service: Service) -> Response:
    """Show an element: objects and arrays as JSON or as a listing of names, strings as text only.

    `form` is the format parameter; None means json. Another value than json and text is refused (unconfirmed).
    """
    is_leaf = not isinstance(element, (dict, list))
    if form == "text":
        if is_leaf:
            return Response(body=str(element).encode(), content_type=TEXT)
        if list(steps) == ["compute", "tagsList"] and service.choices.tags_list_as_text == "json":
            return Response(body=compact(element), content_type=TEXT)
        return Response(body=_listing(element, service).encode(), content_type=TEXT)
    if is_leaf or form not in (None, "json"):
        return Response(status=400, body=errors.BAD_REQUEST)
    return Response(body=compact(element))


def _listing(element: dict[str, Any] | list[Any], service: Service) -> str:
    """One child a line, `/` behind those that have children themselves (recorded for /instance in 2017)."""
    children = element.items() if isinstance(element, dict) else ((str(i), each) for i, each in enumerate(element))
    lines = [name + ("/" if isinstance(child, (dict, list)) else "") for name, child in children]
    return "\n".join(lines) + ("\n" if lines and service.choices.text_final_newline else "")
