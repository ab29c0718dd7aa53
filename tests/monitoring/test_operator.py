"""Our rules and our PodMonitor are what the Prometheus operator's own definitions take, field by field."""

import pytest

from tests.controlplane.golang import BuildError
from tests.monitoring.crds import definition
from tests.monitoring.written import FOLDER
from tests.not_here import not_here
from tests.promises.agents import wait_until

HDFS = FOLDER.parent / "hdfs-sync"


@pytest.fixture(scope="module")
def operated(plane):
    """The API server with the operator's kinds; without them fail in CI and skip elsewhere."""
    try:
        files = [definition(plural) for plural in ("prometheusrules", "podmonitors")]
    except BuildError as error:
        not_here(str(error))
    for path in files:
        plane.kubectl("apply", "--server-side", "-f", str(path))
    for kind in ("prometheusrules", "podmonitors"):
        wait_until(lambda kind=kind: "error" not in plane.kubectl("get", kind, "-A", check=False), kind)
    return plane


@pytest.mark.parametrize(
    "path",
    [FOLDER / "prometheus-rules.yaml", FOLDER / "pod-monitor.yaml", HDFS / "monitoring" / "pod-monitor.yaml"],
    ids=lambda path: "/".join(path.parts[-3:]),
)
def test_it_is_taken_without_an_unknown_field(operated, path):
    operated.kubectl("create", "namespace", "hdfs", check=False)
    said = operated.kubectl("apply", "--server-side", "--validate=strict", "-f", str(path))
    assert "serverside-applied" in said
    operated.kubectl("delete", "-f", str(path))


def test_a_field_that_the_operator_does_not_know_would_be_refused(operated, tmp_path):
    path = tmp_path / "rules.yaml"
    text = (FOLDER / "prometheus-rules.yaml").read_text(encoding="utf-8")
    path.write_text(text.replace("          for: 15m", "          fort: 15m", 1))
    assert "fort" in operated.kubectl("apply", "--server-side", "--validate=strict", "-f", str(path), check=False)
