"""A VM's document as one version of the service shows it: a subset of fields, all present, in alphabetical order."""

import functools
import json
from collections.abc import Mapping
from typing import Any

from agent.emulator.fields import FIRST, INSTANCE, Field, Leaf, Node, Rows
from agent.emulator.reading import Document, list_of, object_of, text_of


def shaped(document: Mapping[str, Any], version: str) -> Document:
    """Return exactly the fields that the version has; what the document lacks is "", [] or an object of such."""
    return _shaped_node(INSTANCE, document, max(version, FIRST))


def checked_instance(document: object) -> Document:
    """Return a VM's document in newest form, parts of it maybe absent.

    Raises:
        InputError: for a field that no version has, or a value that is no string where a string must be.
    """
    _check(INSTANCE, document, "$")
    return object_of(document, "$")


def empty_part(document: Document, name: str) -> None:
    """Empty one part of a shown document in place, as the service does when it cannot reach a source of its own.

    The name is a path with dots from the top, or a key of compute or of the top; unknown to this version is no error.
    """
    *steps, last = name.split(".") if "." in name or name in document else ("compute", name)
    parent: Any = document
    for step in steps:
        parent = parent.get(step) if isinstance(parent, dict) else None
    if isinstance(parent, dict) and last in parent:
        parent[last] = type(parent[last])()


def compact(value: object) -> bytes:
    """Write JSON as the service sends it: no white space, UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _shaped_node(node: Node, value: Mapping[str, Any], version: str) -> Document:
    return {
        name: _shaped_field(field, value.get(name), version)
        for name, field in _fields_of(node, version)
        if name in value or not field.optional
    }


@functools.cache
def _fields_of(node: Node, version: str) -> tuple[tuple[str, Field], ...]:
    return tuple((name, field) for name, field in sorted(node.fields.items()) if field.since <= version)


def _shaped_field(field: Field, value: Any, version: str) -> Any:
    if isinstance(field, Leaf):
        return "" if value is None else value
    if isinstance(field, Rows):
        return [_shaped_node(field.row, each, version) for each in value or []]
    return _shaped_node(field, value or {}, version)


def _check(field: Field, value: object, path: str) -> None:
    if isinstance(field, Leaf):
        text_of(value, path)
    elif isinstance(field, Rows):
        for index, each in enumerate(list_of(value, path)):
            _check(field.row, each, f"{path}[{index}]")
    else:
        for name, each in object_of(value, path, field.fields).items():
            _check(field.fields[name], each, f"{path}.{name}")
