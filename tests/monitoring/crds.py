"""The Prometheus operator's definitions of its own kinds, from its Go module: Go's module cache keeps them."""

import os
import subprocess
from pathlib import Path

from tests.controlplane.golang import BuildError, go_command
from tests.monitoring.programs import OPERATOR


def definitions() -> Path:
    """Return the folder of the files that define the operator's kinds.

    Raises:
        BuildError: no Go, or the module cannot be had.
    """
    go = str(go_command("the operator's definitions"))
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    said = ""
    for words in (["mod", "download", OPERATOR.package], ["list", "-m", "-f", "{{.Dir}}", OPERATOR.package]):
        done = subprocess.run(
            [go, *words], cwd=OPERATOR.folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise BuildError(f"monitoring: {OPERATOR.package} cannot be had: {done.stdout[-300:]}{done.stderr[-300:]}")
        said = done.stdout
    return Path(said.strip()) / "example" / "prometheus-operator-crd"


def definition(plural: str) -> Path:
    """Return the file that defines a kind.

    Raises:
        BuildError: as above.
    """
    return definitions() / f"monitoring.coreos.com_{plural}.yaml"
