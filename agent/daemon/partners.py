"""Clients of the two partners, made from settings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent import __version__
from agent.clients.imds import Imds

if TYPE_CHECKING:
    from agent.clients.cluster import Access
    from agent.daemon.metrics import Metrics
    from agent.settings import Settings


def access(settings: Settings) -> Access:
    """Return how to reach the API server."""
    from agent.clients.cluster import Access  # noqa: PLC0415 - 0.4 s that a command without Kubernetes need not pay

    agent = f"imds-agent/{__version__}"
    return Access(kubeconfig=settings.kubeconfig, context=settings.context, user_agent=agent)


def one_try(settings: Settings) -> Access:
    """Return the same for a command, with ten seconds to connect, TLS included: it has one try where the daemon has many."""
    return replace(access(settings), connect_timeout=10.0)


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
