"""How the policy for scheduled events is written, in a file or on one line, and back.

    Freeze: {below: 30s, do: notify, else: cordon}
    Preempt: drain
    Reboot: {source: User, do: notify, else: drain, drain-before: 10m}
    other: cordon

A type that is not named keeps its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from agent.core.events import EVENT_TYPES
from agent.core.policy import DEFAULT_RULES, OTHER, Do, Rule, span
from agent.kinds import SECONDS, Kind, Misread

Rules = tuple[tuple[str, Rule], ...]

KEYS = ("below", "source", "within", "do", "else", "cordon-before", "drain-before")
SOURCES = ("Platform", "User")
DEEPEST = 8  # rules behind one another; more could not be read at a glance


def read_rules(value: Any) -> Rules:
    """Read a policy from a mapping, or from the YAML text of one; what it does not name is as by default.

    Raises:
        Misread: the text says where, what was expected and what was found.
    """
    document = _parsed(value) if isinstance(value, str) else value
    if not isinstance(document, Mapping):
        raise Misread(f"expected a mapping of event types, found {_shown(document)}")
    found = dict(DEFAULT_RULES)
    known = {name.casefold(): name for name in (*EVENT_TYPES, OTHER)}
    for name, rule in document.items():
        if not isinstance(name, str) or not name:
            raise Misread(f"expected an event type, found {_shown(name)}")
        found[known.get(name.casefold(), name)] = _rule(rule, name, DEEPEST)
    return tuple(found.items())


def _parsed(text: str) -> Any:
    import yaml  # noqa: PLC0415 - most runs have no policy of their own

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Misread(f"expected a mapping in YAML, found {_shown(text)}") from error


def _shown(value: Any) -> str:
    return repr(value)[:80]


def _do(value: Any, place: str) -> Do:
    known: tuple[Do, ...] = get_args(Do)
    found = next((do for do in known if do == value), None)
    if found is None:
        raise Misread(f"{place}: expected one of {', '.join(known)}, found {_shown(value)}")
    return found


def _rule(value: Any, place: str, deepest: int) -> Rule:
    if not isinstance(value, Mapping):
        return Rule(do=_do(value, place))
    if unknown := [key for key in value if key not in KEYS]:
        raise Misread(f"{place}: expected {', '.join(KEYS)}, found {_shown(unknown[0])}")
    if "do" not in value:
        raise Misread(f"{place}: expected do, found nothing")
    if not deepest:
        raise Misread(f"{place}: expected at most {DEEPEST} rules behind one another, found more")
    conditional = any(key in value for key in ("below", "source", "within"))
    if "else" in value and not conditional:
        raise Misread(f"{place}.else: expected below, source or within beside it, found none: it would never be asked")
    times = {name: _time(value, name, place) for name in ("below", "within", "cordon-before", "drain-before")}
    return Rule(
        do=_do(value["do"], f"{place}.do"),
        below=times["below"],
        source=_source(value.get("source"), f"{place}.source"),
        within=times["within"],
        otherwise=_rule(value["else"], f"{place}.else", deepest - 1) if "else" in value else None,
        cordon_before=times["cordon-before"],
        drain_before=times["drain-before"],
    )


def _time(value: Mapping[str, Any], name: str, place: str) -> float | None:
    if name not in value:
        return None
    try:
        return float(SECONDS.read(value[name]))
    except (ValueError, TypeError) as error:
        raise Misread(f"{place}.{name}: expected a time such as 30s, 5m or 1h, found {_shown(value[name])}") from error


def _source(value: Any, place: str) -> str | None:
    if value is None:
        return None
    for source in SOURCES:
        if isinstance(value, str) and value.casefold() == source.casefold():
            return source
    raise Misread(f"{place}: expected {' or '.join(SOURCES)}, found {_shown(value)}")


def write_rules(rules: Rules) -> str:
    """Return a policy on one line, as YAML reads it."""
    return "{" + ", ".join(f"{name}: {_written(rule)}" for name, rule in rules) + "}"


def _written(rule: Rule) -> str:
    parts = [
        f"below: {span(rule.below)}" if rule.below is not None else "",
        f"source: {rule.source}" if rule.source is not None else "",
        f"within: {span(rule.within)}" if rule.within is not None else "",
        f"do: {rule.do}",
        f"else: {_written(rule.otherwise)}" if rule.otherwise is not None else "",
        f"cordon-before: {span(rule.cordon_before)}" if rule.cordon_before is not None else "",
        f"drain-before: {span(rule.drain_before)}" if rule.drain_before is not None else "",
    ]
    given = [part for part in parts if part]
    return rule.do if len(given) == 1 else "{" + ", ".join(given) + "}"


POLICY = Kind("a mapping of event types such as {Preempt: drain, other: cordon}", read_rules, write_rules)
DEFAULT: Rules = tuple(DEFAULT_RULES.items())
