"""The Prometheus operator's definitions of its own kinds, from its Go module: Go's module cache keeps them."""

import json
import os
import subprocess
from pathlib import Path

from tests.controlplane.golang import BuildError, go_command

MODULE = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
FILES = "example/prometheus-operator-crd/monitoring.coreos.com_{}.yaml"


def definition(plural: str) -> Path:
    """Return the file that defines a kind.

    Raises:
        BuildError: no Go, or the module cannot be had.
    """
    command = [str(go_command("the operator's definitions")), "mod", "download", "-json", MODULE]
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"monitoring: {MODULE} cannot be had: {done.stdout[-300:]}{done.stderr[-300:]}")
    return Path(json.loads(done.stdout)["Dir"]) / FILES.format(plural)
