"""Every setting, as one frozen value; `settings_sources` makes it of flags, environment and a file.

A setting is one field of `Settings`: its name gives the flag (`--release-after`), the variable
(`IMDS_AGENT_RELEASE_AFTER`) and the file's key (`release-after`) alike.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import policies
from agent.core.budget import Purpose, Scope, Size
from agent.core.drain import DrainPolicy
from agent.core.known import BudgetRule, Rules
from agent.core.labels import DOMAIN, LabelPolicy
from agent.core.policy import Policy
from agent.core.tags import TagPolicy
from agent.core.taints import TaintRules
from agent.kinds import (
    ADDRESS,
    AUTO,
    NAMES,
    NODE,
    PAIRS,
    PATH,
    PERIOD,
    SCOPE,
    SECONDS,
    SIZE,
    SWITCH,
    TEXT,
    URL,
    Kind,
    choice,
)
from agent.told import Told

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "IMDS_AGENT_"
_OF_SERVICES = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_\w+)?)$")  # which Kubernetes sets in each pod


class SettingsError(Told):
    """A setting that cannot be used: where it stands, what was expected, what was found."""


# What a setting is about, in the order of --help.
TOPICS = {
    "cluster": "Kubernetes",
    "imds": "Instance Metadata Service",
    "labels": "labels and tags",
    "events": "scheduled events",
    "drain": "drain, budget and approval",
    "daemon": "the daemon",
    "host": "without Kubernetes",
}


def _setting(topic: str, default: Any, kind: Kind, about: str) -> Any:
    return field(default=default, metadata={"topic": topic, "kind": kind, "about": about})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, with its default and its reason."""

    node_name: str | None = _setting("cluster", None, NODE, "the Kubernetes node this agent runs on (also NODE_NAME)")
    kubeconfig: Path | None = _setting(
        "cluster", None, PATH, "kubeconfig file (also KUBECONFIG); without it the pod's service account is used"
    )
    context: str | None = _setting("cluster", None, TEXT, "context of the kubeconfig; without it the current one")
    domain: str = _setting("cluster", DOMAIN, TEXT, "domain below which all labels and annotations stand")
    imds_url: str = _setting("imds", "http://169.254.169.254", URL, "the Instance Metadata Service")
    imds_connect_timeout: float = _setting(
        "imds", 2.0, PERIOD, "time for a connection to IMDS; a blocked pod sees only silence"
    )
    imds_read_timeout: float = _setting("imds", 5.0, PERIOD, "time for an answer of IMDS")
    first_events_timeout: float = _setting(
        "events", 120.0, PERIOD, "time for the first answer about events, which switches the feature on for the VM"
    )
    instance_interval: float = _setting("daemon", 300.0, PERIOD, "between two looks at the VM's metadata")
    confirm_interval: float = _setting(
        "daemon", 10.0, PERIOD, "the same while a change awaits its third agreeing answer"
    )
    events: bool = _setting(
        "events", True, SWITCH, "watch scheduled events; off only labels (a mark that stands is still tended)"
    )
    events_interval: float = _setting(
        "events", 1.0, PERIOD, "between two looks at scheduled events; a Preempt gives 30 s"
    )
    policy: policies.Rules = _setting(
        "events", policies.DEFAULT, policies.POLICY, "what each event is worth: ignore, notify, cordon or drain"
    )
    cordon_before: float = _setting(
        "events", 3600.0, SECONDS, "cordon this long before an event may start, not earlier"
    )
    release_after: float = _setting(
        "events", 60.0, SECONDS, "give the node back when its events have been gone for this long"
    )
    release_after_restart: float = _setting(
        "events",
        300.0,
        SECONDS,
        "the same for events from before the agent's start; IMDS may need five minutes to show them again",
    )
    drain_before: float | None = _setting(
        "drain", None, AUTO, "drain this long before an event may start; auto is as late as the pods' grace allows"
    )
    drain_margin: float = _setting("drain", 300.0, SECONDS, "with auto, begin this much earlier")
    drain_empty_dir: str = _setting(
        "drain", "evict", choice("evict", "leave"), "pods with emptyDir volumes, whose data is lost with them"
    )
    drain_unmanaged: str = _setting(
        "drain", "leave", choice("leave", "evict"), "pods that no controller will start anew elsewhere"
    )
    on_deadline: str = _setting(
        "drain", "leave", choice("leave", "delete"), "pods that a disruption budget still keeps when the time runs out"
    )
    delete_before: float = _setting("drain", 10.0, SECONDS, "with on-deadline=delete, delete them this long before")
    drain_budget: Size | None = _setting(
        "drain", Size(percent=10), SIZE, "nodes drained or away at once; off for no limit"
    )
    drain_budget_per: Scope = _setting("drain", Scope(kind="cluster"), SCOPE, "among which nodes that is counted")
    freeze_budget: Size | None = _setting(
        "events", Size(percent=10), SIZE, "nodes cordoned for a Freeze alone at once; off for no limit"
    )
    freeze_budget_per: Scope = _setting("events", Scope(kind="cluster"), SCOPE, "among which nodes that is counted")
    budget_expiry: float = _setting(
        "events",
        900.0,
        PERIOD,
        "a node without a sign of life for this long loses its place; longer than a reboot, and than the policy's ten minutes",
    )
    approval: str = _setting(
        "drain",
        "off",
        choice("off", "own-user-events", "when-drained"),
        "which events the agent lets go ahead before NotBefore",
    )
    approval_waits_for: str = _setting(
        "drain",
        "nobody",
        choice("nobody", "hdfs"),
        "whose word an approval needs besides; hdfs is hdfs-sync --maintenance, on every node in question",
    )
    event_taint: str = _setting(
        "events",
        "off",
        choice("off", "NoSchedule", "PreferNoSchedule", "NoExecute"),
        "effect of a taint DOMAIN/scheduled-event while cordoned for an event",
    )
    startup_taint: str | None = _setting(
        "labels", None, TEXT, "taint that is lifted once the node has its labels; without it DOMAIN/startup"
    )
    startup_taint_at_most: float = _setting("labels", 600.0, SECONDS, "lift that taint after this long in any case")
    kubernetes_events: bool = _setting(
        "events", True, SWITCH, "tell of events as Kubernetes Events on node and pods, too"
    )
    switch_file: Path | None = _setting("daemon", None, PATH, "file with the switch; read again each turn")
    namespace: str = _setting("cluster", "imds-agent", NODE, "where the budgets' Leases stand (also POD_NAMESPACE)")
    pod_name: str | None = _setting("cluster", None, NODE, "the agent's own pod, never evicted (also POD_NAME)")
    node_interval: float = _setting("daemon", 300.0, PERIOD, "between two looks at a node on which nothing happens")
    start_jitter: float = _setting(
        "daemon", 30.0, SECONDS, "at most this delay at start on a node that carries our labels already"
    )
    include_labels: tuple[str, ...] = _setting(
        "labels", (), NAMES, "patterns of label keys to add that are off by default"
    )
    exclude_labels: tuple[str, ...] = _setting("labels", (), NAMES, "patterns of label keys to leave out")
    well_known_labels: str = _setting(
        "labels",
        "never",
        choice("never", "if-absent"),
        "topology.kubernetes.io/zone and region, where nobody else sets them",
    )
    tags_allow: tuple[str, ...] = _setting("labels", ("*",), NAMES, "patterns of VM tags that become labels")
    tags_deny: tuple[str, ...] = _setting(
        "labels", (), NAMES, "patterns of VM tags that do not, besides the built-in ones"
    )
    tags_rename: tuple[tuple[str, str], ...] = _setting(
        "labels", (), PAIRS, "tag=label name, for tags that need another name"
    )
    tags_case: str = _setting(
        "labels", "lower", choice("lower", "preserve"), "case of tag names in labels; Azure ignores it"
    )
    tags_lossy: str = _setting(
        "labels",
        "sanitize",
        choice("sanitize", "hash", "skip"),
        "tag values that are no label values: mend, hash or leave out",
    )
    probe_address: str = _setting(
        "daemon",
        "127.0.0.1:23169",
        ADDRESS,
        "where /healthz, /readyz and /metrics answer; also keeps a second agent from starting",
    )
    facts_listen: str = _setting(
        "daemon",
        "off",
        ADDRESS,
        "where GET /facts tells hdfs-sync elsewhere of this VM and its events, to whoever asks",
    )
    kubernetes: bool = _setting(
        "host", True, SWITCH, "tend a node; off (or --no-kubernetes) tells the programs of this VM instead"
    )
    events_file: Path = _setting(
        "host",
        Path("/run/imds-agent/events.json"),
        PATH,
        "without Kubernetes: this VM's events, for every program on it",
    )
    hooks: Path = _setting(
        "host",
        Path("/etc/imds-agent/events.d"),
        PATH,
        "without Kubernetes: folder of executables that are run when an event is scheduled, started and gone",
    )
    hook_timeout: float = _setting("host", 60.0, PERIOD, "time for one of these; a Preempt gives 30 s")
    host_state: Path = _setting(
        "host",
        Path("/var/lib/imds-agent/events.json"),
        PATH,
        "what was run for which event; outlives a restart of the VM",
    )
    log_level: str = _setting(
        "daemon", "info", choice("debug", "info", "warning", "error"), "least severe level that is logged"
    )
    log_format: str = _setting(
        "daemon", "auto", choice("auto", "json", "console"), "auto is console on a terminal, else JSON"
    )

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
            rules=dict(self.policy),
            cordon_before=self.cordon_before,
            drain_before=self.drain_before,
            drain_margin=self.drain_margin,
            release_after=self.release_after,
            release_after_restart=self.release_after_restart,
            stale_after=max(15.0, 5 * self.events_interval),
        )
        return Rules(
            labels=labels,
            well_known=self.well_known_labels,  # type: ignore[arg-type]
            events=events,
            drain=DrainPolicy(
                empty_dir=self.drain_empty_dir,  # type: ignore[arg-type]
                unmanaged=self.drain_unmanaged,  # type: ignore[arg-type]
                on_deadline=self.on_deadline,  # type: ignore[arg-type]
                delete_before=self.delete_before,
            ),
            own_pod=(self.namespace, self.pod_name) if self.pod_name else None,
            approval=self.approval,  # type: ignore[arg-type]
            approval_waits_for=self.approval_waits_for,  # type: ignore[arg-type]
            budgets=self._budgets(),
            taints=TaintRules(
                startup=self.startup_taint or f"{self.domain}/startup",
                startup_at_most=self.startup_taint_at_most,
                event_effect=self.event_taint,  # type: ignore[arg-type]
            ),
            idle=self.node_interval,
        )

    def _budgets(self) -> dict[Purpose, BudgetRule]:
        sizes: dict[Purpose, tuple[Size | None, Scope]] = {
            "drain": (self.drain_budget, self.drain_budget_per),
            "freeze": (self.freeze_budget, self.freeze_budget_per),
        }
        return {
            purpose: BudgetRule(size=size, scope=scope, expiry=self.budget_expiry)
            for purpose, (size, scope) in sizes.items()
            if size is not None
        }


FIELDS = {entry.name: entry for entry in dataclasses.fields(Settings)}


def flag(name: str) -> str:
    """Return the flag of a setting."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the variables with our prefix that are no setting: mistyped, or of another version.

    Kubernetes makes some of its own for each Service whose name begins as ours.
    """
    known = {PREFIX + "CONFIG", *map(variable, FIELDS)}
    return sorted(
        name for name in environment if name.startswith(PREFIX) and name not in known and not _OF_SERVICES.search(name)
    )


def own_node(settings: Settings) -> str:
    """Return the node's name.

    Raises:
        SettingsError: it was not given.
    """
    if not settings.node_name:
        raise SettingsError("--node-name (or NODE_NAME): expected the name of this VM's node, found nothing")
    return settings.node_name
