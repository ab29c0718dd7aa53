"""All checks in order: look, then judge. Nothing is written, and IMDS is asked within the agent's own budget."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.clients.budget import Budget
from agent.clients.imds import ImdsError
from agent.clients.imds_errors import is_html, shown
from agent.clients.imds_http import ImdsHttp
from agent.core.instance import missing
from agent.core.labelling import written
from agent.core.node import read_node
from agent.daemon.partners import access, imds_client
from agent.doctor import kubernetes, network, service
from agent.doctor.host import read_host
from agent.doctor.service import Probe
from agent.told import Told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.clients.cluster import Cluster
    from agent.core.instance import Instance
    from agent.core.node import NodeView
    from agent.doctor.finding import Finding
    from agent.doctor.host import Host
    from agent.doctor.kubernetes import Right
    from agent.settings import Settings

CONNECT, READ = 2.0, 3.0  # seconds; a blocked network swallows packets, so waiting longer does not help
DEADLINE = 4.0  # seconds for the document
CLUSTER = 5.0  # seconds for each request to the API server
NO_NODE = "no node: give --node-name, and --kubeconfig outside a pod"
IN_CLUSTER = ("rights", "own-node policy", "label owners", "autoscaler")


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found, and what it was found from, for a support case."""

    findings: tuple[Finding, ...]
    host: Host
    instance: Instance | None
    node: NodeView | None


def examine(settings: Settings, root: Path = Path("/")) -> Examination:
    """Look at everything once."""
    host = read_host(root)
    error = _connection(settings.imds_url)
    instance, trouble, probes = (None, "no connection", None) if error else _ask_imds(settings)
    findings = [
        network.firmware(host),
        network.route(host),
        network.swallowed(host),
        network.proxies(host),
        service.connection(settings.imds_url, error, host),
        *_service(probes, trouble, instance),
        network.primary(host, instance),
        network.dhcp(host),
        network.identity(host, instance),
        network.domains(instance),
    ]
    node, more = _cluster(settings, instance)
    return Examination(findings=(*findings, *more), host=host, instance=instance, node=node)


def _connection(url: str) -> str | None:
    """Return None where a connection was made, else why not."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=CONNECT):
            return None
    except TimeoutError:
        return "timeout"
    except OSError as error:
        return error.strerror or str(error)


def _ask_imds(settings: Settings) -> tuple[Instance | None, str | None, tuple[Probe, Probe]]:
    """Return the VM or why there is none, and the answers to requests without header and without version."""
    budget = Budget(2, clock=time.monotonic, sleep=time.sleep)
    http = ImdsHttp(
        settings.imds_url,
        connect_timeout=CONNECT,
        user_agent="imds-agent doctor",
        budget=budget,
        clock=time.monotonic,
        seen=lambda _endpoint, _outcome: None,
    )
    try:
        probes = (_probe(http, header=False), _probe(http, header=True))
    finally:
        http.close()
    try:
        with imds_client(settings) as client:
            return client.instance(deadline=DEADLINE).value, None, probes
    except ImdsError as error:
        return None, str(error), probes


def _probe(http: ImdsHttp, *, header: bool) -> Probe:
    try:
        reply = http.get("instance", "", READ, header=header)
    except ImdsError as error:
        return Probe(status=None, said=str(error))
    has_hint = reply.status == 400 and b"newest-versions" in reply.body
    return Probe(
        status=reply.status,
        said=shown(reply.body)[:100],
        is_page=is_html(reply.body),
        has_hint=has_hint,
        date=reply.date,
    )


def _service(probes: tuple[Probe, Probe] | None, trouble: str | None, instance: Instance | None) -> Iterator[Finding]:
    bare, unversioned = probes or (Probe(status=None, said="no connection"),) * 2
    yield service.header(bare)
    yield service.version(unversioned)
    yield service.document(trouble, missing(instance) if instance else ())
    yield service.clock(unversioned.date, datetime.now(timezone.utc))


def _cluster(settings: Settings, instance: Instance | None) -> tuple[NodeView | None, list[Finding]]:
    if not settings.node_name:
        return None, [kubernetes.not_asked(check, NO_NODE) for check in ("kubernetes", *IN_CLUSTER)]
    try:
        cluster = _connected(settings)
        view = read_node(cluster.node(settings.node_name), quorum=True)
    except Told as error:
        lost = [kubernetes.not_asked(check, "the API server did not show the node") for check in IN_CLUSTER]
        return None, [kubernetes.reachable(None, str(error)), *lost]
    return view, [kubernetes.reachable(cluster.server, None), *_in_cluster(settings, cluster, view, instance)]


def _connected(settings: Settings) -> Cluster:
    from dataclasses import replace  # noqa: PLC0415

    from agent.clients.cluster import Cluster  # noqa: PLC0415 - 0.4 s that a VM without Kubernetes need not pay

    return Cluster(replace(access(settings), read_timeout=CLUSTER))


def _in_cluster(settings: Settings, cluster: Cluster, view: NodeView, instance: Instance | None) -> Iterator[Finding]:
    from agent.daemon.run import own_node_policy  # noqa: PLC0415 as above

    try:
        yield kubernetes.rights({right: _allowed(cluster, right) for right in _wanted(settings)})
    except Told as error:
        yield kubernetes.not_asked("rights", str(error))
    yield kubernetes.policy(*own_node_policy(cluster, view.name))
    if instance is None:
        yield kubernetes.not_asked("label owners", "IMDS did not say which labels there should be")
        yield kubernetes.not_asked("autoscaler", "IMDS did not say which labels there should be")
        return
    rules = settings.rules().labels
    labels = {**written(instance, "facts", rules).labels, **written(instance, "tags", rules).labels}
    yield kubernetes.owners(view, labels)
    yield kubernetes.autoscaler(view, labels, settings.domain)


def _wanted(settings: Settings) -> tuple[Right, ...]:
    return kubernetes.wanted_rights(
        events=settings.events,
        drain=settings.rules().events.drains,
        delete=settings.on_deadline == "delete",
        budgets=settings.drain_budget is not None or settings.freeze_budget is not None,
        approval=settings.approval != "off",
        told=settings.kubernetes_events,
        namespace=settings.namespace,
    )


def _allowed(cluster: Cluster, right: Right) -> bool:
    from agent.clients.cluster_rights import allowed  # noqa: PLC0415 as above

    return allowed(
        cluster,
        verb=right.verb,
        group=right.group,
        resource=right.resource,
        subresource=right.subresource,
        namespace=right.namespace,
    )
