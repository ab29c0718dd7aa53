"""What values.schema.json says of the agent's settings, made from the code that reads them."""

from typing import Any, get_args

from agent.core.events import EVENT_TYPES
from agent.core.policy import OTHER, Do
from agent.kinds import ADDRESS, AUTO, NAMES, PAIRS, PERIOD, SCOPE, SECONDS, SIZE, SWITCH, URL, Kind
from agent.policies import KEYS, POLICY, SOURCES
from agent.settings import FIELDS
from agent.settings_sources import default_text

# What the pod says itself, what the chart needs for it, and what is about VMs without Kubernetes.
CHARTS_OWN = {"node_name", "pod_name", "namespace", "kubeconfig", "context", "switch_file", "probe_address"} | {
    name for name, entry in FIELDS.items() if entry.metadata["topic"] == "host"
}
# Helm reads numbers as floating point and writes a million as 1e+06, which is no time.
MOST = 999_999
NUMBER = {"type": "number", "minimum": 0, "maximum": MOST}
SPAN = r"\s*([0-9]+(\.[0-9]+)?|([0-9]+(\.[0-9]+)?\s*(ms|s|m|h|d)\s*)+)\s*"
TIME = {"anyOf": [NUMBER, {"type": "string", "pattern": f"^{SPAN}$"}]}
SHAPES: dict[Kind, dict[str, Any]] = {
    SECONDS: TIME,
    PERIOD: {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "maximum": MOST},
            {"type": "string", "pattern": f"^{SPAN}$", "not": {"pattern": "^[^1-9]*$"}},
        ]
    },
    AUTO: {"anyOf": [NUMBER, {"type": "string", "pattern": f"^(auto|{SPAN})$"}]},
    # "off" is false for YAML
    SIZE: {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 99_999},
            {"const": False},
            {"type": "string", "pattern": "^([1-9][0-9]{0,4}|[1-9][0-9]?%|100%|off)$"},
        ]
    },
    SCOPE: {"type": "string", "pattern": "^(cluster|zone|rack|update-group|label:[A-Za-z0-9./_-]+)$"},
    NAMES: {"type": ["array", "string"], "items": {"type": "string"}},
    PAIRS: {
        "anyOf": [
            {"type": "object", "additionalProperties": {"type": "string"}},
            {"type": "string", "pattern": "^([^=,]+=[^=,]+(,[^=,]+=[^=,]+)*)?$"},
        ]
    },
    SWITCH: {"enum": [True, False, "on", "off"]},
    URL: {"type": "string", "pattern": r"^http://[^/?#\s]+/*$"},
    ADDRESS: {"anyOf": [{"const": False}, {"type": "string", "pattern": r"^(off|(\[[0-9a-fA-F:]+\]|[^:\s]*):[0-9]{1,5})$"}]},
    POLICY: {
        "type": "object",
        "properties": {name: {"$ref": "#/$defs/rule"} for name in (*EVENT_TYPES, OTHER)},
        "additionalProperties": {"$ref": "#/$defs/rule"},
    },
}  # fmt: skip
# These two become a part of the own-node policy.
NAMED = {
    "domain": {"type": "string", "pattern": r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"},
    "startup_taint": {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9./_-]*$"},
}


def settings_schema() -> dict[str, Any]:
    """Return the schema of `settings`: each is optional, and an unknown one is an error."""
    known = {name.replace("_", "-"): _setting(name) for name in FIELDS if name not in CHARTS_OWN}
    about = "the agent's settings file; what is not named is as by default"
    return {"description": about, "type": "object", "properties": known, "additionalProperties": False}


def rule_schema() -> dict[str, Any]:
    """Return the schema of one rule of a policy."""
    do = {"enum": list(get_args(Do))}
    parts: dict[str, Any] = dict.fromkeys(KEYS, TIME)
    parts |= {"do": do, "else": {"$ref": "#/$defs/rule"}, "source": {"enum": list(SOURCES)}}
    long = {"type": "object", "properties": parts, "required": ["do"], "additionalProperties": False}
    return {"if": {"type": "object"}, "then": long, "else": do}


def _setting(name: str) -> dict[str, Any]:
    entry = FIELDS[name]
    kind: Kind = entry.metadata["kind"]
    default = {"default": text} if (text := default_text(name)) else {}
    return {"description": entry.metadata["about"], **default, **(NAMED.get(name) or SHAPES.get(kind) or _other(kind))}


def _other(kind: Kind) -> dict[str, Any]:
    """Return the schema of a choice, or of a text."""
    words = kind.expected.removeprefix("one of ")
    if words == kind.expected:
        return {"type": "string", "minLength": 1}
    options = words.split(", ")
    return {"enum": [*options, False] if "off" in options else options}
