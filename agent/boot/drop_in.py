"""The configuration file of our own that k3s and RKE2 read beside theirs: text out, and whose a file is.

Keys that end in `+` add to lists that other files begin (k3s' documentation, "Multiple Config Files"); every later file has to do
the same, hence a name that sorts late.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAME = "90-imds-agent.yaml"
MARK = "# imds-agent first-boot: this file is written anew; `imds-agent first-boot --undo` takes it away\n"


def drop_in(labels: Mapping[str, str], taints: Iterable[str]) -> str | None:
    """Return the file; None where there is nothing to say. Texts are quoted as in JSON, which YAML reads alike."""
    entries = {"node-label+": [f"{key}={value}" for key, value in sorted(labels.items())], "node-taint+": list(taints)}
    lines = [
        line
        for key, values in entries.items()
        if values
        for line in (f"{json.dumps(key)}:\n", *(f"  - {json.dumps(value)}\n" for value in values))
    ]
    return MARK + "".join(lines) if lines else None


def is_ours(text: str) -> bool:
    """Say whether we wrote this file."""
    return text.startswith(MARK)
