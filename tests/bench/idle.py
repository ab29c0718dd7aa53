"""Agents left alone on idle nodes, each compiled in another way: memory, CPU and requests in one waiting period."""

import os
import re
import subprocess
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from tests.bench.bed import Agent, Bed, wait_until
from tests.bench.measure import Budget, Measurement
from tests.bench.runtime import Runtime, Unmeasurable
from tests.bench.start import floor_program, run_floor
from tests.bench.watch import labelled

SETTLE = 35.0  # seconds: the third agreeing answer of IMDS comes after two confirm intervals of 10 s, jittered
LOOK = 5.0  # seconds between two samples of memory
TICKS = os.sysconf("SC_CLK_TCK")
MEMORY = Budget(limits={"median": 55.0}, goal=50.0)
POLLS = """
import requests, sys, time
session = requests.Session()
session.trust_env = False
def poll():
    url = sys.argv[1] + "/metadata/scheduledevents?api-version=2020-07-01"
    session.get(url, headers={"Metadata": "true"}, timeout=10).json()["Events"]
poll()
begun = time.process_time()
for _ in range(60):
    poll()
print(time.process_time() - begun)
"""
REQUEST = re.compile(r'^imds_agent_api_requests_total\{code="(\d+)",verb="(\w+)"\} (\S+)', re.MULTILINE)


@dataclass(kw_only=True)
class Watched:
    """One agent in the waiting period."""

    agent: Agent
    runtime: Runtime
    node: str
    memory: list[float] = field(default_factory=list)
    cpu: float = 0.0
    said: Counter[str] = field(default_factory=Counter)
    since: datetime | None = None

    def begin(self) -> None:
        """Remember where it stands."""
        self.since = datetime.now(timezone.utc)
        self.said = requests_said(self.agent.metrics())
        self.cpu = cpu_seconds(self.agent.process.pid)

    def look(self) -> None:
        """Take one sample of its memory."""
        self.agent.check()
        self.memory.append(status(self.agent.process.pid, "VmRSS"))

    def end(self) -> None:
        """Keep what the period cost."""
        self.cpu = cpu_seconds(self.agent.process.pid) - self.cpu
        self.said = requests_said(self.agent.metrics()) - self.said


def idle(bed: Bed, runtimes: list[Runtime], minutes: float) -> list[Measurement]:
    """Leave one agent of each runtime alone for so many minutes and say what that cost."""
    with ExitStack() as stack:
        all_watched = [watched(bed, runtime, stack) for runtime in runtimes]
        time.sleep(SETTLE)
        for one in all_watched:
            one.begin()
        end = time.monotonic() + minutes * 60
        while time.monotonic() < end:
            for one in all_watched:
                one.look()
            time.sleep(LOOK)
        for one in all_watched:
            one.look()
            one.end()
        found = [memory(one, bed) for one in all_watched]
        return [*found, cpu(all_watched[0], bed, minutes), *requests_made(all_watched[0], bed, minutes)]


def watched(bed: Bed, runtime: Runtime, stack: ExitStack) -> Watched:
    """Start an agent and wait until its node is labelled."""
    node, imds = stack.enter_context(bed.node()), stack.enter_context(bed.imds())
    agent = stack.enter_context(bed.agent(runtime, node, imds))
    wait_until("labels", lambda: labelled(node.get()), agent)
    return Watched(agent=agent, runtime=runtime, node=node.name)


def memory(one: Watched, bed: Bed) -> Measurement:
    """Return its resident memory beside that of the same modules without an agent."""
    floor = run_floor(one.runtime, floor_program(one.runtime, bed.plane.workdir))[1]
    pid = one.agent.process.pid
    parts = {key: status(pid, key) for key in ("VmHWM", "RssAnon", "RssFile")}
    notes = [f"at the end {one.memory[-1]:.1f} MiB; " + ", ".join(f"{key} {size:.1f}" for key, size in parts.items())]
    return Measurement(
        name=f"resident memory, {one.runtime.kind}",
        unit="MiB",
        samples=one.memory,
        floor=[floor],
        floor_is="the same modules imported, then nothing",
        budget=MEMORY,
        notes=notes,
    )


def cpu(one: Watched, bed: Bed, minutes: float) -> Measurement:
    """Return the processor seconds of a minute in which nothing happened, beside those of its polls alone."""
    with bed.imds("--rate-limit=0") as imds:
        command = [str(one.runtime.python), "-c", POLLS, imds.url]
        done = subprocess.run(command, capture_output=True, env=one.runtime.environment(), cwd="/", check=False)
    if done.returncode != 0:
        raise Unmeasurable(f"the floor's polls failed: {done.stderr.decode()[-1000:]}")
    return Measurement(
        name="CPU a minute, idle",
        unit="s",
        samples=[one.cpu / minutes],
        floor=[float(done.stdout)],
        floor_is="60 polls of events by requests, one after the other",
    )


def requests_made(one: Watched, bed: Bed, minutes: float) -> list[Measurement]:
    """Return reads and writes of the period by the agent's word, and note what the API server wrote down."""
    assert one.since is not None
    audited = Counter(
        entry["verb"]
        for entry in bed.plane.requests_of(one.node)
        if datetime.fromisoformat(entry["requestReceivedTimestamp"].replace("Z", "+00:00")) >= one.since
    )
    reads = one.said["GET"]
    writes = sum(one.said.values()) - reads
    agree = (audited["get"], sum(audited.values()) - audited["get"]) == (reads, writes)
    said = "agrees" if agree else "DISAGREES"
    note = f"by verb: {dict(one.said) or 'none'}; the API server's audit log {said}: {dict(audited) or 'none'}"
    most = minutes / (5 * 0.8) + 1  # one in five minutes, jittered by a fifth, and the one that was due already
    return [
        Measurement(
            name=f"API reads in {minutes:g} idle minutes",
            unit="requests",
            samples=[reads],
            budget=Budget(limits={"median": most}),
            notes=[note],
        ),
        Measurement(
            name=f"API writes in {minutes:g} idle minutes",
            unit="requests",
            samples=[writes],
            budget=Budget(limits={"median": 0.0}),
        ),
    ]


def status(pid: int, key: str) -> float:
    """Return one size of /proc/PID/status in MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{key}:\s*(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def cpu_seconds(pid: int) -> float:
    """Return what the process has used of processors, in user and system mode (proc(5), stat, fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def requests_said(metrics: str) -> Counter[str]:
    """Return the API requests that the agent counted, by verb."""
    counted: Counter[str] = Counter()
    for _code, verb, number in REQUEST.findall(metrics):
        counted[verb] += int(float(number))
    return counted
