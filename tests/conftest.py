"""What tests share: a control plane with our manifests, fresh nodes on it.

`plane` is one for the whole session, also where pytest-xdist runs several processes. A test that takes the API server
away, or wants other manifests, starts a `ControlPlane` of its own (after the fixture `built`).
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from tests.controlplane.build import programs
from tests.controlplane.cluster import Cluster
from tests.controlplane.golang import BuildError
from tests.controlplane.nodes import NodeActor
from tests.controlplane.plane import ControlPlane
from tests.controlplane.shared import shared_cluster

ON_THE_CLUSTER = {"built", "built_whole", "plane", "whole_plane", "node"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that needs the control plane, so that `-m "not cluster"` leaves none of them."""
    for item in items:
        if ON_THE_CLUSTER & set(getattr(item, "fixturenames", ())):
            item.add_marker("cluster")


@pytest.fixture(scope="session")
def built(pytestconfig: pytest.Config) -> None:
    """Build etcd, kube-apiserver and kubectl if they are nowhere; in sight, since it takes minutes."""
    build_or_skip(pytestconfig, "etcd", "kube-apiserver", "kubectl")


@pytest.fixture(scope="session")
def built_whole(pytestconfig: pytest.Config, built: None) -> None:
    """Build kube-scheduler and kube-controller-manager, too."""
    build_or_skip(pytestconfig, "kube-scheduler", "kube-controller-manager")


@pytest.fixture(scope="session")
def plane(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """etcd and kube-apiserver with our manifests."""
    with opened(tmp_path_factory, whole=False) as cluster:
        cluster.install()
        yield cluster


@pytest.fixture(scope="session")
def whole_plane(built_whole: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Scheduler and controller manager besides, also with our manifests."""
    with opened(tmp_path_factory, whole=True) as cluster:
        cluster.install()
        yield cluster


@pytest.fixture
def node(plane: Cluster) -> Iterator[NodeActor]:
    """A fresh node that is Ready."""
    actor = plane.register_node(f"node-{uuid.uuid4().hex[:8]}")
    yield actor
    actor.close()
    actor.delete()


def opened(folders: pytest.TempPathFactory, *, whole: bool) -> AbstractContextManager[Cluster]:
    """Return a control plane for this process alone, or the one that all xdist workers share."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return ControlPlane(scheduler=whole, controller_manager=whole)
    folder: Path = folders.getbasetemp().parent / ("whole-plane" if whole else "plane")  # the parent is the session's
    return shared_cluster(folder, whole=whole)


def build_or_skip(config: pytest.Config, *names: str) -> None:
    """Build, with pytest's capture lifted; without Go fail in CI and skip elsewhere."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with ExitStack() as lifted:
        if capture:
            lifted.enter_context(capture.global_and_fixture_disabled())
        try:
            programs(*names)
        except BuildError as error:
            reason = str(error)
        else:
            return
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
