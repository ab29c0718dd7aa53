"""kube-score on what is installed, and what it finds that we mean so.

`python -m tests.manifests.scored` builds it, if it is nowhere yet, and prints its path.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.built import Module, main

KUBE_SCORE = Module(
    folder=Path(__file__).resolve().parent,
    package="github.com/zegl/kube-score",
    seconds={"kube-score": 60},
)
# The other optional checks want requests that equal limits, CPU's included.
OPTIONAL = ("container-seccomp-profile", "container-ports-check")
WELL = 10  # the best grade
LOGS = "its root is read-only, so that only its log counts, which kubelet rotates: for a long one the agent would be evicted"
BESIDE_A_NAMENODE = ("rack-script", "hdfs-sync")  # our containers in a pod of somebody else's
EXAMPLE = "an example to copy from: names, and what a NameNode's pod may take, are for its owner to say"
OWN_IMAGE = "an image of the reader's own, and hdfs is Java: neither its user nor what it writes is ours to say"
MEANT = (
    {
        "DaemonSet/imds-agent agent container-resources: CPU limit is not set": "a throttled agent cordons late",
        "DaemonSet/imds-agent agent container-ephemeral-storage-request-and-limit: Ephemeral Storage limit is not set": LOGS,
        "DaemonSet/imds-agent agent container-ephemeral-storage-request-and-limit: Ephemeral Storage request is not set": LOGS,
        "DaemonSet/imds-agent agent container-image-pull-policy: ImagePullPolicy is not set to Always": (
            "the tag is a version; and an agent that restarts while the registry is away must start"
        ),
        "DaemonSet/imds-agent pod-networkpolicy: The pod does not have a matching NetworkPolicy": "none holds for hostNetwork",
    }
    | {
        f"StatefulSet/namenode {container} {check}: {said}": EXAMPLE
        for container in BESIDE_A_NAMENODE
        for check, all_said in {
            "container-image-tag": ["Image with latest tag"],
            "container-resources": [
                "CPU limit is not set",
                "CPU request is not set",
                "Memory limit is not set",
                "Memory request is not set",
            ],
            "container-ephemeral-storage-request-and-limit": [
                "Ephemeral Storage limit is not set",
                "Ephemeral Storage request is not set",
            ],
        }.items()
        for said in all_said
    }
    | {
        f"StatefulSet/namenode hdfs-sync container-security-context-{found}": OWN_IMAGE
        for found in (
            "readonlyrootfilesystem: The pod has a container with a writable root filesystem",
            "user-group-id: The container is running with a low user ID",
            "user-group-id: The container running with a low group ID",
        )
    }
)


def findings(program: Path, manifests: str) -> set[str]:
    """Return all that kube-score would have otherwise in these manifests: object, container if it is about one, check, what it says."""
    command = [program, "score", "--output-format=json", "--kubernetes-version=v1.34"]
    command += [f"--enable-optional-test={name}" for name in OPTIONAL]
    done = subprocess.run([*command, "-"], input=manifests, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout, done.stderr
    return {
        found for item in json.loads(done.stdout) or () for found in _of_object(item)
    }  # null: no kind that it knows


def _of_object(item: Mapping[str, Any]) -> Iterator[str]:
    thing = f"{item['type_meta']['kind']}/{item['object_meta']['name']}"
    for check in item["checks"]:
        if check["grade"] < WELL and not check["skipped"]:
            name = check["check"]["id"]
            for said in check["comments"] or [{"path": "", "summary": check["check"]["comment"]}]:
                yield " ".join(part for part in (thing, said["path"], f"{name}: {said['summary']}") if part)


if __name__ == "__main__":
    raise SystemExit(main(KUBE_SCORE))
