"""From an event that IMDS shows to a node that is unschedulable, and what could at best be had."""

import json
import random
import subprocess
import time
from pathlib import Path

from tests.bench.bed import Agent, Bed, Imds
from tests.bench.measure import Budget, Measurement
from tests.bench.runtime import Runtime, Unmeasurable
from tests.bench.watch import NodeWatch, labelled, schedulable, unschedulable
from tests.controlplane.kubeconfig import write_private
from tests.controlplane.nodes import NodeActor

INTERVAL = 1.0  # seconds between two polls: the agent's default
APPLIES = 20
MARK = "imds-agent.github.io/events"
BUDGET = Budget(limits={"median": 0.6, "max": 1.2})


def event_to_cordon(bed: Bed, runtime: Runtime, count: int) -> Measurement:
    """Measure so many events, spread evenly between two polls; the wait for the release is not counted."""
    with (
        bed.node() as node,
        bed.imds() as imds,
        NodeWatch(bed.plane, node.name) as watch,
        bed.agent(runtime, node, imds, "--release-after=1s") as agent,
    ):
        watch.first("labels", labelled, since=0.0, agent=agent)
        samples = [one_event(imds, watch, agent, after) for after in moments(count)]
        mark = standing_mark(node, imds, watch, agent)
    with bed.node() as node:
        applies = [curl_apply(bed, node, mark) for _ in range(APPLIES)]
    apply = sorted(applies)[len(applies) // 2]
    note = f"one apply of the same body by curl: median {apply * 1000:.1f} ms of {APPLIES}, connection and TLS included"
    return Measurement(
        name="event visible -> node unschedulable",
        unit="s",
        samples=samples,
        floor=[INTERVAL / 2 + seconds for seconds in applies],
        floor_is="half a poll interval and one apply by curl",
        budget=BUDGET,
        notes=[note],
    )


def moments(count: int) -> list[float]:
    """Return seconds after a release, which comes with a poll: a random one of each part of the interval, in any order.

    Moments that are random altogether let the median of 30 wander by 0.09 s from run to run.
    """
    found = [(part + random.random()) / count * INTERVAL for part in range(count)]
    random.shuffle(found)
    return found


def one_event(imds: Imds, watch: NodeWatch, agent: Agent, after: float) -> float:
    """Return the seconds from just before an event is published to the cordon."""
    time.sleep(after)
    begun = time.monotonic()
    event_id = imds.add_event()
    cordoned = watch.first("cordon", unschedulable, since=begun, agent=agent)
    removed = time.monotonic()
    imds.remove_event(event_id)
    watch.first("release", schedulable, since=removed, agent=agent)
    return cordoned - begun


def standing_mark(node: NodeActor, imds: Imds, watch: NodeWatch, agent: Agent) -> str:
    """Return the mark that a cordon of the agent leaves on a node."""
    begun = time.monotonic()
    event_id = imds.add_event()
    watch.first("cordon", unschedulable, since=begun, agent=agent)
    mark = str(node.get()["metadata"]["annotations"][MARK])
    imds.remove_event(event_id)
    return mark


def curl_apply(bed: Bed, node: NodeActor, mark: str) -> float:
    """Apply mark and cordon as the agent's pod would, with curl, then take them back; returns the first one's seconds."""
    metadata = {"name": node.name, "uid": node.uid}
    body = {"apiVersion": "v1", "kind": "Node", "metadata": metadata}
    cordon = body | {"metadata": metadata | {"annotations": {MARK: mark}}, "spec": {"unschedulable": True}}
    header = bed.plane.workdir / f"{node.name}.header"
    if not header.exists():
        write_private(header, f"Authorization: Bearer {bed.plane.agent_token(node.name)}")
    seconds = curl(bed, node, header, cordon)
    curl(bed, node, header, body)
    return seconds


def curl(bed: Bed, node: NodeActor, header: Path, body: dict[str, object]) -> float:
    """Send one apply; returns what curl says that it took.

    Raises:
        Unmeasurable: curl is missing, or the API server refused.
    """
    url = f"{bed.plane.url}{node.path}?fieldManager=imds-agent-events&force=true"
    command = ["curl", "--silent", "--noproxy", "*", "--cacert", str(bed.plane.ca_file), "--header", f"@{header}"]
    command += [
        "--header",
        "Content-Type: application/apply-patch+yaml",
        "--request",
        "PATCH",
        "--data",
        json.dumps(body),
    ]
    command += ["--output", "/dev/null", "--write-out", "%{http_code} %{time_total}", url]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"})
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unmeasurable(f"curl: {error}") from error
    code, seconds = done.stdout.split()
    if code != "200":
        raise Unmeasurable(f"curl: the API server answered {code}")
    return float(seconds)
