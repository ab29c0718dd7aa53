"""Settings: flags, environment and a file, in that order of precedence, become one frozen value.

A setting is one field of `Settings`: its name gives the flag (`--release-after`), the variable
(`IMDS_AGENT_RELEASE_AFTER`) and the file's key (`release-after`) alike.
"""

from __future__ import annotations

import dataclasses
import os
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.core.labels import DOMAIN, LabelPolicy
from agent.core.maintenance import Policy
from agent.core.reconcile import Rules
from agent.core.tags import TagPolicy
from agent.told import Told

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

PREFIX = "IMDS_AGENT_"
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class SettingsError(Told):
    """A setting that cannot be used: where it stands, what was expected, what was found."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one sort of value is written.

    Attributes:
        expected: what the error says was expected.
        read: from text or a YAML value; raises ValueError.
        write: back to text, for the table of settings.
    """

    expected: str
    read: Callable[[Any], Any]
    write: Callable[[Any], str] = str


def _seconds(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return float(value)
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", str(value).strip())
    if not found:
        raise ValueError(value)
    return float(found[1]) * UNITS[found[2] or "s"]


def _duration(seconds: float) -> str:
    for unit in ("h", "m"):
        if seconds and seconds % UNITS[unit] == 0:
            return f"{seconds / UNITS[unit]:g}{unit}"
    return f"{seconds:g}s"


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if not isinstance(value, str):
        raise ValueError(value)  # noqa: TRY004 - one kind of error for all that is written wrong
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(value, dict) and all(isinstance(part, str) for pair in value.items() for part in pair):
        return tuple(sorted(value.items()))
    pairs = [name.split("=", 1) for name in _names(value)]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(value)
    return tuple((old, new) for old, new in pairs)


def _switch(value: Any) -> bool:
    known = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}
    return known[str(value).strip().lower()]


def _text(value: Any) -> str:
    if not isinstance(value, (str, int)) or isinstance(value, bool) or str(value) == "":
        raise ValueError(value)
    return str(value)


def _url(value: Any) -> str:
    text = str(value).rstrip("/")
    if not re.fullmatch(r"http://[^/\s]+", text):
        raise ValueError(value)
    return text


def _address(value: Any) -> str:
    text = str(value)
    if text != "off" and not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\s]*):\d{1,5}", text):
        raise ValueError(value)
    return text


