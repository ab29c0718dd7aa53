"""Kubeconfig files: who, where, and whom to trust."""

import json
import os
from pathlib import Path
from typing import Any

from tests.controlplane.certs import KeyPair


def write_kubeconfig(path: Path, url: str, ca_file: Path, user: dict[str, str], *, namespace: str = "default") -> Path:
    """Write a kubeconfig for one user, readable by its owner alone; JSON is YAML."""
    content: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": str(ca_file)}}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user", "namespace": namespace}}],
        "current-context": "test",
    }
    write_private(path, json.dumps(content, indent=1))
    return path


def certificate_user(identity: KeyPair) -> dict[str, str]:
    return {"client-certificate": str(identity.certificate), "client-key": str(identity.key)}


def write_private(path: Path, text: str) -> None:
    """Write a file for its owner alone, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.touch(mode=0o600)
    partial.write_text(text)
    partial.replace(path)
