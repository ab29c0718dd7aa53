"""Will Hadoop ask for racks? Values in, findings out; what Hadoop does with each setting was tried with 3.5.0."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from agent.core.document import DocumentError
from agent.doctor.finding import Finding
from agent.doctor.hadoop import BY_SCRIPT, BY_TABLE, HOSTS, MAPPING, SCRIPT, TABLE

if TYPE_CHECKING:
    from agent.doctor.hadoop import Hadoop, SeenFile

ARGUMENTS = "net.topology.script.number.args"
REJECT = "dfs.namenode.reject-unresolved-dn-topology-mapping"
POLICY = "dfs.block.replicator.classname"
PROVIDER = "dfs.namenode.hosts.provider.classname"
FACTOR, REPLICATION = "dfs.namenode.upgrade.domain.factor", "dfs.replication"
USED = (MAPPING, SCRIPT, TABLE, ARGUMENTS, REJECT, POLICY, PROVIDER, FACTOR, REPLICATION, HOSTS)
FEW = 20  # hosts a run: a thousand are fifty runs then, one after another, of 20 ms each
INSTALL = "imds-agent hdfs-rack --install FILE"
_DERIVED = "org.apache.hadoop.net.ScriptBasedMappingWithDependency"


def configuration(hadoop: Hadoop) -> Finding:
    """Find files that are missing or cannot be read, and what in them cannot be known here."""
    looked_at = " and ".join(site.path for site in hadoop.sites)
    said = partial(Finding, check="hadoop configuration", looked_at=looked_at)
    troubles = [f"{site.path}: {site.problem}" for site in hadoop.sites if site.problem]
    if troubles:
        advice = "--hadoop-conf DIR, or HADOOP_CONF_DIR, is the folder on the NameNode's class path; both files are plain XML"
        return said(verdict="bad", found="; ".join(troubles), advice=advice)
    unread = [f"an include of {href!r}" for site in hadoop.sites for href in site.conf.includes]
    unread += [f"{name}={hadoop.conf.text(name)}" for name in USED if hadoop.conf.is_open(name)]
    if unread:
        advice = "Not read here: includes, and variables that only Hadoop's own process knows; what they say is missing below"
        return said(verdict="warn", found=", ".join(unread), advice=advice)
    return said(verdict="ok", found=f"{sum(len(site.conf.properties) for site in hadoop.sites)} properties")


def mapping(hadoop: Hadoop) -> Finding:
    """Find out whom Hadoop asks for racks."""
    conf, by = hadoop.conf, hadoop.conf.text(MAPPING, BY_SCRIPT)
    said = partial(Finding, check="rack mapping", looked_at=MAPPING)
    if by == BY_TABLE and not conf.text(TABLE):
        return said(
            verdict="bad", found=f"TableMapping, and no {TABLE}", advice=f"All are in /default-rack: set {TABLE}"
        )
    if by == BY_TABLE:
        advice = "It is read once: whoever comes later is in /default-rack until the NameNode restarts; take the script"
        return said(verdict="warn", found="TableMapping", advice=advice)
    if by not in (BY_SCRIPT, _DERIVED):
        return said(verdict="unknown", found=f"{by}, which is not known here")
    if not conf.text(SCRIPT):
        advice = f"All DataNodes are in /default-rack: {INSTALL}, and name it as {SCRIPT} in core-site.xml"
        return said(verdict="bad", found="no script is named", advice=advice)
    if conf.text(TABLE):
        return said(
            verdict="warn",
            found=f"by script; {TABLE} is not used",
            advice="Remove it: it counts for TableMapping alone",
        )
    return said(verdict="ok", found="by script")


def script(hadoop: Hadoop) -> Finding:
    """Find out whether Hadoop can run the script, and whether it is ours."""
    path, installed = hadoop.conf.raw(SCRIPT) or "", hadoop.installed
    said = partial(Finding, check="rack script", looked_at=path.strip() or SCRIPT)
    if hadoop.by_table or hadoop.script is None:
        return said(verdict="unknown", found="no script is asked")
    trouble = _cannot_run(path, hadoop.script, hadoop.interpreter)
    if trouble:
        return said(verdict="bad", found=trouble[0], advice=trouble[1])
    if installed is None:
        advice = f"It is not this project's, so its answers are not judged here; {INSTALL} puts ours there"
        return said(verdict="warn", found="a script of others", advice=advice)
    unknown = "strict" if installed.strict else "fallback"
    found = f"of {installed.version}, depth {installed.depth}, unknown hosts: {unknown}"
    if not installed.is_ours:
        advice = "Of another version, or changed by hand: install it anew with the same --form, --table and --unknown"
        return said(verdict="warn", found=f"{found}; not as this version installs it", advice=advice)
    return said(verdict="ok", found=found)


def _cannot_run(path: str, file: SeenFile, interpreter: SeenFile | None) -> tuple[str, str] | None:
    """Return what keeps Hadoop from running a script, and what to do."""
    if path != path.strip():
        return "blanks around its path", f"Hadoop keeps them and finds no file: write {SCRIPT}'s <value> without"
    if not path.startswith("/"):
        return "no absolute path", "Hadoop looks a bare name up on its PATH, and others from where it was started"
    if file.body is None:
        return str(file.problem), f"DataNodes are in /default-rack, or refused: {INSTALL}"
    if not file.runs:
        return "is not executable", "chmod a+rx, or install it anew"
    if interpreter is None:
        return "does not begin with #!", f"Hadoop cannot start it: {INSTALL}"
    if not interpreter.path.startswith("/") or not interpreter.runs:
        why = interpreter.problem or "not executable, or no absolute path"
        return f"its interpreter {interpreter.path}: {why}", "Install it anew; --python FILE names another one"
    return None


def arguments(hadoop: Hadoop) -> Finding:
    """Judge for how many hosts the script is run at once."""
    said = partial(Finding, check="script arguments", looked_at=ARGUMENTS)
    if hadoop.by_table:
        return said(verdict="unknown", found="no script is asked")
    try:
        count = hadoop.conf.number(ARGUMENTS, 100)
    except DocumentError as error:
        return said(
            verdict="bad", found=error.found, advice="No NameNode starts with it: write a number, 100 by default"
        )
    if count < 1:
        return said(
            verdict="bad", found=f"{count} hosts a run", advice="Nobody then gets a rack: 1 or more, 100 by default"
        )
    if count < FEW:
        advice = "Runs follow one another, and most of each is the interpreter's start: our script takes any number, 100 is well"
        return said(verdict="warn", found=f"{count} hosts a run", advice=advice)
    return said(verdict="ok", found=f"{count} hosts a run")
