"""A VM's file system in a folder, and `first-boot` run on it as a process of its own."""

import json
from pathlib import Path

from tests.cli.running import Done, imds_agent

UNIT = "usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"
# As kubelet's own package has it (kubernetes/release, 10-kubeadm.conf), with the Debian or the RPM place of its last file.
UNIT_TEXT = """[Service]
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-{file}
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
"""
DEFAULT, SYSCONFIG = "etc/default/kubelet", "etc/sysconfig/kubelet"
INSTANCE, FACTS, STATUS = (f"run/imds-agent/{name}" for name in ("instance.json", "facts.env", "status.json"))


def put(root: Path, path: str, content: str | bytes = "") -> Path:
    """Write a file below the root, and the folders it needs."""
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content if isinstance(content, bytes) else content.encode())
    return place


def kubeadm_vm(root: Path, file: str = DEFAULT, content: str | None = "KUBELET_EXTRA_ARGS=--max-pods=50\n") -> Path:
    """Make a VM with kubelet's package installed, its node not registered yet; returns the root."""
    put(root, UNIT, UNIT_TEXT.format(file=f"/{file}"))
    if content is not None:
        put(root, file, content)
    else:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
    return root


def first_boot(root: Path, url: str, *arguments: object, **given: str) -> Done:
    """Run it to its end; whatever happens it ends with 0."""
    done = imds_agent("first-boot", f"--root={root}", f"--imds-url={url}", *arguments, **given)
    assert done.code == 0, done
    return done


def status(root: Path) -> dict:
    """Return what it says of itself."""
    return json.loads((root / STATUS).read_text())


def state(root: Path, path: str) -> tuple[str, str]:
    """Return what became of a file, and why."""
    [found] = [each for each in status(root)["files"] if each["path"] == f"/{path}"]
    return found["state"], found["why"]


def files(root: Path) -> dict[str, bytes]:
    """Return every file below the root, by its path."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
