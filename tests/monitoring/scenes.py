"""Series as promtool takes them: a healthy cluster, and for each alert what makes it fire, when, and what it then says."""

from collections.abc import Mapping
from dataclasses import dataclass, field

LASTS = 1600  # minutes of one sample each: a day and more
NODES = ("n1", "n2", "n3")
Labels = Mapping[str, str]


def target(node: str) -> dict[str, str]:
    """Return the labels that scraping by our PodMonitor gives."""
    pod = {"namespace": "imds-agent", "pod": f"imds-agent-{node}", "container": "agent", "endpoint": "metrics"}
    return {"job": "imds-agent", **pod, "node": node, "instance": f"{node}:23169"}


def series(name: str, labels: Labels) -> str:
    """Return a series' name as promtool reads it; a quote in a value is escaped."""
    return name + "{" + ", ".join(f'{key}="{value}"' for key, value in sorted(labels.items())) + "}"


def of(name: str, node: str, **labels: str) -> str:
    return series(f"imds_agent_{name}", {**target(node), **labels})


def same(value: float) -> str:
    return f"{value}x{LASTS}"


def agent(node: str) -> dict[str, str]:
    """Return what a healthy agent at rest exports."""
    found = {
        series("up", target(node)): same(1),
        of("build_info", node, version="0.1.0", python="3.13"): same(1),
        of("cordons_unconfirmed", node): same(0),
        of("events_without_notice_total", node): same(0),
        of("budget_waiting", node): same(0),
        of("own_node_policy_enforced", node): same(1),
        of("switch_readable", node): same(1),
        of("imds_requests_total", node, endpoint="scheduledevents", outcome="200"): f"0+60x{LASTS}",
        of("imds_requests_total", node, endpoint="instance", outcome="429"): same(0),
        of("api_requests_total", node, verb="GET", code="200"): f"1+1x{LASTS}",
    }
    found |= {of("answer_age_seconds", node, partner=who): same(age) for who, age in AGES.items()}
    found |= {of("plan", node, plan=plan): same(int(plan == "idle")) for plan in ("idle", "cordon", "drain", "release")}
    found |= {of("drains_total", node, result=result): same(0) for result in ("done", "failed", "stopped")}
    found |= {of("labels_refused", node, group=group): same(0) for group in ("facts", "tags")}
    for switch in ("cordon", "drain", "approve", "labels"):
        for position in ("on", "hold", "release"):
            found[of("switch", node, switch=switch, position=position)] = same(int(position == "on"))
    return found


AGES = {"imds": 300, "events": 1, "node": 360}  # the oldest that each becomes by itself
STATE = {"job": "kube-state-metrics", "instance": "10.244.0.9:8080"}  # what kube-state-metrics' own scraping gives
OTHER_STATE = {**STATE, "instance": "10.244.0.10:8080"}  # for a moment there are two of it when it is updated
SET = {"namespace": "imds-agent", "daemonset": "imds-agent"}
WANTED, THERE = (f"kube_daemonset_status_{what}_number_scheduled" for what in ("desired", "current"))
SIDECAR = {"namespace": "hdfs", "pod": "namenode-0", "container": "hdfs-sync", "endpoint": "hdfs-sync"}
SYNC = {"job": "hdfs-sync", **SIDECAR, "instance": "nn1:23171"}
TABLE_ONLY = {"job": "hdfs-sync", "instance": "nn2:23171"}  # on a VM


def mark(node: str) -> str:
    """Return the series of a node that carries our mark."""
    return series("kube_node_annotations", {**STATE, "node": node, "annotation_imds_agent_github_io_events": "E1"})


def vm_up(node: str, state: Labels = STATE) -> str:
    """Return the series that says whether a node is Ready."""
    return series("kube_node_status_condition", {**state, "node": node, "condition": "Ready", "status": "true"})


def pod_of(name: str) -> dict[str, str]:
    return {"namespace": "imds-agent", "pod": f"imds-agent-{name}", "uid": name}


def pod_info(node: str, name: str, state: Labels = STATE) -> str:
    """Return the series of a pod of the DaemonSet; `node` is empty before it has one."""
    made = {"created_by_kind": "DaemonSet", "created_by_name": "imds-agent", "node": node}
    return series("kube_pod_info", {**state, **pod_of(name), **made})


def pod_ready(name: str, state: Labels = STATE) -> str:
    return series("kube_pod_status_ready", {**state, **pod_of(name), "condition": "true"})


