"""Log events: set up once, at the edge; secrets are masked whatever a caller passes."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any, TextIO

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

# Keys whose values are never shown, in any spelling. IMDS has the first three; the others belong to HTTP and Kubernetes.
SECRET = re.compile(
    r"custom_?data|user_?data|public_?keys?|key_?data|token|authorization|password|secret", re.IGNORECASE
)
BEARER = re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]+|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9._-]+")

LONGEST = (
    4096  # characters of one value: IMDS's bodies may have a MiB, and what is wrong with one is said again and again
)


def mask_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace secrets by `***`: whole values by their key, bearer tokens and JWTs inside any text, however deep."""
    for key, value in event.items():
        event[key] = _masked(value) if key == "event" else _masked_entry(key, value)
    return event


def _masked_entry(key: object, value: Any) -> Any:
    return "***" if SECRET.search(str(key)) else _masked(value)


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        shown = BEARER.sub("***", value[:LONGEST])  # cut first: the search may take the square of the length
        return shown if len(value) <= LONGEST else f"{shown}…"
    if isinstance(value, dict):
        return {key: _masked_entry(key, inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(inner) for inner in value]
    return value


def set_up(*, level: str, form: str, stream: TextIO = sys.stderr) -> Any:
    """Return the process's logger; everything goes to one stream, standard error by default."""
    console = form == "console" or (form == "auto" and stream.isatty())
    colors = stream.isatty() and not os.environ.get("NO_COLOR")  # no-color.org
    renderer: Any = structlog.dev.ConsoleRenderer(colors=colors) if console else structlog.processors.JSONRenderer()
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it repeats what our errors already say
    return structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            mask_secrets,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
    )


def say_fault(log: Any, what: str, error: Exception) -> None:
    """Say that something of ours failed as nobody thought of, and where: the last frames, without their values."""
    where = "".join(traceback.format_exception(error)[-3:])
    log.error("agent.faulted", what=what, error=repr(error)[:256], where=where)
