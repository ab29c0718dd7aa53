"""The sub-commands, as a table: where each is, what its --help says, and the flags that it has besides settings."""

from __future__ import annotations

from typing import Any, NamedTuple

from agent.settings import TOPICS


class Sub(NamedTuple):
    """One sub-command: where it is, what its --help says, and the settings that its --help shows."""

    name: str
    where: str
    topics: tuple[str, ...]
    about: str
    prints: bool = False
    own: tuple[tuple[str, dict[str, Any]], ...] = ()


NODE, VM = ("cluster",), ("imds", "labels")
ONE = (("key", {"nargs": "?", "metavar": "KEY", "help": "this fact alone, such as vm_id or placement.zone"}),)
TAG = (("tag", {"metavar": "NAME"}), ("value", {"metavar": "VALUE"}))
WATCH = (
    ("deed", {"nargs": "?", "choices": ("approve",), "metavar": "approve", "help": "let one event begin now"}),
    ("event_id", {"nargs": "?", "metavar": "ID", "help": "the event that may begin, for all VMs that it concerns"}),
    ("--watch", {"action": "store_true", "help": "go on, and show each change"}),
    ("--yes", {"action": "store_true", "help": "with approve: do not ask"}),
    ("--as", {"dest": "approver", "metavar": "NAME", "help": "with approve: who stands in the mark [person]"}),
)
HOLD = (
    ("--reason", {"default": "held by hand", "help": "what others read [held by hand]"}),
    ("--remove", {"action": "store_true", "help": "take the hold back"}),
)
GIVEN = (
    ("--source", {"metavar": "NAME", "help": "imds, vm (its own copies), user-data (IMDS's alone), or a file [all]"}),
    (
        "--extract",
        {"metavar": "FOLDER", "help": "write the parts of the source that counts there, for this user alone"},
    ),
    ("--root", {"metavar": "FOLDER", "default": "/", "help": "where the VM's file system begins [/]"}),
)
EXAMINED = (
    (
        "subject",
        {
            "nargs": "?",
            "choices": ("node", "hdfs"),
            "default": "node",
            "metavar": "hdfs",
            "help": "look at Hadoop's racks instead",
        },
    ),
    ("--root", {"metavar": "FOLDER", "default": "/", "help": "where the host's /proc and /sys are [/]"}),
    ("--hadoop-conf", {"metavar": "FOLDER", "help": "hdfs: its settings [HADOOP_CONF_DIR, else /etc/hadoop/conf]"}),
    (
        "--namenode",
        {
            "metavar": "URL",
            "action": "append",
            "help": "hdfs: a NameNode's pages, http://127.0.0.1:9870; both of a pair",
        },
    ),
)
BUNDLE = (
    ("--file", {"metavar": "FILE", "help": "where to write it; - is standard output [imds-agent-support-TIME.tar.gz]"}),
    (
        "--with",
        {
            "dest": "extras",
            "metavar": "LIST",
            "help": "what is left out otherwise: addresses, ids, keys, tags, user-data",
        },
    ),
    (
        "--logs",
        {"metavar": "FILE", "help": "the daemon's log, as kubectl logs prints it; - is standard input [the journal]"},
    ),
    ("--list", {"action": "store_true", "help": "only say what would be in it"}),
)
PROOF = (
    ("--nonce", {"metavar": "TEXT", "help": "what the document must say, 1 to 32 letters and digits [a random one]"}),
    ("--lenient", {"action": "store_true", "help": "take another nonce for an answer from the service's cache"}),
    ("--document", {"metavar": "FILE", "help": "judge this one, as IMDS sent it; - is standard input"}),
    ("--cloud", {"metavar": "NAME", "help": "whose signer is expected, such as AzurePublicCloud [what the VM says]"}),
    ("--vm-id", {"metavar": "ID", "help": "the VM that it must be of [this one]"}),
    ("--subscription", {"metavar": "ID", "help": "the subscription that it must be of [this VM's]"}),
    ("--roots", {"metavar": "FILE", "help": "root certificates to trust [the system's]"}),
    ("--intermediates", {"metavar": "FILE", "action": "append", "help": "certificates between signer and root"}),
    ("--offline", {"action": "store_true", "help": "fetch no issuer's certificate"}),
    (
        "--issuer-host",
        {"metavar": "HOST[:PORT]", "action": "append", "help": "one more host that they may be fetched from"},
    ),
)
FORM = ("--form", {"metavar": "FORM", "default": "auto", "help": "auto, zone/fd, or such as '/{zone}/fd{fd}' [auto]"})
OWN_RACK = (
    ("--format", {"choices": ("path", "env", "json"), "default": "path", "help": "what to print [path]"}),
    FORM,
)
SCRIPT = (
    ("host", {"nargs": "*", "metavar": "HOST", "help": "answer for these, as the script would"}),
    ("--install", {"metavar": "FILE", "help": "write the script there: net.topology.script.file.name"}),
    ("--table", {"metavar": "FILE", "default": "/etc/imds-agent/racks", "help": "the racks [/etc/imds-agent/racks]"}),
    FORM,
    (
        "--unknown",
        {
            "choices": ("fallback", "strict"),
            "default": "fallback",
            "help": "hosts of ours not known yet: the fallback's rack, or no answer, so that Hadoop asks again [fallback]",
        },
    ),
    ("--python", {"metavar": "FILE", "help": "the interpreter that it begins with [the system's]"}),
)
TABLE = (
    "--table",
    {"metavar": "FILE", "default": "/etc/imds-agent/racks", "help": "the racks [/etc/imds-agent/racks]"},
)
SYNC = (
    TABLE,
    FORM,
    (
        "--from",
        {
            "dest": "source",
            "choices": ("kubernetes", "agents", "imds"),
            "default": "kubernetes",
            "help": "the cluster's nodes, agents on VMs, or this VM alone [kubernetes]",
        },
    ),
    (
        "--own",
        {"metavar": "NETWORK", "action": "append", "help": "a network whose unknown hosts the script may leave open"},
    ),
    ("--overrides", {"metavar": "FILE", "help": "rows of your own, a host and a path each; they win"}),
    ("--agents", {"metavar": "FILE", "help": "with --from agents: a URL a line, such as http://10.224.0.4:23170"}),
    ("--selector", {"metavar": "LABELS", "help": "only nodes with these labels, as kubectl takes them [all]"}),
    ("--once", {"action": "store_true", "help": "write once and end"}),
    ("--probes", {"metavar": "HOST:PORT", "help": "answer /healthz, /readyz and /metrics there [nowhere]"}),
    ("--dfs-hosts", {"metavar": "FILE", "help": "keep dfs.hosts there too, with upgrade domains [not kept]"}),
    ("--namenode", {"metavar": "URL", "help": "whom to ask which DataNodes are live, such as http://127.0.0.1:9870"}),
    ("--refresh", {"metavar": "COMMAND", "help": "run when dfs.hosts changed: 'hdfs dfsadmin -refreshNodes'"}),
    (
        "--upgrade-domain",
        {
            "choices": ("auto", "update-domain", "zone", "fault-domain", "none"),
            "help": "what is one; auto takes the first that tells hosts apart [auto]",
        },
    ),
    (
        "--factor",
        {
            "metavar": "N",
            "type": int,
            "default": 3,
            "help": "dfs.namenode.upgrade.domain.factor, to warn of too few [3]",
        },
    ),
    ("--hosts-overrides", {"metavar": "FILE", "help": "entries of your own in the form of dfs.hosts; they win"}),
    (
        "--maintenance",
        {"action": "store_true", "help": "take a DataNode out of service before an event stops its VM"},
    ),
    (
        "--maintenance-lasts",
        {
            "metavar": "SECONDS",
            "type": float,
            "default": 1800.0,
            "help": "then it ends by itself, unless asked for anew [1800]",
        },
    ),
    (
        "--share",
        {"metavar": "PERCENT", "type": int, "default": 5, "help": "of the hosts may leave service in one run [5]"},
    ),
)
RUN = (
    (
        "--no-kubernetes",
        {
            "dest": "kubernetes",
            "action": "store_const",
            "const": "off",
            "help": "no node: a file and hooks for the programs of this VM",
        },
    ),
)
BOOT = (
    ("--dry-run", {"action": "store_true", "help": "show the difference of each file, and write nothing"}),
    ("--undo", {"action": "store_true", "help": "take it back: every file as it was"}),
    ("--root", {"metavar": "FOLDER", "default": "/", "help": "where the VM's file system begins [/]"}),
    (
        "--wait",
        {"metavar": "SECONDS", "default": "30", "help": "how long IMDS is waited for; so long kubelet waits [30]"},
    ),
    ("--kubelet", {"choices": ("auto", "none"), "default": "auto", "help": "give labels to the kubelets found [auto]"}),
    (
        "--startup-taint",
        {"dest": "taint", "nargs": "?", "const": "", "metavar": "KEY", "help": "register with it [DOMAIN/startup]"},
    ),
    ("--custom-data", {"metavar": "FILE", "help": "write decoded customData there, for root alone"}),
    ("--rack-table", {"metavar": "FILE", "help": "write this VM's rack there, for the script of hdfs-rack"}),
    FORM,
    (
        "--allow-labels",
        {"metavar": "PREFIX", "nargs": "+", "action": "extend", "help": "keys that userData may add: example.com/"},
    ),
)
ALL = (("--all", {"action": "store_true", "help": "off every node; needs an admin's rights"}),)
SUBS = (
    Sub("run", "agent.daemon.run:run", tuple(TOPICS), "tend this node until stopped: the daemon", own=RUN),
    Sub(
        "facts",
        "agent.commands.facts:facts",
        VM,
        "what IMDS says about this VM, and the labels it gets",
        prints=True,
        own=ONE,
    ),
    Sub("plan", "agent.commands.plan:plan", tuple(TOPICS)[:5], "what the daemon would write now, and why", prints=True),
    Sub(
        "label",
        "agent.commands.node:label",
        ("cluster", "imds", "labels"),
        "bring the node's labels up to date once",
        prints=True,
    ),
    Sub(
        "events",
        "agent.commands.events:events",
        ("imds", "events", "cluster"),
        "the scheduled events; `approve ID` lets one begin",
        prints=True,
        own=WATCH,
    ),
    Sub(
        "attest",
        "agent.commands.attest:attest",
        ("imds",),
        "whether this is a VM of Azure, by its signed document",
        prints=True,
        own=PROOF,
    ),
    Sub(
        "custom-data",
        "agent.commands.custom_data:custom_data",
        ("imds", "labels"),
        "what customData and userData this VM was given, part by part",
        prints=True,
        own=GIVEN,
    ),
    Sub(
        "doctor",
        "agent.commands.doctor:doctor",
        tuple(TOPICS)[:5],
        "why it does not work: looks at everything, changes nothing",
        prints=True,
        own=EXAMINED,
    ),
    Sub(
        "support-bundle",
        "agent.commands.support:support_bundle",
        tuple(TOPICS)[:5],
        "one archive for a support case, without what is private",
        own=BUNDLE,
    ),
    Sub(
        "rack",
        "agent.commands.racks:own_rack",
        ("imds",),
        "this VM's rack, for systems that know racks",
        own=OWN_RACK,
    ),
    Sub("hdfs-rack", "agent.commands.racks:hdfs_rack", (), "the script that Hadoop asks for racks", own=SCRIPT),
    Sub(
        "hdfs-sync",
        "agent.commands.hdfs_sync:hdfs_sync",
        ("cluster", "imds"),
        "keep that script's table, and dfs.hosts, as the cluster's nodes are labelled",
        own=SYNC,
    ),
    Sub(
        "first-boot",
        "agent.commands.first_boot:first_boot_command",
        ("imds", "labels"),
        "kubelet's labels and facts for other programs, before kubelet starts",
        own=BOOT,
    ),
    Sub("explain-tag", "agent.commands.facts:explain", ("labels",), "what a VM tag becomes", prints=True, own=TAG),
    Sub("hold", "agent.commands.node:hold", NODE, "keep this node cordoned after our event", own=HOLD),
    Sub("withdraw", "agent.commands.node:withdraw", NODE, "take all our fields off the node", own=ALL),
)
MORE = {
    "events": "Asking for events switches them on for the VM.",
    "attest": "Exit code: 0 genuine, 1 not genuine, 3 cannot tell. Needs the library cryptography.",
    "custom-data": "Never shows content. Its own copies are root's alone. Exit code 1 where nothing was given.",
    "doctor": "Exit code 1 where something keeps the agent from its work. docs/doctor.md says more of each check.",
    "first-boot": "Exit code 0 whatever comes of it, so that no boot is stopped: /run/imds-agent/status.json says more.",
    "hold": "The cordon then stays until somebody uncordons the node.",
    "plan": "Writes nothing.",
    "facts": "Needs no Kubernetes.",
    "withdraw": "Stop the agent first: it would put them back.",
}
