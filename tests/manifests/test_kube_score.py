"""kube-score finds in what is installed what we mean so, and nothing else."""

import pytest

from tests.manifests.helm import template
from tests.manifests.render import MANIFESTS
from tests.manifests.scored import BESIDE_A_NAMENODE, MEANT, findings
from tests.manifests.variants import OVERLAYS, PROFILES, profile

pytestmark = pytest.mark.usefixtures("charted")
CHARTS = {"no values": "", **{name: profile(name) for name in PROFILES}, **OVERLAYS}


@pytest.fixture
def found_in_the_example(kube_score) -> set[str]:
    """What is found in the containers beside a NameNode that are ours."""
    found = findings(kube_score, (MANIFESTS / "hdfs-sync" / "sidecar" / "namenode.yaml").read_text(encoding="utf-8"))
    return {each for each in found if each.split()[1] in BESIDE_A_NAMENODE}


@pytest.mark.parametrize("values", CHARTS.values(), ids=CHARTS)
def test_all_that_is_found_in_the_chart_is_meant_so(kube_score, values):
    assert findings(kube_score, template(values=values)) - MEANT.keys() == set()


@pytest.mark.parametrize("name", ["base", "hdfs-sync/base", "hdfs-sync/maintenance"])
def test_all_that_is_found_in_what_kustomize_makes_is_meant_so(kube_score, plane, name):
    assert findings(kube_score, plane.kubectl("kustomize", str(MANIFESTS / name))) - MEANT.keys() == set()


def test_all_that_is_found_in_our_containers_beside_a_namenode_is_meant_so(found_in_the_example):
    assert found_in_the_example - MEANT.keys() == set()


def test_all_that_is_meant_so_is_still_found(kube_score, found_in_the_example):
    assert MEANT.keys() - findings(kube_score, template()) - found_in_the_example == set()


def test_a_container_that_may_do_anything_would_be_found(kube_score):
    [daemon_set] = [text for text in template().split("\n---\n") if "\nkind: DaemonSet\n" in text]
    bad = daemon_set.replace("readOnlyRootFilesystem: true", "privileged: true")
    assert {each.split()[2] for each in findings(kube_score, bad) - MEANT.keys()} == {
        "container-security-context-privileged:",
        "container-security-context-readonlyrootfilesystem:",
    }