def _choice(*options: str) -> Kind:
    def read(value: Any) -> str:
        text = {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        if text not in options:
            raise ValueError(value)
        return text

    return Kind("one of " + ", ".join(options), read)


SECONDS = Kind("a time such as 500ms, 30s, 5m or 1h", _seconds, _duration)
NAMES = Kind("names separated by commas", _names, ",".join)
PAIRS = Kind("pairs such as old=new,older=newer", _pairs, lambda pairs: ",".join("=".join(pair) for pair in pairs))
SWITCH = Kind("on or off", _switch, lambda on: "on" if on else "off")
TEXT = Kind("a text", _text)
URL = Kind("a URL such as http://169.254.169.254", _url)
ADDRESS = Kind("HOST:PORT, or off", _address)
PATH = Kind("a path", lambda value: Path(_text(value)))


def _setting(default: Any, kind: Kind, about: str) -> Any:
    return field(default=default, metadata={"kind": kind, "about": about})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, with its default and its reason."""

    node_name: str | None = _setting(None, TEXT, "the Kubernetes node this agent runs on (also NODE_NAME)")
    kubeconfig: Path | None = _setting(None, PATH, "kubeconfig file; without it the pod's service account is used")
    context: str | None = _setting(None, TEXT, "context of the kubeconfig; without it the current one")
    domain: str = _setting(DOMAIN, TEXT, "domain below which all labels and annotations stand")
    imds_url: str = _setting("http://169.254.169.254", URL, "the Instance Metadata Service")
    imds_connect_timeout: float = _setting(
        2.0, SECONDS, "time for a connection to IMDS; a blocked pod sees only silence"
    )
    imds_read_timeout: float = _setting(5.0, SECONDS, "time for an answer of IMDS")
    first_events_timeout: float = _setting(
        120.0, SECONDS, "time for the first answer about events, which switches the feature on for the VM"
    )
    instance_interval: float = _setting(300.0, SECONDS, "between two looks at the VM's metadata")
    confirm_interval: float = _setting(10.0, SECONDS, "the same while a change awaits its third agreeing answer")
    events: bool = _setting(
        True, SWITCH, "watch scheduled events; off only labels (a mark that stands is still tended)"
    )
    events_interval: float = _setting(1.0, SECONDS, "between two looks at scheduled events; a Preempt gives 30 s")
    freeze_below: float = _setting(30.0, SECONDS, "a Freeze known to be shorter is told but not cordoned for")
    cordon_before: float = _setting(3600.0, SECONDS, "cordon this long before an event may start, not earlier")
    release_after: float = _setting(60.0, SECONDS, "give the node back when its events have been gone for this long")
    release_after_restart: float = _setting(
        300.0,
        SECONDS,
        "the same for events from before the agent's start; IMDS may need five minutes to show them again",
    )
    node_interval: float = _setting(300.0, SECONDS, "between two looks at a node on which nothing happens")
    start_jitter: float = _setting(
        30.0, SECONDS, "at most this delay at start on a node that carries our labels already"
    )
    include_labels: tuple[str, ...] = _setting((), NAMES, "patterns of label keys to add that are off by default")
    exclude_labels: tuple[str, ...] = _setting((), NAMES, "patterns of label keys to leave out")
    well_known_labels: str = _setting(
        "never", _choice("never", "if-absent"), "topology.kubernetes.io/zone and region, where nobody else sets them"
    )
    tags_allow: tuple[str, ...] = _setting(("*",), NAMES, "patterns of VM tags that become labels")
    tags_deny: tuple[str, ...] = _setting((), NAMES, "patterns of VM tags that do not, besides the built-in ones")
    tags_rename: tuple[tuple[str, str], ...] = _setting((), PAIRS, "tag=label name, for tags that need another name")
    tags_case: str = _setting("lower", _choice("lower", "preserve"), "case of tag names in labels; Azure ignores it")
    tags_lossy: str = _setting(
        "sanitize", _choice("sanitize", "hash", "skip"), "tag values that are no label values: mend, hash or leave out"
    )
    probe_address: str = _setting(
        "127.0.0.1:23169",
        ADDRESS,
        "where /healthz, /readyz and /metrics answer; also keeps a second agent from starting",
    )
    log_level: str = _setting("info", _choice("debug", "info", "warning", "error"), "least severe level that is logged")
    log_format: str = _setting("auto", _choice("auto", "json", "console"), "auto is console on a terminal, else JSON")

    def rules(self) -> Rules:
        """Return what decisions depend on.

        Raises:
            SettingsError: a tag would be renamed to what is no label name.
        """
        try:
            tags = TagPolicy(
                allow=self.tags_allow,
                deny=self.tags_deny,
                rename=self.tags_rename,
                case=self.tags_case,  # type: ignore[arg-type]
                lossy=self.tags_lossy,  # type: ignore[arg-type]
            )
            labels = LabelPolicy(
                domain=self.domain, include=self.include_labels, exclude=self.exclude_labels, tags=tags
            )
        except ValueError as error:
            raise SettingsError(str(error)) from error
        events = Policy(
            freeze_below=self.freeze_below,
            cordon_before=self.cordon_before,
            release_after=self.release_after,
            release_after_restart=self.release_after_restart,
            stale_after=max(15.0, 5 * self.events_interval),
        )
        return Rules(
            labels=labels,
            well_known=self.well_known_labels,  # type: ignore[arg-type]
            events=events,
            idle=self.node_interval,
        )


FIELDS = {entry.name: entry for entry in dataclasses.fields(Settings)}


def flag(name: str) -> str:
    """Return the flag of a setting."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add a flag for every setting and one for the file."""
    group = parser.add_argument_group("settings", "also as variables IMDS_AGENT_… and as keys of the file")
    group.add_argument("--config", metavar="FILE", help="settings file, YAML (also IMDS_AGENT_CONFIG)")
    for name, entry in FIELDS.items():
        kind: Kind = entry.metadata["kind"]
        default = "" if entry.default in (None, ()) else f" [{kind.write(entry.default)}]"
        group.add_argument(flag(name), dest=name, metavar="VALUE", help=entry.metadata["about"] + default)


def _read(name: str, value: Any, place: str) -> Any:
    kind: Kind = FIELDS[name].metadata["kind"]
    try:
        return kind.read(value)
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{place}: expected {kind.expected}, found {str(value)[:80]!r}") from error


def _from_file(path: str) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - most runs have no file

    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(document, dict):
        raise SettingsError(f"{path}: expected a mapping of settings, found {type(document).__name__}")
    found = {}
    for key, value in document.items():
        name = str(key).replace("-", "_")
        if name not in FIELDS:
            near = get_close_matches(name, FIELDS, n=1)
            hint = f"; did you mean {near[0].replace('_', '-')}?" if near else ""
            raise SettingsError(f"{path}: {key}: no such setting{hint}")
        found[name] = _read(name, value, f"{path}: {key}")
    return found


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    if environment.get("NODE_NAME"):
        found["node_name"] = environment["NODE_NAME"]
    for name in FIELDS:
        if environment.get(variable(name), "") != "":
            found[name] = _read(name, environment[variable(name)], variable(name))
    return found


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


def own_node(settings: Settings) -> str:
    """Return the node's name.

    Raises:
        SettingsError: it was not given.
    """
    if not settings.node_name:
        raise SettingsError("--node-name (or NODE_NAME): expected the name of this VM's node, found nothing")
    return settings.node_name
