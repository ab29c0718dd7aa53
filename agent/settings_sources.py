"""Where settings come from: flags, environment and a file, in that order of precedence."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.kinds import AUTO, Kind, Misread
from agent.settings import FIELDS, PREFIX, TOPICS, Settings, SettingsError, flag, unknown_variables, variable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

# As pods usually call them, and as kubectl does.
ALSO = {"NODE_NAME": "node_name", "POD_NAME": "pod_name", "POD_NAMESPACE": "namespace", "KUBECONFIG": "kubeconfig"}


def default_text(name: str) -> str:
    """Return a setting's default as it would be written; "" where there is none."""
    entry = FIELDS[name]
    kind: Kind = entry.metadata["kind"]
    return "" if entry.default in (None, ()) and kind is not AUTO else kind.write(entry.default)


def add_flags(parser: argparse.ArgumentParser, topics: Iterable[str], but: Collection[str] = ()) -> None:
    """Add a flag for every setting and one for the file; --help shows those of the command's own topics.

    Args:
        but: flags that the command itself has another use for; environment and file still set those settings.
    """
    parser.add_argument("--config", metavar="FILE", help="settings file, YAML (also IMDS_AGENT_CONFIG)")
    shown = {topic: parser.add_argument_group(TOPICS[topic]) for topic in topics}
    for name, entry in FIELDS.items():
        if flag(name) in but:
            continue
        default = f" [{text}]" if (text := default_text(name)) else ""
        group = shown.get(entry.metadata["topic"], parser)
        about = entry.metadata["about"] + default if group is not parser else argparse.SUPPRESS
        group.add_argument(flag(name), dest=name, metavar="VALUE", help=about.replace("%", "%%"))


def _read(name: str, value: Any, place: str) -> Any:
    kind: Kind = FIELDS[name].metadata["kind"]
    try:
        return kind.read(value)
    except Misread as error:
        raise SettingsError(f"{place}: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{place}: expected {kind.expected}, found {str(value)[:80]!r}") from error


def _from_file(path: str) -> dict[str, Any]:
    try:
        import yaml  # noqa: PLC0415 - most runs have no file
    except ImportError as error:  # in the one archive of first boot
        raise SettingsError(f"{path}: cannot be read: PyYAML is missing; use flags or the environment") from error

    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise SettingsError(f"{path}: cannot be read: {where}{error.problem}") from error
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error
    document = {} if document is None else document
    if not isinstance(document, dict):
        raise SettingsError(f"{path}: expected a mapping of settings, found {type(document).__name__}")
    found = {}
    for key, value in document.items():
        name = str(key).replace("-", "_")
        if name not in FIELDS:
            from difflib import get_close_matches  # noqa: PLC0415 - only for who mistyped

            near = get_close_matches(name, FIELDS, n=1)
            hint = f"; did you mean {near[0].replace('_', '-')}?" if near else ""
            raise SettingsError(f"{path}: {key}: no such setting{hint}")
        found[name] = _read(name, value, f"{path}: {key}")
    return found


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for other, name in ALSO.items():
        if environment.get(other):
            found[name] = _read(name, environment[other], other)
    for name in FIELDS:
        if environment.get(variable(name), "") != "":
            found[name] = _read(name, environment[variable(name)], variable(name))
    return found


def mistyped(environment: Mapping[str, str] = os.environ) -> list[tuple[str, str]]:
    """Return variables that are no setting but almost one, and which.

    They stop nothing: an older agent may be given a newer one's.
    """
    strange = unknown_variables(environment)
    if not strange:
        return []
    from difflib import get_close_matches  # noqa: PLC0415 - as above

    known = sorted(map(variable, FIELDS))
    return [(name, near[0]) for name in strange if (near := get_close_matches(name, known, n=1, cutoff=0.9))]


def read_settings(arguments: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> Settings:
    """Join flags, environment and file.

    Raises:
        SettingsError: a value or a key is wrong; the text names the place.
    """
    path = arguments.config or environment.get(PREFIX + "CONFIG")
    values = _from_file(path) if path else {}
    values |= _from_environment(environment)
    given = {name: getattr(arguments, name) for name in FIELDS if getattr(arguments, name, None) is not None}
    values |= {name: _read(name, value, flag(name)) for name, value in given.items()}
    return Settings(**values)
