"""What answers at IMDS's address: nobody, a proxy, or IMDS? Judged from the answers to three requests."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from agent.doctor.finding import Finding

if TYPE_CHECKING:
    from datetime import datetime

    from agent.doctor.host import Host

SKEW = 5.0  # seconds; `Date` has whole ones and is a moment old


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What came of one request.

    Attributes:
        status: None where there was no answer.
        said: the beginning of the body, or why there was none.
    """

    status: int | None
    said: str
    is_page: bool = False
    has_hint: bool = False
    date: datetime | None = None


def connection(url: str, error: str | None, host: Host) -> Finding:
    """Judge a TCP connection.

    Args:
        error: None where it was made; `timeout`, or the system's words.
    """
    if error is None:
        return Finding(check="connection", verdict="ok", looked_at=f"TCP to {url}", found="connected")
    advice = "Nothing listens there: this is no Azure VM, or a firewall refuses"
    if error == "timeout":
        advice = "Packets are swallowed: they leave by another interface or address than the primary, or a firewall drops them"
        if host.in_pod:
            advice += ". In a pod: AKS IMDS restriction drops those of pods without hostNetwork: true"
    return Finding(check="connection", verdict="bad", looked_at=f"TCP to {url}", found=error, advice=advice)


def header(without: Probe) -> Finding:
    """Judge the answer to a request without the header, which IMDS refuses and other services need not."""
    looked_at = "a request without Metadata: true"
    if without.status is None:
        return Finding(check="header", verdict="unknown", looked_at=looked_at, found=without.said)
    found = f"{without.status}, {without.said}"
    if without.status == HTTPStatus.BAD_REQUEST and not without.is_page:
        return Finding(check="header", verdict="ok", looked_at=looked_at, found=found)
    advice = "IMDS refuses this with 400: something else answers in its place, or adds the header"
    return Finding(check="header", verdict="warn", looked_at=looked_at, found=found, advice=advice)


def version(without: Probe) -> Finding:
    """Judge the answer to a request without a version, which tells IMDS from everything else."""
    looked_at = "a request without api-version"
    if without.status is None:
        return Finding(check="version", verdict="unknown", looked_at=looked_at, found=without.said)
    found = f"{without.status}, {without.said}"
    if without.has_hint:
        return Finding(
            check="version", verdict="ok", looked_at=looked_at, found="400 with the newest versions: it is IMDS"
        )
    advice = "IMDS answers 400 with newest-versions"
    advice += (
        ": this is a page, so a proxy answers in its place"
        if without.is_page
        else "; this may be another cloud's service"
    )
    return Finding(check="version", verdict="bad", looked_at=looked_at, found=found, advice=advice)


def document(error: str | None, missing: tuple[str, ...]) -> Finding:
    """Judge the whole document.

    Args:
        error: why there is none.
        missing: fields that every whole answer has.
    """
    looked_at = "/metadata/instance in the newest version"
    if error is not None:
        return Finding(check="document", verdict="bad", looked_at=looked_at, found=error, advice="No labels without it")
    if missing:
        advice = (
            "The service answers in part now and then; if it lasts: add a tag to the VM, which makes it send all fields"
        )
        return Finding(
            check="document", verdict="warn", looked_at=looked_at, found=f"lacks {', '.join(missing)}", advice=advice
        )
    return Finding(check="document", verdict="ok", looked_at=looked_at, found="complete")


def clock(date: datetime | None, now: datetime) -> Finding:
    """Compare the service's clock with this machine's."""
    looked_at = "HTTP Date of IMDS against this clock"
    if date is None:
        return Finding(check="clock", verdict="unknown", looked_at=looked_at, found="IMDS sent no Date")
    ahead = (now - date).total_seconds()
    if abs(ahead) <= SKEW:
        return Finding(check="clock", verdict="ok", looked_at=looked_at, found="they agree")
    found = f"{abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}"
    advice = (
        "The agent goes by the service's clock; certificates and tokens do not: set up chrony or another NTP client"
    )
    return Finding(check="clock", verdict="warn", looked_at=looked_at, found=found, advice=advice)
