"""What one check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warn", "bad", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check's answer.

    Attributes:
        check: its name, as in docs/doctor.md.
        verdict: `bad` keeps the agent from its work; `warn` may; `unknown` could not be looked at here.
        looked_at: where.
        found: what stood there.
        advice: what to do; "" where there is nothing to do.
    """

    check: str
    verdict: Verdict
    looked_at: str
    found: str
    advice: str = ""