def cluster_state(state: Labels = STATE) -> dict[str, str]:
    """Return what kube-state-metrics says of a healthy cluster."""
    found = {series(name, {**state, **SET}): same(3) for name in (WANTED, THERE)}
    for node in NODES:
        found |= {
            vm_up(node, state): same(1),
            pod_info(node, node, state): same(1),
            pod_ready(node, state): same(1),
        }
    return found


def healthy() -> dict[str, str]:
    """Return a cluster of three nodes, one of them marked, with kube-state-metrics and two hdfs-sync."""
    found = {key: value for node in NODES for key, value in agent(node).items()}
    found |= cluster_state() | {mark("n1"): same(1)}
    found |= {series("kube_node_annotations", {**STATE, "node": "windows"}): same(1), vm_up("windows"): same(1)}
    for labels in (SYNC, TABLE_ONLY):
        found |= {series("up", labels): same(1)}
        found |= {hdfs("source_age_seconds", labels): same(60), hdfs("written_age_seconds", labels): same(61)}
        found |= {hdfs(name, labels): same(0) for name in QUIET}
        found |= {hdfs("namenode_up", labels): same(int(labels is SYNC))}
    return found | {hdfs("hosts", {**SYNC, "state": "NORMAL"}): same(3)}


QUIET = ("agents_silent", "hosts_queued", "hosts_unheeded", "datanodes_unknown", "refresh_failing")


