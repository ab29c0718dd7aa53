"""Clients of the two partners, made from settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import __version__
from agent.clients.imds import Imds

if TYPE_CHECKING:
    from agent.clients.cluster import Access
    from agent.daemon.metrics import Metrics
    from agent.settings import Settings

ONE_TRY = 10.0  # seconds to connect, TLS included, for a command: it has one try where the daemon has many


def access(settings: Settings, *, connect_timeout: float = 3.0) -> Access:
    """Return how to reach the API server."""
    from agent.clients.cluster import Access  # noqa: PLC0415 - 0.4 s that a command without Kubernetes need not pay

    return Access(
        kubeconfig=settings.kubeconfig,
        context=settings.context,
        connect_timeout=connect_timeout,
        user_agent=f"imds-agent/{__version__}",
    )


def imds_client(settings: Settings, metrics: Metrics | None = None) -> Imds:
    """Return a client of the service."""

    def seen(endpoint: str, outcome: str) -> None:
        if metrics is not None:
            metrics.imds_requests.labels(endpoint, outcome).inc()

    return Imds(
        settings.imds_url,
        connect_timeout=settings.imds_connect_timeout,
        read_timeout=settings.imds_read_timeout,
        first_events_timeout=settings.first_events_timeout,
        user_agent=f"imds-agent/{__version__}",
        seen=seen,
    )
