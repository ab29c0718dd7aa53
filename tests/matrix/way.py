"""An agent's way to its API server: the proxy between them, the credentials, and what kubelet or an admin changes about these."""

import base64
import json
import uuid
from pathlib import Path

from tests.controlplane.certs import Authority
from tests.controlplane.cluster import Cluster as Plane
from tests.controlplane.kubeconfig import write_kubeconfig, write_private
from tests.matrix.faulty_api import FaultyApi


class Way:
    """A kubeconfig that leads through a proxy, with token and authority in files of their own, as kubelet mounts them."""

    def __init__(self, plane: Plane, node: str, *, inline: bool = False) -> None:
        """Make it.

        Args:
            inline: the authority stands in the kubeconfig itself.
        """
        self.plane, self.node, self.inline = plane, node, inline
        self.name = f"proxy-{uuid.uuid4().hex[:8]}"
        self.api = FaultyApi(plane.url, str(plane.ca_file), plane.authority.issue(self.name))
        self.ca_file = plane.workdir / f"{self.name}.ca"
        self.kubeconfig = plane.workdir / f"{self.name}.kubeconfig"
        self.token_file = plane.agent_kubeconfig(node).with_suffix(".token")
        self.trust(plane.authority)

    def token(self) -> str:
        return self.token_file.read_text()

    def rotate_token(self) -> None:
        """Write a new token into the file, as kubelet does long before the old one ends."""
        self.plane.agent_kubeconfig(self.node)

    def renew_certificate(self) -> None:
        """Let the server go on with a new certificate of the same authority."""
        self.api.serve_as(self.plane.authority.issue(f"{self.name}-renewed"))

    def replace_authority(self) -> None:
        """Let the server go on with a certificate of an authority that the agent does not know yet."""
        self.authority = Authority(self.plane.workdir / f"{self.name}-tls")
        self.api.serve_as(self.authority.issue(self.name))

    def trust(self, authority: Authority) -> None:
        """Write down whom to trust, where the agent's credentials stand."""
        pem = authority.files.certificate.read_text()
        write_private(self.ca_file, pem)
        write_kubeconfig(self.kubeconfig, self.api.url, self.ca_file, {"tokenFile": str(self.token_file)})
        if self.inline:
            inline_authority(self.kubeconfig, pem)

    def close(self) -> None:
        self.api.close()


def inline_authority(kubeconfig: Path, pem: str) -> None:
    document = json.loads(kubeconfig.read_text())
    cluster = document["clusters"][0]["cluster"]
    del cluster["certificate-authority"]
    cluster["certificate-authority-data"] = base64.b64encode(pem.encode()).decode()
    write_private(kubeconfig, json.dumps(document))