def hdfs(name: str, labels: Labels = SYNC) -> str:
    return series(f"imds_agent_hdfs_{name}", labels)


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What differs from a healthy cluster, and what is said of it.

    Attributes:
        given: series that are otherwise; None for those that are not there.
        without: a metric that nobody has.
        quiet, fires: moments, in promtool's words: the last without the alert, and one with it.
        labels: the alert's, without its severity.
    """

    alert: str
    given: Mapping[str, str | None] = field(default_factory=dict)
    without: str = ""
    quiet: str
    fires: str
    labels: Labels = field(default_factory=dict)
    says: str

    def scene(self) -> dict[str, str]:
        found: dict[str, str | None] = {**healthy(), **self.given}
        return {
            key: value
            for key, value in found.items()
            if value is not None and not (self.without and key.startswith(self.without))
        }


def n1(**labels: str) -> dict[str, str]:
    return {**target("n1"), **labels}


BUILD = of("build_info", "n1", version="0.1.0", python="3.13")
PLACE = {"node": "n1", "instance": "n1:23169"}
POLLED = {"endpoint": "scheduledevents"}


def again(name: str, **labels: str) -> str:
    """Return a series of the agent that came to n1 after another one."""
    return series(f"imds_agent_{name}", {**target("n1"), "pod": "imds-agent-again", **labels})


JUMP = f"0x5 1x{LASTS}"  # once, in the sixth minute

TROUBLES = (
    Trouble(
        alert="ImdsAgentsAbsent", without="imds_agent_build_info", quiet="14m", fires="15m",
        says="No imds-agent is scraped in the whole cluster.",
    ),
    Trouble(
        alert="ImdsAgentDown", given={series("up", target("n1")): same(0)}, quiet="9m", fires="10m", labels=n1(),
        says="The agent of n1 does not answer.",
    ),
    Trouble(  # where kube-state-metrics says nothing
        alert="ImdsAgentDown", given={series("up", target("n1")): same(0), vm_up("n1"): None},
        quiet="9m", fires="10m", labels=n1(), says="The agent of n1 does not answer.",
    ),
    Trouble(  # the VM is back after an event, the agent is not
        alert="ImdsAgentDown", given={series("up", target("n1")): same(0), vm_up("n1"): f"0x20 1x{LASTS}"},
        quiet="30m", fires="31m", labels=n1(), says="The agent of n1 does not answer.",
    ),
    Trouble(
        alert="ImdsAgentNotReady", given={pod_ready("n1"): same(0)}, quiet="14m", fires="15m",
        labels={"namespace": "imds-agent", "pod": "imds-agent-n1", "node": "n1"},
        says="The agent imds-agent-n1 (n1) is not ready.",
    ),
    Trouble(  # nothing says whether a pod is ready that has no node
        alert="ImdsAgentNotReady", given={pod_info("", "new"): same(1)}, quiet="14m", fires="15m",
        labels={"namespace": "imds-agent", "pod": "imds-agent-new"},
        says="The agent imds-agent-new (on no node yet) is not ready.",
    ),
    Trouble(
        alert="ImdsAgentMissing", given={series(THERE, {**STATE, **SET}): same(1)}, quiet="14m", fires="15m",
        labels={"namespace": "imds-agent"}, says="Nodes for which there is not even a pod of the agent: 2.",
    ),
    Trouble(
        alert="ImdsAgentMarkWithoutAgent", given={BUILD: None}, quiet="14m", fires="15m", labels={"node": "n1"},
        says="n1 carries our mark, and no agent there will take it back.",
    ),
    Trouble(
        alert="ImdsAgentImdsSilent", given={of("answer_age_seconds", "n1", partner="imds"): same(1801)},
        quiet="9m", fires="10m", labels=n1(partner="imds"),
        says="IMDS has not told the agent of n1 about its VM for half an hour, or never.",
    ),
    Trouble(
        alert="ImdsAgentImdsSilent", given={of("answer_age_seconds", "n1", partner="imds"): None},
        quiet="9m", fires="10m", labels=n1(version="0.1.0", python="3.13"),
        says="IMDS has not told the agent of n1 about its VM for half an hour, or never.",
    ),
    Trouble(
        alert="ImdsAgentEventsSilent", given={of("answer_age_seconds", "n1", partner="events"): same(61)},
        quiet="4m", fires="5m", labels=n1(partner="events"),
        says="The agent of n1 asks for scheduled events and gets no answer: it would not cordon.",
    ),
    Trouble(
        alert="ImdsAgentEventsSilent",
        given={
            of("answer_age_seconds", "n1", partner="events"): None,
            of("imds_requests_total", "n1", **POLLED, outcome="200"): None,
            of("imds_requests_total", "n1", **POLLED, outcome="unreached"): f"1+1x{LASTS}",
        },
        quiet="4m", fires="5m", labels=PLACE,
        says="The agent of n1 asks for scheduled events and gets no answer: it would not cordon.",
    ),
    Trouble(
        alert="ImdsAgentImdsThrottled",
        given={of("imds_requests_total", "n1", endpoint="instance", outcome="429"): f"0+3x{LASTS}"},
        quiet="9m", fires="30m", labels=PLACE, says="IMDS answers n1 with 429: somebody on that VM asks too often.",
    ),
    Trouble(
        alert="ImdsAgentApiServerSilent", given={of("answer_age_seconds", "n1", partner="node"): same(1801)},
        quiet="4m", fires="5m", labels=n1(partner="node"),
        says="The agent of n1 has not read its node for half an hour, or never.",
    ),
    Trouble(
        alert="ImdsAgentApiServerSilent", given={of("answer_age_seconds", "n1", partner="node"): None},
        quiet="4m", fires="5m", labels=PLACE, says="The agent of n1 has not read its node for half an hour, or never.",
    ),
    Trouble(
        alert="ImdsAgentCordonUnconfirmed", given={of("cordons_unconfirmed", "n1"): same(1)},
        quiet="0m", fires="1m", labels=n1(),
        says="n1 should be cordoned for an event, and the API server has not confirmed it.",
    ),
    Trouble(
        alert="ImdsAgentEventWithoutNotice", given={of("events_without_notice_total", "n1"): JUMP},
        quiet="4m", fires="8m", labels=n1(), says="An event on n1 had begun when it was first seen.",
    ),
    Trouble(
        alert="ImdsAgentCordonHeldLong",
        given={of("plan", "n1", plan="cordon"): f"1x200 0x{LASTS}", of("plan", "n1", plan="drain"): f"0x200 1x{LASTS}"},
        quiet="359m", fires="360m", labels=PLACE, says="n1 has been cordoned by us for six hours.",
    ),
    Trouble(  # the VM restarts in between, and the agent is another pod then
        alert="ImdsAgentCordonHeldLong",
        given={of("plan", "n1", plan="cordon"): "1x200 stale", again("plan", plan="cordon"): f"_x210 1x{LASTS}"},
        quiet="359m", fires="360m", labels=PLACE, says="n1 has been cordoned by us for six hours.",
    ),
    Trouble(
        alert="ImdsAgentManyNodesCordoned", given={of("plan", node, plan="cordon"): same(1) for node in NODES},
        quiet="4m", fires="5m", says="100% of the nodes are cordoned by us.",
    ),
    Trouble(
        alert="ImdsAgentDrainFailed", given={of("drains_total", "n1", result="failed"): JUMP},
        quiet="4m", fires="8m", labels=n1(result="failed"), says="The event came to n1 before its pods had left.",
    ),
    Trouble(
        alert="ImdsAgentBudgetWaitsLong", given={of("budget_waiting", "n1"): same(1)}, quiet="59m", fires="1h",
        labels=n1(), says="n1 has waited an hour for a place in the drain budget.",
    ),
    Trouble(
        alert="ImdsAgentPolicyNotEnforced", given={of("own_node_policy_enforced", "n1"): same(0)},
        quiet="9m", fires="10m", says="1 agents could change more than their own nodes.",
    ),
    Trouble(  # asked again after half an hour, and refused again
        alert="ImdsAgentLabelsRefused", given={of("labels_refused", "n1", group="tags"): f"1x10 0 1x{LASTS}"},
        quiet="14m", fires="15m", labels=n1(group="tags"), says="Admission refuses labels (tags) of n1.",
    ),
    Trouble(
        alert="ImdsAgentSwitchNotOn",
        given={
            of("switch", node, switch="drain", position=position): same(int(position == "hold"))
            for node in ("n1", "n2")
            for position in ("on", "hold")
        },
        quiet="59m", fires="1h", labels={"switch": "drain", "position": "hold"},
        says="The switch says drain: hold on 2 nodes.",
    ),
    Trouble(
        alert="ImdsAgentSwitchUnreadable", given={of("switch_readable", node): same(0) for node in NODES},
        quiet="9m", fires="10m", says="The switch's file is broken or gone on 3 nodes; what it said last stays in force.",
    ),
    Trouble(
        alert="ImdsAgentVersionsMixed",
        given={BUILD: None, of("build_info", "n1", version="0.2.0", python="3.13"): same(1)},
        quiet="1439m", fires="1440m", says="2 versions of the agent have run beside each other for a day.",
    ),
    Trouble(
        alert="ImdsAgentHdfsSourceOld", given={hdfs("source_age_seconds"): same(901)},
        quiet="4m", fires="5m", labels=SYNC,
        says="hdfs-sync at nn1:23171 works with hosts that it heard of long ago, or with none.",
    ),
    Trouble(
        alert="ImdsAgentHdfsSourceOld", given={hdfs("source_age_seconds"): "NaN " * 20},
        quiet="4m", fires="5m", labels=SYNC,
        says="hdfs-sync at nn1:23171 works with hosts that it heard of long ago, or with none.",
    ),
    Trouble(
        alert="ImdsAgentHdfsHostsQueued", given={hdfs("hosts_queued"): same(2)},
        quiet="29m", fires="30m", labels=SYNC, says="2 DataNodes wait to leave service at nn1:23171.",
    ),
    Trouble(
        alert="ImdsAgentHdfsNameNodeSilent", given={hdfs("namenode_up"): same(0)}, quiet="29m", fires="30m",
        labels=SYNC, says="The NameNode beside hdfs-sync at nn1:23171 does not say which DataNodes it has.",
    ),
    Trouble(
        alert="ImdsAgentHdfsDown", given={series("up", SYNC): same(0)}, quiet="9m", fires="10m", labels=SYNC,
        says="hdfs-sync at nn1:23171 does not answer.",
    ),
    Trouble(
        alert="ImdsAgentHdfsAgentsSilent", given={hdfs("agents_silent"): same(2)}, quiet="9m", fires="10m",
        labels=SYNC, says="hdfs-sync at nn1:23171 has not heard of 2 agents for two hours.",
    ),
    Trouble(
        alert="ImdsAgentHdfsNotWritten", given={hdfs("written_age_seconds"): same(901)}, quiet="4m", fires="5m",
        labels=SYNC, says="hdfs-sync at nn1:23171 has not brought its files up to date for a quarter of an hour.",
    ),
    Trouble(
        alert="ImdsAgentHdfsRefreshFailing", given={hdfs("refresh_failing"): same(1)}, quiet="14m", fires="15m",
        labels=SYNC, says="The NameNode beside hdfs-sync at nn1:23171 cannot be told to read dfs.hosts.",
    ),
    Trouble(
        alert="ImdsAgentHdfsRefreshWithoutEffect", given={hdfs("hosts_unheeded"): same(3)}, quiet="14m", fires="15m",
        labels=SYNC, says="The NameNode beside hdfs-sync at nn1:23171 has 3 DataNodes otherwise than dfs.hosts says.",
    ),
    Trouble(
        alert="ImdsAgentHdfsDataNodesUnknown", given={hdfs("datanodes_unknown"): same(2)}, quiet="29m", fires="30m",
        labels=SYNC, says="2 live DataNodes of the NameNode at nn1:23171 are no host that hdfs-sync knows.",
    ),
)  # fmt: skip
