"""Which kubelets this VM has, where each reads its flags, and whether its node has registered already: looks, changes nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.boot import drop_in, kubelet_file
from agent.clients.vm_copies import within

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 256 * 1024  # bytes of a unit or an environment file; real ones have a few hundred
# Kubelet's packages: deb, rpm. Which one is in use, its unit says.
FILES = ("etc/default/kubelet", "etc/sysconfig/kubelet")
UNITS = (
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
)
ADMITTED = (
    "var/lib/kubelet/pki/kubelet-client-current.pem",
    "var/lib/kubelet/kubeconfig",
    "etc/kubernetes/kubelet.conf",
)
KUBEADM_FLAGS = "var/lib/kubelet/kubeadm-flags.env"
AKS = "opt/azure/containers"  # where AKS' own provisioning lies on its images
AKS_VARIABLE = "KUBELET_NODE_LABELS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubelet:
    """One kubelet's way to be told flags.

    Attributes:
        path: of the file, below the root.
        form: an environment file, or a drop-in of k3s or RKE2.
        admitted: what says that the node has registered, below the root; None where nothing does.
        foreign_taints: why taints must not be given here; "" where they may.
    """

    path: str
    form: str
    admitted: str | None = None
    foreign_taints: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubelets:
    """All of them.

    Attributes:
        notes: why one that is there is left alone, a sentence each.
    """

    found: tuple[Kubelet, ...] = ()
    notes: tuple[str, ...] = ()


def kubelets(root: Path) -> Kubelets:
    """Look for kubelets below a root."""
    if (why := _aks(root)) is not None:
        return Kubelets(notes=(f"{why}: AKS writes kubelet's flags itself, later; the labels come with the DaemonSet",))
    units = "\n".join(_units(root))
    admitted = next((path for path in ADMITTED if there(root, path)), None)
    taints = "kubeadm names taints, and kubelet takes one list only" if _kubeadm_taints(root) else ""
    files = tuple(path for path in FILES if _in_use(root, path, units))
    found = [Kubelet(path=path, form="file", admitted=admitted, foreign_taints=taints) for path in files]
    notes = [f"kubelet's unit reads no {kubelet_file.NAME} from {' or '.join(f'/{path}' for path in FILES)}"]
    return Kubelets(found=(*found, *_distributions(root)), notes=tuple(notes) if units and not files else ())


def marked(root: Path) -> Iterator[Kubelet]:
    """Find every file that we wrote into, whatever is in use now."""
    for path in FILES:
        if kubelet_file.has_block(_text(root, path)):
            yield Kubelet(path=path, form="file")
    for name in ("k3s", "rke2"):
        path = f"etc/rancher/{name}/config.yaml.d/{drop_in.NAME}"
        if drop_in.is_ours(_text(root, path)):
            yield Kubelet(path=path, form="drop-in")


def there(root: Path, path: str) -> bool:
    """Say whether there is something at a path, links followed within the root; what may not be looked at counts."""
    try:
        return within(root, Path(path)).exists()
    except OSError:
        return True


def _distributions(root: Path) -> Iterator[Kubelet]:
    for name in ("k3s", "rke2"):
        places = (f"etc/rancher/{name}", f"usr/local/bin/{name}", f"usr/bin/{name}", f"opt/{name}/bin/{name}")
        if any(there(root, path) for path in places):
            certificate = f"var/lib/rancher/{name}/agent/client-kubelet.crt"
            yield Kubelet(
                path=f"etc/rancher/{name}/config.yaml.d/{drop_in.NAME}",
                form="drop-in",
                admitted=certificate if there(root, certificate) else None,
            )


def _in_use(root: Path, path: str, units: str) -> bool:
    """Say whether kubelet reads this file; where no unit is there to ask, one that assigns its variable is taken for it."""
    if units:
        named = re.search(rf"^\s*EnvironmentFile\s*=\s*-?/{re.escape(path)}\s*$", units, re.MULTILINE)
        return named is not None and kubelet_file.NAME in units
    return re.search(rf"^\s*{kubelet_file.NAME}=", _text(root, path), re.MULTILINE) is not None


def _units(root: Path) -> Iterator[str]:
    """Read kubelet's unit and its drop-ins, wherever systemd would find them (systemd.unit(5))."""
    for folder in UNITS:
        unit = f"{folder}/kubelet.service"
        paths = [unit]
        try:
            found = sorted(within(root, Path(f"{unit}.d")).glob("*.conf"))
        except OSError:
            found = []
        paths += [f"{unit}.d/{each.name}" for each in found]
        yield from (text for path in paths if (text := _text(root, path)))


def _aks(root: Path) -> str | None:
    """Return what says that this is a node of AKS; None where nothing does."""
    if there(root, AKS):
        return f"/{AKS} is there"
    if AKS_VARIABLE in _text(root, FILES[0]) or AKS_VARIABLE in "\n".join(_units(root)):
        return f"kubelet takes {AKS_VARIABLE}"
    return None


def _kubeadm_taints(root: Path) -> bool:
    return kubelet_file.TAINTS in _text(root, KUBEADM_FLAGS)


def _text(root: Path, path: str) -> str:
    try:
        place = within(root, Path(path))
        if not place.is_file():  # a pipe would be waited for
            return ""
        with place.open("rb") as file:
            return file.read(LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""
