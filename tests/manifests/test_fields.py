"""Every field of what we have people apply is one that the API server knows: it judges by itself, and would refuse a misspelt one."""

import pytest

from tests.controlplane.installed import BASE
from tests.manifests.render import MANIFESTS

HDFS = MANIFESTS / "hdfs-sync"
OPERATORS = {HDFS / "monitoring"}  # kinds that are not Kubernetes': tests/monitoring/test_operator.py
FOLDERS = sorted(
    {path.parent for path in MANIFESTS.glob("**/kustomization.yaml") if "Component" not in path.read_text()} - OPERATORS
)
MISSPELT = {
    "hostNetwork: true": "spec.template.spec.hostNetwrok",
    "readOnlyRootFilesystem: true": "spec.template.spec.containers[0].securityContext.readOnlyRootFilesystm",
    "failurePolicy: Fail": "spec.failurPolicy",
    "validationActions:": "spec.validationAction",
    "apiGroups:": "rules[0].apiGroup",
}


@pytest.fixture
def dry_run(plane):
    """Return a function that applies text as the README says, without a flag about validation, and returns what kubectl says."""
    plane.kubectl("create", "namespace", "hdfs", check=False)
    return lambda text: plane.kubectl("apply", "--dry-run=server", "-f", "-", input=text, check=False)


def test_the_folders_that_can_be_applied_are_these():
    assert {BASE, HDFS / "base", HDFS / "maintenance", MANIFESTS / "overlays" / "drain"} <= set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.relative_to(MANIFESTS).as_posix())
def test_each_folder_is_taken_without_a_warning(plane, dry_run, folder):
    text = plane.kubectl("kustomize", str(folder))
    said = dry_run(text).splitlines()
    assert [line for line in said if not line.endswith("(server dry run)")] == []
    assert len(said) == text.count("\nkind: ")


@pytest.mark.parametrize(("line", "path"), MISSPELT.items())
def test_a_misspelt_field_is_refused_by_its_place(plane, dry_run, line, path):
    text = plane.kubectl("kustomize", str(BASE))
    before, after = line.partition(":")[0], path.rpartition(".")[2]
    assert line in text
    assert f'unknown field "{path}"' in dry_run(text.replace(line, line.replace(before, after), 1))
